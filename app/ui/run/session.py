"""The run session: the run that the window shows, live or read from its folder, with all of its history."""

from __future__ import annotations

import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer, Signal

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.live.door import listener_of
from app.core.live.supervisor import goes_on_after, is_supervised, supervise
from app.core.live.watchdog import WATCHDOG_TOLD, is_watchdog, kept_pieces, prepare_smaller
from app.core.model.adapter_file import has_adapter_file
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.command import Command, Park, Pause, Resume, Stop
from app.core.protocol.event import Event
from app.core.protocol.job import TrainJob, read_job, write_job
from app.core.protocol.wire import RefusedError
from app.core.replica.hostfile import RUN_HOSTS, Hostfile, save_hostfile
from app.core.run.folder import RunDir, create_run
from app.core.run.note import given_name
from app.core.setup.config_file import load_config
from app.ui.worker.attached import AttachedWorker
from app.ui.worker.process import TURN_S, WorkerOutcome, WorkerProcess

if TYPE_CHECKING:
    from filelock import FileLock

    from app.core.run.event_file import EventFile
    from app.core.run.history import RunHistory

FOLLOW_MS = 700  # how often the folder of a run that another process trains is looked at
LOG_SHOWN_BYTES = 512 * 1024


class RunState(StrEnum):
    """What the shown run is doing."""

    NONE = "none"
    LOADING = "loading"  # read from its folder
    PREPARING = "preparing"  # the worker loads model and data
    RUNNING = "running"
    PAUSING = "pausing"
    PAUSED = "paused"
    PARKING = "parking"
    PARKED = "parked"  # paused without a worker: the memory is free
    STOPPING = "stopping"
    COMPLETED = "completed"
    EARLY_STOPPED = "early_stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    CRASHED = "crashed"
    NEW = "new"  # a folder in which nothing happened yet
    ELSEWHERE = "elsewhere"  # trained on another machine, or by a process that hears nobody else


LIVE = (
    RunState.PREPARING,
    RunState.RUNNING,
    RunState.PAUSING,
    RunState.PAUSED,
    RunState.PARKING,
    RunState.STOPPING,
)

# The state of a run that ended as it should, by the reason that it gave.
REASONS = {
    "completed": RunState.COMPLETED,
    "early_stopping": RunState.EARLY_STOPPED,
    "stopped": RunState.STOPPED,
    "paused": RunState.PARKED,
}


class RunSession(QObject):
    """One run at a time. The same events feed the same history, whether they come from a worker or from a file."""

    run_changed = Signal()  # another run is shown; everything is new
    state_changed = Signal()
    renamed = Signal()  # the shown run has another name
    emitted = Signal(object)  # Event, after the history took it in; of reports that were read together, the last
    logged = Signal(str)
    loaded = Signal()  # a run was read to the end of its file
    ended = Signal(object)  # WorkerOutcome of a run that was live
    stop_elsewhere = Signal(object)  # a run on another machine is to end: its folder here (Path)
    went_on = Signal(str)  # Metal's watchdog ended the worker, and another goes on: what is told of it
    silent = Signal(int)  # seconds that the worker has not said a word, though it should

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.run: RunDir | None = None
        self.config: TrainConfig | None = None
        self._given = ""  # the name that a person gave the run
        self._history: RunHistory | None = None
        self.hello: event.Hello | None = None
        self.phase = ""
        self.problem = ""
        self._state = RunState.NONE
        self._worker: WorkerProcess | AttachedWorker | None = None
        self._supervision: FileLock | None = None  # while this window is the one to let the run go on
        self._heard_as = RunState.PREPARING  # what the run's worker does, by what it said
        self._reported_at = 0.0  # on the clock that only rises: when its figures were last told
        self._file: EventFile | None = None
        self._resume_job: TrainJob | None = None
        self.asked_end: int | None = None  # up to where the last resume was asked to go, if it said so
        self.was_interrupted = False  # whoever started the run was gone before its end
        self._reading = QTimer(self)
        self._reading.setSingleShot(True)
        self._reading.timeout.connect(self._read)

    # -- state ------------------------------------------------------------------------------------------------

    @property
    def state(self) -> RunState:
        return self._state

    @property
    def name(self) -> str:
        """What the shown run is called; empty while none is shown."""
        own = self.config.adapter_name if self.config is not None else ""
        return self._given or own or (self.run.name if self.run is not None else "")

    def take_names(self) -> None:
        """Looks whether the shown run was given another name."""
        before = self.name
        self._given = given_name(self.run) if self.run is not None else ""
        if self.name != before:
            self.renamed.emit()

    @property
    def history(self) -> RunHistory:
        """All of the run, as far as it is known. What it is made of is imported with the first one."""
        if self._history is None:
            from app.core.run.history import RunHistory

            self._history = RunHistory()
        return self._history

    @property
    def is_live(self) -> bool:
        """True while a worker trains that this window hears and tells; false as soon as the run has ended."""
        return self._state in LIVE

    @property
    def is_attached(self) -> bool:
        """True while another process started the run's worker; this window found it by the run's folder."""
        return isinstance(self._worker, AttachedWorker)

    @property
    def outlives_window(self) -> bool:
        """True if the worker of the live run goes on when the window is gone, however that comes."""
        return self.is_live and self._is_left_alone()

    def _is_left_alone(self) -> bool:
        """Whether the run's worker was started to go on without who started it."""
        assert self.run is not None
        try:
            job = read_job(self.run.path)
        except (OSError, RefusedError):
            return False
        return isinstance(job, TrainJob) and job.outlives_parent

    @property
    def can_resume(self) -> bool:
        """True if the run ended before its time and left what a resume needs."""
        ended = self._state in (RunState.PARKED, RunState.STOPPED, RunState.FAILED, RunState.CRASHED)
        return ended and self.has_state

    @property
    def has_state(self) -> bool:
        """True if there is a saved state to go on from."""
        return self.run is not None and self.run.state.is_dir() and any(self.run.state.iterdir())

    @property
    def saved_iteration(self) -> int | None:
        """The iteration of the newest saved state; None without one."""
        folders = self.run.state.iterdir() if self.run is not None and self.run.state.is_dir() else ()
        return max((int(one.name) for one in folders if one.name.isdecimal()), default=None)

    @property
    def has_adapter(self) -> bool:
        """True if the run's adapter is on disk."""
        return self.run is not None and has_adapter_file(self.run.adapters)

    @property
    def has_saved(self) -> bool:
        """True if any weights of the run are on disk: its adapter, or the best so far."""
        return self.has_adapter or (self.run is not None and has_adapter_file(self.run.best))

    @property
    def is_remote(self) -> bool:
        """True while the run is another machine's: it trains there, or what it made is not here yet."""
        return self.run is not None and self.run.is_elsewhere()

    # -- asks -------------------------------------------------------------------------------------------------

    def start(self, config: TrainConfig, hostfile: Hostfile | None = None) -> RunDir:
        """Makes a run of the config and starts its worker, of which the hosts of a hostfile are replicas. Raises
        `OSError` if the folder cannot be written."""
        run = create_run(config)
        if hostfile is not None:
            save_hostfile(hostfile, run.path / RUN_HOSTS)
        self.start_run(run)
        return run

    def start_run(self, run: RunDir, *, data_changed: bool = False) -> None:
        """Shows a run that was made just now and starts its worker; ``data_changed`` is that of the job."""
        self._show(run)
        write_job(run.path, TrainJob(outlives_parent=True, data_changed=data_changed))
        self._launch()

    def open(self, path: Path, *, interrupted: bool = False) -> None:
        """Shows the run in a folder, read a slice at a time; `loaded` says when all of it is there.

        A run that another process trains here is live as one of this window's; one that hears nobody else, or
        trains on another machine, is followed as it grows. One that was ``interrupted`` is told as such even where
        its worker could still save: nobody had asked it to stop.
        """
        self._show(RunDir(path.resolve()))
        self.was_interrupted = interrupted and not self._is_left_alone()  # whom nobody's end could stop
        assert self.run is not None
        self._set_state(RunState.LOADING)
        self._open_file()
        self._show_log()
        self._reading.start(0)

    def leave(self) -> None:
        """Shows no run any more, as before the first: its folder is gone. Raises as `open`."""
        self._show(None)
        self._set_state(RunState.NONE)

    def resume(self, path: Path, *, extend_to: int | None = None, as_before: bool = False) -> None:
        """Shows the run and goes on with it exactly where it stopped, up to ``extend_to`` iterations if given.

        With ``as_before`` a config that was changed since is put back first.
        """
        self.open(path)
        assert self.run is not None
        self._resume_job = TrainJob(
            resume=extend_to is None,
            extend_to=extend_to,
            as_before=as_before,
            outlives_parent=True,
            most_positions=kept_pieces(self.run),
        )
        self.asked_end = extend_to

    def stop(self) -> None:
        """Ends the run after the iteration in progress; everything is saved."""
        if self.is_live and self._state is not RunState.STOPPING:
            self._send(Stop(), RunState.STOPPING)
        elif self.is_remote and self.run is not None:
            self.tell_elsewhere(tr("Asked to stop"))
            self.stop_elsewhere.emit(self.run.path)

    def tell_elsewhere(self, said: str) -> None:
        """What is known of a run on another machine besides its events."""
        self.phase = said
        self.state_changed.emit()

    def pause(self) -> None:
        """Halts the run in place after the iteration in progress."""
        if self._state is RunState.RUNNING:
            self._send(Pause(), RunState.PAUSING)

    def park(self) -> None:
        """Pauses the run by ending its worker, which frees the memory; `resume` goes on exactly."""
        if self._state in (RunState.RUNNING, RunState.PAUSED):
            self._send(Park(), RunState.PARKING)

    def go_on(self) -> None:
        """Ends a pause."""
        if self._state in (RunState.PAUSED, RunState.PAUSING):
            self._send(Resume(), RunState.RUNNING)

    def kill(self) -> None:
        """Ends the worker at once; what was saved last stays."""
        if self._worker is not None:
            self._worker.kill()

    def wait(self, milliseconds: int) -> bool:
        """Asks the worker to save and end, and blocks until it has; True if so. Another process's is let go."""
        if self._worker is None:
            return True
        if self.is_attached:
            self.let_go()
            return True
        self._worker.send(Stop())
        self._worker.close_input()
        return self._worker.wait(milliseconds)

    def let_go(self) -> None:
        """Leaves a live run to itself: its worker goes on, and any window finds it by its folder."""
        if self._worker is None:
            return
        worker, self._worker = self._worker, None
        self._leave_supervision()  # before the worker knows that it is alone, and has a supervisor of its own
        worker.let_go()
        worker.deleteLater()
        self._set_state(RunState.ELSEWHERE)

    @property
    def worker_id(self) -> int:
        """The system's id of the worker's process; 0 if there is none."""
        return self._worker.process_id if self._worker is not None else 0

    # -- live -------------------------------------------------------------------------------------------------

    def _launch(self) -> None:
        assert self.run is not None
        self._heard_as = RunState.PREPARING
        self._supervise()
        self.phase = tr("Starting")
        self._hear(WorkerProcess(self.run.path, "train", self, log=self.run.log))

    def _attach(self, file: EventFile) -> None:
        """Takes the worker of another process for this window's own; the file was read up to where it says new."""
        assert self.run is not None
        self._file = None
        if self._state is RunState.ELSEWHERE:
            self._show_log()  # which may have come meanwhile
        self._hear(AttachedWorker(self.run, file, self))

    def _hear(self, worker: WorkerProcess | AttachedWorker) -> None:
        self._worker = worker
        worker.emitted.connect(self._on_event)
        worker.logged.connect(self.logged)
        worker.silent.connect(self._on_silence)
        worker.ended.connect(self._on_ended)
        self.was_interrupted = False
        self.problem = ""  # how it ended before is no longer true
        self._set_state(self._heard_as)
        worker.start()

    def _on_silence(self, seconds: int) -> None:
        if self.is_live and self._state is not RunState.PAUSED:
            self.silent.emit(seconds)

    def _send(self, command: Command, state: RunState) -> None:
        assert self._worker is not None
        self._worker.send(command)
        self._set_state(state)

    def _on_event(self, found: Event) -> None:
        self._take(found)
        ending = self._state in (RunState.PARKING, RunState.STOPPING)
        if isinstance(found, (event.Hello, event.Started, event.Resumed, event.Paused)) and not ending:
            self._set_state(self._heard_as)
        elif isinstance(found, event.Progressed):
            self.state_changed.emit()

    @property
    def remaining_s(self) -> float | None:
        """Seconds to the end, which go down between two reports; None while nobody knows."""
        found = self.history.remaining_s()
        if found is None or not (self.is_live or self._state is RunState.ELSEWHERE):
            return None
        return max(found - self._since_report_s, 0.0)

    @property
    def elapsed_s(self) -> float:
        """Seconds of training: what the history has, and while it trains the time since then."""
        return self.history.elapsed_s + self._since_report_s

    @property
    def _since_report_s(self) -> float:
        trains = self._state in (RunState.RUNNING, RunState.STOPPING) and self._reported_at
        return time.monotonic() - self._reported_at if trains else 0.0

    def _take(self, found: Event) -> None:
        """One door for events, from a worker or a file."""
        if isinstance(found, (event.TrainReported, event.Validated, event.Started)):
            self._reported_at = time.monotonic()
        if isinstance(found, event.Hello) and self.history.failed is not None:
            self.problem = ""  # a worker took the run up: how it ended before is no longer true
        self.history.feed(found)
        if isinstance(found, event.Hello):
            self.hello = found
            self._heard_as = RunState.PREPARING
        elif isinstance(found, event.Paused):
            self._heard_as = RunState.PAUSED
        elif isinstance(found, event.Resumed):
            self._heard_as = RunState.RUNNING
        elif isinstance(found, event.Progressed):
            self.phase = (
                tr("{phase} ({done:,} of {total:,})", phase=found.phase, done=found.done, total=found.total)
                if found.total
                else found.phase
            )
        elif isinstance(found, event.Started):
            self.phase = ""
            self._heard_as = RunState.RUNNING
        elif isinstance(found, event.Failed):
            self.problem = found.text
        self.emitted.emit(found)

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.deleteLater()
        if self._goes_on_smaller(outcome, worker):
            return
        self._leave_supervision()
        self.problem = outcome.sentence()
        if outcome.crashed:
            self._set_state(RunState.CRASHED)
        else:
            self._set_state(self._outcome_state())
        self.ended.emit(outcome)

    def _goes_on_smaller(self, outcome: WorkerOutcome, worker: WorkerProcess | AttachedWorker | None) -> bool:
        """Goes on by itself where Metal's watchdog ended the worker, as often as pieces get smaller."""
        stopping = self._state in (RunState.STOPPING, RunState.PARKING)
        if self.run is None or stopping or not goes_on_after(self.run, outcome.failure or outcome.finished):
            return False
        if isinstance(worker, AttachedWorker) and not self._supervise():
            self._await_another(worker.read_bytes)
            return True
        told = prepare_smaller(self.run) if self._supervise() else ""
        if told:
            self._launch()
            self.went_on.emit(told)
        return bool(told)

    def _supervise(self) -> bool:
        """Whether this window is the one that lets its run go on, or has become so just now."""
        if self._supervision is None and self.run is not None:
            self._supervision = supervise(self.run)
        return self._supervision is not None

    def _leave_supervision(self) -> None:
        lock, self._supervision = self._supervision, None
        if lock is not None:
            lock.release()

    def _await_another(self, read_bytes: int) -> None:
        """Whoever supervises the run starts its next worker, which this window hears as it did the last one."""
        assert self.run is not None
        self._open_file(read_bytes)
        self._set_state(RunState.ELSEWHERE)
        self._reading.start(FOLLOW_MS)

    def _is_awaited(self) -> bool:
        """Whether a run that the watchdog ended is about to go on by itself."""
        if self.run is None or self._supervision is not None or not is_supervised(self.run):
            return False
        return goes_on_after(self.run, self.history.finished or self.history.failed)

    def _outcome_state(self) -> RunState:
        if self.history.failed is not None:
            return RunState.FAILED
        reason = self.history.finished.reason if self.history.finished is not None else ""
        return REASONS.get(reason, RunState.COMPLETED)

    # -- from the folder --------------------------------------------------------------------------------------

    def _show(self, run: RunDir | None) -> None:
        """Forgets the run before, or lets go of another process's; raises `RuntimeError` if this window's own is
        still training (its points would be lost)."""
        if self.is_attached:
            self.let_go()
        if self.is_live:
            raise RuntimeError(f"{self.run} is still training")
        self._reading.stop()
        self._close_file()
        self._leave_supervision()
        self.run, self._history, self.hello = run, None, None
        self._heard_as = RunState.PREPARING
        self.phase = self.problem = ""
        self.was_interrupted = False
        self._resume_job = self.asked_end = None
        self.config, self._given = None, ""
        if run is not None:
            try:
                self.config = load_config(run.config).config
            except UnusableError as error:
                self.problem = str(error)
            self._given = given_name(run)
        self.run_changed.emit()

    def _open_file(self, offset: int = 0) -> None:
        """Reads it from a byte on. Raises `OSError` if the file is there and cannot be read."""
        # Comes with the history, of which a start without a run knows nothing.
        from app.core.run.event_file import EventFile

        assert self.run is not None
        if self.run.events.exists():
            self.run.events.open("rb").close()
            self._file = EventFile(self.run.events, offset)

    def _read(self) -> None:
        """Reads what the file has, for at most one turn."""
        if self._file is None and self.run is not None:
            self._open_file()  # of a run that had not said a word when it was opened
        if self._file is not None:
            history, points = self.history, len(self.history)
            is_all = self._file.read_into(history, self._take, TURN_S)
            if len(history) != points and history.last_report is not None:
                self._reported_at = time.monotonic()
                self.emitted.emit(history.last_report)
            if not is_all:
                self._reading.start(0)
                return
        self._on_read()

    def _on_read(self) -> None:
        """Everything that is there was read: is there more to come?"""
        first = self._state is RunState.LOADING
        ended = self.history.finished is not None or self.history.failed is not None
        if self._file is not None and not self.is_remote and self.run is not None and listener_of(self.run):
            self._resume_job = None  # it goes on already
            self._attach(self._file)
        elif not self.is_remote and self._is_awaited():
            self._set_state(RunState.ELSEWHERE)
            self._reading.start(FOLLOW_MS)
        elif ended and not self.is_remote:
            state = self._outcome_state()
            self._settle(RunState.CRASHED if self.was_interrupted and state is RunState.STOPPED else state)
        elif self._is_trained_elsewhere():
            self._set_state(RunState.ELSEWHERE)
            self._reading.start(FOLLOW_MS)
        else:
            began = self.hello is not None or (self.run is not None and self.run.remote.exists())
            self._settle(RunState.CRASHED if began else RunState.NEW)
        if first:
            self.loaded.emit()
        if self._resume_job is not None and self.run is not None and self._state is not RunState.ELSEWHERE:
            write_job(self.run.path, self._resume_job)
            self._resume_job = None
            self._launch()

    def _settle(self, state: RunState) -> None:
        self._close_file()
        if self._state is RunState.ELSEWHERE:
            self.phase = ""
            self._show_log()  # which may have come with the run
        self.was_interrupted = state is RunState.CRASHED
        if state is RunState.CRASHED:
            self.problem = self._interruption()
        self._set_state(state)

    def _interruption(self) -> str:
        """Where the run was interrupted, and from where it can go on."""
        reached, saved = self.history.iteration, self.saved_iteration
        at = (
            tr("Interrupted at iteration {reached:,}.", reached=reached)
            if reached
            else tr("Interrupted before the first iteration.")
        )
        if self.run is not None and is_watchdog(self.run.log_tail()):
            at = f"{at} {WATCHDOG_TOLD}"
        if saved is None:
            return tr("{at} Nothing was saved before that; the log may tell why.", at=at)
        where = (
            tr("exactly there")
            if saved == reached
            else tr("from iteration {saved:,}, which was saved last", saved=saved)
        )
        return tr("{at} Resume goes on {where}.", at=at, where=where)

    def _is_trained_elsewhere(self) -> bool:
        assert self.run is not None
        try:
            return self.run.is_running() or self.is_remote
        except OSError:  # a folder that can only be read is not being trained by us
            return False

    def _show_log(self) -> None:
        assert self.run is not None
        if not self.run.log.exists():
            return
        with self.run.log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - LOG_SHOWN_BYTES))
            self.logged.emit(file.read().decode("utf-8", "replace"))

    def _close_file(self) -> None:
        self._file = None

    def _set_state(self, state: RunState) -> None:
        self._state = state
        self.state_changed.emit()
