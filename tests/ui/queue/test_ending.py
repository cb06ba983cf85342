"""The end of the queue: nothing happens, somebody is told, or the computer sleeps, unless it cannot."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton, QSystemTrayIcon, QWidget
from pytestqt.qtbot import QtBot

from app.core.power.sleep import Sleeper
from app.core.queue.queue import QueueTally
from app.ui.message.bar import Notice
from app.ui.queue import ending
from app.ui.queue.ending import QueueEnding, SleepCountdown
from tests.ui.child import child
from tests.ui.queue.room import Room

FOUND = QueueTally(done=2, failed=1)


@pytest.fixture
def window(qtbot: QtBot) -> QWidget:
    found = QWidget()
    qtbot.addWidget(found)
    return found


def told_by(found: QueueEnding) -> list[Notice]:
    told: list[Notice] = []
    found.told.connect(told.append)
    return told


@pytest.mark.qt_log_ignore("QSystemTrayIcon::setVisible", "No such signal")  # of a screen without a tray
def test_who_looks_elsewhere_is_told_by_the_system(
    room: Room, window: QWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[Any, ...]] = []
    there = False
    monkeypatch.setattr(ending, "notify", lambda *given: said.append((*given, given[2].isVisible())))
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", lambda: there)
    monkeypatch.setattr(ending, "NOTICE_MS", 0)
    found = QueueEnding(room.queue, window, sleeper=Sleeper(("true",)))
    told = told_by(found)
    room.queue.ended.emit(FOUND)
    assert said == [], "nothing was chosen"
    room.queue.set_when_done("notify")
    room.queue.ended.emit(FOUND)
    there = True
    room.queue.ended.emit(FOUND)
    tray = found._tray
    assert tray is not None
    text = "The queue is at its end: 2 done, 1 failed."
    assert said == [(text, window, tray, False), (text, window, tray, True)]
    QTest.qWait(0)
    assert not tray.isVisible(), "it is there for the message alone"
    assert (told, found.countdown) == ([], None)


def test_a_computer_that_cannot_sleep_stays_awake_and_that_is_said(room: Room, window: QWidget) -> None:
    found = QueueEnding(room.queue, window, sleeper=Sleeper(obstacle="This Mac has no pmset."))
    told = told_by(found)
    room.queue.set_when_done("sleep")
    room.queue.ended.emit(FOUND)
    assert told == [Notice("The computer stays awake. This Mac has no pmset.", "warning")]
    assert found.countdown is None
    found.sleeper = Sleeper(("false",))
    room.queue.ended.emit(FOUND)
    assert found.countdown is not None
    found.countdown._sleep_now()
    assert told[1:] == [Notice("The computer did not go to sleep: exit code 1.", "warning")]
    found.sleeper = Sleeper(("true",))
    room.queue.ended.emit(FOUND)
    found.countdown._sleep_now()
    assert len(told) == 2


def test_the_countdown_counts_seconds_and_its_first_button_keeps_the_computer_awake(
    window: QWidget,
) -> None:
    slept: list[int] = []
    found = SleepCountdown(lambda: slept.append(1), window)
    found.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    found.show()
    text = child(found, QLabel, "sleep_countdown.text")
    assert text.text() == "The computer goes to sleep in 60\u00a0s"
    assert (found._timer.interval(), found._timer.isActive()) == (1000, True)
    stay, now = (child(found, QPushButton, f"sleep_countdown.{name}") for name in ("cancel", "now"))
    assert (stay.text(), stay.isDefault(), stay.property("kind")) == ("Cancel", True, "primary")
    assert (now.text(), now.isDefault(), now.property("kind")) == ("Sleep now", False, None)
    assert (found.focusWidget(), stay.toolTip()) == (stay, "Keep the computer awake")
    found._timer.timeout.emit()
    assert text.text() == "The computer goes to sleep in 59\u00a0s"
    QTest.keyClick(found, Qt.Key.Key_Escape)
    assert (found.isVisible(), found._timer.isActive(), slept) == (False, False, [])
    again = SleepCountdown(lambda: slept.append(1), window, seconds=1)
    again.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose, False)
    again.show()
    again._timer.timeout.emit()
    assert (again.isVisible(), again._timer.isActive(), slept) == (False, False, [1])
