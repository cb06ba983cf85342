"""Workers that say what a test gives them: what a verb asks of them, and what it makes of the answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.core.protocol.client import Interrupt
from app.core.protocol.command import Command
from app.core.protocol.event import Event, Result
from app.core.protocol.job import Job


@dataclass
class SpokenWorker:
    """In place of a worker's process: ``jobs`` and ``sent`` are what it was asked, ``says`` what it answers."""

    log: Path
    says: Sequence[Event] = ()
    jobs: list[Job] = field(default_factory=list)
    sent: list[Command] = field(default_factory=list)
    interrupt: Interrupt = field(default_factory=Interrupt)

    def finds(self, **data: object) -> None:
        """It ends with this result."""
        self.says = [Result(name="found", data=data)]

    def events(self) -> Iterator[Event]:
        yield from self.says

    def send(self, command: Command) -> None:
        self.sent.append(command)

    @contextmanager
    def stopped_by_interrupt(self) -> Iterator[Interrupt]:
        yield self.interrupt

    @contextmanager
    def started(self, job: Job) -> Iterator[SpokenWorker]:
        self.jobs.append(job)
        yield self
