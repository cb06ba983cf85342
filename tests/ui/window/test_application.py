"""The application around the window: a click on the Dock's icon brings a window back that only waits."""

from __future__ import annotations

import platform
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app import __version__
from app.core.system.setting import keep_settings
from app.ui.message.bar import MessageBar
from app.ui.window import application
from app.ui.window.main_window import MainWindow

ACTIVE, HIDDEN = Qt.ApplicationState.ApplicationActive, Qt.ApplicationState.ApplicationHidden


@pytest.mark.parametrize(
    "system, is_kept, state, comes",
    [
        ("darwin", True, ACTIVE, True),
        ("darwin", True, HIDDEN, False),
        ("darwin", False, ACTIVE, False),
        ("linux", True, ACTIVE, False),
    ],
)
def test_the_window_that_waits_comes_back_with_the_application(
    monkeypatch: pytest.MonkeyPatch, system: str, is_kept: bool, state: Qt.ApplicationState, comes: bool
) -> None:
    shown: list[object] = []
    monkeypatch.setattr(sys, "platform", system)
    monkeypatch.setattr(application, "bring_to_front", shown.append)
    window = cast("MainWindow", SimpleNamespace(is_kept=is_kept))
    application._come_back(window, state)
    assert shown == [window] * comes


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there always is one")
@pytest.mark.parametrize(
    ("there", "has_one"),
    [
        ({}, False),
        ({"DISPLAY": ":0"}, True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, True),
        ({"QT_QPA_PLATFORM": "minimal"}, True),
    ],
)
def test_a_display_is_what_one_of_three_variables_says(
    there: dict[str, str], has_one: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in there.items():
        monkeypatch.setenv(name, value)
    assert application._has_display() is has_one


@pytest.fixture
def messages(qtbot: QtBot) -> MessageBar:
    found = MessageBar()
    qtbot.addWidget(found)
    return found


def test_an_error_is_told_with_where_its_details_are_if_they_can_be_written(
    messages: MessageBar, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    presenter = application.ErrorPresenter(messages)
    report = home / "cache" / "last_error.txt"
    presenter.present(ValueError, ValueError("odd"), None)
    (told,) = messages.messages()
    said = f"Something went wrong in the window: ValueError: odd The details are in {report}."
    assert (told.text, told.kind) == (said, "error")
    head, *rest = report.read_text().splitlines()
    assert head == f"Luthier {__version__}, Python {platform.python_version()}, {sys.platform}"
    assert rest == ["ValueError: odd"]

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(application, "write_text", refuse)
    presenter.present(KeyError, KeyError("odd"), None)
    assert messages.messages()[0].text == "Something went wrong in the window: KeyError: 'odd'"


def test_ctrl_c_ends_the_program_and_is_no_error(messages: MessageBar, monkeypatch: pytest.MonkeyPatch) -> None:
    quits: list[bool] = []
    monkeypatch.setattr(QApplication, "quit", lambda: quits.append(True))
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    presenter = application.ErrorPresenter(messages)
    presenter.install()
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert (quits, messages.messages()) == ([True], [])


def test_a_newer_version_is_looked_for_only_where_that_is_wanted(
    messages: MessageBar, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Check:
        def __init__(self, _window: object) -> None:
            asked.append("made")

        def tell_news(self, there: object) -> None:
            assert there is messages
            asked.append("told there")

        def ask_if_wanted(self) -> None:
            asked.append("asked")

    monkeypatch.setattr("app.ui.settings.release_check.ReleaseCheck", Check)
    window = cast("MainWindow", SimpleNamespace(messages=messages))
    keep_settings(check_updates=False)
    application._look_for_release(window)
    assert asked == []
    keep_settings(check_updates=True)
    application._look_for_release(window)
    assert asked == ["made", "told there", "asked"]


def test_a_later_launch_brings_the_window_to_the_front_with_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[object] = []
    monkeypatch.setattr(application, "bring_to_front", done.append)
    window = cast("MainWindow", SimpleNamespace(user_actions=SimpleNamespace(take_files=done.append)))
    application._ask_again(window, ["a.yaml"])
    assert done == [window, ["a.yaml"]]
