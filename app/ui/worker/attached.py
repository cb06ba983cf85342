"""A worker that another process started: heard by the run's folder, told through its door."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO

from PySide6.QtCore import QObject, QTimer, Signal

from app.core.live.door import listener_of, tell_run
from app.core.protocol import event
from app.core.protocol.command import Command, Park, Pause, Resume, Save, Stop
from app.core.protocol.event import recorded_event
from app.core.run.folder import RunDir
from app.core.system.setting import load_settings
from app.ui.worker.process import LOG_BYTES_PER_TURN, LOG_TAIL_CHARACTERS, TURN_S, WorkerOutcome

if TYPE_CHECKING:
    from app.core.run.event_file import EventFile

HEAR_MS = 100  # how often the folder is looked at
LOOKS_PER_CHECK = 5  # how many of these until it is asked whether the worker lives


class AttachedWorker(QObject):
    """Has the signals and methods of a run's `WorkerProcess`. ``events`` is the file of events, read up to where
    the window knows the run already; all that follows is said once, and nothing twice."""

    emitted = Signal(object)  # Event
    logged = Signal(str)
    ended = Signal(object)  # WorkerOutcome
    silent = Signal(int)

    def __init__(self, run: RunDir, events: EventFile, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._run, self._events = run, events
        self._is_heard = True
        self._process_id = listener_of(run)
        self._log_file: BinaryIO | None = None
        self._failure: event.Failed | None = None
        self._finished: event.Finished | None = None
        self._tail = ""
        self._is_over, self._looks = False, 0
        self.read_bytes = 0  # of the file of events, once it listens no more
        self._hear = QTimer(self)
        self._hear.setInterval(HEAR_MS)
        self._hear.timeout.connect(self._on_look)
        self._silence = QTimer(self)
        self._silence.setSingleShot(True)
        self._silence.setInterval(load_settings().silence_s * 1000)
        self._silence.timeout.connect(lambda: self.silent.emit(self._silence.interval() // 1000))

    def start(self) -> None:
        """Begins to listen; what comes next arrives as signals."""
        with suppress(OSError):
            file = self._log_file = self._run.log.open("rb")
            file.seek(max(0, file.seek(0, 2) - LOG_TAIL_CHARACTERS))
            self._tail = file.read().decode("utf-8", "replace")
        self._hear.start()
        self._silence.start()

    def send(self, command: Command) -> None:
        """Tells it, through the run's door; one that has ended does not hear it."""
        if self.is_running and isinstance(command, (Stop, Pause, Resume, Park, Save)):
            with suppress(OSError):  # the folder is gone, or the disk is full: its end is told by its silence
                tell_run(self._run, command)

    def kill(self) -> None:
        """Ends it at once, if it is still the one that trains the run."""
        if self.is_running and listener_of(self._run) == self._process_id:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(self._process_id, signal.SIGKILL)

    def wait(self, milliseconds: int) -> bool:
        """Blocks until it has ended; True if it has."""
        until = time.monotonic() + milliseconds / 1000
        while self.is_running and time.monotonic() < until:
            self._is_over = not self._run.is_running()
            self._on_look()
            time.sleep(HEAR_MS / 1000)
        return not self.is_running

    def close_input(self) -> None:
        """Nothing: who started it holds its input."""

    def let_go(self) -> None:
        """Stops to listen; the run goes on."""
        self._hear.stop()
        self._silence.stop()
        self.read_bytes = self._events.offset
        self._is_heard = False
        if self._log_file is not None:
            self._log_file.close()

    @property
    def is_running(self) -> bool:
        return self._is_heard

    @property
    def process_id(self) -> int:
        """The system's id of the worker's process; 0 when it has ended."""
        return self._process_id if self.is_running else 0

    def _on_look(self) -> None:
        if not self.is_running:
            return
        self._looks += 1
        if not self._is_over and self._looks % LOOKS_PER_CHECK == 0:
            self._is_over = not self._run.is_running()  # what it wrote before its end is read after this
        has_more = self._read_events()
        if not self.is_running:  # somebody let go of it in answer: it is heard no more
            return
        if has_more or not self._is_over:
            self._read_log(LOG_BYTES_PER_TURN)
        else:
            self._end()

    def _read_events(self) -> bool:
        """Says what is new, at most a turn's worth; True if there is more."""
        until = time.perf_counter() + TURN_S
        for line in self._events.lines():
            self._silence.start()
            with suppress(ValueError):
                self._say(recorded_event(line))
            if not self._is_heard:
                return False
            if time.perf_counter() > until:
                return True
        return False

    def _say(self, found: event.Event) -> None:
        if isinstance(found, event.Hello):
            self._failure = self._finished = None
        elif isinstance(found, event.Failed):
            self._failure = found
        elif isinstance(found, event.Finished):
            self._finished = found
        self.emitted.emit(found)

    def _read_log(self, size: int) -> None:
        text = self._log_file.read(size).decode("utf-8", "replace") if self._log_file is not None else ""
        if text:
            self._tail = (self._tail + text)[-LOG_TAIL_CHARACTERS:]
            self.logged.emit(text)

    def _end(self) -> None:
        self._read_log(-1)
        self._process_id = 0
        self.let_go()
        self.ended.emit(WorkerOutcome("train", None, self._failure, self._finished, self._tail))
