"""The memory estimate against real training: random runs, each trained and probed by workers of their own.

``python tests/bench/bench_memory.py [--seed N] [--cases N] [WORD…]`` (only runs whose name has all words) prints
MLX's peak, the estimate and the estimate after a probe. The estimate's weights were fitted to seeds 100 to 104. The
exit code is 1 if one is off by more than 15 % (5 % when probed).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT)]

from app.core.protocol.event import Estimated, Failed, Result, TrainReported, parse_event
from app.core.protocol.job import Job, ProbeJob, TrainJob, write_job
from app.core.protocol.program import compiles_kernels, worker_command, worker_environment
from app.core.run.folder import prepare_run
from app.core.setup.memory import calibrate, estimate
from app.core.setup.memory_term import StepSize
from app.core.setup.step_plan import StepPlan
from app.core.system.place import HOME_VARIABLE
from app.core.target.selection import resolve
from app.worker.model.inspect import inspect_model
from tests.bench.memory_case import MemoryCase, cases, write_case

LIMIT, PROBED_LIMIT = 0.15, 0.05


@dataclass(frozen=True, slots=True)
class Row:
    """One run, in bytes."""

    name: str
    measured: int
    estimated: int
    probed: int

    @property
    def errors(self) -> tuple[float, float]:
        return self.estimated / self.measured - 1, self.probed / self.measured - 1


def rows(place: Path, seed: int, count: int, words: list[str]) -> Iterator[Row]:
    """Trains and probes each run."""
    for number, case in enumerate(cases(seed, count)):
        if all(word in case.label for word in words):
            try:
                yield _row(place / str(number), case)
            except RuntimeError as error:
                print(f"{case.label:<104} not trained: {error}", flush=True)


def _row(folder: Path, case: MemoryCase) -> Row:
    folder.mkdir()
    config = write_case(case, folder)
    inspection = inspect_model(Path(config.model))
    selection = resolve(inspection, config)
    trained = worker_events(prepare_run(config, folder / "run").path, TrainJob())
    peak = max(said.peak_memory_gb for said in trained if isinstance(said, TrainReported))
    told = next(said for said in trained if isinstance(said, Estimated))
    trial = worker_events(prepare_run(config, folder / "probe").path, ProbeJob())
    data = next(said.data for said in trial if isinstance(said, Result))
    steps = StepPlan.counted(config, data["steps"], data["step_batches"], labelled=data["labelled"])
    compiled = compiles_kernels()
    probed_size = StepSize(data["rows"], data["width"], data["targets"])
    calibration = calibrate(
        inspection, config, selection, data["peak_bytes"], steps, probed=probed_size, compiled=compiled
    )
    probed = estimate(
        inspection, config, selection, steps=steps, calibration=calibration, compiled=compiled, with_remedies=False
    )
    return Row(case.label, round(peak * 1e9), told.memory_bytes, probed.total)


def worker_events(job_dir: Path, job: Job) -> list[Any]:
    """All that a worker says of a job. Raises `RuntimeError` with its words if it fails."""
    write_job(job_dir, job)
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
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--cases", type=int, default=20)
    parser.add_argument("words", nargs="*")
    asked = parser.parse_args()
    plain, probed = [], []
    with tempfile.TemporaryDirectory() as place:
        os.environ[HOME_VARIABLE] = str(Path(place) / "home")  # nothing of these runs is kept
        print(f"{'':<104}{'MLX MB':>9}{'estimate':>10}{'':>7}{'probed':>9}")
        for row in rows(Path(place), asked.seed, asked.cases, asked.words):
            errors = row.errors
            plain.append(abs(errors[0]))
            probed.append(abs(errors[1]))
            figures = f"{row.measured / 1e6:9.1f}{row.estimated / 1e6:10.1f}{errors[0]:+7.1%}"
            print(f"{row.name:<104}{figures}{row.probed / 1e6:9.1f}{errors[1]:+7.1%}", flush=True)
    if not plain:
        return 1
    for name, off, limit in (("estimate", plain, LIMIT), ("probed", probed, PROBED_LIMIT)):
        within = sum(error <= limit for error in off)
        middle = sorted(off)[len(off) // 2]
        print(f"{name}: {within} of {len(off)} within {limit:.0%}, median {middle:.1%}, worst {max(off):.1%}")
    return 0 if max(plain) <= LIMIT and max(probed) <= PROBED_LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
