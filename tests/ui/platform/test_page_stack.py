"""The keyboard on a page that is shown: in its first field, never on a button that Space would press."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication, QRadioButton, QWidget
from pytestqt.qtbot import QtBot

from app.ui.form.store import ConfigStore
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
