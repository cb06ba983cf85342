"""A flow keeps the width of its parts and goes on in the next line."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QRect, Qt
from PySide6.QtWidgets import QFrame, QSizePolicy, QWidget
from pytestqt.qtbot import QtBot

from app.ui.widget.flow import Flow

WIDTH, HEIGHT, GAP = 100, 30, 8


@pytest.fixture
def room(qtbot: QtBot) -> QWidget:
    found = QWidget()
    qtbot.addWidget(found)
    return found


def shown(room: QWidget, width: int, flow: Flow) -> list[QFrame]:
    buttons = [QFrame(room) for _ in range(3)]
    for button in buttons:
        button.setMinimumSize(WIDTH, HEIGHT)
        button.setMaximumHeight(HEIGHT)
        flow.addWidget(button)
    room.setLayout(flow)
    room.resize(width, 200)
    room.show()
    flow.activate()
    return buttons


@pytest.mark.parametrize(("width", "lines"), [(316, [0, 0, 0]), (315, [0, 0, 1]), (100, [0, 1, 2])])
def test_parts_go_on_in_the_next_line(room: QWidget, width: int, lines: list[int]) -> None:
    flow = Flow(gap=GAP)
    buttons = shown(room, width, flow)
    assert [button.y() for button in buttons] == [line * (HEIGHT + GAP) for line in lines]
    assert flow.heightForWidth(width) == (lines[-1] + 1) * (HEIGHT + GAP) - GAP
    assert flow.minimumSize().width() == WIDTH
    assert flow.sizeHint().width() == 3 * WIDTH + 2 * GAP


@pytest.mark.parametrize(
    ("align", "first"),
    [(Qt.AlignmentFlag.AlignLeft, 0), (Qt.AlignmentFlag.AlignHCenter, 42), (Qt.AlignmentFlag.AlignRight, 84)],
)
def test_lines_stand_where_they_are_told(room: QWidget, align: Qt.AlignmentFlag, first: int) -> None:
    buttons = shown(room, 400, Flow(gap=GAP, align=align))
    assert [button.x() for button in buttons] == [first, first + 108, first + 216]


def test_what_is_hidden_takes_no_room_and_what_expands_takes_the_rest(room: QWidget) -> None:
    flow = Flow(gap=GAP)
    first, hidden, last = shown(room, 400, flow)
    hidden.hide()
    first.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    flow.activate()
    assert (first.width(), last.x(), last.width()) == (292, 300, WIDTH)


def test_it_stands_at_the_lower_edge_where_it_is_told_so(room: QWidget) -> None:
    flow = Flow(gap=GAP)
    flow.setAlignment(Qt.AlignmentFlag.AlignBottom)
    buttons = shown(room, 250, flow)
    flow.setGeometry(QRect(10, 20, 250, 100))
    # Two lines of 30 with 8 between them, up to 120.
    assert [(button.x(), button.y()) for button in buttons] == [(10, 52), (118, 52), (10, 90)]
    flow.setGeometry(QRect(10, 20, 250, 40))  # less than they take: from the top
    assert [button.y() for button in buttons] == [20, 20, 58]


def test_what_is_put_first_or_taken_out(room: QWidget) -> None:
    flow = Flow(gap=GAP)
    buttons = shown(room, 900, flow)
    before = flow.heightForWidth(100)
    first = QFrame(room)
    first.setMinimumSize(50, 40)
    first.setMaximumHeight(40)
    flow.insert_first(first)
    first.show()
    flow.activate()
    assert [part.x() for part in (first, *buttons)] == [0, 58, 166, 274]
    assert flow.heightForWidth(100) == before + 40 + GAP, "it is measured anew"
    assert (flow.sizeHint().height(), flow.minimumSize().height()) == (40, 40)
    assert (flow.count(), flow.itemAt(4), flow.itemAt(-1), flow.takeAt(4), flow.takeAt(-1)) == (4, *[None] * 4)
    taken = flow.takeAt(0)
    assert taken is not None
    assert (taken.widget(), flow.count()) == (first, 3)
    assert flow.expandingDirections() == Qt.Orientation(0)
    assert flow.hasHeightForWidth()


def test_a_part_is_no_wider_than_its_line_or_than_it_may_be(room: QWidget) -> None:
    flow = Flow(gap=GAP)
    first, second, third = shown(room, 60, flow)
    assert [part.width() for part in (first, second, third)] == [WIDTH] * 3, "Qt keeps its least"
    first.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
    first.setMaximumWidth(150)
    room.resize(400, 200)
    flow.activate()
    assert (first.width(), second.x()) == (150, 158)
    empty = Flow()
    assert (empty.sizeHint().height(), empty.minimumSize().width(), empty.heightForWidth(90)) == (0, 0, 0)
