"""A flow keeps the width of its parts and goes on in the next line."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
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
