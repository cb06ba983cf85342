"""A child process as the window has it: told by lines, heard by signals, and one that can be let go of."""

from __future__ import annotations

import os
import select
import subprocess
import time
import weakref
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

from PySide6.QtCore import QObject, QSocketNotifier, QTimer, Signal

from app.core.refusal import reason_of

LOOK_MS = 100  # how often it is seen whether the process has ended
ENDING_LOOK_MS = 5  # the same once it has closed its output: its end is a matter of moments
CHUNK_BYTES = 65_536
# Processes that live on: who started them waits for none of them, and must not drop what Python holds of them.
_let_go: list[subprocess.Popen[bytes]] = []


class _Output(QObject):
    """The reading end of a pipe: what comes is kept until it is taken."""

    arrived = Signal()

    def __init__(self, pipe: IO[bytes], parent: QObject) -> None:
        super().__init__(parent)
        self._pipe = pipe
        self._said = b""
        os.set_blocking(pipe.fileno(), False)
        self._notifier = QSocketNotifier(pipe.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._on_readable)

    @property
    def is_open(self) -> bool:
        """Whether more can come."""
        return self._notifier.isEnabled()

    def fileno(self) -> int:
        """The pipe's descriptor."""
        return self._pipe.fileno()

    def take(self) -> bytes:
        """What came and nobody has taken yet."""
        said, self._said = self._said, b""
        return said

    def read(self) -> bool:
        """Reads what is there, once: the window has its turn between two reads. True if there was something."""
        try:
            chunk = os.read(self._pipe.fileno(), CHUNK_BYTES)
        except BlockingIOError:
            return False
        self._said += chunk
        if not chunk:
            self._notifier.setEnabled(False)
        return bool(chunk)

    def close(self) -> None:
        """Closes the pipe; what came can still be taken."""
        self._notifier.setEnabled(False)
        self._pipe.close()

    def _on_readable(self) -> None:
        self.read()
        self.arrived.emit()


class DetachableProcess(QObject):
    """A process in a session of its own, with pipes; its stderr too, or to the end of a file.

    One with a file can be let go of. One without ends with this object, at the latest.
    """

    readable = Signal()
    complained = Signal()  # on stderr, where that is a pipe
    finished = Signal(int)  # its exit code, negative for a signal
    failed = Signal(str)  # it did not start: why

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._process: subprocess.Popen[bytes] | None = None
        self._outputs: list[_Output] = []
        self._writable: QSocketNotifier | None = None
        self._untold = b""  # for its stdin, which was full
        self._is_input_over = False
        self._look = QTimer(self)
        self._look.setInterval(LOOK_MS)
        self._look.timeout.connect(self._on_look)
        self._end: weakref.finalize[..., DetachableProcess] | None = None

    def start(self, command: list[str], environment: dict[str, str], log: Path | None = None) -> None:
        """Starts it; what happens next arrives as signals. ``log`` is the file that its stderr goes to."""
        try:
            with ExitStack() as stack:
                errors = stack.enter_context(log.open("ab")) if log is not None else subprocess.PIPE
                # A session of its own: Ctrl-C in the terminal that the window came from is not for it.
                process = self._process = subprocess.Popen(
                    command,
                    bufsize=0,
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
        if log is None:
            self._end = weakref.finalize(self, _end_at_once, process)
        for pipe, told in ((process.stdout, self.readable), (process.stderr, self.complained)):
            if pipe is not None:
                self._outputs.append(output := _Output(pipe, self))
                output.arrived.connect(self._on_output)
                output.arrived.connect(told)
        assert process.stdin is not None
        os.set_blocking(process.stdin.fileno(), False)
        self._writable = QSocketNotifier(process.stdin.fileno(), QSocketNotifier.Type.Write, self)
        self._writable.setEnabled(False)
        self._writable.activated.connect(self._tell)
        self._look.start()

    @property
    def is_running(self) -> bool:
        """Whether it runs."""
        return self._process is not None

    @property
    def process_id(self) -> int:
        """The system's number of it; 0 when it does not run."""
        return self._process.pid if self._process is not None else 0

    @property
    def is_input_over(self) -> bool:
        """Whether nothing more can be told to it."""
        return self._is_input_over

    def read_all(self) -> bytes:
        """What it said and nobody has read yet."""
        return self._outputs[0].take() if self._outputs else b""

    def read_errors(self) -> bytes:
        """What it said on stderr and nobody has read yet; nothing of one whose stderr is a file."""
        return self._outputs[1].take() if len(self._outputs) > 1 else b""

    def write(self, data: bytes) -> None:
        """Gives it a line, as soon as it takes it; one that has ended does not hear it."""
        if not self._is_input_over:
            self._untold += data
            self._tell()

    def close_input(self) -> None:
        """Closes its standard input, once it was told all."""
        self._is_input_over = True
        self._tell()

    def kill(self) -> None:
        """Ends it at once."""
        if self._process is not None:
            self._process.kill()

    def wait(self, milliseconds: int) -> bool:
        """Blocks until it has ended; True if it has."""
        until = time.monotonic() + milliseconds / 1000
        while self._process is not None and time.monotonic() < until:
            heard = [output for output in self._outputs if output.is_open]
            if heard:
                for output in select.select(heard, [], [], LOOK_MS / 1000)[0]:
                    output.read()
            else:
                with suppress(subprocess.TimeoutExpired):
                    self._process.wait(LOOK_MS / 1000)
            self._tell()
            self._on_look()
        return self._process is None

    def let_go(self) -> None:
        """Closes the pipes and forgets it: it lives on, and nothing more is heard of it here."""
        if self._process is not None:
            _let_go[:] = [one for one in _let_go if one.poll() is None]  # the ended ones are no zombies any more
            _let_go.append(self._close())

    def _tell(self) -> None:
        """Gives it what it takes now, and the rest when it takes more."""
        if self._process is None:
            return
        stdin = self._process.stdin
        assert stdin is not None
        if stdin.closed:
            return
        assert self._writable is not None
        try:
            while self._untold:
                self._untold = self._untold[os.write(stdin.fileno(), self._untold) :]
        except BlockingIOError:
            self._writable.setEnabled(True)
            return
        except BrokenPipeError:
            self._untold = b""
        self._writable.setEnabled(False)
        if self._is_input_over:
            stdin.close()

    def _close(self) -> subprocess.Popen[bytes]:
        self._look.stop()
        assert self._process is not None
        process, self._process = self._process, None
        if self._end is not None:
            self._end.detach()
        if self._writable is not None:
            self._writable.setEnabled(False)
        for output in self._outputs:
            output.close()
        assert process.stdin is not None
        process.stdin.close()
        return process

    def _on_output(self) -> None:
        if self._outputs and not self._outputs[0].is_open:
            self._look.setInterval(ENDING_LOOK_MS)

    def _on_look(self) -> None:
        if self._process is None or (code := self._process.poll()) is None:
            return
        for output in self._outputs:
            while output.read():  # another that has the pipe may still hold it open
                pass
        self._close()
        self.finished.emit(code)


def _end_at_once(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    with process:  # closes its pipes and waits
        pass
