"""What can be done with whatever has the keyboard: each kind of it, with and without anything to do."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication, QKeySequence, QStandardItem, QStandardItemModel
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSpinBox,
    QTableView,
    QTextEdit,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.ui.menu.editing import possible_edits, rows_text


@pytest.fixture(autouse=True)
def clipboard() -> None:
    QGuiApplication.clipboard().setText("")


def copied() -> str:
    return QGuiApplication.clipboard().text()


def can(widget: QWidget | None) -> set[str]:
    return set(possible_edits(widget))


@pytest.mark.parametrize("kind", [QLineEdit, QPlainTextEdit, QTextEdit])
def test_a_field_is_cut_copied_pasted_deleted_and_undone(
    qtbot: QtBot, kind: type[QLineEdit | QPlainTextEdit | QTextEdit]
) -> None:
    field = kind()
    qtbot.addWidget(field)

    def text() -> str:
        return field.text() if isinstance(field, QLineEdit) else field.toPlainText()

    assert can(field) == set()
    QTest.keyClicks(field, "abc")
    assert can(field) == {"undo", "selectAll"}
    possible_edits(field)["selectAll"]()
    assert can(field) == {"undo", "selectAll", "cut", "copy", "delete"}
    possible_edits(field)["cut"]()
    assert (text(), copied()) == ("", "abc")
    possible_edits(field)["paste"]()
    assert text() == "abc"
    possible_edits(field)["selectAll"]()
    possible_edits(field)["delete"]()
    assert text() == ""
    possible_edits(field)["undo"]()
    assert text() == "abc"
    assert "redo" in can(field)
    possible_edits(field)["redo"]()
    assert text() == ""


def test_what_is_only_read_is_only_copied(qtbot: QtBot) -> None:
    field = QPlainTextEdit("log")
    qtbot.addWidget(field)
    field.setReadOnly(True)
    field.selectAll()
    QGuiApplication.clipboard().setText("other")
    assert can(field) == {"copy", "selectAll"}


@pytest.mark.parametrize("kind", [QLineEdit, QPlainTextEdit, QTextEdit])
def test_a_field_that_is_off_or_only_read_is_not_changed(
    qtbot: QtBot, kind: type[QLineEdit | QPlainTextEdit | QTextEdit]
) -> None:
    field = kind()
    qtbot.addWidget(field)
    QTest.keyClicks(field, "log")
    QGuiApplication.clipboard().setText("other")
    assert can(field) == {"undo", "paste", "selectAll"}
    field.selectAll()
    field.setEnabled(False)
    assert can(field) == {"copy", "selectAll"}
    field.setEnabled(True)
    field.undo()
    assert "redo" in can(field)
    field.setReadOnly(True)
    assert can(field) == set(), "there is nothing in it"


def test_a_widget_of_ours_says_itself_what_it_can(qtbot: QtBot) -> None:
    class Chart(QWidget):
        copy = delete = paste = None

        def selectAll(self) -> None:
            asked.append("all")

    asked: list[str] = []
    chart = Chart()
    qtbot.addWidget(chart)
    assert can(chart) == {"selectAll"}
    possible_edits(chart)["selectAll"]()
    assert asked == ["all"]


def test_a_password_is_not_copied(qtbot: QtBot) -> None:
    field = QLineEdit("secret")
    qtbot.addWidget(field)
    field.setEchoMode(QLineEdit.EchoMode.Password)
    field.selectAll()
    assert can(field) == {"delete", "selectAll"}


def test_boxes_edit_what_is_written_in_them(qtbot: QtBot) -> None:
    number, choice, fixed = QSpinBox(), QComboBox(), QComboBox()
    number.setValue(7)
    choice.setEditable(True)
    choice.setEditText("word")
    for box in (number, choice, fixed):
        qtbot.addWidget(box)
    for box in (number, choice):
        possible_edits(box)["selectAll"]()
        possible_edits(box)["copy"]()
    assert copied() == "word"
    assert can(fixed) == set()


def test_the_rows_of_a_table_are_copied_as_lines_and_deleted_by_its_own_action(qtbot: QtBot) -> None:
    model = QStandardItemModel(0, 2)
    for row in range(3):
        model.appendRow([QStandardItem(f"run {row}"), QStandardItem(f"0.{row}")])
    table = QTableView()
    qtbot.addWidget(table)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setModel(model)
    assert can(table) == {"selectAll"}
    deleted: list[int] = []
    delete = QAction(table)
    delete.setShortcut(QKeySequence(QKeySequence.StandardKey.Delete))
    delete.triggered.connect(lambda: deleted.append(1))
    table.addAction(delete)
    possible_edits(table)["selectAll"]()
    assert can(table) == {"selectAll", "copy", "delete"}
    possible_edits(table)["copy"]()
    assert copied() == "run 0\t0.0\nrun 1\t0.1\nrun 2\t0.2"
    possible_edits(table)["delete"]()
    assert deleted == [1]
    delete.setEnabled(False)
    assert "delete" not in can(table)
    for mode in (QAbstractItemView.SelectionMode.SingleSelection, QAbstractItemView.SelectionMode.NoSelection):
        table.setSelectionMode(mode)
        assert "selectAll" not in can(table)
    table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectItems)
    table.clearSelection()
    model.item(2, 0).setText("")
    chosen = table.selectionModel()
    for row, column in ((2, 1), (2, 0), (0, 1)):
        chosen.select(model.index(row, column), chosen.SelectionFlag.Select)
    assert rows_text(table) == "0.0\n\t0.2"
    model.removeRows(0, 3)
    assert can(table) == set()
    table.setModel(None)
    assert can(table) == set()


def test_a_text_to_read_is_copied(qtbot: QtBot) -> None:
    label = QLabel("an answer")
    qtbot.addWidget(label)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    assert can(label) == set()
    label.setSelection(3, 6)
    possible_edits(label)["copy"]()
    assert copied() == "answer"


class Page(QWidget):
    """A page that keeps steps of its own, as the data editor does."""

    can_undo, can_redo = True, False

    def __init__(self) -> None:
        super().__init__()
        self.undone = 0

    def undo(self) -> None:
        self.undone += 1

    def redo(self) -> None:
        raise AssertionError("there is nothing")


def test_steps_are_the_field_s_own_then_those_of_its_page(qtbot: QtBot) -> None:
    page = Page()
    qtbot.addWidget(page)
    field, button = QLineEdit(), QPushButton()
    layout = QVBoxLayout(page)
    layout.addWidget(field)
    layout.addWidget(button)
    assert can(button) == {"undo"}
    possible_edits(button)["undo"]()
    assert page.undone == 1
    QTest.keyClicks(field, "a")
    possible_edits(field)["undo"]()
    assert (page.undone, field.text()) == (1, "")


def test_nothing_has_the_keyboard(qtbot: QtBot) -> None:
    button = QPushButton()
    qtbot.addWidget(button)
    assert can(None) == can(button) == set()
