"""Editing: what can be done now with whatever has the keyboard, be it a field, a text or a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from PySide6.QtGui import QGuiApplication, QKeySequence
from PySide6.QtWidgets import (
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QTextEdit,
    QWidget,
)

EDITS = ("undo", "redo", "cut", "copy", "paste", "delete", "selectAll")
EditActs = dict[str, Callable[[], object]]


def possible_edits(focused: QWidget | None) -> EditActs:
    """What of `EDITS` can be done now, and how. Steps are those of the field, else of the page that it is on."""
    if focused is None:
        return {}
    found = own_edits(focused)
    for page in _parents(focused):
        found = _steps_of(page) | found
    return found


def own_edits(focused: QWidget) -> EditActs:
    """What of `EDITS` the field itself can do now; what is typed into a form is among the steps of that."""
    found = _own_edits(_written_in(focused))
    if any(getattr(one, "is_of_form", False) for one in _parents(focused)):
        return {name: act for name, act in found.items() if name not in ("undo", "redo")}
    return found


def _own_edits(field: QWidget) -> EditActs:
    if isinstance(field, QLineEdit):
        return _of_line(field)
    if isinstance(field, (QTextEdit, QPlainTextEdit)):
        return _of_text(field)
    if isinstance(field, QLabel):
        return _of_label(field)
    return _of_table(field) if isinstance(field, QAbstractItemView) else _of_own_kind(field)


def _written_in(widget: QWidget) -> QWidget:
    """The field inside a box of numbers or choices that has its keyboard."""
    if isinstance(widget, (QAbstractSpinBox, QComboBox)):
        return widget.findChild(QLineEdit) or widget
    return widget


def _parents(widget: QWidget) -> Iterator[QWidget]:
    at: QWidget | None = widget
    while at is not None:
        yield at
        at = at.parentWidget()


def _allowed(**edits: tuple[bool, Callable[[], object]]) -> EditActs:
    return {name: act for name, (allowed, act) in edits.items() if allowed}


def _of_line(field: QLineEdit) -> EditActs:
    chosen, shown = field.hasSelectedText(), field.echoMode() == QLineEdit.EchoMode.Normal
    own = not field.isReadOnly() and field.isEnabled()
    return _allowed(
        undo=(own and field.isUndoAvailable(), field.undo),
        redo=(own and field.isRedoAvailable(), field.redo),
        cut=(own and chosen and shown, field.cut),
        copy=(chosen and shown, field.copy),
        paste=(own and bool(QGuiApplication.clipboard().text()), field.paste),
        delete=(own and chosen, field.del_),
        selectAll=(bool(field.text()), field.selectAll),
    )


def _of_text(field: QTextEdit | QPlainTextEdit) -> EditActs:
    chosen, own = field.textCursor().hasSelection(), not field.isReadOnly() and field.isEnabled()
    document = field.document()
    return _allowed(
        undo=(own and document.isUndoAvailable(), field.undo),
        redo=(own and document.isRedoAvailable(), field.redo),
        cut=(own and chosen, field.cut),
        copy=(chosen, field.copy),
        paste=(own and field.canPaste(), field.paste),
        delete=(own and chosen, lambda: field.textCursor().removeSelectedText()),
        selectAll=(not document.isEmpty(), field.selectAll),
    )


def _of_label(label: QLabel) -> EditActs:
    """A text to read: its selection is copied as plain text."""
    return _allowed(copy=(label.hasSelectedText(), lambda: _put(label.selectedText().replace("\u2029", "\n"))))


def _of_table(table: QAbstractItemView) -> EditActs:
    """Rows are copied as lines, their columns apart by tabs; they are deleted as by the table's own key for it."""
    chosen = table.selectionModel() is not None and table.selectionModel().hasSelection()
    several = table.selectionMode() not in (
        QAbstractItemView.SelectionMode.NoSelection,
        QAbstractItemView.SelectionMode.SingleSelection,
    )
    filled = table.model() is not None and table.model().rowCount(table.rootIndex()) > 0
    return _allowed(
        copy=(chosen, lambda: _put(rows_text(table))),
        selectAll=(several and filled, table.selectAll),
    ) | _deletion(table)


def _deletion(table: QAbstractItemView) -> EditActs:
    key = QKeySequence(QKeySequence.StandardKey.Delete)
    for action in table.actions():
        if key in action.shortcuts() and action.isEnabled():
            return {"delete": action.trigger}
    return {}


def rows_text(table: QAbstractItemView) -> str:
    """What is selected as people see it, row by row from the top."""
    cells = sorted((index.row(), index.column(), str(index.data() or "")) for index in table.selectedIndexes())
    rows = list(dict.fromkeys(row for row, _, _ in cells))
    return "\n".join("\t".join(text for at, _, text in cells if at == row) for row in rows)


def _of_own_kind(widget: QWidget) -> EditActs:
    """A widget of ours that has such methods."""
    found: EditActs = {}
    for name in EDITS[2:]:
        act = getattr(widget, name, None)
        if callable(act):
            found[name] = act
    return found


def _steps_of(page: QWidget) -> EditActs:
    """The steps of a page of ours that keeps them."""
    return _allowed(
        **{
            name: (bool(getattr(page, f"can_{name}", False)), getattr(page, name))
            for name in ("undo", "redo")
            if hasattr(page, f"can_{name}") and callable(getattr(page, name, None))
        }
    )


def _put(text: str) -> None:
    QGuiApplication.clipboard().setText(text)
