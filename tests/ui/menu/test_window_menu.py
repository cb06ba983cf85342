"""The menus of the window: what was open lately, and the pages that Help leads to."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import QAction, QDesktopServices
from PySide6.QtWidgets import QMainWindow, QMenu
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.run.folder import prepare_run
from app.core.run.note import RunNote, save_note
from app.core.system.setting import keep_settings
from app.ui.menu.window_menu import WindowMenu
from tests.ui.child import child


@pytest.fixture
def menus(qtbot: QtBot) -> WindowMenu:
    window = QMainWindow()
    qtbot.addWidget(window)
    return WindowMenu(window, ("Setup", "Runs"))


def recent(menus: WindowMenu) -> list[QAction]:
    """What Open Recent lists when it opens, without the line between."""
    menu = next(one for one in menus._window.findChildren(QMenu) if one.title() == "Open Recent")
    menu.aboutToShow.emit()
    return [one for one in menu.actions() if not one.isSeparator()]


def test_configs_and_the_six_newest_runs_are_opened_again(menus: WindowMenu, home: Path, tmp_path: Path) -> None:
    kept = [tmp_path / "one.yaml", tmp_path / "you & me.yaml"]
    for path in kept:
        path.write_text("")
    keep_settings(recent_configs=(str(kept[0]), str(tmp_path / "gone.yaml"), str(tmp_path), str(kept[1])))
    runs = [prepare_run(TrainConfig(), home / "data" / "runs" / f"2026010{day}-120000-lute") for day in range(1, 8)]
    save_note(runs[6], RunNote(name="Salt & pepper"))
    found = recent(menus)
    assert [one.text() for one in found[:3]] == ["one.yaml", "you && me.yaml", "Salt && pepper"]
    assert found[1].toolTip() == str(kept[1])
    opened: list[tuple[str, Path]] = []
    menus.recent_config.connect(lambda path: opened.append(("config", path)))
    menus.recent_run.connect(lambda path: opened.append(("run", path)))
    for one in found:
        one.trigger()
    newest = [run.path for run in reversed(runs[1:])]
    assert opened == [*(("config", path) for path in kept), *(("run", path) for path in newest)]
    assert len(recent(menus)) == 8, "it is filled anew each time"


def test_where_nothing_was_opened_the_menu_says_so(menus: WindowMenu, home: Path) -> None:
    assert [(one.text(), one.isEnabled()) for one in recent(menus)] == [("Nothing Yet", False)]
    prepare_run(TrainConfig(), home / "data" / "runs" / "20260101-120000-lute")
    assert [one.isEnabled() for one in recent(menus)] == [True]


def test_help_leads_to_the_pages_it_names(menus: WindowMenu, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(QUrl(url).toString()))
    for name in ("lora", "mlx_lm", "data"):
        child(menus._window, QAction, f"help.{name}").trigger()
    guide = "https://github.com/ml-explore/mlx-lm/blob/main/mlx_lm/LORA.md"
    assert opened == ["https://thinkingmachines.ai/blog/lora/", guide, f"{guide}#Data"]
