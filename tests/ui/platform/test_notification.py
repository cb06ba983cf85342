"""What tells somebody who looks elsewhere: the tray, or the system's own program."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from PySide6.QtWidgets import QApplication, QWidget
from pytestqt.qtbot import QtBot

from app.ui.platform.notification import APPLE_SCRIPT, NOTICE_MS, notify

SENT = ("notify-send", ["--app-name=Luthier", "--", "Luthier", "It is done."])
ASKED = ("osascript", [*APPLE_SCRIPT, "It is done."])
TRAY = ("Luthier", "It is done.", NOTICE_MS)


@pytest.mark.parametrize(
    ("platform", "frozen", "tray", "has_program", "told"),
    [
        ("darwin", False, (True, True), True, [ASKED]),
        ("darwin", True, (True, True), True, [TRAY]),
        ("darwin", True, None, True, []),
        ("linux", False, (True, True), True, [TRAY]),
        ("linux", False, (False, True), True, [SENT]),
        ("linux", False, (True, False), True, [SENT]),
        ("linux", False, None, True, [SENT]),
        ("linux", False, None, False, []),
        ("win32", False, None, True, []),
    ],
)
def test_each_system_is_told_by_what_it_has(
    qtbot: QtBot, monkeypatch: pytest.MonkeyPatch, platform: str, frozen: bool, tray: tuple[bool, bool] | None,
    has_program: bool, told: list[object],
) -> None:  # fmt: skip
    window, said, alerted = QWidget(), list[object](), list[QWidget]()
    qtbot.addWidget(window)
    monkeypatch.setattr(QApplication, "alert", lambda one: alerted.append(one))
    found: Any = tray and SimpleNamespace(
        isVisible=lambda: tray[0],
        supportsMessages=lambda: tray[1],
        showMessage=lambda title, text, _icon, wait: said.append((title, text, wait)),
    )
    notify(
        "It is done.", window, found, platform=platform, frozen=frozen,
        start=lambda program, words: said.append((program, words)),
        which=lambda name: f"/usr/bin/{name}" if has_program else None,
    )  # fmt: skip
    assert (said, alerted) == (told, [window])
