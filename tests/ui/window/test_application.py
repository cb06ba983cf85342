"""The application around the window: a click on the Dock's icon brings a window back that only waits."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import cast

import pytest
from PySide6.QtCore import Qt

from app.ui.window import application
from app.ui.window.main_window import MainWindow

ACTIVE, HIDDEN = Qt.ApplicationState.ApplicationActive, Qt.ApplicationState.ApplicationHidden


@pytest.mark.parametrize(
    "platform, is_kept, state, comes",
    [
        ("darwin", True, ACTIVE, True),
        ("darwin", True, HIDDEN, False),
        ("darwin", False, ACTIVE, False),
        ("linux", True, ACTIVE, False),
    ],
)
def test_the_window_that_waits_comes_back_with_the_application(
    monkeypatch: pytest.MonkeyPatch, platform: str, is_kept: bool, state: Qt.ApplicationState, comes: bool
) -> None:
    shown: list[object] = []
    monkeypatch.setattr(sys, "platform", platform)
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
