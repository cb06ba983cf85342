"""What can be asked of the window in each state of a run, and where its topics, fields and signals lead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.core.config.spec import field_specs
from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.command import Park, Pause, Resume
from app.ui.form.store import form_store
from app.ui.run.session import RunSession, RunState
from app.ui.window.appearance import Appearance
from app.ui.window.kept_view import _bytes, _key
from app.ui.window.main_window import ENHANCED_TAB, SETUP_TAB, MainWindow
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.comparing import adapter_folder
from tests.ui.fake_worker import FakeWorker


@pytest.fixture
def window(qtbot: QtBot, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch) -> Iterator[MainWindow]:
    assert workers == []
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    found = MainWindow(form_store(), RunSession(), Appearance())
    qtbot.addWidget(found)
    found.show()
    yield found
    found.session._state = RunState.NONE  # a window that trains asks before it closes


ACTS = ("start", "pause", "park", "stop", "resume", "compare", "chat", "serve", "export", "reveal")


def allowed(window: MainWindow) -> str:
    """The entries of Run that are on."""
    return " ".join(name for name in ACTS if getattr(window.menu, name).isEnabled())


def test_the_menu_allows_what_the_state_of_the_run_does(
    qtbot: QtBot, window: MainWindow, workers: list[FakeWorker]
) -> None:
    menu, session, start = window.menu, window.session, window.setup_tab.start_bar
    start.set_problems([])
    start.set_checking(False)
    window._on_state()
    assert (allowed(window), start.button.isEnabled()) == ("start", True)
    run = session.start(TrainConfig(adapter_name="friendly", model="/m", data="/d"))
    assert (allowed(window), start.button.isEnabled()) == ("stop reveal", False)
    worker = workers[-1]
    worker.say(*synthetic_run.events(until=25, ending=""))
    assert (allowed(window), menu.pause.text()) == ("pause park stop reveal", "Pause")
    menu.pause.trigger()
    assert (worker.commands, allowed(window)) == ([Pause()], "stop reveal")
    worker.say(event.Paused(iteration=25))
    assert (allowed(window), menu.pause.text()) == ("pause park stop reveal", "Continue")
    menu.pause.trigger()
    assert worker.commands == [Pause(), Resume()]
    worker.say(*synthetic_run.events(until=50, ending=""))
    menu.park.trigger()
    assert worker.commands[-1] == Park()
    session.stop()
    assert allowed(window) == "reveal", "once is enough"
    adapter_folder(run.adapters, "/m")
    (run.state / "0000050").mkdir(parents=True)
    worker.end(event.Finished(reason="stopped", iteration=50))
    assert (allowed(window), menu.pause.text()) == ("start resume compare chat serve export reveal", "Pause")
    assert start.button.isEnabled()
    menu.resume.trigger()
    qtbot.waitUntil(lambda: session.is_live)
    assert allowed(window) == "stop reveal"
    workers[-1].end(event.Finished(reason="completed", iteration=600))


def test_help_leads_to_the_field_on_the_form_that_has_it(window: MainWindow) -> None:
    def shown() -> str:
        return window.tab_bar.tabText(window.tab_bar.currentIndex())

    window.explain_field()  # with the keyboard on the tabs
    assert child(window, QWidget, "help_dialog").isVisible()
    window.show_tab("Runs")
    window._show_topic("learning_rate")
    assert (shown(), window.focusWidget()) == (SETUP_TAB, window.setup_tab.fields["learning_rate"].editor)
    window._show_topic("train_mode")
    assert (shown(), window.focusWidget()) == (ENHANCED_TAB, window.enhanced_tab.methods.cards["sft"].button)
    window._show_topic("learning_rate")
    assert (shown(), window.focusWidget()) == (ENHANCED_TAB, window.enhanced_tab.fields["learning_rate"].editor)
    window._show_topic("targets")
    assert window.enhanced_tab.targets.chooser.isAncestorOf(window.focusWidget())
    window._show_topic("method.grpo")
    assert window.focusWidget() is window.enhanced_tab.methods.cards["grpo"].button
    label = field_specs()["beta"].label
    window._show_topic("beta")
    assert [one.text for one in window.messages.messages()] == [
        f"“{label}” is no field of the chosen method's form."
    ]
    window.show_tab(SETUP_TAB)
    window.forms.use(window.enhanced_store)
    window._show_setup("seed")
    assert (shown(), window.focusWidget()) == (ENHANCED_TAB, window.enhanced_tab.fields["seed"].editor)
    window.show_tab(SETUP_TAB)
    window._show_setup("")
    assert shown() == SETUP_TAB


def test_what_is_told_elsewhere_reaches_the_window(
    window: MainWindow, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("chat_run", "compare_run", "serve_run", "export_run"):
        monkeypatch.setattr(window.user_actions, name, lambda name=name: asked.append(name))
    monkeypatch.setattr(window, "reveal_run", lambda: asked.append("reveal_run"))
    for name in ("chat", "compare", "serve", "export", "reveal"):
        window._on_result(name)
    assert asked == ["chat_run", "compare_run", "serve_run", "export_run", "reveal_run"]
    window._on_remote()
    assert window._runs_tab is None, "it is made only when it is looked at"
    window._on_settings()
    window._on_names()
    assert (window._runs_tab, window._compare_tab) == (None, None)
    refreshed: list[int] = []
    monkeypatch.setattr(window.runs_tab, "refresh", lambda: refreshed.append(1))
    window._on_remote()
    assert refreshed == [1]
    assert not window.is_busy
    window.session._state = RunState.LOADING
    assert window.is_busy
    window.session._state = RunState.NONE
    assert child(window, QAction, "view.tab.0").data() == 0
    assert workers == []


@pytest.mark.parametrize(
    ("kept", "key"),
    [("Setup", "setup"), ("Erweitertes Setup", "enhanced"), ("Läufe", "runs"), ("compare", "compare"), (3, "3")],
)
def test_tabs_are_found_by_what_earlier_versions_called_them(kept: object, key: str) -> None:
    assert _key(kept) == key


def test_a_geometry_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    assert tmp_path.is_dir()
    assert [_bytes(text).data() for text in ("YWI=", "YWI", "", None, 7)] == [b"ab", b"", b"", b"", b""]
