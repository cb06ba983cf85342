"""The bar of a share: drawn at its width, with its interval, and drawn anew when the share changes."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QColor, QImage, QPaintEvent
from pytestqt.qtbot import QtBot

from app.core.compare.statistic import Interval
from app.ui.judging.rate_bar import RateBar
from app.ui.widget import theme


@pytest.fixture
def bar(qtbot: QtBot) -> RateBar:
    theme.apply_theme("light")
    bar = RateBar()
    qtbot.addWidget(bar)
    bar.resize(202, bar.sizeHint().height())
    bar.show()
    qtbot.waitExposed(bar)
    return bar


def columns(image: QImage, color: str) -> list[int]:
    """Where some row holds a colour."""
    wanted = QColor(color).rgb()
    return [x for x in range(image.width()) if any(image.pixel(x, y) == wanted for y in range(image.height()))]


def test_the_bar_is_as_long_as_the_share_and_the_whiskers_as_the_interval(bar: RateBar) -> None:
    bar.set_rate(Interval(0.5, 0.25, 0.75))
    image, colors = bar.grab().toImage(), theme.colors()
    assert max(columns(image, colors.accent)) == pytest.approx(101, abs=2)
    assert min(columns(image, colors.accent)) == pytest.approx(2, abs=2)
    whiskers = columns(image, colors.text)
    assert (min(whiskers), max(whiskers)) == (1 + 50, 1 + 150)
    assert bar.accessibleName() == "50\u00a0%, likely between 25\u00a0% and 75\u00a0%"
    assert "25\u00a0%" in bar.toolTip()


def test_no_share_draws_no_bar(bar: RateBar) -> None:
    bar.set_rate(Interval(0.0, 0.0, 0.5))
    assert not columns(bar.grab().toImage(), theme.colors().accent)


def test_another_share_is_drawn_without_being_asked(qtbot: QtBot) -> None:
    painted = list[float]()

    class Seen(RateBar):
        def paintEvent(self, event: QPaintEvent) -> None:
            painted.append(self._rate.value)
            super().paintEvent(event)

    seen = Seen()
    qtbot.addWidget(seen)
    seen.show()
    qtbot.waitUntil(lambda: painted == [0.0])
    seen.set_rate(Interval(0.75, 0.5, 1.0))
    qtbot.waitUntil(lambda: painted[-1] == 0.75)
