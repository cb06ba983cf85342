"""A worker that does what a test says, in place of the process: events go in by hand, commands are kept."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.core.protocol import event
from app.core.protocol.command import Command, EndOfInput
from app.core.protocol.event import Event
from app.ui.worker.process import WorkerOutcome


class FakeWorker(QObject):
    """Has the signals and methods of `WorkerProcess`; a real one would have to load MLX for every click."""

    emitted = Signal(object)
    logged = Signal(str)
    ended = Signal(object)
    silent = Signal(int)
    made: list[FakeWorker]

    def __init__(self, job_dir: Path, task: str, parent: QObject | None = None, *, log: Path | None = None) -> None:
        super().__init__(parent)
        self.job_dir, self.task, self.log = job_dir, task, log
        self.commands: list[Command] = []
        self.killed = False
        self.process_id = 0
        self.is_running = False
        type(self).made.append(self)

    def start(self) -> None:
        self.is_running = True

    def send(self, command: Command) -> None:
        self.commands.append(command)

    def kill(self) -> None:
        self.killed = True
        if self.is_running:
            self.end(None, -9)

    def close_input(self) -> None:
        self.commands.append(EndOfInput())

    def let_go(self) -> None:
        self.is_running = False

    def wait(self, _milliseconds: int) -> bool:
        return True

    def say(self, *events: Event) -> None:
        for found in events:
            self.emitted.emit(found)

    def end(self, last: Event | None = None, exit_code: int = 0) -> None:
        """Ends as a process would: with its last event, if it has one."""
        if last is not None:
            self.emitted.emit(last)
        self.is_running = False
        failure = last if isinstance(last, event.Failed) else None
        finished = last if isinstance(last, event.Finished) else None
        self.ended.emit(WorkerOutcome(self.task, exit_code, failure, finished, "its last line\n"))
