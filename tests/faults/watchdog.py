"""Deaths by Metal's watchdog, injected at random steps: exact with the same pieces, nearly so with smaller."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import mlx.core as mx

from app.core.live.door import tell_run
from app.core.live.supervisor import SUPERVISED_VARIABLE, awaits_worker
from app.core.live.watchdog import prepare_smaller, was_ended_by_watchdog
from app.core.protocol import event
from app.core.protocol.command import Pause, Resume
from app.core.protocol.event import read_events
from app.core.protocol.job import TrainJob, read_job, write_job
from app.core.protocol.program import own_command
from app.core.run.folder import RunDir, prepare_run
from tests.faults.trained import (
    Outcome,
    Undisturbed,
    Worker,
    environment,
    fault_at,
    is_complete,
    judge,
    losses_of,
    wait_until_free,
)

BEGINS_S = 30  # that a process may take to begin
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


WAYS = ("nobody", "attached", "command line")


def alone(whole: Undisturbed, writes: int, folder: Path, times: int, chance: random.Random) -> Iterator[Outcome]:
    """So many in all of runs without a window: nobody holds them, a command line is attached, or trains them.

    Each must go on by itself, once, to its end.
    """
    found = {way: Outcome(f"Metal's watchdog, without a window: {way}") for way in WAYS}
    for number in range(times):
        way = WAYS[number % len(WAYS)]
        run = prepare_run(whole.config, folder / f"alone-{number}")
        home = folder / f"home-{number}"
        once = {"once": str(folder / f"died-{number}")}
        # One that is attached must have been seen to train: until then it is paused, early in the run.
        first = writes // 2 if way == "attached" else 30
        variables = fault_at(run.path, chance.randrange(first, writes), "watchdog", **once)
        variables |= {"LUTHIER_HOME": str(home)}
        write_job(run.path, TrainJob(most_positions=CUTS, outlives_parent=way != "command line"))
        said = _train_alone(run, way, variables)
        outcome = found[way]
        outcome.times += Path(once["once"]).exists()
        wait_until_free(run)
        _judge_gone_on(run, whole, outcome)
        kept = run.events.read_text(encoding="utf-8").splitlines()
        # A command line that trains also tells of the crash, which nobody was left to write.
        if said and [line for line in said.splitlines() if line in set(kept)] != kept:
            outcome.events_lost += 1
            outcome.remarks.append("not the events that were written")
    yield from found.values()


def _train_alone(run: RunDir, way: str, variables: dict[str, str]) -> str:
    """Trains it in one of the ways to its end; what a command line said of it."""
    if way == "command line":
        words = [*own_command(), "resume", str(run.path), "--json"]
        return _said_by(words, variables)
    if way == "nobody":
        variables = variables | {SUPERVISED_VARIABLE: "1"}
    worker = Worker(run, variables)
    assert worker.process.stdin is not None
    if way == "nobody":
        worker.hear(lambda found: isinstance(found, event.Hello))
        worker.close()
        until = time.monotonic() + BEGINS_S  # its supervisor may begin after it has died
        while not is_complete(run) and time.monotonic() < until:
            if run.is_running() or awaits_worker(run):
                until = time.monotonic() + BEGINS_S
            time.sleep(0.1)
        return ""
    worker.process.stdin.write(Pause().to_line())
    worker.process.stdin.flush()
    worker.hear(lambda found: isinstance(found, event.Paused))
    watcher = subprocess.Popen(
        [*own_command(), "attach", str(run.path), "--json"], stdout=subprocess.PIPE, text=True,
        stderr=subprocess.DEVNULL, env=environment(**variables),
    )  # fmt: skip
    assert watcher.stdout is not None
    first = watcher.stdout.readline()
    tell_run(run, Resume())
    worker.close()
    said = first + watcher.stdout.read()
    watcher.stdout.close()
    watcher.wait()
    return said


def _said_by(words: list[str], variables: dict[str, str]) -> str:
    done = subprocess.run(words, env=environment(**variables), check=False, capture_output=True, text=True)
    return done.stdout


def _judge_gone_on(run: RunDir, whole: Undisturbed, outcome: Outcome) -> None:
    job = read_job(run.path)
    if not is_complete(run) or not isinstance(job, TrainJob) or job.most_positions != CUTS // 2:
        outcome.runs_lost += 1
        outcome.remarks.append(run.log_tail(3))
        return
    workers = sum(isinstance(one, event.Hello) for one in read_events(run.events))
    if workers != 2:
        outcome.remarks.append(f"{workers} workers")
    _judge_near(run, whole, outcome)


def _judge_smaller(run: RunDir, whole: Undisturbed, outcome: Outcome) -> None:
    prepare_smaller(run)
    job = read_job(run.path)
    Worker(run).end()
    if not is_complete(run) or not isinstance(job, TrainJob) or job.most_positions != CUTS // 2:
        outcome.runs_lost += 1
        return
    _judge_near(run, whole, outcome)


def _judge_near(run: RunDir, whole: Undisturbed, outcome: Outcome) -> None:
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
