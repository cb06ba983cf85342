"""The time that a run is said to take against what it takes: random runs of about a minute, each probed first.

``python tests/bench/bench_duration.py [--seed N] [--cases N] [--seconds N] [WORD…]`` (only runs whose name has all
words) prints the seconds that passed beside the guess after a probe, and beside the one that the next window would
give from the pace which the run left. The exit code is 1 if one is off by more than
20 %, or an "at most" was passed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from app.core.config.train_config import TrainConfig
from app.core.protocol.event import Result
from app.core.protocol.job import ProbeJob, TrainJob
from app.core.protocol.program import compiles_kernels
from app.core.run.folder import prepare_run
from app.core.setup.duration import Duration, Pace, duration, extent_of, work_costs
from app.core.setup.speed import kept_pace, speed_key
from app.core.setup.step_plan import StepPlan
from app.core.system.place import HOME_VARIABLE
from app.worker.model.inspect import inspect_model
from tests.bench.bench_memory import worker_events
from tests.bench.memory_case import MemoryCase, cases, write_case

LIMIT = 0.20
MEASUREMENTS, SAVES = 5, 4


@dataclass(frozen=True, slots=True)
class Row:
    """One run, in seconds: what passed, what was said after the probe and after the run."""

    name: str
    measured: float
    probed: Duration
    kept: Duration | None

    def error(self, said: Duration) -> float:
        """How far what was said is off."""
        return said.total / self.measured - 1

    def is_true(self, said: Duration) -> bool:
        """Whether it was within the limit; what is called "at most" only has to be that."""
        error = self.error(said)
        return error >= -LIMIT if not said.is_most else error >= 0


def rows(place: Path, seed: int, count: int, seconds: float, words: list[str]) -> Iterator[Row]:
    """Probes and trains each run."""
    for number, case in enumerate(cases(seed, count)):
        if all(word in case.label for word in words):
            try:
                yield _row(place / str(number), case, seconds)
            except RuntimeError as error:
                print(f"{case.label:<104} not trained: {error}", flush=True)


def _row(folder: Path, case: MemoryCase, seconds: float) -> Row:
    folder.mkdir()
    config = write_case(case, folder).with_values({"valid_fraction": 0.2, "val_batches": -1})
    inspection = inspect_model(Path(config.model))
    costs = work_costs(inspection)
    trial = worker_events(prepare_run(config, folder / "probe").path, ProbeJob())
    data = next(said.data for said in trial if isinstance(said, Result))
    steps = StepPlan.counted(config, data["steps"], data["step_batches"], labelled=data["labelled"])
    examples = len(case.lengths)
    valid = max(1, round(examples * 0.2))

    def said(config: TrainConfig, pace: Pace) -> Duration:
        return duration(config, pace, costs, steps, extent_of(config, config.iters, examples - valid, valid))

    pace = Pace.from_dict(data["pace"])
    fixed = said(_lasting(config, 1), pace).total
    each = (said(_lasting(config, 101), pace).total - fixed) / 100
    config = _lasting(config, max(10, round(max(seconds - fixed, 0) / max(each, 1e-6))))
    began = time.perf_counter()
    worker_events(prepare_run(config, folder / "run").path, TrainJob())
    measured = time.perf_counter() - began
    later = kept_pace(speed_key(inspection, config, compiled=compiles_kernels()))
    return Row(case.label, measured, said(config, pace), said(config, later) if later else None)


def _lasting(config: TrainConfig, iterations: int) -> TrainConfig:
    values: dict[str, Any] = {
        "iters": iterations,
        "steps_per_eval": max(1, iterations // MEASUREMENTS),
        "save_every": max(1, iterations // SAVES),
    }
    return config.with_values(values)


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--cases", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args()
    wrong = 0
    with tempfile.TemporaryDirectory() as place:
        os.environ[HOME_VARIABLE] = str(Path(place) / "home")
        print(f"{'':<104}{'took':>8}{'probed':>16}{'kept':>16}")
        for row in rows(Path(place), asked.seed, asked.cases, asked.seconds, asked.words):
            line = f"{row.name:<104}{row.measured:7.1f}s"
            for said in (row.probed, row.kept):
                if said is not None:
                    line += f"{'≤' if said.is_most else ' '}{said.total:6.1f}s {row.error(said):+7.1%}"
                    wrong += not row.is_true(said)
            print(line, flush=True)
            print("   " + ", ".join(f"{name} {value:.1f}" for name, value in row.probed.parts.items()), flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
