"""A worker as the window sees it: a `QProcess` whose lines become events, and an outcome when it ends."""

from __future__ import annotations

import codecs
import math
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
from app.core.protocol.spare import Handover
from app.core.system.setting import load_settings
from app.ui.worker.detachable import DetachableProcess
from app.ui.worker.spare import disturb, take_spare

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

    Where a spare stands ready, it does the job. With ``log`` the worker writes its stderr straight into that file
    (a run's ``log.txt``), which this object follows: what is printed is kept, whatever becomes of the window. Such
    a worker can be let go of.
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
        self._process = self._heard(DetachableProcess(self))
        # What a spare was told beside its job, until its first word; None of a process that was started for it.
        self._told: list[bytes] | None = None
        self._is_killed = False
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
        environment = worker_environment()
        self._silence.start()
        disturb()
        if self._log_path is not None:
            self._follow_log(self._log_path)
        if (spare := take_spare(self.task, environment)) is not None:
            self._hand_over(spare)
        else:
            self._process.start(worker_command(self.job_dir), environment, self._log_path)

    def send(self, command: Command) -> None:
        """Sends one command; does nothing if the worker has ended."""
        if self.is_running:
            line = command.to_line()
            if self._told is not None:
                self._told.append(line)
            self._process.write(line)

    def kill(self) -> None:
        """Ends the process at once; for work that can be thrown away."""
        self._is_killed = True
        self._process.kill()

    def wait(self, milliseconds: int) -> bool:
        """Blocks until the process has ended, for closing the window; True if it has."""
        until = time.monotonic() + milliseconds / 1000
        while self.is_running and (left := until - time.monotonic()) > 0:
            self._process.wait(math.ceil(left * 1000))
        return not self.is_running

    def close_input(self) -> None:
        """Ends the worker's stdin: it saves and exits, unless its job says that it goes on alone."""
        self._process.close_input()

    def let_go(self) -> None:
        """Leaves a worker with a log to itself: nothing more is heard of it here."""
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

    def _heard(self, process: DetachableProcess) -> DetachableProcess:
        """The process, whose signals this object follows."""
        process.setParent(self)
        process.complained.connect(self._on_complaint)
        process.readable.connect(self._read_events)
        process.failed.connect(self._on_failure)
        process.finished.connect(self._on_finished)
        return process

    def _hand_over(self, spare: DetachableProcess) -> None:
        """Gives the job to a process that waits for one."""
        self._process.deleteLater()
        self._process, self._told = self._heard(spare), []
        self._on_complaint()  # what its imports had to say
        spare.write(Handover(job_dir=self.job_dir, log=self._log_path).to_line())

    def _begins_anew(self) -> bool:
        """Lets a process of its own do the job of a spare that ended before its first word and its work."""
        told, self._told = self._told, None
        if told is None or self._is_killed:
            return False
        said = tr("The worker that stood ready ended before it began: another one does the job.")
        if self._log_path is not None:
            with self._log_path.open("a", encoding="utf-8") as log:
                log.write(f"{said}\n")
        else:
            self._log(f"{said}\n")
        is_input_over = self._process.is_input_over
        self._process.deleteLater()
        self._process = self._heard(DetachableProcess(self))
        self._process.start(worker_command(self.job_dir), worker_environment(), self._log_path)
        for line in told:
            self._process.write(line)
        if is_input_over:
            self._process.close_input()
        return True

    def _tell_silence(self) -> None:
        if self.is_running:
            self.silent.emit(self._silence.interval() // 1000)

    def _read_events(self) -> None:
        self._silence.start()
        disturb()
        if said := self._process.read_all():
            self._told = None
        lines = (self._rest + said).split(b"\n")
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
            self._log(self._decoder.decode(self._log_file.read(LOG_BYTES_PER_TURN)))

    def _on_complaint(self) -> None:
        """Takes what came on stderr; that of a spare, which had none yet, goes into the log as well."""
        said = self._process.read_errors()
        if said and self._log_path is not None:
            with self._log_path.open("ab") as log:
                log.write(said)
        elif said:
            self._log(self._decoder.decode(said))

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
        self._on_complaint()
        self._read_events()
        if self._begins_anew():
            return
        self._close_log()
        self._exit_code = exit_code
        self._drain()

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
