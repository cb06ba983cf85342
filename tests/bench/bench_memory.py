"""The memory estimate against real training: one row a combination, each trained by a worker of its own.

``python tests/bench/bench_memory.py [WORD…]`` (only rows whose name has all words) prints estimate, estimate after
a probe, and MLX's peak; the exit code is 1 if one is off by more than 20 % (5 % when probed).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

import mlx.core as mx

from app.core.config.train_config import TrainConfig
from app.core.protocol.event import (
    Failed,
    Result,
    TrainReported,
    parse_event,
)
from app.core.protocol.job import ProbeJob, write_job
from app.core.protocol.program import (
    worker_command,
    worker_environment,
)
from app.core.run.folder import prepare_run
from app.core.setup.memory import (
    Probe,
    calibrate,
    estimate,
)
from app.core.setup.memory_term import StepSize
from app.core.target.selection import resolve
from app.worker.model.inspect import inspect_model
from tests.worker.tiny_model import write_model

MODELS: dict[str, dict[str, Any]] = {
    "llama 8 × 256": {"model_type": "llama", "layers": 8, "hidden_size": 256, "intermediate_size": 768,
                      "num_attention_heads": 8, "num_key_value_heads": 4, "vocabulary": 8192},
    "qwen2 6 × 256 bf16": {"model_type": "qwen2", "layers": 6, "hidden_size": 256, "intermediate_size": 1024,
                           "vocabulary": 16384, "tied": False, "dtype": mx.bfloat16},
    "qwen3 8 × 256 4 bit": {"model_type": "qwen3", "layers": 8, "hidden_size": 256, "intermediate_size": 512,
                            "head_dim": 64, "vocabulary": 4096, "quantized": True},
}  # fmt: skip
# Batch, length in tokens, gradient checkpointing, type.
CASES = ((1, 128, False, "lora"), (2, 256, False, "lora"), (4, 128, False, "lora"), (4, 256, True, "lora"),
         (2, 128, False, "dora"), (2, 256, True, "dora"), (2, 128, False, "full"))  # fmt: skip
STEPS = 4


@dataclass(frozen=True, slots=True)
class Row:
    """One combination, in bytes."""

    name: str
    measured: int
    estimated: int
    probed: int

    @property
    def errors(self) -> tuple[float, float]:
        return self.estimated / self.measured - 1, self.probed / self.measured - 1


def rows(place: Path, words: list[str]) -> Iterator[Row]:
    """Trains and probes each combination (full training not where weights are packed)."""
    for index, (name, sizes) in enumerate(MODELS.items()):
        model = write_model(place / f"model{index}", **sizes)
        for case in CASES:
            packed_full = case[3] == "full" and sizes.get("quantized")
            if not packed_full and all(word in _label(name, case) for word in words):
                yield _row(place, name, model, case)


def _label(name: str, case: tuple[int, int, bool, str]) -> str:
    batch, length, checkpoint, kind = case
    return f"{name}, batch {batch}, {length} tokens, {kind}{', checkpointing' if checkpoint else ''}"


def _row(place: Path, name: str, model: Path, case: tuple[int, int, bool, str]) -> Row:
    batch, length, checkpoint, kind = case
    folder = Path(tempfile.mkdtemp(dir=place))
    config = _config(folder, model, batch, length).with_values(
        {"grad_checkpoint": checkpoint, "fine_tune_type": kind}
    )
    inspection = inspect_model(model)
    selection = resolve(inspection, config)
    run = prepare_run(config, folder / "run")
    peaks = [e.peak_memory_gb for e in _events(run.path) if isinstance(e, TrainReported)]
    trial = prepare_run(config, folder / "probe")
    write_job(trial.path, ProbeJob())
    data = next(e.data for e in _events(trial.path) if isinstance(e, Result))
    probe = Probe(data["peak_bytes"], data["step_s"], StepSize(data["rows"], data["width"], data["targets"]))
    calibration = calibrate(inspection, config, selection, probe)
    return Row(
        _label(name, case),
        round(max(peaks) * 1e9),
        estimate(inspection, config, selection).total,
        estimate(inspection, config, selection, calibration=calibration).total,
    )


def _config(folder: Path, model: Path, batch: int, length: int) -> TrainConfig:
    """A short run on rows that are all as long as they may be (the tokenizer's tokens are bytes)."""
    data = folder / "data.jsonl"
    text = "".join(chr(97 + i % 26) for i in range(2 * length))
    lines = [json.dumps({"text": f"{number:04d}{text}"}) for number in range(batch * STEPS)]
    data.write_text("\n".join(lines), encoding="utf-8")
    values = {
        "model": str(model), "data": str(data), "batch_size": batch, "max_seq_length": length + 1, "iters": STEPS,
        "epochs": None, "valid_fraction": 0.0, "test_fraction": 0.0, "steps_per_report": 1, "learning_rate": 1e-5,
    }  # fmt: skip
    return TrainConfig().with_values(values)


def _events(job_dir: Path) -> list[Any]:
    with (job_dir / "stderr.txt").open("w", encoding="utf-8") as log:
        # The end of its input would tell the worker that its parent is gone: the pipe stays open.
        worker = subprocess.Popen(
            worker_command(job_dir), env=worker_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=log, text=True,
        )  # fmt: skip
        assert worker.stdout is not None
        with worker:
            events = [parse_event(line) for line in worker.stdout]
    failed = next((event for event in events if isinstance(event, Failed)), None)
    if failed is not None or worker.returncode:
        raise RuntimeError(failed.message if failed else (job_dir / "stderr.txt").read_text(encoding="utf-8"))
    return events


def main() -> int:
    """Prints the table."""
    good = True
    with tempfile.TemporaryDirectory() as place:
        print(f"{'':<62}{'MLX MB':>9}{'estimate':>10}{'':>7}{'probed':>9}")
        for row in rows(Path(place), sys.argv[1:]):
            plain, probed = row.errors
            good = good and abs(plain) <= 0.2 and abs(probed) <= 0.05
            figures = f"{row.measured / 1e6:9.1f}{row.estimated / 1e6:10.1f}{plain:+7.1%}"
            print(f"{row.name:<62}{figures}{row.probed / 1e6:9.1f}{probed:+7.1%}", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
