"""The keyboard on a page that is shown: in its first field, never on a button that Space would press."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication, QLineEdit, QRadioButton, QWidget
from pytestqt.qtbot import QtBot

from app.ui.form.store import ConfigStore
from app.ui.platform.page_stack import PageStack
from app.ui.run.session import RunSession
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import COMPARE_TAB, ENHANCED_TAB, RUNS_TAB, SETUP_TAB, MainWindow
from tests.ui.child import child


@pytest.fixture
def window(qtbot: QtBot) -> MainWindow:
    window = MainWindow(ConfigStore(), RunSession(), Appearance())
    qtbot.addWidget(window)
    with qtbot.waitExposed(window):
        window.show()
    window.activateWindow()
    return window


def focused() -> str:
    at = QApplication.focusWidget()
    assert at is not None
    return at.objectName()


def test_a_page_begins_in_its_first_field_and_keeps_the_place(window: MainWindow) -> None:
    child(window.setup_tab, QWidget, "data").setFocus()
    window.show_tab(COMPARE_TAB)
    assert focused() == "compare.prompt"
    window.show_tab(RUNS_TAB)
    assert focused() == "runs.search"
    window.show_tab(SETUP_TAB)
    assert focused() == "data"
    window.show_tab(ENHANCED_TAB)
    chosen = QApplication.focusWidget()
    assert isinstance(chosen, QRadioButton)
    assert (chosen.objectName(), chosen.isChecked()) == ("method.sft", True)


def test_the_first_page_too(window: MainWindow) -> None:
    window.show_tab(RUNS_TAB)
    child(window.runs_tab, QWidget, "runs.search").setFocus()
    window.show_tab(SETUP_TAB)
    assert focused() == "model"


def test_on_the_tab_bar_it_stays(window: MainWindow) -> None:
    window.tab_bar.setFocus()
    for name in (RUNS_TAB, COMPARE_TAB, SETUP_TAB):
        window.show_tab(name)
        assert QApplication.focusWidget() is window.tab_bar


def test_the_keyboard_goes_to_what_can_take_it(qtbot: QtBot) -> None:
    top = QWidget()
    qtbot.addWidget(top)
    stack = PageStack(top)
    pages = [QWidget(stack) for _ in range(3)]
    fields = [QLineEdit(page) for page in pages]
    buttons = [QRadioButton(pages[2]) for _ in range(2)]
    for page in pages:
        stack.addWidget(page)
    for number, button in enumerate(buttons):
        button.setObjectName(f"way.{number}")
    stack.set_first({pages[1]: "nowhere", pages[2]: r"way\.\d"})
    top.show()
    with qtbot.waitActive(top):
        top.activateWindow()
    fields[0].setFocus()
    stack.setCurrentIndex(7)
    assert (stack.currentIndex(), fields[0].hasFocus()) == (0, True), "there is none"
    stack.setCurrentIndex(1)
    assert stack.currentWidget() is pages[1], "it has no such field"
    stack.setCurrentIndex(0)
    fields[0].setFocus()
    buttons[1].setChecked(True)
    stack.setCurrentWidget(pages[2])
    assert buttons[1].hasFocus(), "of the buttons the one that is on"
    fields[2].setFocus()
    stack.setCurrentIndex(0)
    assert fields[0].hasFocus()
    fields[2].setEnabled(False)
    stack.setCurrentIndex(2)
    assert buttons[1].hasFocus(), "what is off takes no keyboard"
