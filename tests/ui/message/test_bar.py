"""The message bar: what the user is told stays readable, can be acted on, and goes away."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QCoreApplication, QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QEnterEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLabel, QPushButton, QScrollArea, QToolButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.ui.message import bar as message_bar
from app.ui.message.bar import Banner, MessageBar, Notice, NoticeKind
from app.ui.message.room import MessageRoom
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
    child(page, QWidget, "host").raise_()
    over.tell(Notice("One.\nTwo.", "error"))
    hit = page.childAt(over.geometry().center())
    assert hit is not None
    assert over.isAncestorOf(hit), "nothing lies over it"
    assert below.mapTo(page, below.rect().topLeft()) == before
    assert over.geometry().left() == 20
    assert over.width() == 500
    assert over.geometry().bottom() == 30 + 300 - 1
    assert over.height() >= child(over, Banner).sizeHint().height()
    child(page, QWidget, "host").resize(300, 200)
    assert over.width() == 300
    for text in ("Two.", "Three."):
        over.tell(Notice(text, "error"))
    QApplication.processEvents()
    heights = {one.height() - one.heightForWidth(one.width()) for one in over.findChildren(Banner)}
    assert heights == {0}, "each has the room that it needs"


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


KINDS: tuple[NoticeKind, ...] = ("info", "good", "warning", "error")


def test_each_kind_looks_as_what_it_is_and_stays_as_long_as_it_is_of_use(bar: MessageBar) -> None:
    found = {}
    for kind, passes in (*((kind, False) for kind in KINDS), ("warning", True)):
        bar.tell(Notice(f"{kind} {passes}", kind, passes=passes))
        banner = child(bar, Banner, f"message.{kind}")
        life = banner._life.interval() if banner._life.isActive() else 0
        assert banner._life.isSingleShot()
        assert banner.accessibleName() == f"{kind} {passes}"
        found[kind, passes] = (banner.property("role"), life, banner.message.is_lasting, bar.is_lasting)
        image = banner._icon.pixmap().toImage()
        assert any(image.pixelColor(x, y).alpha() for x in range(18) for y in range(18))
        bar.clear()
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    assert found == {
        ("info", False): ("banner", 8000, False, False),
        ("good", False): ("banner-good", 15_000, False, False),
        ("warning", False): ("banner-warning", 0, True, True),
        ("error", False): ("banner-error", 0, True, True),
        ("warning", True): ("banner-warning", 15_000, False, False),
    }
    assert message_bar.READ_S == {"info": 1.5, "good": 5.0, "warning": 1.5, "error": 1.5}


def test_what_is_being_read_does_not_vanish(bar: MessageBar) -> None:
    bar.tell(Notice("Saved."))
    banner = child(bar, Banner)
    assert not banner.is_read
    banner._told_at -= 1.5
    assert banner.is_read
    middle = QPointF(5, 5)
    QCoreApplication.sendEvent(banner, QEnterEvent(middle, middle, middle))
    assert not banner._life.isActive()
    QCoreApplication.sendEvent(banner, QEvent(QEvent.Type.Leave))
    assert banner._life.isActive()


def test_three_are_seen_and_the_last_of_them_says_how_many_wait(bar: MessageBar, qtbot: QtBot) -> None:
    for number in range(5):
        bar.tell(Notice(f"message {number}", "error"))

    def seen() -> list[tuple[str, str]]:
        found = []
        for banner in bar._banners:
            if not banner.isHidden():
                waiting = child(banner, QLabel, "message.waiting")
                found.append((banner.message.text, "" if waiting.isHidden() else waiting.text()))
        return found

    assert seen() == [("message 4", ""), ("message 3", ""), ("message 2", "+ 2 more")]
    QTest.keyClick(bar, Qt.Key.Key_Return)
    bar.withdraw("message 3")
    assert seen() == [("message 4", ""), ("message 2", ""), ("message 1", "+ 1 more")]
    bar.withdraw("age")
    child(bar, QToolButton, "message.close").click()
    assert len(seen()) == 3
    bar.withdraw("mess")
    assert (seen(), bar.isVisible()) == ([], False)
    bar.tell(Notice("One."))
    with qtbot.waitSignal(bar.emptied):
        bar.clear()
    assert not bar.isVisible()
    holds = [True]
    bar.tell(Notice("It holds.", "error", holds=lambda: holds[0]))
    bar.tell(Notice("One."))
    holds[0] = False
    bar.tell(Notice("Two."))
    assert [one.text for one in bar.messages()] == ["Two.", "One."], (
        "what is told next takes away what holds no more"
    )


@pytest.mark.parametrize(
    "text, shown",
    [
        ("\n".join("abcdef"), None),
        ("\n".join("abcdefg"), "a\nb\nc\nd\ne\nf\n…"),
        ("x" * 350 + " " + "y" * 349, None),
        ("x" * 350 + " " + "y" * 350, "x" * 350 + " …"),
    ],
)
def test_a_text_is_shown_whole_where_it_has_room(bar: MessageBar, text: str, shown: str | None) -> None:
    bar.tell(Notice(text, "good", "Look", lambda: None))
    label = child(bar, QLabel, "message.text")
    assert (label.text(), label.toolTip()) == ((text, "") if shown is None else (shown, text))
    action = child(bar, QPushButton, "message.action")
    assert (action.text(), action.property("kind"), action.cursor().shape()) == (
        "Look", "link", Qt.CursorShape.PointingHandCursor,
    )  # fmt: skip


def test_it_follows_the_page_that_it_lies_over_and_shields_only_a_closing_by_mouse(page: QWidget) -> None:
    over, host = child(page, MessageBar), child(page, QWidget, "host")
    over.tell(Notice("It failed.", "error"))
    host.move(40, 10)
    assert (over.geometry().left(), over.geometry().bottom()) == (40, 10 + 300 - 1)
    host.resize(400, 20)
    assert over.geometry().top() == 10, "titles stay in sight"
    QTest.keyClick(over, Qt.Key.Key_Escape)
    assert page.findChild(QWidget, "message.shield") is None
    over.tell(Notice("It failed.", "error"))
    child(over, QToolButton, "message.close").click()
    assert page.findChild(QWidget, "message.shield") is None, "no pointer is over it"


def test_a_page_can_be_scrolled_above_what_stays_until_it_is_closed(page: QWidget, qtbot: QtBot) -> None:
    over, host = child(page, MessageBar), child(page, QWidget, "host")
    area, content, part = QScrollArea(host), QWidget(), QWidget()
    part.setFixedHeight(600)
    layout = QVBoxLayout(content)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(part)
    area.setWidgetResizable(True)
    area.setWidget(content)
    area.setGeometry(0, 0, 500, 300)
    area.setFrameShape(QScrollArea.Shape.NoFrame)
    area.show()
    bar, room = area.verticalScrollBar(), MessageRoom(over)
    room.watch(area)
    QApplication.processEvents()
    assert bar.maximum() == 300
    over.tell(Notice("Saved.", "good"))
    QApplication.processEvents()
    assert bar.maximum() == 300, "it goes by itself"
    over.tell(Notice("It failed.", "error"))
    qtbot.waitUntil(lambda: bar.maximum() == 300 + over.height())
    area.hide()
    room.give()
    area.show()
    qtbot.waitUntil(lambda: bar.maximum() == 300)
    room.give()
    qtbot.waitUntil(lambda: bar.maximum() == 300 + over.height())
    over.clear()
    qtbot.waitUntil(lambda: bar.maximum() == 300)
