"""Renaming a run as a step that undo takes back."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtGui import QUndoCommand

from app.core.run.folder import RunDir


class Renaming(QUndoCommand):
    """Gives a run another name with ``rename``; an empty one is the adapter's own."""

    def __init__(self, rename: Callable[[RunDir, str], None], run: RunDir, before: str, after: str) -> None:
        super().__init__()
        self._rename, self._run, self._before, self._after = rename, run, before, after

    def redo(self) -> None:
        """The new name."""
        self._rename(self._run, self._after)

    def undo(self) -> None:
        """The one that it had."""
        self._rename(self._run, self._before)
