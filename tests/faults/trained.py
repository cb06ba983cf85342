"""A small run in processes of its own that can be disturbed, resumed, and held against an undisturbed one."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.event import parse_event, read_events
from app.core.protocol.job import TrainJob, write_job
from app.core.protocol.program import worker_command, worker_environment
from app.core.run.catalog import RunCatalog
from app.core.run.folder import RUN_SUPERVISOR, RunDir, prepare_run
from app.core.run.history import RunHistory
from tests import ROOT

HOOK = Path(__file__).resolve().parent / "hook"
WAIT_S = 120
HANGS_S = 300.0  # a worker of so small a run that takes longer hangs, and is killed


@dataclass
class Outcome:
    """What a fault did, of one kind: how often it was tried, and what it cost."""

    fault: str
    times: int = 0
    runs_lost: int = 0
    events_lost: int = 0
    inexact: int = 0
    remarks: list[str] = field(default_factory=list)

    @property
    def is_as_promised(self) -> bool:
        return not (self.runs_lost or self.events_lost or self.inexact or self.remarks)

    def row(self) -> str:
        """A line of the table."""
        exact = "yes" if not self.inexact else f"no, {self.inexact} ×"
        said = "; ".join(dict.fromkeys(self.remarks)) or "as promised"
        return f"| {self.fault} | {self.times} | {self.runs_lost} | {self.events_lost} | {exact} | {said} |"


HEAD = "| fault | times | runs lost | events lost | resume exact | |\n|---|---|---|---|---|---|"


@dataclass(frozen=True)
class Undisturbed:
    """A config, and what a run of it comes to when nothing happens: losses by iteration, and files of weights."""

    config: TrainConfig
    losses: dict[int, float]
    weights: dict[str, bytes]


def environment(**more: str) -> dict[str, str]:
    """A process's environment: one thread of arithmetic, nothing compiled."""
    quiet = {"MLX_DISABLE_COMPILE": "1", "OPENBLAS_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
             "QT_QPA_PLATFORM": "offscreen"}  # fmt: skip
    return dict(os.environ) | quiet | more


def fault_at(root: Path, number: int, how: str, who: str = "--worker", **more: str) -> dict[str, str]:
    """The variables that let a process fail at one of its writes (`tests/faults/hook`)."""
    plan = {"root": str(root), "who": who, "at": number, "how": how, **more}
    return {"LUTHIER_FAULT": json.dumps(plan), "PYTHONPATH": f"{HOOK}{os.pathsep}{ROOT}"}


class Worker:
    """A worker of a run, and all that it said on its standard output."""

    def __init__(
        self, run: RunDir, variables: dict[str, str] | None = None, before: list[str] | None = None
    ) -> None:
        self.run = run
        errors = run.log.open("ab")
        self.process = subprocess.Popen(
            [*(before or []), *worker_command(run.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=worker_environment(environment(**variables or {})),
            start_new_session=True,
        )
        errors.close()
        self.said: list[bytes] = []
        self._guard = threading.Timer(HANGS_S, self.process.kill)
        self._guard.daemon = True
        self._guard.start()

    def hear(self, until: Callable[[event.Event], bool] = lambda _: False) -> event.Event | None:
        """Reads what it says until an event is as asked for, or its end (None)."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line)
            if line.endswith(b"\n") and until(parse_event(line)):
                return parse_event(line)
        return None

    def end(self) -> int:
        """Hears it out; its exit code."""
        self.hear()
        return self.close()

    def close(self) -> int:
        """Waits for its end."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.said += self.process.stdout.readlines()
        self.process.stdout.close()
        self._guard.cancel()
        return self.process.wait(WAIT_S)

    @property
    def heard(self) -> list[event.Event]:
        """The events that it said whole."""
        return [parse_event(line) for line in self.said if line.endswith(b"\n")]

    @property
    def last(self) -> event.Event | None:
        """The last event that it said whole."""
        return next(iter(reversed(self.heard)), None)

    def lost(self) -> int:
        """How many of the lines that it said are not in the run's file."""
        kept = self.run.events.read_bytes() if self.run.events.exists() else b""
        return sum(line not in kept for line in self.said if line.endswith(b"\n"))


def reported(iteration: int) -> Callable[[event.Event], bool]:
    """Whether an event is the report of that iteration, or a later one."""
    return lambda found: isinstance(found, event.TrainReported) and found.iteration >= iteration


def resume(run: RunDir, **job: Any) -> Worker:
    """A worker that goes on with the run, as the window and the command line do it."""
    write_job(run.path, TrainJob(resume=True, **job))
    return Worker(run)


def is_complete(run: RunDir) -> bool:
    """Whether the run has come to its end."""
    found = read_events(run.events)
    return bool(found) and isinstance(found[-1], event.Finished) and found[-1].reason == "completed"


def losses_of(run: RunDir) -> dict[int, float]:
    """The loss of each iteration as the curves show it, to the last bit."""
    history = RunHistory()
    for found in read_events(run.events):
        history.feed(found)
    return dict(zip(map(int, history.x("iterations")), history.losses.tolist(), strict=True))


def weights_of(run: RunDir) -> dict[str, bytes]:
    """The files of weights that the run left."""
    return {str(path.relative_to(run.path)): path.read_bytes() for path in run.adapters.rglob("*.safetensors")}


def undisturbed(config: TrainConfig, folder: Path) -> Undisturbed:
    """Trains a config once."""
    run = prepare_run(config, folder)
    code = Worker(run).end()
    assert code == 0, run.log_tail()
    return Undisturbed(config, losses_of(run), weights_of(run))


def leftovers(run: RunDir) -> list[str]:
    """What a killed process left that nobody needs: temporary files, half written states, room not given back."""
    odd = [path for path in run.path.rglob(".*") if path.name not in (".lock", RUN_SUPERVISOR)]
    odd += [path for path in run.state.glob("*") if not path.name.isdecimal()]
    return [path.name for path in odd]


def judge(run: RunDir, whole: Undisturbed, outcome: Outcome, lost: int = 0) -> None:
    """Resumes a disturbed run to its end, and counts what the fault cost."""
    outcome.events_lost += max(0, lost)
    torn = [line for line in _lines(run) if not _is_event(line)]
    if len(torn) > 1:
        outcome.events_lost += len(torn) - 1
    if not is_complete(run):
        worker = resume(run)
        if worker.end() or not is_complete(run):
            outcome.runs_lost += 1
            last = worker.last
            outcome.remarks.append(
                last.message if isinstance(last, event.Failed) else "the resume ended without a word"
            )
            return
    listed = {one.run.path for one in RunCatalog(run.path.parent, run.path.parent / ".index").refresh()}
    if run.path not in listed:
        outcome.runs_lost += 1
        outcome.remarks.append("it is gone from the list of runs")
    weights = weights_of(run)  # and those of where it was stopped, which the undisturbed one has not
    if losses_of(run) != whole.losses or any(weights.get(name) != whole.weights[name] for name in whole.weights):
        outcome.inexact += 1
    if left := leftovers(run):
        outcome.remarks.append(f"{len(left)} temporary files are left: {left[0]}")


def _lines(run: RunDir) -> list[bytes]:
    return run.events.read_bytes().splitlines() if run.events.exists() else []


def _is_event(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def wait_until_free(run: RunDir) -> None:
    """Until no worker holds the run."""
    with FileLock(run.path / ".lock", timeout=WAIT_S):
        pass


def written(config: TrainConfig, folder: Path) -> int:
    """How many writes the worker of an undisturbed run makes."""
    run, count = prepare_run(config, folder), folder.with_suffix(".count")
    plan = {"root": str(run.path), "who": "--worker", "count": str(count)}
    variables = {"LUTHIER_FAULT": json.dumps(plan), "PYTHONPATH": f"{HOOK}{os.pathsep}{ROOT}"}
    Worker(run, variables).end()
    return len(count.read_text().splitlines())
