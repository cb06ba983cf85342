"""Welcome: the three doors of a first launch, with real workers on the starter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.core.run.folder import runs_dir
from app.core.setup.config_file import save_config
from app.core.setup.default import starter_values
from app.core.system import starter
from app.core.system.setting import load_settings, save_settings
from app.ui.form.store import form_store
from app.ui.run.session import RunSession
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import ENHANCED_TAB, SETUP_TAB, MainWindow
from app.ui.window.welcome import WELCOMED, WelcomePage
from tests.ui import synthetic_run
from tests.ui.child import child

WAIT_MS = 60_000


@pytest.fixture
def window(qtbot: QtBot) -> Iterator[MainWindow]:
    found = MainWindow(form_store(), RunSession(), Appearance())
    qtbot.addWidget(found)
    found.resize(1100, 700)
    found.welcome.offer()
    found.show()
    yield found
    found.dispose()


def page(window: MainWindow) -> WelcomePage:
    assert window.welcome.page is not None
    return window.welcome.page


def is_gone(window: MainWindow) -> bool:
    return not page(window).isVisible() and load_settings().window.get(WELCOMED) is True


def press(qtbot: QtBot, widget: object) -> None:
    qtbot.keyClick(widget, Qt.Key.Key_Space)


def test_it_is_offered_once_and_help_shows_it_again(window: MainWindow, qtbot: QtBot) -> None:
    assert page(window).isVisible()
    assert not window.setup_tab.isVisible()
    assert window.focusWidget() is page(window).starter_button
    qtbot.keyClick(page(window).starter_button, Qt.Key.Key_Escape)
    assert is_gone(window)
    assert window.setup_tab.isVisible()
    assert not window.welcome.is_first_launch
    window.show_tab(ENHANCED_TAB)
    child(window, QAction, "help.welcome").trigger()
    assert page(window).isVisible()
    assert window.tab_bar.tabText(window.tab_bar.currentIndex()) == SETUP_TAB
    press(qtbot, page(window).close_button)
    assert is_gone(window)


def test_tab_leads_from_door_to_door(window: MainWindow, qtbot: QtBot) -> None:
    doors = page(window)
    for expected in (doors.own_button, doors.config_button, doors.close_button):
        focused = window.focusWidget()
        assert focused is not None
        qtbot.keyClick(focused, Qt.Key.Key_Tab)
        assert window.focusWidget() is expected


def test_who_has_used_luthier_before_is_not_welcomed(window: MainWindow, tmp_path: Path) -> None:
    window.welcome.leave()
    save_settings(load_settings().model_copy(update={"window": {}}))
    assert window.welcome.is_first_launch
    for kind in ("recent_models", "recent_data", "recent_configs"):
        save_settings(load_settings().model_copy(update={kind: ("/m",)}))
        assert not window.welcome.is_first_launch
        save_settings(load_settings().model_copy(update={kind: ()}))
    for path in ("data", "model"):
        window.store.set(path, "/d")
        assert not window.welcome.is_first_launch
        window.store.set(path, "")
    assert window.welcome.is_first_launch
    run = synthetic_run.run_folder(runs_dir())
    assert not window.welcome.is_first_launch
    run.path.rename(tmp_path / "elsewhere")
    window.session.open(tmp_path / "elsewhere")
    assert not window.welcome.is_first_launch, "a run is shown"


def test_the_starter_is_set_and_start_has_the_keyboard(window: MainWindow, qtbot: QtBot) -> None:
    press(qtbot, page(window).starter_button)
    assert is_gone(window)
    config = window.store.config
    assert Path(config.model) == starter.model_dir()
    assert Path(config.data) == starter.examples_dir()
    told = [one.text for one in window.messages.messages()]
    assert len(told) == 1
    assert told[0].startswith("The starter is set: ")
    assert "settings that suit it" in told[0]
    brought = starter_values("model", config) | starter_values("data", config)
    assert {path: config.value(path) for path in brought} == brought
    button = window.setup_tab.start_bar.button
    qtbot.waitUntil(lambda: button.isEnabled() and window.focusWidget() is button, timeout=WAIT_MS)
    assert window.session.run is None  # a person starts it


def test_the_guide_leads_from_model_to_start(window: MainWindow, qtbot: QtBot) -> None:
    press(qtbot, page(window).own_button)
    guide, tab = window.welcome.guide, window.setup_tab
    assert guide is not None
    assert guide.step == "model"

    def steps() -> list[tuple[str, bool, str]]:
        return [(one.text(), one.isEnabled(), str(one.property("kind") or "")) for one in guide.buttons.values()]

    assert steps() == [
        ("1  Model", True, ""), ("2  Data", False, "quiet"), ("3  What the model will see", False, "quiet"),
        ("4  Start", False, "quiet"),
    ]  # fmt: skip
    assert guide.line.text() == "Choose a model, or drop its folder on the card."
    assert tab.model_panel.field.isAncestorOf(window.focusWidget())
    assert not guide.buttons["data"].isEnabled()
    tab.store.choose("model", str(starter.model_dir()))
    qtbot.waitUntil(lambda: tab.data_panel.fields["data"].isAncestorOf(window.focusWidget()), timeout=WAIT_MS)
    assert guide.buttons["model"].text() == "✓ Model"
    tab.store.choose("data", str(starter.examples_dir()))
    qtbot.waitUntil(lambda: window.focusWidget() is tab.data_panel.look_button, timeout=WAIT_MS)
    press(qtbot, guide.buttons["look"])
    assert tab.data_panel.dialog is not None
    assert tab.data_panel.dialog.isVisible()
    tab.data_panel.dialog.close()
    assert guide.step == "start"
    assert steps() == [
        ("✓ Model", True, "quiet"), ("✓ Data", True, "quiet"), ("✓ What the model will see", True, "quiet"),
        ("4  Start", True, ""),
    ]  # fmt: skip
    assert guide.line.text() == "All is set. Press Start; every value can still be changed."
    guide.buttons["model"].click()
    assert tab.model_panel.field.isAncestorOf(window.focusWidget())
    qtbot.waitUntil(tab.start_bar.button.isEnabled, timeout=WAIT_MS)
    guide.go("start")
    assert window.focusWidget() is tab.start_bar.button
    press(qtbot, guide.end_button)
    assert not guide.isVisible()


def test_a_config_is_opened(
    window: MainWindow, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "one.yaml"
    save_config(window.store.config.with_value("iters", 77), file)
    chosen = iter(["", str(file)])
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (next(chosen), ""))
    press(qtbot, page(window).config_button)
    assert page(window).isVisible()  # nothing was chosen
    press(qtbot, page(window).config_button)
    assert is_gone(window)
    assert window.store.config.iters == 77
