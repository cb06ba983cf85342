"""Child processes, told and heard in the same way: one that ends with its window, one that can be let go of.

A `QProcess` kills its child when it goes; `DetachableProcess` closes the pipes.
"""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from PySide6.QtCore import QObject, QProcess, QProcessEnvironment, QSocketNotifier, QTimer, Signal

from app.core.refusal import reason_of

LOOK_MS = 100  # how often it is seen whether the process has ended
CHUNK_BYTES = 65_536
# Processes that live on: who started them waits for none of them, and must not drop what Python holds of them.
_let_go: list[subprocess.Popen[bytes]] = []


class OwnedProcess(QObject):
    """A process in a session of its own, with pipes, also for its stderr; it ends with this object."""

    readable = Signal()
    complained = Signal()  # on stderr
    finished = Signal(int)  # its exit code
    failed = Signal(str)  # it did not start: why

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process = QProcess(self)
        self._process.readyReadStandardOutput.connect(self.readable)
        self._process.readyReadStandardError.connect(self.complained)
        self._process.finished.connect(self.finished)
        self._process.errorOccurred.connect(self._on_error)

    def start(self, command: list[str], environment: dict[str, str]) -> None:
        """Starts it; what happens next arrives as signals."""
        variables = QProcessEnvironment()
        for name, value in environment.items():
            variables.insert(name, value)
        self._process.setProcessEnvironment(variables)
        if sys.platform != "win32":
            # Ctrl-C in the terminal that the window came from is not for the process.
            self._process.setUnixProcessParameters(QProcess.UnixProcessFlag.CreateNewSession)
        self._process.start(command[0], command[1:])

    @property
    def is_running(self) -> bool:
        """Whether it runs, or is about to."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    @property
    def process_id(self) -> int:
        """The system's number of it; 0 when it does not run."""
        return int(self._process.processId())

    def read_all(self) -> bytes:
        """What it said and nobody has read yet."""
        return bytes(self._process.readAllStandardOutput().data())

    def read_errors(self) -> bytes:
        """What it said on stderr and nobody has read yet."""
        return bytes(self._process.readAllStandardError().data())

    def write(self, data: bytes) -> None:
        """Gives it a line."""
        self._process.write(data)

    def close_input(self) -> None:
        """Closes its standard input."""
        self._process.closeWriteChannel()

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()

    def wait(self, milliseconds: int) -> bool:
        """Blocks until it has ended; True if it has."""
        return self._process.waitForFinished(milliseconds)

    def _on_error(self, error: QProcess.ProcessError) -> None:
        if error == QProcess.ProcessError.FailedToStart:
            self.failed.emit(self._process.errorString())


class DetachableProcess(QObject):
    """A process in a session of its own, with pipes; its stderr goes to the end of a file."""

    readable = Signal()
    finished = Signal(int)  # its exit code, negative for a signal
    failed = Signal(str)  # it did not start: why

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process: subprocess.Popen[bytes] | None = None
        self._notifier: QSocketNotifier | None = None
        self._said = b""
        self._look = QTimer(self)
        self._look.setInterval(LOOK_MS)
        self._look.timeout.connect(self._on_look)

    def start(self, command: list[str], environment: dict[str, str], log: Path) -> None:
        """Starts it; what happens next arrives as signals."""
        try:
            with log.open("ab") as errors:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            said = reason_of(error)
            QTimer.singleShot(0, self, lambda: self.failed.emit(said))
            return
        assert self._process.stdout is not None
        output = self._process.stdout.fileno()
        os.set_blocking(output, False)
        self._notifier = QSocketNotifier(output, QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._on_readable)
        self._look.start()

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self._process is not None

    @property
    def process_id(self) -> int:
        """The system's number of it; 0 when it does not run."""
        return self._process.pid if self._process is not None else 0

    def read_all(self) -> bytes:
        """What it said and nobody has read yet."""
        said, self._said = self._said, b""
        return said

    def write(self, data: bytes) -> None:
        """Gives it a line; one that has ended does not hear it."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError, ValueError):
                self._process.stdin.write(data)
                self._process.stdin.flush()

    def close_input(self) -> None:
        """Closes its standard input."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(BrokenPipeError):
                self._process.stdin.close()

    def kill(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            self._process.kill()

    def wait(self, milliseconds: int) -> bool:
        """Blocks until it has ended; True if it has."""
        until = time.monotonic() + milliseconds / 1000
        while self._process is not None and time.monotonic() < until:
            assert self._process.stdout is not None
            if self._notifier is not None and self._notifier.isEnabled():
                select.select([self._process.stdout], [], [], LOOK_MS / 1000)
                self._read()
            else:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(LOOK_MS / 1000)
            self._on_look()
        return self._process is None

    def let_go(self) -> None:
        """Closes the pipes and forgets it: it lives on, and nothing more is heard of it here."""
        if self._process is not None:
            _let_go.append(self._close())

    def _close(self) -> subprocess.Popen[bytes]:
        self._look.stop()
        assert self._process is not None
        assert self._process.stdout is not None
        process, self._process = self._process, None
        if self._notifier is not None:
            self._notifier.setEnabled(False)
            self._notifier.deleteLater()
            self._notifier = None
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        return process

    def _on_readable(self) -> None:
        self._read()
        self.readable.emit()

    def _read(self) -> None:
        """Takes what is there, once: the window has its turn between two reads."""
        assert self._process is not None
        assert self._process.stdout is not None
        try:
            chunk = os.read(self._process.stdout.fileno(), CHUNK_BYTES)
        except BlockingIOError:
            return
        self._said += chunk
        if not chunk and self._notifier is not None:
            self._notifier.setEnabled(False)  # it has closed its output: only its end is still to come

    def _on_look(self) -> None:
        if self._process is None or (code := self._process.poll()) is None:
            return
        assert self._process.stdout is not None
        with suppress(BlockingIOError):  # another that has the pipe may still hold it open
            while chunk := os.read(self._process.stdout.fileno(), CHUNK_BYTES):
                self._said += chunk
        self._close()
        self.finished.emit(code)
