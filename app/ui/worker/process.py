"""A worker as the window sees it: a `QProcess` whose lines become events, and an outcome when it ends."""

from __future__ import annotations

import codecs
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from PySide6.QtCore import QObject, QTimer, Signal

from app.core.language import tr
from app.core.live.watchdog import WATCHDOG_REMEDY, WATCHDOG_TOLD, is_watchdog
from app.core.protocol import event
from app.core.protocol.command import Command
from app.core.protocol.event import Event, heard_event, version_mismatch
from app.core.protocol.program import worker_command, worker_environment
from app.core.system.setting import load_settings
from app.ui.worker.detachable import DetachableProcess, OwnedProcess

LOG_TAIL_CHARACTERS = 8_000
TURN_S = 0.012  # events are handled for so long before the window gets its turn again
LOG_POLL_MS = 150
LOG_BYTES_PER_TURN = 256 * 1024


@dataclass(frozen=True, slots=True)
class WorkerOutcome:
    """How a worker ended: ``failure`` says so in its words, ``crashed`` if it ended without a word."""

    task: str
    exit_code: int | None  # None of a worker that another process started
    failure: event.Failed | None = None
    finished: event.Finished | None = None
    log_tail: str = ""

    @property
    def crashed(self) -> bool:
        return self.failure is None and self.finished is None

    @property
    def ok(self) -> bool:
        return self.finished is not None and self.failure is None

    @property
    def completed(self) -> bool:
        """Whether all was done: it neither failed nor was stopped."""
        return self.ok and self.finished is not None and self.finished.reason == "completed"

    def sentence(self) -> str:
        """What to tell the user; empty when all went well."""
        if self.failure is not None:
            said = self.failure.message.removesuffix(f" {self.failure.hint}")  # that of a field has it already
            return f"{said} {self.failure.hint}".strip()
        if self.crashed and is_watchdog(self.log_tail):
            return f"{WATCHDOG_TOLD} {WATCHDOG_REMEDY}"
        if self.crashed:
            lines = [line for line in self.log_tail.splitlines() if line.strip()]
            last = tr(" Its last words: {lines}", lines=lines[-1].strip()[:300]) if lines else ""
            code = tr(" (exit code {exit_code})", exit_code=self.exit_code) if self.exit_code is not None else ""
            return tr("The worker ended without a word{code}.{last}", code=code, last=last)
        return ""


class WorkerProcess(QObject):
    """One worker. Events come as they happen, for at most `TURN_S` a turn: a flood cannot freeze the window.

    With ``log`` the worker writes its stderr straight into that file (a run's ``log.txt``), which this object
    follows: what is printed is kept, whatever becomes of the window. Such a worker can be let go of.
    """

    emitted = Signal(object)  # Event
    logged = Signal(str)  # text of stderr, as it comes
    ended = Signal(object)  # WorkerOutcome
    silent = Signal(int)  # seconds without a word, once for each silence

    def __init__(self, job_dir: Path, task: str, parent: QObject | None = None, *, log: Path | None = None) -> None:
        super().__init__(parent)
        self.job_dir = job_dir
        self._log_path = log
        self._log_file: BinaryIO | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.task = task
        self._failure: event.Failed | None = None
        self._finished: event.Finished | None = None
        self._tail = ""
        self._pending: deque[bytes] = deque()
        self._rest = b""
        self._is_foreign = False  # of another version: nothing it says is listened to
        self._exit_code: int | None = None
        self._process = OwnedProcess(self) if log is None else DetachableProcess(self)
        if isinstance(self._process, OwnedProcess):
            self._process.complained.connect(self._read_log)
        self._process.readable.connect(self._read_events)
        self._process.failed.connect(self._on_failure)
        self._process.finished.connect(self._on_finished)
        self._turn = QTimer(self)
        self._turn.setSingleShot(True)
        self._turn.setInterval(0)
        self._turn.timeout.connect(self._drain)
        self._silence = QTimer(self)
        self._silence.setSingleShot(True)
        self._silence.setInterval(load_settings().silence_s * 1000)
        self._silence.timeout.connect(self._tell_silence)
        self._log_poll = QTimer(self)
        self._log_poll.setInterval(LOG_POLL_MS)
        self._log_poll.timeout.connect(self._read_log)

    def start(self) -> None:
        """Starts the process; what happens next arrives as signals."""
        command, environment = worker_command(self.job_dir), worker_environment()
        self._silence.start()
        if isinstance(self._process, OwnedProcess):
            self._process.start(command, environment)
            return
        assert self._log_path is not None
        self._follow_log(self._log_path)
        self._process.start(command, environment, self._log_path)

    def send(self, command: Command) -> None:
        """Sends one command; does nothing if the worker has ended."""
        if self.is_running:
            self._process.write(command.to_line())

    def kill(self) -> None:
        """Ends the process at once; for work that can be thrown away."""
        self._process.kill()

    def wait(self, milliseconds: int) -> bool:
        """Blocks until the process has ended, for closing the window; True if it has."""
        return not self.is_running or self._process.wait(milliseconds)

    def close_input(self) -> None:
        """Ends the worker's stdin: it saves and exits, unless its job says that it goes on alone."""
        self._process.close_input()

    def let_go(self) -> None:
        """Leaves a worker with a log to itself: nothing more is heard of it here."""
        if isinstance(self._process, DetachableProcess):
            self._process.let_go()
        for timer in (self._turn, self._silence, self._log_poll):
            timer.stop()
        if self._log_file is not None:
            self._log_file.close()
            self._log_file = None

    @property
    def is_running(self) -> bool:
        return self._process.is_running

    @property
    def process_id(self) -> int:
        """The system's id of the process; 0 when it does not run."""
        return self._process.process_id

    def _tell_silence(self) -> None:
        if self.is_running:
            self.silent.emit(self._silence.interval() // 1000)

    def _read_events(self) -> None:
        self._silence.start()
        lines = (self._rest + self._process.read_all()).split(b"\n")
        self._rest = lines.pop()
        self._pending += lines
        self._drain()

    def _drain(self) -> None:
        until = time.perf_counter() + TURN_S
        while self._pending and time.perf_counter() < until:
            line = self._pending.popleft()
            if line.strip() and not self._is_foreign:
                self._handle(line)
        if self._pending:
            self._turn.start()
        elif self._exit_code is not None:
            self._end()

    def _handle(self, line: bytes) -> None:
        try:
            found: Event = heard_event(line)
        except ValueError:
            self._log(line.decode("utf-8", "replace") + "\n")
            return
        if isinstance(found, event.Hello) and (failed := version_mismatch(found)):
            found, self._is_foreign = failed, True
            self.kill()
        if isinstance(found, event.Failed):
            self._failure = found
        elif isinstance(found, event.Finished):
            self._finished = found
        self.emitted.emit(found)

    def _follow_log(self, path: Path) -> None:
        """Reads from the end of the file, to which stderr is sent."""
        path.touch()
        self._log_file = path.open("rb")
        self._log_file.seek(0, 2)
        self._log_poll.start()

    def _read_log(self) -> None:
        if self._log_file is not None:
            data = self._log_file.read(LOG_BYTES_PER_TURN)
        elif isinstance(self._process, OwnedProcess):
            data = self._process.read_errors()
        else:
            return
        self._log(self._decoder.decode(data))

    def _close_log(self) -> None:
        """Reads what is left of the log when the process has ended."""
        self._read_log()
        if self._log_file is not None:
            self._log_poll.stop()
            self._log(self._decoder.decode(self._log_file.read()[-LOG_BYTES_PER_TURN:]))
            self._log_file.close()
            self._log_file = None

    def _log(self, text: str) -> None:
        if not text:
            return
        self._tail = (self._tail + text)[-LOG_TAIL_CHARACTERS:]
        self.logged.emit(text)

    def _on_finished(self, exit_code: int) -> None:
        self._close_log()
        self._exit_code = exit_code
        self._read_events()

    def _on_failure(self, reason: str) -> None:
        """It did not start."""
        self._failure = event.Failed(message=tr("The worker did not start: {reason}.", reason=reason))
        self._exit_code = 1
        self._drain()

    def _end(self) -> None:
        if self._rest.strip() and not self._is_foreign:
            rest, self._rest = self._rest, b""
            self._handle(rest)
        code, self._exit_code = self._exit_code or 0, None
        self.ended.emit(WorkerOutcome(self.task, code, self._failure, self._finished, self._tail))
