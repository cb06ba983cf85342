"""A run that its window leaves: killed, or closed with *Keep training*; it goes on, and is found again, live."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from unittest import mock

from app.core.config.train_config import TrainConfig
from app.core.live.training_list import training_runs
from app.core.protocol import event
from app.core.protocol.event import read_events, recorded_event
from app.core.protocol.program import own_command
from app.core.run.folder import RunDir
from app.core.setup.config_file import save_config
from tests import ROOT
from tests.faults.reopened import point
from tests.faults.trained import HANGS_S, Outcome, environment, losses_of, wait_until_free

WINDOW = ROOT / "tests/faults/reopened.py"
LIVE = ("state preparing", "state running")
WAYS = ("killed", "closed", "command line")


def is_report(line: str) -> bool:
    """Whether a process told of a report: the event, or a point that it gave."""
    return line.startswith("point") or '"train_reported"' in line


def as_points(lines: list[str]) -> list[str]:
    """What was told, with the points that reports give in place of these."""
    found = []
    for line in lines:
        said = None if line.startswith("point") else recorded_event(line.encode())
        if isinstance(said, event.TrainReported):
            first = said.iteration - len(said.losses) + 1
            found += [f"{point(first + number, loss)}\n" for number, loss in enumerate(said.losses)]
        else:
            found.append(line)
    return found


class Watcher:
    """A process that shows a run; the events that it took, as it printed them, and what state it said last."""

    def __init__(self, command: list[str], home: Path) -> None:
        self._process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=environment(LUTHIER_HOME=str(home)),
        )
        self.lines: list[str] = []
        self.state = ""
        self._guard = threading.Timer(HANGS_S, self._process.kill)
        self._guard.daemon = True
        self._guard.start()

    def watch(self, reports: int) -> bool:
        """Reads until it has said so many reports while the run was live; False if it ended before."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("state"):
                self.state = line.strip()
                if self.state not in (*LIVE, "state loading", "state none"):
                    return False
            else:
                self.lines.append(line)
                reports -= self.state in ("", *LIVE) and is_report(line)
            if reports <= 0:
                return True
        return False

    def end(self, number: signal.Signals) -> None:
        """Ends it, and reads what it still said; half a line of one that was killed was said to nobody."""
        assert self._process.stdout is not None
        self._process.send_signal(number)
        self.lines += [one for one in self._process.stdout if not one.startswith("state") and one.endswith("\n")]
        self._process.stdout.close()
        self._process.wait()
        self._guard.cancel()


def left_alone(config: TrainConfig, folder: Path, times: int, chance: random.Random) -> Outcome:
    """One run, which so many windows show one after the other, until each is killed or closed; in between command
    lines do. Each must have taken every event from the first on, in order and once; the worker must never end."""
    outcome = Outcome("window left while it trains, found again")
    home = folder / "home"
    home.mkdir(parents=True)
    save_config(config, folder / "config.yaml")
    run, watcher = None, Watcher([sys.executable, str(WINDOW), str(folder / "config.yaml")], home)
    for number in range(times + 1):
        way = WAYS[number % 3] if number else WAYS[0]
        if number:
            words = [*own_command(), "attach", "--json"] if way == WAYS[2] else [sys.executable, str(WINDOW)]
            watcher = Watcher(words, home)
        if not watcher.watch(chance.randrange(1, 12)):
            outcome.runs_lost += 1
            outcome.remarks.append(f"it was not live, time {number}, {way}: {watcher.state}")
        run = run or next(iter(_training(home)), None)
        watcher.end({"killed": signal.SIGKILL, "closed": signal.SIGUSR1, "command line": signal.SIGINT}[way])
        if run is None:
            return outcome
        outcome.times += bool(number)
        kept = as_points(run.events.read_text(encoding="utf-8").splitlines(keepends=True))
        taken = as_points(watcher.lines)
        if not taken or taken != kept[: len(taken)]:
            outcome.events_lost += 1
            outcome.remarks.append(f"not the events that were written, time {number}, {way}")
    assert run is not None
    told = [*own_command(), "attach", str(run.path), "--stop"]
    subprocess.run(told, env=environment(LUTHIER_HOME=str(home)), check=True, capture_output=True)
    wait_until_free(run)
    _check_whole(run, outcome)
    return outcome


def _training(home: Path) -> list[RunDir]:
    with mock.patch.dict("os.environ", {"LUTHIER_HOME": str(home)}):
        return training_runs()


def _check_whole(run: RunDir, outcome: Outcome) -> None:
    """One worker said it all, from its first word to its last, with the loss of each iteration once."""
    events = read_events(run.events)
    workers = sum(isinstance(one, event.Hello) for one in events)
    last = events[-1]
    if workers != 1 or not isinstance(last, event.Finished) or last.reason != "stopped":
        outcome.runs_lost += 1
        outcome.remarks.append(f"{workers} workers, the last word {last.type}")
        return
    reported = sum(len(one.losses) for one in events if isinstance(one, event.TrainReported))
    if reported != last.iteration or sorted(losses_of(run)) != list(range(1, reported + 1)):
        outcome.events_lost += 1
        outcome.remarks.append(f"{reported} losses of {last.iteration} iterations")
