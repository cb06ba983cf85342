"""What is done with all rows of a file at once: roles by their usual names, no repeats, another file's rows."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from app.core.data.edit import EditHistory, Survey
from app.core.data.format import FORMAT_LABELS
from app.core.data.message import ROLES, SPEAKERS
from app.core.language import tr
from app.core.quantity import plural
from app.ui.edit.row_source import RowSource
from app.ui.platform.file_panel import ask_file

ROLE_REPAIR, REPEAT_REPAIR = "roles", "repeats"


class AllRows(QPushButton):
    """A button with a menu over a `RowSource`, whose worker is asked what the file holds before an edit.

    ``asked`` comes first, to be followed by `take`: whose edits they are. ``answered(text)`` says what was done, in
    one step of the history, or why nothing.
    """

    asked = Signal()
    answered = Signal(str)

    def __init__(self, source: RowSource, parent: QWidget | None = None) -> None:
        super().__init__(tr("All rows"), parent)
        self.setObjectName("edit.all")
        self.setToolTip(tr("What is done with all rows at once"))
        self.setAutoDefault(False)
        self._source = source
        self._history, self._format = EditHistory(), ""
        self._waiting = ""  # a repair, or the name of a file to append
        menu = QMenu(self)
        menu.addAction(tr("Give roles their usual names"), self.put_roles_right).setObjectName("edit.roles")
        menu.addAction(tr("Drop repeated rows"), self.drop_repeats).setObjectName("edit.repeats")
        menu.addAction(tr("Append the rows of a file…"), self._on_append).setObjectName("edit.append")
        self.setMenu(menu)
        source.surveyed.connect(self._on_surveyed)

    def take(self, history: EditHistory, data_format: str) -> None:
        """Whose edits the next ones are, and the format of the data as they are read now ("" while unknown)."""
        self._history, self._format = history, data_format

    def repair(self, repair: str) -> None:
        """Does one of the repairs (`ROLE_REPAIR`, `REPEAT_REPAIR`)."""
        self._ask(repair)

    def put_roles_right(self) -> None:
        """Roles by another name get the usual one, in all rows."""
        self._ask(ROLE_REPAIR)

    def drop_repeats(self) -> None:
        """Of rows that train alike, the first stays."""
        self._ask(REPEAT_REPAIR)

    def append(self, file: Path) -> None:
        """The new file ends with the rows of another, which is read in the same way."""
        self._ask(str(file))

    def _ask(self, what: str) -> None:
        self._waiting = what
        self.asked.emit()
        file = self._source.file if what in (ROLE_REPAIR, REPEAT_REPAIR) else what
        self._source.survey(file, dict(self._history.edits.roles))

    def _on_append(self) -> None:
        folder = str(Path(self._source.file).parent)
        name = ask_file(self, tr("Append the rows of a file"), folder)
        if name:
            self.append(Path(name))

    def _on_surveyed(self, _file: str, found: Survey) -> None:
        waiting, self._waiting = self._waiting, ""
        if waiting == ROLE_REPAIR:
            said = self._name_roles(found)
        elif waiting == REPEAT_REPAIR:
            said = self._drop(found)
        elif waiting:
            said = self._append(Path(waiting), found)
        else:
            return
        self.answered.emit(said)

    def _name_roles(self, found: Survey) -> str:
        odd = {name: count for name, count in found.roles.items() if name not in ROLES}
        names = {name: SPEAKERS[name.strip().lower()] for name in odd if name.strip().lower() in SPEAKERS}
        left = [
            tr("“{name}” in {rows}", name=name, rows=plural(count, "row"))
            for name, count in odd.items()
            if name not in names
        ]
        told = tr("No known role: {left}. Change these rows, or drop them.", left=", ".join(left)) if left else ""
        if not names:
            return told or tr("All roles have their usual names.")
        self._history.step().roles |= names
        said = ", ".join(
            tr("“{old}” → “{new}” in {rows}", old=old, new=new, rows=plural(odd[old], "row"))
            for old, new in names.items()
        )
        return f"{said}. {told}".strip()

    def _drop(self, found: Survey) -> str:
        edits = self._history.edits
        fresh = [line for line in found.repeats if line not in edits.dropped and line not in edits.changed]
        if not fresh:
            return tr("No row repeats an earlier one.")
        edits = self._history.step()
        for line in fresh:
            edits.drop(line)
        return tr(
            "{repeated_rows} dropped; the first of each stays.", repeated_rows=plural(len(fresh), "repeated row")
        )

    def _append(self, file: Path, found: Survey) -> str:
        if not found.rows:
            return tr("{name} has no rows that can be read.", name=file.name)
        self._history.step().appended.append(file)
        said = tr("{rows} of {name} appended.", rows=plural(found.rows, "row"), name=file.name)
        if found.format and self._format and found.format != self._format:
            labels = {str(key): text for key, text in FORMAT_LABELS.items()}
            theirs, ours = (labels.get(name, name) for name in (found.format, self._format))
            said += tr(
                " They are {theirs}, the others {ours}: the check will tell what becomes of them.",
                theirs=theirs,
                ours=ours,
            )
        return said
