"""Cards, boxes that open, drop zones, labels in one line, sliders, and work that is done in slices."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QFrame, QLabel, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.ui.widget import theme
from app.ui.widget.card import Card, Disclosure
from app.ui.widget.drop import DropCard, DropZone, local_paths
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.empty_card import EmptyCard
from app.ui.widget.icon_button import IconButton
from app.ui.widget.layout import FormRows, clear_layout
from app.ui.widget.length_slider import LengthSlider, length_at, position_of
from app.ui.widget.sliced_work import SlicedWork
from tests.ui.child import child


def dressed(part: QWidget) -> list[tuple[str, object, bool]]:
    return [(label.text(), label.property("role"), label.wordWrap()) for label in part.findChildren(QLabel)]


def test_a_card_says_its_title_and_what_it_is_for(qtbot: QtBot) -> None:
    card, plain = Card("Data", "What is trained on."), Card("Model")
    for one in (card, plain):
        qtbot.addWidget(one)
        assert one.property("role") == "card"
    assert dressed(card) == [("Data", "section", True), ("What is trained on.", "muted", True)]
    assert dressed(plain) == [("Model", "section", True)]
    tool, part = QPushButton(), QFrame()
    card.tools.addWidget(tool)
    card.body.addWidget(part)
    card.resize(400, 200)
    card.show()
    assert tool.parent() is part.parent() is card
    assert tool.x() > card.title.x()
    assert tool.y() < part.y()


def test_a_disclosure_shows_what_is_in_it_when_it_is_opened(qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    content = QLabel("more", page)
    box, told = Disclosure("More", content, page), list[bool]()
    box.toggled.connect(told.append)
    page.show()

    def drawn() -> object:
        return box.button.icon().pixmap(16, 16).toImage()

    closed = drawn()
    assert (content.isVisible(), box.button.property("kind"), told) == (False, "quiet", [])
    box.open()
    assert (content.isVisible(), told) == (True, [True])
    assert drawn() != closed
    box.open()
    QTest.mouseClick(box.button, Qt.MouseButton.LeftButton)
    assert (content.isVisible(), told) == (False, [True, False])
    assert drawn() == closed
    theme.apply_theme("dark")
    assert drawn() != closed


def test_an_empty_card_says_what_will_be_there_and_what_to_do(qtbot: QtBot) -> None:
    card, source = EmptyCard("runs.empty", "ph.gear", "No runs yet", "They are listed here."), QPushButton()
    for one in (card, source):
        qtbot.addWidget(one)
    asked: list[int] = []
    source.pressed.connect(lambda: asked.append(1))
    card.add_link("runs.first", "Begin one", source.pressed)
    assert dressed(card)[1:] == [("No runs yet", "section", False), ("They are listed here.", "muted", True)]
    assert (card.title.objectName(), card.property("role")) == ("runs.empty", "card")
    link = child(card, QPushButton, "runs.first")
    assert (link.text(), link.property("kind"), link.cursor().shape()) == (
        "Begin one", "link", Qt.CursorShape.PointingHandCursor,
    )  # fmt: skip
    card.resize(400, 400)
    card.show()
    QTest.mouseClick(link, Qt.MouseButton.LeftButton)
    assert asked == [1]
    assert card.title.y() < link.y() < card.height() * 2 / 3, "below the text, above the middle of the rest"
    for found in (theme.DARK, theme.LIGHT):
        theme.apply_theme(found.scheme)
        picture = card._icon.pixmap().toImage()
        names = {picture.pixelColor(x, y).name() for x in range(40) for y in range(40)}
        assert found.accent in names


class Taking(DropCard):
    """A card for files that end in .txt."""

    takes_several = True

    def accepts(self, path: Path) -> bool:
        return path.suffix == ".txt"


def dropped(*urls: str) -> tuple[QPointF, Qt.DropAction, QMimeData, Qt.MouseButton, Qt.KeyboardModifier]:
    mime = QMimeData()
    mime.setUrls([QUrl(url) for url in urls])
    return QPointF(5, 5), Qt.DropAction.CopyAction, mime, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier


def test_a_card_lights_up_for_what_it_takes(qtbot: QtBot) -> None:
    card, taken = Taking("Texts"), list[list[Path]]()
    qtbot.addWidget(card)
    card.dropped.connect(taken.append)
    card.show()

    def enter(*urls: str) -> tuple[bool, str | None]:
        carried = dropped(*urls)  # which no event keeps alive
        event = QDragEnterEvent(*carried)
        event.setAccepted(True)
        QApplication.sendEvent(card, event)
        return event.isAccepted(), card.property("drop")

    def drop(*urls: str) -> tuple[bool, str]:
        carried = dropped(*urls)
        event = QDropEvent(*carried)
        event.setAccepted(True)
        QApplication.sendEvent(card, event)
        return event.isAccepted(), card.property("drop")

    assert card.acceptDrops()
    assert enter("file:///a/b.png", "https://a.b/c.txt") == (False, None), "the window behind may want it"
    assert enter("file:///a/b.png", "file:///a/c.txt") == (False, None), "it knows what to do with the picture"
    assert enter("https://a.b/d.txt", "file:///a/c.txt") == (True, "true")
    QApplication.sendEvent(card, QDragLeaveEvent())
    assert card.property("drop") == ""
    enter("file:///a/c.txt")
    urls = ("file:///a/b.png", "file:///a/c.txt", "https://a.b/d.txt", "file:///e.txt")
    assert drop(*urls) == (False, "")
    assert taken == []
    enter(*urls[1:])
    assert drop(*urls[1:]) == (True, "")
    drop("file:///a/b.png")
    assert taken == [[Path("/a/c.txt"), Path("/e.txt")]]
    carried = dropped(*urls)
    assert local_paths(QDropEvent(*carried)) == [Path("/a/b.png"), Path("/a/c.txt"), Path("/e.txt")]
    card.takes_several = False
    assert enter(*urls[1:]) == (False, ""), "nobody said which"
    assert enter(urls[1]) == (True, "true")
    with pytest.raises(NotImplementedError):
        DropCard("None").accepts(Path("/a"))


def test_a_drop_zone_has_buttons_for_those_who_would_rather_not(qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    zone, pressed = DropZone("Drop here", "Any text", page), list[str]()
    first = zone.add_button("zone.first", "First", "The first", lambda: pressed.append("first"))
    second = zone.add_button("zone.second", "Second", "The second", lambda: pressed.append("second"), kind="quiet")
    zone.resize(400, 200)
    page.resize(400, 200)
    page.show()
    assert {text: role for text, role, _ in dressed(zone)} == {"Any text": "small", "Drop here": "label"}
    assert (zone.property("role"), zone.wanted.text()) == ("drop-zone", "Any text")
    assert [(one.objectName(), one.toolTip(), one.property("kind")) for one in (first, second)] == [
        ("zone.first", "The first", None), ("zone.second", "The second", "quiet"),
    ]  # fmt: skip
    for button in (second, first):
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    assert pressed == ["second", "first"]
    assert first.x() < second.x()


def test_a_line_that_has_no_room_ends_in_dots_and_is_told_whole(qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    label = ElidedLabel("<b>short</b>", page)
    label.resize(300, 20)
    page.resize(320, 40)
    page.show()
    assert (label.toolTip(), label.textFormat()) == ("<b>short</b>", Qt.TextFormat.PlainText)
    whole = label.grab().toImage()
    label.setText("<b>short</b> and very much more" * 4)
    assert label.toolTip() == label.text() == "<b>short</b> and very much more" * 4
    assert label.grab().toImage() != whole
    assert label.minimumSizeHint().width() == 0
    label.setText("<b>short</b>")
    assert label.grab().toImage() == whole
    label.setAlignment(Qt.AlignmentFlag.AlignRight)
    assert label.grab().toImage() != whole


def test_lengths_double_with_every_eighth_step(qtbot: QtBot) -> None:
    assert [length_at(8 * n) for n in (0, 3, 4, 10, 11, 17)] == [8, 8, 16, 1024, 2048, 131_072]
    assert [length_at(81), length_at(79)] == [1120, 936]
    assert [position_of(n) for n in (0, 1, 2, 16, 1024, 1100, 131_072)] == [0, 0, 8, 32, 80, 81, 136]
    slider, chosen = LengthSlider(), list[int]()
    qtbot.addWidget(slider)
    slider.chosen.connect(chosen.append)
    assert (slider.minimum(), slider.maximum(), slider.pageStep()) == (32, 136, 8)
    assert slider.orientation() is Qt.Orientation.Horizontal
    places = []
    for length in (1024, 5, 10**7, 1024):
        slider.set_length(length)
        places.append(slider.value())
    assert (places, chosen) == ([80, 32, 136, 80], []), "what is beyond its ends is not set to them"
    slider.setValue(88)
    slider.setValue(88)
    slider.set_length(2048)
    slider.setValue(80)
    assert chosen == [2048, 1024]


def test_work_goes_on_from_turn_to_turn_and_is_dropped_for_other_work(qtbot: QtBot) -> None:
    work, told = SlicedWork(), list[object]()
    work.stepped.connect(told.append)
    work.finished.connect(lambda: told.append("finished"))

    def counting(*steps: str) -> Iterator[str]:
        yield from steps

    assert not work.is_busy
    work.start(counting("a", "b"))
    work.start(counting("c", "d"))
    assert work.is_busy
    qtbot.waitUntil(lambda: not work.is_busy)
    assert told == ["c", "d", "finished"]
    work.start(counting("e"))
    work.stop()
    work._step()
    qtbot.wait(2)
    assert (work.is_busy, told) == (False, ["c", "d", "finished"])

    def failing() -> Iterator[str]:
        yield "f"
        raise ZeroDivisionError

    work.start(failing())
    work._step()
    with pytest.raises(ZeroDivisionError):
        work._step()
    qtbot.wait(2)
    assert (work.is_busy, told) == (False, ["c", "d", "finished", "f"]), "a fault is told once"


def test_a_layout_is_cleared_and_rows_are_found_again(qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    layout = QVBoxLayout(page)
    parts = [QLabel(str(n), page) for n in range(3)]
    for part in parts:
        layout.addWidget(part)
    layout.addStretch(1)
    page.show()
    clear_layout(layout)
    assert (layout.count(), [part.isVisible() for part in parts]) == (0, [False] * 3)
    other = QWidget()
    qtbot.addWidget(other)
    form = FormRows(other)
    text, field = QLabel("Text"), QPushButton("Field")
    form.add_row("First", text)
    form.add_row("Second", field)
    form.add_whole(QLabel("Whole"))
    assert [form.getItemPosition(at) for at in range(5)] == [
        (1, 0, 1, 1), (1, 1, 1, 1), (2, 0, 1, 1), (2, 1, 1, 1), (3, 0, 1, 2),
    ]  # fmt: skip
    labels = [form.itemAtPosition(row, 0) for row in (1, 2)]
    assert [label is not None and label.alignment() for label in labels] == [
        Qt.AlignmentFlag.AlignTop, Qt.AlignmentFlag.AlignVCenter,
    ]  # fmt: skip
    second = labels[1].widget() if labels[1] is not None else None
    assert isinstance(second, QLabel)
    assert second.buddy() is field
    other.show()
    form.show_row(field, False)
    assert (second.isHidden(), field.isHidden(), text.isHidden()) == (True, True, False)


def test_an_icon_follows_the_scheme(qtbot: QtBot) -> None:
    button = IconButton("ph.gear", "Settings", size=20)
    qtbot.addWidget(button)
    assert (button.toolTip(), button.accessibleName(), button.iconSize().width()) == ("Settings", "Settings", 20)
    assert button.cursor().shape() is Qt.CursorShape.PointingHandCursor

    def drawn() -> set[str]:
        image = button.icon().pixmap(20, 20).toImage()
        return {image.pixelColor(x, y).name() for x in range(20) for y in range(20)}

    for found in (theme.DARK, theme.LIGHT):
        theme.apply_theme(found.scheme)
        assert found.muted in drawn()
    before = button.icon().pixmap(20, 20).toImage()
    button.set_icon("ph.trash")
    assert button.icon().pixmap(20, 20).toImage() != before
    assert QPoint(0, 0) == button.pos()


def test_a_label_says_less_where_there_is_no_room(qtbot: QtBot) -> None:
    label = ElidedLabel("")
    qtbot.addWidget(label)
    label.setText("5 selected · 76.2 kB", "5 selected", "5")
    metrics = label.fontMetrics()
    for text in ("5 selected · 76.2 kB", "5 selected", "5"):
        assert label.shown(metrics.horizontalAdvance(text)) == text
    assert label.shown(metrics.horizontalAdvance("5 selected") - 1) == "5"
    assert (label.text(), label.toolTip()) == ("5 selected · 76.2 kB",) * 2
    path = ElidedLabel("/models/of/somebody/a/small one", mode=Qt.TextElideMode.ElideMiddle)
    qtbot.addWidget(path)
    shown = path.shown(metrics.horizontalAdvance("/models/…/small one"))
    assert shown.startswith("/mod")
    assert shown.endswith("one")
