"""Work cut into slices: a generator that is advanced between the window's events, one step a turn."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QObject, QTimer, Signal

SLICE_S = 0.008  # of work between two events of the window


class SlicedWork(QObject):
    """Runs one generator at a time; a step should take no more than a few milliseconds."""

    stepped = Signal(object)  # what the generator yielded
    finished = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._work: Iterator[object] | None = None
        self._turn = QTimer(self)
        self._turn.setInterval(0)
        self._turn.timeout.connect(self._step)

    @property
    def is_busy(self) -> bool:
        return self._work is not None

    def start(self, work: Iterator[object]) -> None:
        """Begins; what was being done is dropped."""
        self._work = work
        self._turn.start()

    def stop(self) -> None:
        """Drops what is being done, without a word."""
        self._work = None
        self._turn.stop()

    def _step(self) -> None:
        work = self._work
        if work is None:
            return
        try:
            found = next(work)
        except StopIteration:
            self.stop()
            self.finished.emit()
            return
        except BaseException:
            self.stop()  # a fault is told once, not at every turn
            raise
        self.stepped.emit(found)
