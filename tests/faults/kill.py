"""Kills: of the worker at each of its writes and at random moments, of the window, of both, of who starts runs."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path

from app.core.protocol import event
from app.core.protocol.event import read_events
from app.core.protocol.program import own_command
from app.core.run.folder import RunDir, prepare_run
from app.core.setup.config_file import save_config
from tests import ROOT
from tests.faults.trained import (
    Outcome,
    Undisturbed,
    Worker,
    environment,
    fault_at,
    is_complete,
    judge,
    losses_of,
    resume,
    wait_until_free,
)

WAYS = ("before", "half", "after")
WINDOW = ROOT / "tests/e2e/window_process.py"


def at_writes(whole: Undisturbed, folder: Path, numbers: list[int]) -> Outcome:
    """The worker is killed at each of these of its writes (counted from 1): before, in the middle, after."""
    outcome = Outcome("worker killed at a write of its own")
    for turn, number in enumerate(numbers):
        run = prepare_run(whole.config, folder / f"write-{number}-{turn}")
        worker = Worker(run, fault_at(run.path, number, WAYS[turn % len(WAYS)]))
        code = worker.end()
        outcome.times += code == -signal.SIGKILL
        judge(run, whole, outcome, worker.lost())
    return outcome


def at_random(whole: Undisturbed, folder: Path, times: int, chance: random.Random) -> Outcome:
    """The worker is killed at random moments, several times in the life of one run."""
    outcome = Outcome("worker killed at random")
    for number in count():
        if outcome.times >= times:
            return outcome
        run = prepare_run(whole.config, folder / f"random-{number}")
        worker = Worker(run)
        for _ in range(3):
            if outcome.times < times:
                outcome.times += _killed_later(worker, chance)
                outcome.events_lost += worker.lost()
                if is_complete(run):
                    break
                worker = resume(run)
        if worker.process.returncode is None:
            worker.end()
            outcome.events_lost += worker.lost()
        judge(run, whole, outcome)
    raise AssertionError


def _killed_later(worker: Worker, chance: random.Random) -> bool:
    """Kills a worker some time after its first words; most of its life are the seconds until it trains."""
    start = chance.choice(("hello", "started", "started", "train_reported", "train_reported"))
    last = chance.randrange(1, 40)
    seen = 0

    def due(found: event.Event) -> bool:
        nonlocal seen
        seen += found.type == start
        return seen >= (last if start == "train_reported" else 1)

    worker.hear(due)
    time.sleep(chance.random() * (1.0 if start == "hello" else 0.05))
    worker.process.kill()
    return worker.close() == -signal.SIGKILL


def with_window(whole: Undisturbed, folder: Path, times: int, chance: random.Random, both: bool) -> Outcome:
    """The window is killed while its run trains, alone or together with the worker."""
    outcome = Outcome("window and worker killed" if both else "window killed")
    for number in range(times):
        home = folder / f"home-{'both' if both else 'window'}-{number}"
        home.mkdir()
        save_config(whole.config, home / "config.yaml")
        process = subprocess.Popen(
            [sys.executable, str(WINDOW), str(home / "config.yaml")],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(LUTHIER_HOME=str(home)),
        )
        assert process.stdout is not None
        with process, process.stdout:
            run = RunDir(Path(process.stdout.readline().strip()))
            heard = 0
            for _ in range(chance.randrange(1, len(whole.losses))):  # a report each; a run that ended says no more
                heard = int(process.stdout.readline() or heard)
            time.sleep(chance.random() * 0.05)
            worker = _worker_of(run)
            process.kill()
            if both and worker:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            process.wait()
        wait_until_free(run)
        outcome.times += 1
        if not both and isinstance(last := read_events(run.events)[-1], event.Finished):
            outcome.events_lost += max(0, heard - (last.iteration or 0))
        judge(run, whole, outcome, max(0, heard - max(losses_of(run), default=0)))
    return outcome


def _worker_of(run: RunDir) -> int:
    found = next((one for one in read_events(run.events) if isinstance(one, event.Hello)), None)
    return found.pid if found is not None else 0


def of_starter(whole: Undisturbed, folder: Path, numbers: list[int]) -> Outcome:
    """What starts a run is killed at each of its writes into the run's folder: the run can be begun or resumed."""
    outcome = Outcome("killed while a run is made")
    config = folder / "config.yaml"
    save_config(whole.config, config)
    for turn, number in enumerate(numbers):
        run = RunDir(folder / f"made-{number}")
        variables = fault_at(run.path, number, WAYS[turn % len(WAYS)], who="train")
        command = [*own_command(), "train", str(config), "--run-dir", str(run.path)]
        done = _quiet(command, environment(**variables))
        outcome.times += done == -signal.SIGKILL
        with suppress(OSError):
            wait_until_free(run)
        again = command if not run.config.exists() else [*own_command(), "resume", str(run.path)]
        if _quiet(again, environment()):
            outcome.runs_lost += 1
            outcome.remarks.append(f"it can be neither begun nor resumed after write {number}")
            continue
        judge(run, whole, outcome)
    return outcome


def _quiet(command: list[str], variables: dict[str, str]) -> int:
    return subprocess.run(command, env=variables, capture_output=True, check=False).returncode


def kills(whole: Undisturbed, writes: int, folder: Path, times: int, chance: random.Random) -> Iterator[Outcome]:
    """So many kills in all; ``writes`` is how many an undisturbed worker makes."""
    made: list[Callable[[], Outcome]] = []
    share = max(1, times // 12)
    windows, both, starting = share, share, min(5, share)
    at = min(writes, (times - windows - both - starting) * 2 // 3)
    numbers = [1 + writes * index // at for index in range(at)]
    made += [
        lambda: at_writes(whole, folder, numbers),
        lambda: at_random(whole, folder, times - at - windows - both - starting, chance),
        lambda: with_window(whole, folder, windows, chance, both=False),
        lambda: with_window(whole, folder, both, chance, both=True),
        lambda: of_starter(whole, folder, [1 + 2 * index for index in range(starting)]),
    ]
    for one in made:
        yield one()
