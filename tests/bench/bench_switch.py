"""Memory of a comparison: base and two switched adapters, against the base alone and against loading each.

``python tests/bench/bench_switch.py`` makes a model of random weights, measures each way in a process of its own
(MLX's peak, and the resident memory of the process above what its imports take), and prints the ratios. The exit
code is 1 if the switched ones take more than 1.1 × the base.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

import mlx.core as mx
from mlx_lm import load
from mlx_lm.models.cache import make_prompt_cache

from app.core.protocol.program import worker_environment
from app.worker.model.adapter_switch import AdapterSwitch
from tests.worker.answering_model import make_adapter
from tests.worker.tiny_model import write_model

LAYERS, WIDTH, RANK, TOKENS = 6, 1024, 8, 32
LIMIT = 1.1
WAYS = {"base": "base alone", "switched": "base and two adapters, switched", "separate": "each loaded for itself"}


def answer(model: Any) -> None:
    """One prompt and one token, as an answer begins."""
    cache = make_prompt_cache(model)
    logits = model(mx.ones((1, TOKENS), mx.int32), cache=cache)
    mx.eval(model(mx.argmax(logits[:, -1:], axis=-1), cache=cache))


def measure(way: str, place: Path) -> dict[str, float]:
    """Bytes that one way takes, at most."""
    before = _resident()
    adapters = [place / "a", place / "b"]
    kept = []
    if way == "separate":
        for path in (None, *adapters):
            model, _ = load(str(place / "base"), adapter_path=str(path) if path else None)
            kept.append(model)
            answer(model)
    else:
        model, _ = load(str(place / "base"))
        answer(model)
        if way == "switched":
            switch = AdapterSwitch(model)
            kept = [switch.load(path) for path in adapters]
            for adapter in (*kept, None, *kept):
                switch.use(adapter)
                answer(model)
    assert len(kept) == {"base": 0, "switched": 2, "separate": 3}[way]
    return {"mlx": mx.get_peak_memory(), "resident": _resident() - before}


def _resident() -> int:
    """The most memory that this process ever held. On Linux, getrusage would also count what its parent held."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def main() -> int:
    """Makes the model, measures, prints."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        write_model(
            place / "base", layers=LAYERS, hidden_size=WIDTH, intermediate_size=4 * WIDTH, num_attention_heads=16
        )
        for number, adapter in enumerate(("a", "b")):
            make_adapter(place / "base", place / adapter, rank=RANK - number, layers=LAYERS)
        size = (place / "base" / "model.safetensors").stat().st_size
        adapter_size = (place / "a" / "adapters.safetensors").stat().st_size
        print(f"base {size / 1e6:,.0f} MB, adapters of {adapter_size / 1e6:,.1f} MB each\n")
        found = {way: _in_process(way, place) for way in WAYS}
    print(f"{'':34}{'MLX peak':>12}{'ratio':>8}{'resident':>12}{'ratio':>8}")
    for way, label in WAYS.items():
        cells = "".join(
            f"{found[way][kind] / 1e6:>9,.0f} MB{found[way][kind] / found['base'][kind]:>7.2f}×"
            for kind in ("mlx", "resident")
        )
        print(f"{label:34}{cells}")
    return int(found["switched"]["mlx"] > LIMIT * found["base"]["mlx"])


def _in_process(way: str, place: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, way, str(place)], env=worker_environment(), capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(measure(sys.argv[1], Path(sys.argv[2]))))
    else:
        sys.exit(main())
