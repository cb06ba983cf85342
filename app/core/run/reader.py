"""A run's events read a slice at a time: whoever shows many runs, or long ones, never waits for a whole file."""

from __future__ import annotations

import math

from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.run.event_file import EventFile
from app.core.run.folder import RunDir, recorded_state
from app.core.run.history import RunHistory


class RunReader:
    """What the events of a run say; a file that grows is read on from where the last slice ended."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._restart()

    def _restart(self) -> None:
        self.history = RunHistory()
        self.recorded = "new"
        self.created: float | None = None
        self.hello: event.Hello | None = None
        self.warnings: list[event.Warned] = []
        self.checkpoints: list[event.CheckpointSaved] = []
        self._file = EventFile(self.run.events)

    def read(self, seconds: float = math.inf) -> bool:
        """Reads for about that long; True when everything that is there was read. Raises `OSError` if the file
        cannot be read."""
        if self._file.was_replaced:
            self._restart()
        is_all = self._file.read_into(self.history, self._take, seconds)
        if self.created is None and self.history.last_report is not None:
            self.created = self.history.last_report.time
        return is_all

    def _take(self, found: Event) -> None:
        if self.created is None:
            self.created = found.time
        self.recorded = recorded_state(found, self.recorded)
        self.history.feed(found)
        if isinstance(found, event.Hello):
            self.hello = found
        elif isinstance(found, event.Warned):
            self.warnings.append(found)
        elif isinstance(found, event.CheckpointSaved):
            self.checkpoints.append(found)
