"""The queue session: the queue as the window sees it, and the window's part in working through it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from app.core.language import tr
from app.core.live.training_list import BESIDE, training_runs
from app.core.problem import TaskError
from app.core.queue.queue import (
    CUT_OFF,
    EntryState,
    QueueEntry,
    QueueState,
    RunQueue,
    WhenDone,
    outcome_of,
    queue_tally,
    result_text,
)
from app.core.refusal import reason_of
from app.core.run.folder import RunDir
from app.core.run.note import given_name, known_name
from app.ui.message.bar import Notice, NoticeKind
from app.ui.run.session import RunSession, RunState
from app.ui.worker.process import WorkerOutcome

QUEUE_POLL_MS = 1000  # how often the queue's file is looked at: another process may have changed it


class QueueSession(QObject):
    """Runs what waits in a `RunQueue` in the window's `RunSession`, one after the other.

    ``changed`` fires when the list, its mode or who works through it did, in whatever process; ``ended`` when this
    window worked through all of it.
    """

    changed = Signal()
    told = Signal(object)  # Message
    shown_requested = Signal()
    ended = Signal(object)  # QueueTally of what was trained

    def __init__(
        self, session: RunSession, parent: QObject | None = None, *, queue: RunQueue | None = None
    ) -> None:
        super().__init__(parent)
        self.queue = queue if queue is not None else RunQueue()
        self.state = QueueState()
        self._session = session
        self._stamp = (0, 0)
        self._current = ""  # the entry that this window trains
        self._run: Path | None = None
        self._told: Path | None = None
        self._worked: set[str] = set()  # what was trained since the queue was started
        self._attending = False  # the user started the queue in this window
        self._elsewhere = self._leaving = False
        self._fault = ""
        self._names: dict[str, str] = {}  # those that people gave to runs, by folder
        session.ended.connect(self._on_run_ended)
        session.state_changed.connect(self._on_session)
        session.run_changed.connect(self._on_run_changed)
        self._poll = QTimer(self)
        self._poll.setInterval(QUEUE_POLL_MS)
        self._poll.timeout.connect(self.refresh)
        self._poll.start()
        self.refresh()

    # -- state ------------------------------------------------------------------------------------------------

    @property
    def is_working(self) -> bool:
        """True while this window works through the queue."""
        return self.queue.is_mine

    @property
    def is_elsewhere(self) -> bool:
        """True while another process works through it."""
        return self._elsewhere

    @property
    def is_interrupted(self) -> bool:
        """True if whoever worked through the queue ended before it did."""
        return self.state.is_interrupted and not self.is_working and not self._elsewhere

    @property
    def is_run_live(self) -> bool:
        """True while a run trains in this window, of the queue or not."""
        return self._session.is_live

    @property
    def current(self) -> QueueEntry | None:
        """The entry that this window trains."""
        return self.state.find(self._current)

    @property
    def progress(self) -> float | None:
        """The share of the current entry's run that is done, 0 to 1; None while that is not known."""
        history = self._session.history
        return history.iteration / history.iterations if self._current and history.iterations else None

    def name_of(self, entry: QueueEntry) -> str:
        """What the list calls an entry: as its run is called by now, before it has one as it was queued."""
        if entry.run and entry.run not in self._names:
            self._names[entry.run] = given_name(RunDir(Path(entry.run)))
        return self._names.get(entry.run) or entry.name

    def take_names(self) -> None:
        """Looks anew what the runs are called."""
        self._names.clear()
        self.changed.emit()

    def waits(self, key: str) -> bool:
        """Whether an entry is still to be trained."""
        found = self.state.find(key)
        return found is not None and found.state == "waiting"

    def tells_of(self, run: RunDir) -> bool:
        """True if the queue itself says how a run ended."""
        return run.path == self._told

    def refresh(self) -> None:
        """Takes over what other processes changed, and goes on where one of them asked for it."""
        before = self._elsewhere
        stamp = self.queue.stamp()
        if stamp != self._stamp:
            self._names.clear()
            self._read()
        self._elsewhere = self.state.mode == "running" and not self.is_working and self.queue.is_worked()
        if self._attending and self.state.mode == "running" and not (self.is_working or self._elsewhere):
            self.start()
        elif self.is_working and self.state.mode != "running" and not self._current:
            self._give_back()
        elif stamp != self._stamp or before != self._elsewhere:
            self.changed.emit()
        if stamp != self._stamp:
            self._stamp = stamp

    def _read(self) -> None:
        try:
            self.state, self._fault = self.queue.read(), ""
        except TaskError as error:
            if str(error) != self._fault:
                self._fault = str(error)
                self._tell(str(error), "warning")

    # -- the list ---------------------------------------------------------------------------------------------

    def add(self, entries: Sequence[QueueEntry]) -> bool:
        """Puts entries at the end; False if they could not be, which is told."""
        return self._change(lambda: self.queue.add(entries))

    def move(self, keys: Sequence[str], place: int) -> None:
        """Puts waiting entries at a place among those that wait."""
        self._change(lambda: self.queue.move(keys, place))

    def remove(self, keys: Sequence[str]) -> None:
        """Takes entries off the list; their runs stay."""
        self._change(lambda: self.queue.remove(keys))

    def skip(self, keys: Sequence[str]) -> None:
        """Leaves waiting entries out."""
        self._change(lambda: self.queue.skip(keys))

    def again(self, keys: Sequence[str]) -> None:
        """Has ended entries wait once more."""
        self._change(lambda: self.queue.again(keys))

    def clear(self) -> None:
        """Takes what has ended off the list."""
        self._change(self.queue.clear)

    def forget_sweep(self, sweep: str) -> None:
        """Drops a sweep's table; its runs stay."""
        self._change(lambda: self.queue.forget_sweep(sweep))

    def set_when_done(self, when_done: WhenDone) -> None:
        """Chooses what happens at the end of the queue."""
        self._change(lambda: self.queue.set_when_done(when_done))

    def _change(self, change: Callable[[], QueueState]) -> bool:
        """The one door for changes: what goes wrong is told, and nothing is changed then."""
        try:
            self.state = change()
        except TaskError as error:
            self._tell(str(error), "warning")
            return False
        except OSError as error:
            self._tell(
                tr(
                    "The queue was not saved: {reason_of} ({path}).",
                    reason_of=reason_of(error),
                    path=self.queue.path,
                ),
                "error",
            )
            return False
        self._stamp = self.queue.stamp()
        self.changed.emit()
        return True

    # -- working through it -----------------------------------------------------------------------------------

    def start(self) -> None:
        """Works through the queue, from its first waiting entry; a run in progress ends first."""
        if self._leaving or not self._take():
            return
        self._attending = True
        if not self._current and not self._change(self.queue.recover):
            self._give_back()
            return
        if self._change(lambda: self.queue.set_mode("running")):
            self._go_on_later()

    def pause(self) -> None:
        """Starts no further run; the one in progress ends as it should."""
        self._change(lambda: self.queue.set_mode("paused", tr("You paused it.")))
        if self.is_working and not self._current:
            self._give_back()

    def run_now(self, key: str) -> None:
        """Makes an entry the next, and starts the queue."""
        found = self.state.find(key)
        if found is None:
            return
        if found.is_ended:
            self.again([key])
        self.move([key], 0)
        self.start()

    def offer(self) -> None:
        """Says at the start of the window that the queue was interrupted; it never goes on by itself."""
        if self.is_interrupted:
            running = self.state.running
            trains = running is not None and bool(running.run) and RunDir(Path(running.run)).is_running()
            waits = len(self.state.waiting) + (running is not None and not trains)
            if running is not None and trains and not waits:
                return
            said = (
                tr("The queue was interrupted: 1 run waits.")
                if waits == 1
                else tr("The queue was interrupted: {count:,} runs wait.", count=waits)
            )
            if running is not None and trains:
                said += tr(
                    " {name} went on; they follow when it has ended, if the queue goes on.",
                    name=self.name_of(running),
                )
            elif self.state.running is not None:
                said += tr(" {name} goes on where it stopped.", name=self.name_of(self.state.running))
            self.told.emit(Notice(said, "warning", tr("Go on"), self.start, lambda: self.is_interrupted))

    def leave(self) -> None:
        """The window closes: what is being trained goes on at the next start, if the user wants it to."""
        self._leaving = True
        self._poll.stop()
        if not self._current:
            self.queue.give_back()

    def _take(self) -> bool:
        try:
            taken = self.queue.take()
        except OSError as error:
            self._tell(
                tr("The queue's folder cannot be written: {reason_of}.", reason_of=reason_of(error)), "error"
            )
            return False
        if not taken:
            said = tr("Another Luthier is working through the queue; it can be paused here all the same.")
            self.told.emit(Notice(said, "warning", holds=self.queue.is_worked, passes=True))
        return taken

    def _give_back(self) -> None:
        self.queue.give_back()
        self.changed.emit()

    def _go_on_later(self) -> None:
        # In a turn of its own: whoever listens to the end of a run sees that run, not the next.
        QTimer.singleShot(0, self, self._go_on)

    def _go_on(self) -> None:
        if not self.is_working or self._current or self.is_run_live or self._leaving:
            return
        self._read()
        if self.state.mode != "running":
            self._give_back()
            return
        if beside := training_runs():  # not this window's: none is live here
            self._hold(
                tr("Paused: {name} is training already. {beside}", name=known_name(beside[0]), beside=BESIDE),
                "warning",
            )
            return
        try:
            claim = self.queue.claim()
        except (TaskError, OSError) as error:
            self._hold(tr("Paused: {error}", error=error), "error")
            return
        self._read()
        if claim is None:
            self._finish()
            return
        self._current, self._run = claim.entry.id, claim.run.path
        self._worked.add(claim.entry.id)
        self.changed.emit()
        if claim.resume:
            self._session.resume(claim.run.path)
        else:
            self._session.start_run(claim.run, data_changed=claim.entry.has_other_data)

    def _finish(self) -> None:
        found = queue_tally(one for one in self.state.entries if one.id in self._worked)
        self._worked.clear()
        self._attending = False
        self._change(lambda: self.queue.set_mode("idle"))
        self._give_back()
        if said := found.sentence():
            kind: NoticeKind = "warning" if found.failed else "good"
            self.told.emit(
                Notice(
                    tr("The queue is at its end: {said}.", said=said),
                    kind,
                    tr("Show"),
                    self.shown_requested.emit,
                    lambda: not self.is_working,
                    about="queue",
                )
            )
            self.ended.emit(found)

    def _hold(self, note: str, kind: NoticeKind = "info", told: str = "") -> None:
        """Pauses the queue, and says why."""
        self._change(lambda: self.queue.set_mode("paused", note))
        self._give_back()
        action = tr("Go on") if self.state.waiting else ""
        act, holds = self.start if action else None, lambda: self.state.mode == "paused"
        self.told.emit(Notice(told or note, kind, action, act, holds, about="queue"))

    # -- the run ----------------------------------------------------------------------------------------------

    def _on_session(self) -> None:
        """A run of the list that is resumed by hand counts as what it is."""
        run = self._session.run
        if run is None or self._current or self._elsewhere:
            return
        if self._session.is_attached:  # it went on without a window: its end is the entry's
            mine = next((one for one in self.state.entries if one.run == str(run.path)), None)
            if mine is not None and mine.state == "running":
                self._current, self._run = mine.id, run.path
            return
        if self._session.state is not RunState.PREPARING:
            return
        ours = [one for one in self.state.entries if one.run == str(run.path) and one.state != "running"]
        if ours:
            self._current, self._run = ours[0].id, run.path
            self._change(lambda: self.queue.update(ours[0].id, state="running", message=""))

    def _on_run_changed(self) -> None:
        """Another run was opened while one of the queue was still being read."""
        run = self._session.run
        if self._current and run is not None and run.path != self._run:
            self._settle("waiting", CUT_OFF)
            self._hold(tr("Paused, because another run was opened."))

    def _on_run_ended(self, outcome: WorkerOutcome) -> None:
        found, self._told = self.current, None
        if not self._current:
            self._go_on_later()
            return
        state, message = self._outcome(outcome)
        self._settle(state, message)
        if not self.is_working:  # resumed by hand: it is told as any run is
            return
        self._told = self._run
        name = self.name_of(found) if found is not None else tr("The run")
        if self._leaving:
            self.queue.give_back()
        elif state == "stopped":
            self._hold(
                tr("Paused, because you stopped {name}.", name=name),
                told=tr("{name} was stopped. The queue is paused.", name=name),
            )
        elif state == "waiting":
            self._hold(tr("Paused together with {name}.", name=name))
        else:
            if state == "failed":
                self._tell_failure(name, message)
            self._go_on_later()

    def _outcome(self, outcome: WorkerOutcome) -> tuple[EntryState, str]:
        if outcome.crashed or outcome.failure is not None:
            return ("waiting", CUT_OFF) if self._leaving and outcome.crashed else ("failed", outcome.sentence())
        state, message = outcome_of(outcome.finished)
        if state == "stopped" and self._leaving:
            return "waiting", CUT_OFF
        return state, message or result_text(self._session.history)

    def _settle(self, state: EntryState, message: str) -> None:
        key, self._current = self._current, ""
        self._change(lambda: self.queue.settle(key, state, message))

    def _tell_failure(self, name: str, message: str) -> None:
        goes_on = tr(" The queue goes on.") if self.state.waiting else ""
        self.told.emit(
            Notice(
                tr("{name} failed: {message}{goes_on}", name=name, message=message, goes_on=goes_on),
                "warning",
                tr("Show"),
                self.shown_requested.emit,
            )
        )

    def _tell(self, text: str, kind: NoticeKind = "info") -> None:
        self.told.emit(Notice(text, kind))
