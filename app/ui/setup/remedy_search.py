"""The search for what would make a run fit into memory: many estimates, in a thread, so that no edit waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from PySide6.QtCore import QObject, QRunnable, QThreadPool, QTimer, Signal

if TYPE_CHECKING:
    from app.core.setup.memory import MemoryEstimate

SEARCH_DELAY_MS = 150  # nobody needs remedies for a number that is still being typed

Estimation: TypeAlias = "Callable[[bool], MemoryEstimate]"  # with remedies or without


class RemedySearch(QObject):
    """Answers a question at once without remedies, and again with them as ``found`` where the run will not fit."""

    found = Signal(object)  # MemoryEstimate
    _answered = Signal(int, object)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._number = 0
        self._question: Estimation | None = None
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(SEARCH_DELAY_MS)
        self._timer.timeout.connect(self._start)
        self._answered.connect(self._on_answered)

    def request(self, question: Estimation | None) -> MemoryEstimate | None:
        """The estimate without remedies; what was asked before is given up."""
        self._timer.stop()
        self._number += 1
        self._question = question
        if question is None:
            return None
        first = question(False)
        if first.is_too_large:
            self._timer.start()
        return first

    def stop(self) -> None:
        """Waits for the thread before the window closes."""
        self._timer.stop()
        self._pool.waitForDone()

    def _start(self) -> None:
        if self._question is not None:
            self._pool.start(_Search(self, self._number, self._question))

    def _on_answered(self, number: int, found: MemoryEstimate) -> None:
        if number == self._number:
            self.found.emit(found)


class _Search(QRunnable):
    def __init__(self, owner: RemedySearch, number: int, question: Estimation) -> None:
        super().__init__()
        self._owner, self._number, self._question = owner, number, question

    def run(self) -> None:
        # Emitted from the pool's thread: Qt queues it for the owner's own.
        self._owner._answered.emit(self._number, self._question(True))
