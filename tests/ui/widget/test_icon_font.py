"""Icons of the font: a copy that becomes another icon draws the same sign, also when the first is gone."""

from __future__ import annotations

import gc

from PySide6.QtGui import QIcon
from PySide6.QtWidgets import QApplication

from app.ui.widget.icon_font import IconFont


def test_a_copy_that_is_changed_outlives_the_icon_that_it_was_made_of(qapp: QApplication) -> None:
    assert qapp
    first = IconFont().icon("ph.gear", "#ff0000", "#00ff00")
    copy = QIcon(first)
    copy.setIsMask(True)
    assert copy.cacheKey() != first.cacheKey()
    drawn = first.pixmap(24, 24).toImage()
    del first
    gc.collect(0)
    found = copy.pixmap(24, 24).toImage()
    assert found == drawn
    colors = {found.pixelColor(x, y).name() for x in range(24) for y in range(24)}
    assert "#ff0000" in colors
    assert "#00ff00" not in colors
    off = copy.pixmap(found.size(), QIcon.Mode.Disabled).toImage()
    assert "#00ff00" in {off.pixelColor(x, y).name() for x in range(24) for y in range(24)}
