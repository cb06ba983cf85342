"""A button with an icon, also in less room than the icon takes."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app.ui.widget.icon_button import IconButton


@pytest.mark.parametrize(("width", "height"), [(40, 1), (40, 4), (3, 30), (10, 10), (40, 16), (40, 40)])
def test_a_squeezed_button_paints_without_a_warning(qtbot: QtBot, width: int, height: int) -> None:
    button = IconButton("ph.gear", "Settings")  # a warning of Qt's fails the test
    qtbot.addWidget(button)
    button.setFixedSize(width, height)
    button.show()
    picture = button.grab().toImage()
    colors = {picture.pixel(x, y) for x in range(picture.width()) for y in range(picture.height())}
    assert (len(colors) > 1) is (width >= 16 and height >= 16)
