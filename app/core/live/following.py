"""What a run says that another process trains: its events read as they are written, none of them twice or never."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from app.core.protocol.event import Event, recorded_event
from app.core.run.event_file import EventFile
from app.core.run.folder import RunDir

FOLLOW_EVERY_S = 0.1


class EventFollower:
    """The events of a run's file from a byte on. Half a line is being written, and is read when it is whole."""

    def __init__(self, run: RunDir, offset: int = 0) -> None:
        self._file = EventFile(run.events, offset)

    def fresh(self) -> Iterator[Event]:
        """Every event that was written since the last time; lines that a crash cut are left out."""
        for line in self._file.lines():
            with suppress(ValueError):
                yield recorded_event(line)


def followed_events(run: RunDir, is_trained: Callable[[], bool] | None = None) -> Iterator[Event]:
    """All events of a run from its first on, and then as they come, until nobody trains it any more."""
    follower = EventFollower(run)
    while True:
        lives = (is_trained or run.is_running)()  # asked first: what a worker wrote before its end is read after it
        yield from follower.fresh()
        if not lives:
            return
        time.sleep(FOLLOW_EVERY_S)
