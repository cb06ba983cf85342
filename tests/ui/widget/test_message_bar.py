"""The message bar: what the user is told stays readable, can be acted on, and goes away."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton, QToolButton
from pytestqt.qtbot import QtBot

from app.ui.widget import message_bar, theme
from app.ui.widget.message_bar import Banner, MessageBar, Notice
from tests.ui.child import child


@pytest.fixture
def bar(qtbot: QtBot) -> MessageBar:
    found = MessageBar()
    qtbot.addWidget(found)
    return found


def test_it_takes_no_room_until_there_is_something_to_say(bar: MessageBar) -> None:
    assert not bar.isVisible()
    bar.tell(Notice("Saved."))
    assert bar.isVisible()
    QTest.mouseClick(child(bar, QToolButton, "message.close"), Qt.MouseButton.LeftButton)
    assert not bar.isVisible()


def test_the_newest_stands_first_and_the_oldest_goes(bar: MessageBar) -> None:
    for number in range(5):
        bar.tell(Notice(f"message {number}", "error"))
    assert [m.text for m in bar.messages()] == ["message 4", "message 3", "message 2"]
    bar.tell(Notice("message 3", "error"))
    assert [m.text for m in bar.messages()] == ["message 3", "message 4", "message 2"]


def test_an_action_is_done_once_and_ends_its_message(bar: MessageBar) -> None:
    done: list[str] = []
    bar.tell(Notice("Reset.", "info", "Undo", lambda: done.append("undone")))
    QTest.mouseClick(child(bar, QPushButton, "message.action"), Qt.MouseButton.LeftButton)
    assert done == ["undone"]
    assert bar.messages() == []


def test_an_information_goes_by_itself_and_an_error_stays(
    qtbot: QtBot, bar: MessageBar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(message_bar.LIFETIME_MS, "info", 20)
    bar.tell(Notice("It failed.", "error"))
    bar.tell(Notice("Saved."))
    qtbot.waitUntil(lambda: [m.text for m in bar.messages()] == ["It failed."])


def test_escape_takes_the_newest_away_and_the_theme_is_followed(bar: MessageBar) -> None:
    bar.tell(Notice("It failed.", "error"))
    theme.apply_theme("dark")
    assert child(bar, Banner).property("role") == "banner-error"
    QTest.keyClick(bar, Qt.Key.Key_Escape)
    assert bar.messages() == []


def test_a_long_message_is_shortened_and_whole_in_its_tip(bar: MessageBar) -> None:
    text = "\n".join(f"problem {number}" for number in range(9))
    bar.tell(Notice(text, "error"))
    label = child(child(bar, Banner), QLabel, "message.text")
    assert label.text().splitlines()[-1] == "…"
    assert label.toolTip() == text
