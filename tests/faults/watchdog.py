"""Deaths by Metal's watchdog, injected at random steps: exact with the same pieces, nearly so with smaller."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx

from app.core.live.watchdog import prepare_smaller, was_ended_by_watchdog
from app.core.protocol.job import TrainJob, read_job, write_job
from app.core.run.folder import RunDir, prepare_run
from tests.faults.trained import Outcome, Undisturbed, Worker, fault_at, is_complete, judge, losses_of

CUTS = 256  # positions; half of it cuts the batches of so small a run
TOLERANCE = 2e-4  # of weights and losses in float32, whose sums are added in another order


def deaths(whole: Undisturbed, writes: int, folder: Path, times: int, chance: random.Random) -> Iterator[Outcome]:
    """So many in all, each at one of the worker's ``writes``, of which most steps make one."""
    exact, smaller = Outcome("Metal's watchdog, the same pieces"), Outcome("Metal's watchdog, smaller pieces")
    for number in range(times):
        run = prepare_run(whole.config, folder / f"watchdog-{number}")
        outcome = smaller if number % 2 else exact
        write_job(run.path, TrainJob(most_positions=CUTS))
        worker = Worker(run, fault_at(run.path, chance.randrange(1, writes), "watchdog"))
        code = worker.end()
        outcome.times += code == -signal.SIGABRT
        if not was_ended_by_watchdog(run, worker.last):
            outcome.remarks.append("it was not known as such")
        if outcome is exact:
            judge(run, whole, outcome, worker.lost())
        else:
            _judge_smaller(run, whole, outcome)
    yield from (exact, smaller)


def _judge_smaller(run: RunDir, whole: Undisturbed, outcome: Outcome) -> None:
    prepare_smaller(run)
    job = read_job(run.path)
    Worker(run).end()
    if not is_complete(run) or not isinstance(job, TrainJob) or job.most_positions != CUTS // 2:
        outcome.runs_lost += 1
        return
    losses = losses_of(run)
    apart = max(abs(losses[one] - loss) for one, loss in whole.losses.items())
    for name, held in whole.weights.items():
        apart = max(apart, _apart(run.path / name, held, run.path / "held.safetensors"))
    if apart > TOLERANCE:
        outcome.inexact += 1
        outcome.remarks.append(f"{apart:.2g} apart")


def _apart(file: Path, held: bytes, beside: Path) -> float:
    """The largest difference of an element, of weights in two files."""
    beside.write_bytes(held)
    one, other = mx.load(str(file)), mx.load(str(beside))
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    assert one.keys() == other.keys()
    return max(float(mx.abs(one[name] - other[name]).max()) for name in one)
