"""Garbage collection in the window's thread only.

Python collects in whichever thread happens to allocate. A Qt object that it ends in a pool's thread may still have
a timer running in the window's, and Qt then crashes some turns later.
"""

from __future__ import annotations

import gc

from PySide6.QtCore import QObject, QTimer

INTERVAL_MS = 1000


class GarbageCollector(QObject):
    """Collects when Python would, but from a timer; Python's own collection is off as long as it lives."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        gc.disable()
        gc.collect()
        gc.freeze()  # the program itself is no garbage: every later collection is the quicker
        self.destroyed.connect(gc.enable)
        timer = QTimer(self)
        timer.setInterval(INTERVAL_MS)
        timer.timeout.connect(self.collect)
        timer.start()

    def collect(self) -> int:
        """Collects the oldest generation that is due; returns which, -1 for none."""
        due = [at for at, (count, limit) in enumerate(zip(gc.get_count(), gc.get_threshold(), strict=True))
               if limit and count > limit]  # fmt: skip
        if not due:
            return -1
        gc.collect(due[-1])
        return due[-1]
