"""The window's part in the queue over any steps: of a person, of workers, of windows that close and open again."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from PySide6.QtCore import QCoreApplication, QObject

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.protocol.job import TrainJob, read_job
from app.core.queue.queue import EntryState, Mode, RunQueue, make_entry
from app.core.run.folder import RunDir, create_run
from app.ui.message.bar import Notice
from app.ui.queue.session import QueueSession
from app.ui.run.session import RunSession, RunState
from tests.ui.fake_worker import FakeWorker

ENDED: tuple[EntryState, ...] = ("done", "failed", "stopped", "skipped")
NUMBERS = st.integers(0, 4)


@dataclass
class Known:
    """What the model knows of an entry; ``run`` is its folder, ``saved`` whether there is a state in it."""

    id: str
    state: EntryState = "waiting"
    run: str = ""
    saved: bool = False


class QueueSessionSteps(RuleBasedStateMachine):
    """A window with a queue of three, and what happens to it."""

    def __init__(self) -> None:
        super().__init__()
        FakeWorker.made = []
        self._folder = tempfile.TemporaryDirectory()
        self.path = Path(self._folder.name) / "queue"
        self.known: list[Known] = []
        self.mode: Mode = "idle"
        self.works = False  # this window goes from entry to entry: it was started in it, and not ended since
        self.current: Known | None = None
        self.is_read = False  # the current entry's folder is still being read, before its worker starts
        self.own: RunDir | None = None  # a run that is not of the queue
        self._open_window()
        entries = [make_entry(TrainConfig(model="/m", data="/d", adapter_name=name)) for name in "abc"]
        self.queue.add(entries)
        self.known = [Known(one.id) for one in entries]

    def teardown(self) -> None:
        self._close_window()
        self._folder.cleanup()

    def _open_window(self) -> None:
        self.session = RunSession()
        self.queue = QueueSession(self.session, QObject(self.session), queue=RunQueue(self.path))
        self.told: list[Notice] = []
        self.queue.told.connect(self.told.append)

    def _close_window(self) -> None:
        self.session._reading.stop()
        self.session._close_file()
        self.queue._poll.stop()
        self.queue.queue.give_back()  # as the system does for a process that has ended
        self.session.deleteLater()

    def _is_live(self) -> bool:
        return self.current is not None and not self.is_read

    def _turn(self) -> None:
        """The next entry begins where one should; a folder that it goes on with is not read yet."""
        self.queue._go_on()
        if not self.works or self.current is not None:
            return
        if self.mode != "running":
            self.works = False
            return
        self.current = next((one for one in self.known if one.state == "waiting"), None)
        if self.current is None:
            self.mode, self.works = "idle", False
            return
        before = {one.run for one in self.known}
        entry = self.queue.queue.read().find(self.current.id)
        assert entry is not None
        if self.current.saved:
            assert entry.run == self.current.run
        else:
            assert entry.run not in before, "a run of its own"
        self.current.run, self.current.state = entry.run, "running"
        self.is_read = self.session.state is RunState.LOADING
        if not self.is_read:
            self._begun()

    def _begun(self) -> None:
        assert self.current is not None
        worker = FakeWorker.made[-1]
        assert (worker.is_running, str(worker.job_dir)) == (True, self.current.run)
        job = read_job(Path(self.current.run))
        assert isinstance(job, TrainJob)
        assert job.resume == self.current.saved

    # -- the person -------------------------------------------------------------------------------------------

    @precondition(lambda self: self.current is None)
    @rule()
    def start(self) -> None:
        self.queue.start()
        self.mode, self.works = "running", True
        self._turn()

    @rule()
    def pause(self) -> None:
        self.queue.pause()
        self.mode = "paused"
        self.works &= self.current is not None  # that one still ends

    @rule(number=NUMBERS)
    def queue_again(self, number: int) -> None:
        one = self.known[number % len(self.known)]
        self.queue.again([one.id])
        if one.state in ENDED:
            if one.state != "stopped":
                one.run, one.saved = "", False
            one.state = "waiting"
            self.known.remove(one)
            self.known.append(one)

    @rule(number=NUMBERS)
    def skip(self, number: int) -> None:
        one = self.known[number % len(self.known)]
        self.queue.skip([one.id])
        if one.state == "waiting":
            one.state = "skipped"

    @precondition(lambda self: not self._is_live())
    @rule()
    def open_another_run(self) -> None:
        self.own = self.own or create_run(TrainConfig(model="/m", data="/d"), Path(self._folder.name) / "own")
        self.session.open(self.own.path)
        if self.current is not None:
            self.current.state, self.current, self.is_read, self.mode = "waiting", None, False, "paused"
            self.works = False
        while self.session.state is RunState.LOADING:
            QCoreApplication.processEvents()

    @precondition(lambda self: self.is_read)
    @rule()
    def the_folder_is_read(self) -> None:
        while self.session.state is RunState.LOADING:
            QCoreApplication.processEvents()
        self.is_read = False
        self._begun()

    def _can_go_on(self) -> list[Known]:
        return [one for one in self.known if one.saved and one.state != "running"]

    @precondition(lambda self: self.current is None and self._can_go_on())
    @rule(number=NUMBERS)
    def resume_by_hand(self, number: int) -> None:
        """A run of the list goes on without the queue: it counts as what it becomes all the same."""
        one = self._can_go_on()[number % len(self._can_go_on())]
        self.session.resume(Path(one.run))
        while self.session.state is RunState.LOADING:
            QCoreApplication.processEvents()
        self.current, one.state = one, "running"
        self._begun()
        FakeWorker.made[-1].say(self._write(event.Hello(task="train")))  # else its file tells of the end before

    # -- the worker -------------------------------------------------------------------------------------------

    def _write(self, found: Event) -> Event:
        assert self.current is not None
        with RunDir(Path(self.current.run)).events.open("a", encoding="utf-8") as file:
            file.write(found.to_line() + "\n")
        return found

    @precondition(lambda self: self._is_live())
    @rule()
    def it_saves(self) -> None:
        assert self.current is not None
        FakeWorker.made[-1].say(self._write(event.Hello(task="train")))
        (RunDir(Path(self.current.run)).state / "0000001").mkdir(parents=True, exist_ok=True)
        self.current.saved = True

    def _end(self, how: str) -> None:
        worker = FakeWorker.made[-1]
        if how == "failed":
            worker.end(self._write(event.Failed(message="No room.")), 1)
        elif how == "killed":
            worker.end(exit_code=-9)
        else:
            worker.end(self._write(event.Finished(reason=how, iteration=1)))

    @precondition(lambda self: self._is_live() and not self.current.saved)
    @rule()
    def it_saves_and_is_parked(self) -> None:
        """What is paused so waits, and the next start goes on with it."""
        self.it_saves()
        self.it_ends("paused")

    @precondition(lambda self: self._is_live())
    @rule(how=st.sampled_from(["completed", "early_stopping", "stopped", "paused", "failed", "killed"]))
    def it_ends(self, how: str) -> None:
        assert self.current is not None
        self._end(how)
        states: dict[str, EntryState] = {"stopped": "stopped", "paused": "waiting", "failed": "failed"}
        self.current.state = states.get(how, "failed" if how == "killed" else "done")
        assert self.queue.tells_of(RunDir(Path(self.current.run))) == self.works
        self.current = None
        if how in ("stopped", "paused") and self.works:
            self.mode, self.works = "paused", False
        self._turn()

    # -- windows ----------------------------------------------------------------------------------------------

    @precondition(lambda self: self._is_live())
    @rule(how=st.sampled_from(["stopped", "killed", "completed", "failed"]))
    def close_the_window_while_it_trains(self, how: str) -> None:
        """It asks the worker to stop, waits, and kills it in the end: none of that is how the entry ended."""
        assert self.current is not None
        self.queue.leave()
        self._end(how)
        QCoreApplication.processEvents()
        ends: dict[str, EntryState] = {"completed": "done", "failed": "failed"}
        self.current.state, self.current = ends.get(how, "waiting"), None
        assert not RunQueue(self.path).is_worked()
        self._next_window()

    @precondition(lambda self: not self._is_live())
    @rule()
    def close_the_window(self) -> None:
        self.queue.leave()
        if self.current is None:
            assert not RunQueue(self.path).is_worked()
        self._next_window()

    def _next_window(self) -> None:
        self._close_window()
        self._open_window()
        self.works = False
        self.queue.offer()
        left = any(one.state in ("waiting", "running") for one in self.known)
        assert [bool(one.act) for one in self.told] == [True] * (self.mode == "running" and left)
        assert not self.session.is_live, "it never begins by itself"
        if self.current is not None:  # it was still being read
            self.current, self.is_read = None, False
            self.queue.start()
            self.mode, self.works = "running", True
            for one in self.known:
                one.state = "waiting" if one.state == "running" else one.state
            self._turn()

    @invariant()
    def it_is_as_the_model_says(self) -> None:
        state = self.queue.queue.read()
        assert [(one.id, one.state) for one in state.entries] == [(one.id, one.state) for one in self.known]
        assert state == self.queue.state
        assert [one.run for one in state.entries] == [one.run for one in self.known]
        assert state.mode == self.mode
        assert sum(one.is_running for one in FakeWorker.made) == self._is_live()
        current = self.queue.current
        assert (current.id if current is not None else None) == (self.current.id if self.current else None)
        assert self.queue.is_working == self.works


@pytest.mark.usefixtures("qapp", "workers")
def test_any_steps() -> None:
    run_state_machine_as_test(
        QueueSessionSteps, settings=settings(max_examples=20, stateful_step_count=20, deadline=None)
    )
