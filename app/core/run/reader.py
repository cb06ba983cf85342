"""A run's events read a slice at a time: whoever shows many runs, or long ones, never waits for a whole file."""

from __future__ import annotations

import math
import time

from app.core.protocol import event
from app.core.protocol.event import Event, recorded_event
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
        self._offset = 0

    def read(self, seconds: float = math.inf) -> bool:
        """Reads for about that long; True when everything that is there was read.

        Lines that are no events are left out, and so is a last line without its end: it is being written, or was
        cut by a crash. Raises `OSError` if the file cannot be read.
        """
        until = time.perf_counter() + seconds
        try:
            file = self.run.events.open("rb")
        except FileNotFoundError:
            return True
        with file:
            if file.seek(0, 2) < self._offset:  # not the file that was read before
                self._restart()
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                self._take_line(line)
                if time.perf_counter() > until:
                    return False
        return True

    def _take_line(self, line: bytes) -> None:
        try:
            found = recorded_event(line)
        except ValueError:
            return
        if self.created is None:
            self.created = found.time
        self.recorded = recorded_state(found, self.recorded)
        self.history.feed(found)
        self._keep(found)

    def _keep(self, found: Event) -> None:
        if isinstance(found, event.Hello):
            self.hello = found
        elif isinstance(found, event.Warned):
            self.warnings.append(found)
        elif isinstance(found, event.CheckpointSaved):
            self.checkpoints.append(found)
