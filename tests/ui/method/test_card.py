"""The card of a method: all of it can be clicked, with the left button."""

from __future__ import annotations

from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.core.method.table import METHODS
from app.ui.method.card import MethodCard
from tests.ui.child import child

LEFT, RIGHT = Qt.MouseButton.LeftButton, Qt.MouseButton.RightButton


def test_a_click_anywhere_on_the_card_chooses_its_method_once(qtbot: QtBot) -> None:
    card = MethodCard(METHODS["dpo"])
    qtbot.addWidget(card)
    card.resize(240, 140)
    card.show()
    chosen: list[str] = []
    card.chosen.connect(chosen.append)
    for clicked in (card, child(card, QLabel), card.button):
        qtbot.mouseClick(clicked, LEFT, pos=QPoint(6, 6))
        assert chosen == ["dpo"]
        chosen.clear()
    qtbot.mouseClick(card, RIGHT, pos=QPoint(6, 6))
    qtbot.mousePress(card, LEFT, pos=QPoint(6, 6))
    qtbot.mouseRelease(card, LEFT, pos=QPoint(6, 141))
    assert chosen == [], "another button, and one that was let go elsewhere"
