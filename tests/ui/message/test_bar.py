"""The message bar: what the user is told stays readable, can be acted on, and goes away."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from app.ui.message import bar as message_bar
from app.ui.message.bar import Banner, MessageBar, Notice
from app.ui.widget import theme
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


def test_the_newest_stands_first_and_errors_wait_for_their_turn(bar: MessageBar) -> None:
    for number in range(5):
        bar.tell(Notice(f"message {number}", "error"))
    assert [m.text for m in bar.messages()] == ["message 4", "message 3", "message 2"]
    assert [one.text() for one in bar.findChildren(QLabel, "message.waiting") if one.isVisible()] == ["+ 2 more"]
    bar.tell(Notice("message 3", "error"))
    assert [m.text for m in bar.messages()] == ["message 3", "message 4", "message 2"]
    for _ in range(3):
        QTest.keyClick(bar, Qt.Key.Key_Escape)
    assert [m.text for m in bar.messages()] == ["message 1", "message 0"]


def test_news_beyond_three_goes_the_oldest_first(bar: MessageBar) -> None:
    bar.tell(Notice("It failed.", "error"))
    for number in range(5):
        bar.tell(Notice(f"message {number}", "good"))
    for _ in range(3):
        QTest.keyClick(bar, Qt.Key.Key_Escape)
    assert [m.text for m in bar.messages()] == ["It failed."]


@pytest.fixture
def page(qtbot: QtBot) -> QWidget:
    """A page with a button just where banners appear."""
    found = QWidget()
    found.resize(600, 400)
    host = QWidget(found)
    host.setObjectName("host")
    host.setGeometry(20, 30, 500, 300)
    below = QPushButton("Stop", host)
    below.setObjectName("below")
    below.setGeometry(0, 0, 500, 60)
    over = MessageBar(found)
    over.lie_over(host)
    qtbot.addWidget(found)
    found.show()
    return found


def test_it_lies_over_the_page_and_shifts_nothing(page: QWidget) -> None:
    over, below = child(page, MessageBar), child(page, QPushButton, "below")
    before = below.mapTo(page, below.rect().topLeft())
    over.tell(Notice("One.\nTwo.", "error"))
    assert below.mapTo(page, below.rect().topLeft()) == before
    assert over.geometry().left() == 20
    assert over.width() == 500
    assert over.geometry().bottom() == 30 + 300 - 1
    assert over.height() >= child(over, Banner).sizeHint().height()
    child(page, QWidget, "host").resize(300, 200)
    assert over.width() == 300


def test_the_second_click_on_its_cross_hits_nothing(page: QWidget, monkeypatch: pytest.MonkeyPatch) -> None:
    over, below = child(page, MessageBar), child(page, QPushButton, "below")
    stopped: list[bool] = []
    below.clicked.connect(stopped.append)
    over.tell(Notice("It failed.", "error"))
    monkeypatch.setattr(Banner, "underMouse", lambda _self: True)  # offscreen there is no pointer
    close = child(over, QToolButton, "message.close")
    at = close.mapTo(page, close.rect().center())
    QTest.mouseClick(close, Qt.MouseButton.LeftButton)
    assert not over.isVisible()
    hit = page.childAt(at)
    assert hit is not None
    assert hit.objectName() == "message.shield"
    QTest.mouseClick(hit, Qt.MouseButton.LeftButton)
    assert stopped == []


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


def test_three_long_messages_fit_into_the_smallest_window(page: QWidget) -> None:
    page.resize(640, 620)
    child(page, QWidget, "host").setGeometry(0, 0, 640, 600)
    bar = child(page, MessageBar)
    for word in ("one", "two", "three"):
        bar.tell(Notice(f"{word} " + "is a word of a long message " * 200, "error"))
    assert bar.geometry().bottom() <= page.height()
    text = child(bar, QLabel, "message.text")
    assert text.text().endswith(" …")
    assert text.toolTip().count("is a word") == 200


def test_a_long_line_is_shown_whole(page: QWidget) -> None:
    over = child(page, MessageBar)
    over.tell(Notice("The disk is full. " * 20, "error", "Resume", lambda: None))
    label = child(child(over, Banner), QLabel, "message.text")
    QApplication.processEvents()
    assert label.height() >= label.heightForWidth(label.width()) > label.fontMetrics().height() * 3


def test_titles_and_what_is_needed_next_stay_in_sight(page: QWidget) -> None:
    """It grows upwards from above what its host keeps free, in the corner."""
    host, bar = child(page, QWidget, "host"), child(page, MessageBar)
    host.setGeometry(20, 30, 2000, 300)
    bar.lie_over(host, lambda: 50)
    bar.tell(Notice("One."))
    low = bar.geometry()
    bar.tell(Notice("Two.", "error"))
    assert bar.geometry().bottom() == low.bottom() == 30 + 300 - 50 - 1
    assert bar.geometry().top() < low.top()
    assert bar.geometry().right() == host.geometry().right()
    assert bar.geometry().left() > host.geometry().left()


def test_what_is_true_no_longer_goes(bar: MessageBar) -> None:
    trains = [True]
    bar.tell(Notice("A run is training.", "warning", holds=lambda: trains[0]))
    bar.tell(Notice("It failed.", "error"))
    bar.look()
    assert [m.text for m in bar.messages()] == ["It failed.", "A run is training."]
    trains.clear()
    trains.append(False)
    bar.look()
    assert [m.text for m in bar.messages()] == ["It failed."]


def test_of_one_thing_only_the_newest_is_told(bar: MessageBar) -> None:
    bar.tell(Notice("It cannot start: no model.", "error", about="start"))
    bar.tell(Notice("It cannot start: no data.", "error", about="start"))
    assert [m.text for m in bar.messages()] == ["It cannot start: no data."]


def test_a_click_beside_it_takes_away_what_was_read_and_does_not_last(
    page: QWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    bar, below = child(page, MessageBar), child(page, QPushButton, "below")
    hits: list[str] = []
    below.clicked.connect(lambda: hits.append("hit"))
    for notice in (
        Notice("It failed.", "error"),
        Notice("Not while a run trains.", "warning", passes=True),
        Notice("Saved."),
    ):
        bar.tell(notice)
    window = page.windowHandle()
    QTest.mouseClick(window, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, bar.geometry().center())
    for wait_s, left in ((60.0, ["Saved.", "Not while a run trains.", "It failed."]), (0.0, ["It failed."])):
        for kind in message_bar.READ_S:
            monkeypatch.setitem(message_bar.READ_S, kind, wait_s)
        QTest.mouseClick(window, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier, QPoint(60, 50))
        assert [m.text for m in bar.messages()] == left
    assert len(hits) == 2
