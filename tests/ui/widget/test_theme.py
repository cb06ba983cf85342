"""The look: one scheme after the other, and widgets that are put together before they are dressed."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.ui.widget import theme


def _card(qtbot: QtBot) -> QWidget:
    card = QWidget()
    qtbot.addWidget(card)
    title = QLabel("A title", card)
    theme.set_role(title, role="title")
    layout = QVBoxLayout(card)
    layout.addWidget(title)
    layout.addWidget(QLabel("Text beneath it", card))
    card.resize(card.sizeHint())
    return card


def test_each_scheme_has_its_palette_and_sheet(qapp: QApplication, qtbot: QtBot) -> None:
    card = _card(qtbot)
    seen = []
    for scheme, found in (("dark", theme.DARK), ("light", theme.LIGHT)):
        with qtbot.waitSignal(theme.theme().changed):
            theme.apply_theme(scheme)
        assert theme.colors() is found
        assert QApplication.palette().color(QPalette.ColorRole.Window).name() == found.window.lower()
        seen.append((qapp.styleSheet(), card.grab().toImage()))
    (dark, dark_picture), (light, light_picture) = seen
    assert dark != light
    assert dark_picture != light_picture


def test_what_is_put_together_undressed_looks_the_same(qapp: QApplication, qtbot: QtBot) -> None:
    theme.apply_theme("light")
    sheet, dressed = qapp.styleSheet(), _card(qtbot)
    with theme.undressed():
        assert qapp.styleSheet() == ""
        card = _card(qtbot)
    assert qapp.styleSheet() == sheet
    card.resize(card.sizeHint())
    assert card.grab().toImage() == dressed.grab().toImage()


def test_an_error_leaves_the_application_dressed(qapp: QApplication) -> None:
    theme.apply_theme("light")
    sheet = qapp.styleSheet()
    with pytest.raises(ZeroDivisionError), theme.undressed():
        _ = 1 / 0
    assert qapp.styleSheet() == sheet
