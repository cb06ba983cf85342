"""The run session over any steps of a person and of workers: one run at a time, nothing left of the one before."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from PySide6.QtCore import QCoreApplication
from PySide6.QtTest import QTest

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.command import Command, Park, Pause, Resume, Stop
from app.core.protocol.event import Event
from app.core.protocol.job import read_job
from app.core.run.folder import RunDir
from app.ui.run.session import LIVE, RunSession, RunState
from tests.ui.fake_worker import FakeWorker
from tests.ui.synthetic_run import report

ENDS = {
    "completed": RunState.COMPLETED,
    "stopped": RunState.STOPPED,
    "early_stopping": RunState.EARLY_STOPPED,
    "paused": RunState.PARKED,
}


@dataclass
class Made:
    """A run that the model knows: what its worker said, and what it came to."""

    path: Path
    seed: int
    iteration: int = 0
    warnings: list[str] = field(default_factory=list)
    end: RunState = RunState.NEW
    has_spoken: bool = False


class SessionSteps(RuleBasedStateMachine):
    """A person at the panel, and the workers of the runs, in any order."""

    def __init__(self) -> None:
        super().__init__()
        FakeWorker.made = []
        self.session = RunSession()
        self.runs: list[Made] = []
        self.shown: Made | None = None
        self.state = RunState.NONE
        self.resuming = self.has_begun = False
        self.commands: list[Command] = []

    def teardown(self) -> None:
        self.session._reading.stop()
        self.session._close_file()
        self.session.deleteLater()

    @property
    def worker(self) -> FakeWorker:
        return FakeWorker.made[-1]

    def _is_live(self) -> bool:
        return self.state in LIVE

    def _is_reading(self) -> bool:
        return self.state is RunState.LOADING

    # -- the person -------------------------------------------------------------------------------------------

    @precondition(lambda self: not self._is_live() and len(self.runs) < 4)
    @rule()
    def start(self) -> None:
        seed = len(self.runs)
        run = self.session.start(TrainConfig(model="/m", data="/d", seed=seed, adapter_name=f"run {seed}"))
        self.shown = Made(run.path, seed)
        self.runs.append(self.shown)
        self._launched()

    def _launched(self) -> None:
        self.state, self.resuming, self.commands = RunState.PREPARING, False, []
        self.has_begun = False
        assert self.shown is not None
        assert self.worker.job_dir == self.shown.path
        assert self.worker.is_running

    @precondition(lambda self: not self._is_live() and self.runs)
    @rule(number=st.integers(0, 3))
    def open(self, number: int) -> None:
        self.shown = self.runs[number % len(self.runs)]
        self.session.open(self.shown.path)
        self.state, self.resuming = RunState.LOADING, False

    @precondition(lambda self: not self._is_live() and self.runs)
    @rule(number=st.integers(0, 3), end=st.sampled_from([None, 90]))
    def resume(self, number: int, end: int | None) -> None:
        self.shown = self.runs[number % len(self.runs)]
        self.session.resume(self.shown.path, extend_to=end)
        self.state, self.resuming = RunState.LOADING, True
        assert self.session.asked_end == end

    @precondition(lambda self: self._is_live() and self.runs)
    @rule()
    def open_another_while_it_trains(self) -> None:
        with pytest.raises(RuntimeError, match="still training"):
            self.session.open(self.runs[0].path)

    @precondition(lambda self: self._is_live())
    @rule(word=st.sampled_from(["stop", "pause", "park", "go_on"]))
    def ask(self, word: str) -> None:
        getattr(self.session, word)()
        now = self.state
        if word == "stop" and now is not RunState.STOPPING:
            self._sent(Stop(), RunState.STOPPING)
        elif word == "pause" and now is RunState.RUNNING:
            self._sent(Pause(), RunState.PAUSING)
        elif word == "park" and now in (RunState.RUNNING, RunState.PAUSED):
            self._sent(Park(), RunState.PARKING)
        elif word == "go_on" and now in (RunState.PAUSED, RunState.PAUSING):
            self._sent(Resume(), RunState.RUNNING)

    def _sent(self, command: Command, state: RunState) -> None:
        self.commands.append(command)
        self.state = state

    # -- the worker -------------------------------------------------------------------------------------------

    def _write(self, found: Event) -> Event:
        """A worker writes each event into the file before it says it."""
        assert self.shown is not None
        with RunDir(self.shown.path).events.open("a", encoding="utf-8") as file:
            file.write(found.to_line() + "\n")
        self.shown.has_spoken = True
        return found

    def _say(self, found: Event) -> None:
        self.worker.say(self._write(found))

    @precondition(lambda self: self._is_live() and not self.has_begun)
    @rule()
    def it_begins(self) -> None:
        assert self.shown is not None
        self._say(event.Hello(task="train"))
        self.has_begun = True
        self.shown.warnings = []
        self._say(
            event.Started(
                iteration=self.shown.iteration, iterations=600, iterations_per_epoch=9, train_examples=9,
                valid_examples=1,
            )
        )  # fmt: skip
        if self.state is RunState.PREPARING:
            self.state = RunState.RUNNING

    @precondition(lambda self: self._is_live() and self.has_begun and self.state is not RunState.PAUSED)
    @rule()
    def it_reports(self) -> None:
        assert self.shown is not None
        self.shown.iteration += 5
        self._say(report(self.shown.iteration, [float(self.shown.seed)] * 5))

    @precondition(lambda self: self._is_live() and self.shown.has_spoken)
    @rule()
    def it_warns(self) -> None:
        assert self.shown is not None
        said = f"run {self.shown.seed}, warning {len(self.shown.warnings)}"
        self.shown.warnings.append(said)
        self._say(event.Warned(message=said))

    @precondition(lambda self: self.state is RunState.PAUSING)
    @rule()
    def it_pauses(self) -> None:
        assert self.shown is not None
        self._say(event.Paused(iteration=self.shown.iteration))
        self.state = RunState.PAUSED

    @precondition(lambda self: self._is_live() and self.has_begun)
    @rule(reason=st.sampled_from(list(ENDS)))
    def it_ends(self, reason: str) -> None:
        assert self.shown is not None
        self.worker.end(self._write(event.Finished(reason=reason, iteration=self.shown.iteration)))
        self._ended(ENDS[reason])

    @precondition(lambda self: self._is_live())
    @rule()
    def it_fails(self) -> None:
        assert self.shown is not None
        self.worker.end(self._write(event.Failed(message=f"No room for run {self.shown.seed}.")), 1)
        self._ended(RunState.FAILED)

    @precondition(lambda self: self._is_live() and self.shown.has_spoken)
    @rule()
    def it_is_killed(self) -> None:
        assert self.shown is not None
        before = self.shown.end
        self.worker.end(exit_code=-9)
        self._ended(RunState.CRASHED)
        if not self.has_begun and before is not RunState.NEW:
            self.shown.end = before  # the folder knows nothing of a worker that never said a word

    def _ended(self, state: RunState) -> None:
        assert self.shown is not None
        self.shown.end = self.state = state

    # -- time goes by -----------------------------------------------------------------------------------------

    @precondition(lambda self: self._is_reading())
    @rule()
    def the_folder_is_read(self) -> None:
        assert self.shown is not None
        workers = len(FakeWorker.made)
        while self.session._reading.isActive():
            QCoreApplication.processEvents()
            QTest.qWait(0)
        assert len(FakeWorker.made) == workers + self.resuming, "only the run that was asked for last goes on"
        if self.resuming:
            self._launched()
            job = read_job(self.shown.path)
            assert (job.task, getattr(job, "extend_to", None)) == ("train", self.session.asked_end)
        else:
            self.state = self.shown.end

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        assert self.session.state is self.state
        assert self.session.is_live == self._is_live()
        if self.shown is None:
            return
        assert self.session.run is not None
        assert self.session.run.path == self.shown.path
        assert self.session.config is not None
        assert self.session.config.seed == self.shown.seed
        assert sum(one.is_running for one in FakeWorker.made) == self._is_live()
        if self._is_live():
            assert self.worker.commands == self.commands
        if not self._is_reading():
            history = self.session.history
            assert history.iteration == self.shown.iteration
            assert set(history.losses.tolist()) <= {float(self.shown.seed)}
            assert list(history.warnings) == self.shown.warnings
            assert (f"run {self.shown.seed}." in self.session.problem) == (self.state is RunState.FAILED)


@pytest.mark.usefixtures("qapp", "workers")
def test_any_steps() -> None:
    run_state_machine_as_test(
        SessionSteps, settings=settings(max_examples=20, stateful_step_count=20, deadline=None)
    )
