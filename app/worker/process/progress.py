"""Progress: how far a task has come, said to the window at most ten times a second."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from app.core.data.prepare import CancelledError
from app.core.protocol import event
from app.core.protocol.command import Command
from app.worker.process.channel import Channel
from app.worker.process.control import ENDING

Progress = Callable[[int, int], None]


class Phases(Protocol):
    """Gives the progress callback (done, total) of a phase by its name; `Reporter.phase` is one."""

    def __call__(self, name: str, /, in_bytes: bool = False) -> Progress:
        """``in_bytes``: what the callback counts."""
        ...


class Reporter:
    """Progress of a task as events, at most every half percent; a stop command ends the task."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._told = ("", -1)
        self.pending: list[Command] = []  # those that came meanwhile and are not for the preparation

    def phase(self, name: str, in_bytes: bool = False) -> Progress:
        """The progress callback of one phase, which counts bytes or other things."""

        def report(done: int, total: int) -> None:
            step = 200 * done // max(total, 1)
            if self._told != (name, step):
                self._told = (name, step)
                self._channel.emit(event.Progressed(phase=name, done=done, total=total, in_bytes=in_bytes))
            if self.stopped():
                raise CancelledError

        return report

    def stopped(self) -> bool:
        """True when the parent asked to stop, or is gone."""
        while (command := self._channel.poll()) is not None:
            if isinstance(command, ENDING):
                return True
            self.pending.append(command)
        return False


PROGRESS_EVERY_S = 0.1


def reported_progress(
    channel: Channel, phase: str, check: Callable[[], None] = lambda: None
) -> Callable[[int, int], None]:
    """A callback (done, total) that tells the parent, though not more than ten times a second."""
    last = 0.0

    def progress(done: int, total: int) -> None:
        nonlocal last
        check()
        now = time.perf_counter()
        if now - last >= PROGRESS_EVERY_S or done == total:
            last = now
            channel.emit(event.Progressed(phase=phase, done=done, total=total))

    return progress
