"""The methods on the starter: for each, a real run in a worker, and the figure that it raises before and after.

    python packaging/method_table.py              # all of them: some minutes
    python packaging/method_table.py dpo grpo

Measured are the starter's validation rows, which no run trains on: all pairs, and a group of answers a prompt.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from app.core import event, starter
from app.core.config import TrainConfig
from app.core.method import METHODS, Method
from app.core.run import prepare_run
from app.core.worker_client import WorkerClient

DATA = {"examples": starter.data_dir, "pairs": starter.preference_dir, "prompts": starter.reward_dir}
EVERY: dict[str, Any] = {
    "epochs": None, "iters": 20, "batch_size": 4, "learning_rate": 1e-4, "mask_prompt": True, "val_batches": -1,
    "max_seq_length": 256, "lora_parameters": {"rank": 8, "scale": 8.0}, "early_stopping": {"enabled": False},
}  # fmt: skip
# Rewards come from samples, so it takes more of them to see one rise.
SAMPLED: dict[str, Any] = {
    "iters": 40, "batch_size": 8, "group_size": 8, "temperature": 1.0, "beta": 0.0, "max_completion_length": 32,
    "reward_functions": ["last_number"],
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One method's run: the figure (of a supervised run the loss) on held-out rows, and what the run took."""

    method: str
    figure: str
    before: float
    after: float
    seconds: float
    peak_memory_gb: float


def starter_config(method: Method, **changes: Any) -> TrainConfig:
    """The starter run of a method."""
    values = dict(method.settings) | EVERY | (SAMPLED if method.data == "prompts" else {})
    values |= {"model": str(starter.model_dir()), "data": str(DATA[method.data]())} | changes
    values["steps_per_eval"] = values["iters"]
    return TrainConfig.model_validate(values)


def run_method(method: Method, folder: Path, **changes: Any) -> Row:
    """Trains in a worker process; raises `RuntimeError` with its words if it fails."""
    run = prepare_run(starter_config(method, **changes), folder)
    began, peak = time.perf_counter(), 0.0
    measured: list[event.Validated] = []
    with WorkerClient(run.path, run.log) as worker:
        for said in worker.events():
            if isinstance(said, event.Validated):
                measured.append(said)
            elif isinstance(said, event.TrainReported):
                peak = max(peak, said.peak_memory_gb)
            elif isinstance(said, event.Failed):
                raise RuntimeError(f"{method.label}: {said.message}")
    before, after = (_figure(method, one) for one in (measured[0], measured[-1]))
    return Row(method.label, method.figure or "loss", before, after, time.perf_counter() - began, peak)


def _figure(method: Method, measured: event.Validated) -> float:
    return measured.figures[method.figure] if method.figure else measured.val_loss


def rows(names: list[str]) -> Iterator[Row]:
    """One row after the other, as the runs end."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            yield run_method(METHODS[name], Path(folder) / name)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument(
        "methods", nargs="*", choices=[*METHODS, []], help="methods to run; all of them unless given"
    )
    names = parser.parse_args().methods or list(METHODS)
    print(f"{'method':30} {'figure':9} {'before':>8} {'after':>8} {'s':>6} {'GB':>6}")
    for row in rows(names):
        figures = f"{row.before:8.3f} {row.after:8.3f} {row.seconds:6.0f} {row.peak_memory_gb:6.2f}"
        print(f"{row.method:30} {row.figure:9} {figures}", flush=True)


if __name__ == "__main__":
    main()
