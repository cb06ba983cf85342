"""The Trash: where runs go that are deleted, and out of which undo takes them again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QFile, QObject, QStandardPaths, Signal
from PySide6.QtGui import QUndoCommand, QUndoStack

from app.core.language import tr
from app.core.quantity import plural
from app.core.run.folder import RunDir
from app.ui.message.bar import Notice


@dataclass(frozen=True, slots=True)
class Trashed:
    """What was moved to the Trash: from where, and where it is now as far as the system says."""

    path: Path
    place: Path | None = None

    @property
    def can_be_taken_back(self) -> bool:
        return self.place is not None and self.place.exists() and not self.path.exists()


def take_back(gone: Trashed) -> bool:
    """Moves it out of the Trash, to where it was; False if that cannot be."""
    if gone.place is None or not gone.can_be_taken_back:
        return False
    try:
        gone.place.rename(gone.path)
    except OSError:
        return False
    with contextlib.suppress(OSError):  # Linux's note of where it was
        (gone.place.parent.parent / "info" / f"{gone.place.name}.trashinfo").unlink()
    return True


def move_to_trash(path: Path) -> Trashed | None:
    """What the system took into its Trash; None if it refused."""
    # On Linux Qt makes the Trash of a user who has none yet, but not the folder that it lies in.
    data = Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.GenericDataLocation))
    with contextlib.suppress(OSError):
        data.mkdir(parents=True, exist_ok=True)
    file = QFile(str(path))
    if not file.moveToTrash():
        return None
    place = Path(file.fileName())
    return Trashed(path, place if place != path else None)


class RunTrash(QObject):
    """Moves runs to the Trash, each time as a step of ``steps``, which undo takes back."""

    deleted = Signal(list)  # list[RunDir]
    brought_back = Signal(list)  # list[Path]
    noticed = Signal(object)  # Notice
    warned = Signal(str)

    def __init__(
        self,
        steps: QUndoStack,
        parent: QObject | None = None,
        *,
        move: Callable[[Path], Trashed | None] = move_to_trash,
    ) -> None:
        super().__init__(parent)
        self.move = move
        self._steps = steps

    def delete(self, runs: Sequence[RunDir]) -> None:
        """Moves them; one that is being trained by now stays, and so does what the system refuses."""
        self._steps.push(_Removal(self, runs))

    def move_all(self, runs: Sequence[RunDir]) -> list[Trashed]:
        """Moves what can be moved, tells of that and of the rest, and gives what undo can take back."""
        refused: list[str] = []
        moved = [(run, found) for run in runs if (found := self._moved(run, refused)) is not None]
        places = [found for _, found in moved]
        if moved:
            self.deleted.emit([run for run, _ in moved])
            said = tr("{runs} moved to the Trash.", runs=plural(len(moved), "run"))
            if not _can_be_taken_back(places):
                self.noticed.emit(Notice(said))
            else:
                holds = partial(_can_be_taken_back, places)
                self.noticed.emit(Notice(said, "info", tr("Undo"), partial(self._undo, places), holds))
        if refused:
            self.warned.emit("\n".join(refused))
        return places if _can_be_taken_back(places) else []

    def bring_back(self, gone: Sequence[Trashed]) -> None:
        """Takes runs out of the Trash again."""
        back = [one for one in gone if take_back(one)]
        if back:
            self.brought_back.emit([one.path for one in back])
        if lost := [one.path.name for one in gone if one not in back]:
            self.warned.emit(tr("{names} could not be taken out of the Trash.", names=", ".join(lost)))

    def _moved(self, run: RunDir, refused: list[str]) -> Trashed | None:
        if run.is_running():
            refused.append(tr("{name} is being trained. Stop it first.", name=run.name))
        elif run.is_elsewhere():
            said = tr(
                "{name} is on another machine, which would be lost sight of. Bring it here first.", name=run.name
            )
            refused.append(said)
        elif (found := self.move(run.path)) is not None:
            return found
        else:
            said = tr(
                "{name} could not be moved to the Trash. Delete {path} by hand.", name=run.name, path=run.path
            )
            refused.append(said)
        return None

    def _undo(self, places: Sequence[Trashed]) -> None:
        """What the message offers: the last step, if it is still that."""
        last = self._steps.command(self._steps.index() - 1) if self._steps.canUndo() else None
        if isinstance(last, _Removal) and last.places is places:
            self._steps.undo()
        else:
            self.bring_back(places)


class _Removal(QUndoCommand):
    """The step that moves runs to the Trash; none where nothing could be taken back."""

    def __init__(self, trash: RunTrash, runs: Sequence[RunDir]) -> None:
        super().__init__()
        self.places: list[Trashed] = []
        self._trash, self._runs = trash, list(runs)

    def redo(self) -> None:
        """Moves them."""
        self.places = self._trash.move_all(self._runs)
        self._runs = [RunDir(one.path) for one in self.places]
        self.setObsolete(not self.places)

    def undo(self) -> None:
        """Takes them back, but for those that somebody has taken back already."""
        gone = [one for one in self.places if not one.path.exists()]
        self._trash.bring_back(gone)
        self.setObsolete(not any(one.path.exists() for one in self.places))


def _can_be_taken_back(gone: Sequence[Trashed]) -> bool:
    return bool(gone) and all(one.can_be_taken_back for one in gone)
