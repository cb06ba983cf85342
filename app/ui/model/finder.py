"""The models on this machine, found in a thread so that a slow disk never holds up the window."""

from __future__ import annotations

from PySide6.QtCore import QObject, QRunnable, QThreadPool, Signal

from app.core.model.folder import ModelEntry, find_models
from app.core.model.hub import model_folders
from app.core.system.setting import load_settings


class ModelFinder(QObject):
    """``find`` looks again; ``entries`` is what was found last and ``found`` says that it is new."""

    found = Signal(list)  # list[ModelEntry]

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.entries: list[ModelEntry] = []
        self._pool = QThreadPool(self)
        self._pool.setMaxThreadCount(1)
        self.found.connect(self._on_found)

    def find(self) -> None:
        """Starts a search, unless one is on."""
        if self._pool.activeThreadCount() == 0:
            self._pool.start(_Search(self))

    def stop(self) -> None:
        """Waits for the search before the window closes."""
        self._pool.waitForDone()

    def _on_found(self, entries: list[ModelEntry]) -> None:
        self.entries = entries


class _Search(QRunnable):
    def __init__(self, finder: ModelFinder) -> None:
        super().__init__()
        self._finder = finder

    def run(self) -> None:
        # Emitted from the pool's thread: Qt queues it for the finder's own.
        self._finder.found.emit(find_models(model_folders(load_settings())))
