"""The command line's end of the protocol: one worker process, its events as an iterator, commands into its stdin.

The window has its own (a ``QProcess``); this one blocks, and needs neither Qt nor threads of its own.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Self

from app.core.language import tr
from app.core.protocol import event, program
from app.core.protocol.command import Command, Stop
from app.core.protocol.event import Event, heard_event, version_mismatch
from app.core.protocol.job import LOG_FILE, LOG_TAIL_LINES, Job, write_job


@dataclass(slots=True)
class Interrupt:
    """How often Ctrl-C was pressed while a worker worked."""

    pressed: int = 0


class WorkerClient:
    """A running worker. Use it in a ``with`` block: leaving the block closes its input and waits for its end.

    ``log`` is the file that its stderr is appended to (a run's ``log.txt``), ``JOB_DIR/log.txt`` unless given.
    ``more`` are variables of its environment besides those that every worker has.
    The worker is in a session of its own, so that Ctrl-C in a terminal reaches this process only.
    """

    def __init__(self, job_dir: Path, log: Path | None = None, more: Mapping[str, str] | None = None) -> None:
        self.log = log if log is not None else job_dir / LOG_FILE
        self._writing = threading.Lock()
        self._killed = False
        with self.log.open("ab") as stderr:
            self._process = subprocess.Popen(
                program.worker_command(job_dir),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env=program.worker_environment() | dict(more or {}),
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """0, 1 or 2 as the worker ended, negative for a signal, None while it runs."""
        return self._process.poll()

    def send(self, command: Command) -> None:
        """Sends one command; a worker that has ended does not hear it, which is no error."""
        assert self._process.stdin is not None
        line = command.to_line()
        with self._writing, suppress(BrokenPipeError, ValueError):
            self._process.stdin.write(line)
            self._process.stdin.flush()

    def events(self) -> Iterator[Event]:
        """Everything the worker says, as it says it.

        The last one is `Finished` or `Failed`: a worker that ends without either is told as a `Failed` with the
        tail of its log. One that speaks another version of the protocol is ended, and that is told.
        """
        assert self._process.stdout is not None
        ended = False
        for line in self._process.stdout:
            try:
                found = heard_event(line)
            except ValueError:
                continue  # half a line of a worker that was killed
            if isinstance(found, event.Hello) and (failed := version_mismatch(found)):
                self.kill()
                yield failed
                return
            ended = isinstance(found, (event.Finished, event.Failed))
            yield found
        self.close()
        if not ended:
            yield self._crash()

    def kill(self) -> None:
        """Ends the worker at once, with all that it started; whatever it did not save is lost."""
        self._killed = True
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)  # it leads a group of its own
        self._process.kill()

    def close_input(self) -> None:
        """Closes the worker's input, which tells it to save what it has and end."""
        assert self._process.stdin is not None
        with self._writing, suppress(BrokenPipeError):
            self._process.stdin.close()

    def close(self) -> None:
        """Closes the worker's input and waits until it has ended; what it still says is dropped."""
        assert self._process.stdout is not None
        self.close_input()
        if not self._process.stdout.closed:
            while self._process.stdout.read(65536):
                pass  # a worker that still has something to say would wait for a reader
            self._process.stdout.close()
        self._process.wait()

    @contextmanager
    def stopped_by_interrupt(self) -> Iterator[Interrupt]:
        """While inside, the first Ctrl-C sends ``stop`` and the second kills. Only in the main thread.

        A worker that is done by then does not hear it: whoever goes on after it looks at what is given here.
        """
        interrupt = Interrupt()

        def stop(_number: int, _frame: FrameType | None) -> None:
            interrupt.pressed += 1
            if interrupt.pressed > 1:
                self.kill()
                return
            # In a thread: the interrupted code may be in `send` itself, and hold its lock.
            threading.Thread(target=self.send, args=(Stop(),), daemon=True).start()

        before = signal.signal(signal.SIGINT, stop)
        try:
            yield interrupt
        finally:
            signal.signal(signal.SIGINT, before)

    def _crash(self) -> event.Failed:
        if self._killed:
            return event.Failed(message=tr("The worker was stopped at once; what it had not saved is lost."))
        code = self._process.returncode
        how = (
            tr("by signal {signal_name}", signal_name=_signal_name(-code))
            if code < 0
            else tr("with exit code {code}", code=code)
        )
        hint = tr("The system may have run out of memory.") if code == -signal.SIGKILL else ""
        tail = log_tail(self.log)
        said = tr("The worker ended {how} without saying why.", how=how)
        return event.Failed(
            message=tr("{said} The end of its log:\n{tail}", said=said, tail=tail) if tail else said, hint=hint
        )


@contextmanager
def started_job(job: Job) -> Iterator[WorkerClient]:
    """A worker for a job that is no run: its folder is temporary and goes when the block ends."""
    # The number tells `core.system.leftover` whose folder it is.
    with tempfile.TemporaryDirectory(prefix=f"luthier-{os.getpid()}-") as folder:
        write_job(Path(folder), job)
        with WorkerClient(Path(folder)) as worker:
            yield worker


def log_tail(path: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log, without reading a long one whole; empty if there is none."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 65536), os.SEEK_SET)
        text = file.read().decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-lines:])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
