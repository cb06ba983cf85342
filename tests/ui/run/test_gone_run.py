"""A run whose folder is gone: it is not shown as if it were there, and nothing is made in its place."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.run.folder import RunDir, runs_dir
from app.ui.form.store import ConfigStore
from app.ui.message.bar import Notice
from app.ui.run.session import RunSession, RunState
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import RUNS_TAB, MainWindow
from tests.ui import synthetic_run
from tests.ui.comparing import adapter_folder
from tests.ui.fake_worker import FakeWorker


@pytest.fixture
def window(qtbot: QtBot, workers: list[FakeWorker]) -> MainWindow:
    assert workers == []
    found = MainWindow(ConfigStore(), RunSession(), Appearance())
    found.show()
    qtbot.addWidget(found)
    return found


@pytest.fixture
def run(qtbot: QtBot, window: MainWindow) -> RunDir:
    """A run that has ended and is shown."""
    found = synthetic_run.run_folder(runs_dir())
    adapter_folder(found.adapters, "/m")
    window.user_actions.open_run(found.path)
    qtbot.waitUntil(lambda: window.session.state is RunState.COMPLETED)
    return found


def test_a_run_in_the_trash_leaves_the_panel_and_undo_shows_it_again(
    qtbot: QtBot, window: MainWindow, run: RunDir, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "trash"))
    window.show_tab(RUNS_TAB)
    other = synthetic_run.run_folder(runs_dir())
    window.runs_tab.bar.trash.delete([other])
    assert window.session.run == RunDir(run.path.resolve()), "another one went"
    window.runs_tab.bar.trash.delete([run])
    assert (window.session.state, window.session.name) == (RunState.NONE, "")
    assert str(window.session.run) == "None"
    for act in (window.menu.compare, window.menu.chat, window.menu.serve, window.menu.export, window.menu.resume):
        assert not act.isEnabled()
    window.runs_tab.undo()
    qtbot.waitUntil(lambda: window.session.state is RunState.COMPLETED)
    assert window.session.run == RunDir(run.path.resolve())


@pytest.mark.parametrize(
    "act",
    [
        lambda one: one.user_actions.compare_run(),
        lambda one: one.user_actions.export_run(),
        lambda one: one.user_actions.chat_run(),
        lambda one: one.user_actions.serve_run(),
        lambda one: one.user_actions.extend_run(900),
    ],
    ids=["compare", "export", "chat", "serve", "extend"],
)
def test_a_folder_that_somebody_took_away_is_told_and_not_made_again(
    window: MainWindow, run: RunDir, act: Callable[[MainWindow], None]
) -> None:
    told: list[Notice] = []
    window.user_actions.told.connect(told.append)
    name = window.session.name
    shutil.rmtree(run.path)
    act(window)
    assert [(one.text, one.kind) for one in told] == [
        (f"{name} is no longer there: {run.path.resolve()} was moved or deleted.", "error")
    ]
    assert window.session.state is RunState.NONE
    assert not run.path.exists()
