"""The keys of undo and redo: a field's own steps first, then those of the form, as the Edit menu has them."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLineEdit, QMainWindow, QMenu, QPlainTextEdit, QSpinBox, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.ui.menu.edit_menu import EditMenu
from tests.ui.child import child

CTRL, SHIFT = Qt.KeyboardModifier.ControlModifier, Qt.KeyboardModifier.ShiftModifier


class FakeForm:
    """Tells what was asked of it."""

    can_undo = can_redo = True

    def __init__(self) -> None:
        self.asked: list[str] = []

    def undo(self) -> None:
        self.asked.append("undo")

    def redo(self) -> None:
        self.asked.append("redo")


@pytest.fixture
def form() -> FakeForm:
    return FakeForm()


@pytest.fixture
def fields(qtbot: QtBot, form: FakeForm) -> dict[str, QWidget]:
    window = QMainWindow()
    menu = EditMenu(window.menuBar().addMenu("Edit"), window)
    menu.set_form(lambda: form)
    page = QWidget()
    window.setCentralWidget(page)
    layout = QVBoxLayout(page)
    found = {
        "line": QLineEdit(page),
        "number": QSpinBox(page),
        "text": QPlainTextEdit(page),
        "other": QLineEdit(page),
    }
    for field in found.values():
        layout.addWidget(field)
    window.show()
    qtbot.addWidget(window)
    with qtbot.waitActive(window):
        window.activateWindow()
    return found


@pytest.mark.parametrize("name", ["line", "number", "text"])
def test_a_field_without_a_step_of_its_own_leaves_the_keys_to_the_form(
    fields: dict[str, QWidget], form: FakeForm, name: str
) -> None:
    fields["other"].setFocus()
    field = fields[name]
    field.setFocus()
    QTest.keyClick(field, Qt.Key.Key_Z, CTRL)
    QTest.keyClick(field, Qt.Key.Key_Z, CTRL | SHIFT)
    assert form.asked == ["undo", "redo"]


def test_entries_are_off_only_while_the_menu_shows_what_can_be_done(
    fields: dict[str, QWidget], form: FakeForm
) -> None:
    line = fields["line"]
    window = line.window()
    assert isinstance(window, QMainWindow)
    assert isinstance(line, QLineEdit)
    menu, actions = child(window, QMenu), {one.objectName(): one for one in window.findChildren(QAction)}
    QGuiApplication.clipboard().setText("")
    line.setFocus()
    menu.aboutToShow.emit()
    assert [name for name, one in actions.items() if name and one.isEnabled()] == ["edit.undo", "edit.redo"]
    form.can_undo = False
    menu.aboutToShow.emit()
    assert [name for name, one in actions.items() if name and one.isEnabled()] == ["edit.redo"]
    actions["edit.undo"].setEnabled(True)
    actions["edit.undo"].trigger()
    assert form.asked == [], "it cannot be done by now"
    menu.aboutToHide.emit()
    assert all(one.isEnabled() for one in actions.values()), "every key counts"
    QTest.keyClicks(line, "a")
    actions["edit.selectAll"].trigger()
    actions["edit.cut"].trigger()
    assert (line.text(), QGuiApplication.clipboard().text()) == ("", "a")


@pytest.mark.parametrize("name", ["line", "number", "text"])
def test_what_was_typed_is_undone_first(fields: dict[str, QWidget], form: FakeForm, name: str) -> None:
    field = fields[name]
    field.setFocus()
    QTest.keyClicks(field, "7")
    line = field.lineEdit() if isinstance(field, QSpinBox) else field
    assert isinstance(line, QLineEdit | QPlainTextEdit)
    written = line.text() if isinstance(line, QLineEdit) else line.toPlainText()
    assert "7" in written
    QTest.keyClick(field, Qt.Key.Key_Z, CTRL)
    assert form.asked == []
    assert "7" not in (line.text() if isinstance(line, QLineEdit) else line.toPlainText())
    QTest.keyClick(field, Qt.Key.Key_Z, CTRL)
    assert form.asked == ["undo"]
