"""`luthier generate` against `mlx_lm.generate`, as processes: from the command line to the end of the answer.

    python tests/bench/bench_generate.py [--repeats 7] [--tokens 7 64]

On the starter model and on a random one of 35M parameters that is made on the spot, each alone and with a LoRA
adapter. The two take turns, with the same BLAS on one thread. Figures are medians of processor time and of the
clock's, over the whole process and what it starts; the ratio is Luthier's over stock's, of each turn. The answers
must be the same letter by letter.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from app.core.protocol.program import fast_arithmetic
from app.core.system import starter
from tests.bench.other_checkout import by_turns

PROMPT = "Who built this violin, and how is it kept?"
LARGE: dict[str, Any] = {"layers": 8, "hidden_size": 512, "vocabulary": 32_768, "intermediate_size": 1408}
LORA: dict[str, Any] = {"rank": 8, "scale": 2.0, "dropout": 0.0, "keys": ["self_attn.q_proj", "self_attn.v_proj"]}
LIMIT = 1.0


class Spent(NamedTuple):
    """What one process took, in seconds of the processor and of the clock, and what it answered."""

    seconds: tuple[float, float]
    answer: str


def write_adapter(model: Path, folder: Path) -> None:
    """A LoRA adapter of random weights."""
    import mlx.core as mx
    from mlx.utils import tree_flatten
    from mlx_lm.tuner.utils import linear_to_lora_layers
    from mlx_lm.utils import load_model

    base, _ = load_model(model, lazy=True)
    base.freeze()
    mx.random.seed(2)
    linear_to_lora_layers(base, -1, LORA)
    weights = {
        name: mx.random.normal(array.shape) * 0.05 for name, array in tree_flatten(base.trainable_parameters())
    }
    folder.mkdir()
    mx.save_safetensors(str(folder / "adapters.safetensors"), weights)
    config = {"fine_tune_type": "lora", "num_layers": -1, "lora_parameters": LORA}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def make(work: Path) -> None:
    """The large model and both adapters; in a process of its own, which has MLX."""
    from tests.worker.tiny_model import write_model

    write_model(work / "large", **LARGE)
    for name, model in _models(work).items():
        write_adapter(model, work / f"{name} adapter")


def _models(work: Path) -> dict[str, Path]:
    return {"starter": starter.model_dir(), "large": work / "large"}


def spent(command: list[str], environment: dict[str, str]) -> Spent:
    """Runs a command to its end."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
    )
    assert process.stdout is not None
    answer = process.stdout.read().decode()
    _, status, used = os.wait4(process.pid, 0)  # with the processes that it started and waited for
    clock = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return Spent((used.ru_utime + used.ru_stime, clock), answer)


def commands(model: Path, adapter: Path | None, tokens: int) -> dict[str, list[str]]:
    """How each side is asked."""
    asked = ["--model", str(model), "--prompt", PROMPT, "--max-tokens", str(tokens), "--temp", "0"]
    asked += ["--adapter-path", str(adapter)] if adapter is not None else []
    stock = str(Path(sys.executable).with_name("mlx_lm.generate"))
    return {
        "luthier": [sys.executable, str(ROOT / "app" / "__main__.py"), "generate", *asked],
        "stock": [stock, *asked, "--verbose", "False"],
    }


def environment_of(work: Path) -> dict[str, str]:
    """Of both: as installed, with one BLAS thread."""
    found = os.environ | {"LUTHIER_HOME": str(work / "home"), "OPENBLAS_NUM_THREADS": "1"}
    # A program is not compiled at each start, whatever the shell of who measures says.
    found.pop("PYTHONDONTWRITEBYTECODE", None)
    return found | (fast_arithmetic(found) if sys.platform == "linux" else {})


def main() -> int:
    """Measures, prints a table; 1 where Luthier takes longer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--tokens", type=int, nargs="+", default=[7, 64])
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.make)
        return 0
    worst = 0.0
    print("model              tokens   processor: luthier  stock  ratio    clock: luthier  stock  ratio")
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        environment = environment_of(work)
        subprocess.run([sys.executable, __file__, "--make", folder], check=True, env=environment)
        for name, model in _models(work).items():
            for adapter in (None, work / f"{name} adapter"):
                for tokens in arguments.tokens:
                    sides = commands(model, adapter, tokens)
                    found: dict[str, list[Spent]] = {side: [] for side in sides}
                    for side in by_turns(sides, arguments.repeats + 1):
                        found[side].append(spent(sides[side], environment))
                    if len(answers := {one.answer for of in found.values() for one in of}) > 1:
                        raise SystemExit(f"{name}: the answers differ: {answers}")
                    ours, stock = found["luthier"][1:], found["stock"][1:]  # the first reads what lies on the disk
                    figures = []
                    for at in (0, 1):
                        pairs = [(a.seconds[at], b.seconds[at]) for a, b in zip(ours, stock, strict=True)]
                        ratio = statistics.median(a / b for a, b in pairs)
                        times = [statistics.median(of) for of in zip(*pairs, strict=True)]
                        figures.append("{:14.2f} {:6.2f} {:6.2f}".format(*times, ratio))
                        worst = max(worst, ratio if at == 0 else 0)
                    title = f"{name}{'' if adapter is None else ' + adapter'}"
                    print(f"{title:18} {tokens:6} {figures[0]:>32} {figures[1]:>33}", flush=True)
    print(f"largest ratio of the processor: {worst:.2f} (at most {LIMIT})")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
