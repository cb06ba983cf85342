"""Room below a scrolled page: its end comes to stand above what covers the foot, and nothing moves by itself."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QApplication, QLabel, QScrollArea, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.ui.message.scroll_room import ScrollRoom


def area_of(qtbot: QtBot, heights: list[int]) -> QScrollArea:
    page = QWidget()
    layout = QVBoxLayout(page)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(0)
    for height in heights:
        part = QLabel("part", page)
        part.setFixedHeight(height)
        layout.addWidget(part)
    layout.addStretch(1)
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setWidget(page)
    area.resize(300, 200)
    qtbot.addWidget(area)
    area.show()
    QApplication.processEvents()
    return area


@pytest.mark.parametrize("heights", [[150, 150], [50, 50]])
def test_the_last_part_can_stand_above_what_covers_the_foot(qtbot: QtBot, heights: list[int]) -> None:
    area = area_of(qtbot, heights)
    bar, room = area.verticalScrollBar(), ScrollRoom(area)
    page = area.widget()
    assert page is not None
    last = page.findChildren(QLabel)[-1]
    before = bar.maximum(), last.y()
    room.ask(80)
    qtbot.waitUntil(lambda: (bar.maximum(), last.y(), bar.value()) == (before[0] + 80, before[1], 0))
    bar.setValue(bar.maximum())
    room.ask(0)
    QApplication.processEvents()
    assert bar.value() == bar.maximum() == before[0] + 80, "what is under the pointer stays"
    bar.setValue(0)
    qtbot.waitUntil(lambda: (bar.maximum(), last.y()) == before)
