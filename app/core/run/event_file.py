"""A run's file of events, read on from a byte: by the window, by whoever shows many runs, and as it is written."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from app.core.protocol.event import Event, recorded_event
from app.core.run.history import RunHistory
from app.core.run.report_batch import ReportBatch

BATCH_REPORTS = 1024  # taken into the history at once: about a millisecond


class EventFile:
    """The lines of a file from a byte on, none of them twice or never.

    Half a last line is being written, or was cut by a crash: it is read when it is whole. Where there is no file
    yet, there is nothing to read yet.
    """

    def __init__(self, path: Path, offset: int = 0) -> None:
        self._path, self.offset = path, offset
        self._batch = ReportBatch()

    @property
    def was_replaced(self) -> bool:
        """True if the file is shorter than what was read of it."""
        try:
            return self._path.stat().st_size < self.offset
        except FileNotFoundError:
            return False

    def lines(self) -> Iterator[bytes]:
        """Every whole line that was not read yet; one that was given counts as read. Raises `OSError`."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            file.seek(self.offset)
            for line in file:
                if not line.endswith(b"\n"):
                    return
                self.offset += len(line)
                yield line

    def read_into(self, history: RunHistory, take: Callable[[Event], None], seconds: float = math.inf) -> bool:
        """Reads for about that long; True when everything that is there was read.

        Reports are taken into the history together; every other event goes to ``take``, which feeds it. Lines that
        are no events are left out. Raises `OSError` if the file cannot be read.
        """
        until = time.perf_counter() + seconds
        batch, is_all = self._batch, True
        for line in self.lines():
            if not batch.take(line):
                _hand_over(batch, history)
                _take_line(line, take)
            elif len(batch) >= BATCH_REPORTS:
                _hand_over(batch, history)
            if time.perf_counter() > until:
                is_all = False
                break
        _hand_over(batch, history)
        return is_all


def _hand_over(batch: ReportBatch, history: RunHistory) -> None:
    if len(batch):
        history.feed_reports(batch)
        batch.clear()


def _take_line(line: bytes, take: Callable[[Event], None]) -> None:
    try:
        found = recorded_event(line)
    except ValueError:
        return
    take(found)
