"""A share drawn as a bar, with its confidence interval as a whisker over it."""

from __future__ import annotations

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QWidget

from app.core.compare.statistic import Interval
from app.core.language import tr
from app.core.quantity import rough_share_text
from app.ui.widget import theme

RATE_BAR_HEIGHT, BAR, WHISKER = 20, 8, 12  # px


class RateBar(QWidget):
    """Shows an `Interval` between 0 and 1."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rate = Interval(0.0, 0.0, 1.0)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        theme.theme().changed.connect(self.update)

    def set_rate(self, rate: Interval) -> None:
        """Shows another share."""
        self._rate = rate
        said = tr(
            "{value}, likely between {low} and {high}",
            value=rough_share_text(rate.value),
            low=rough_share_text(rate.low),
            high=rough_share_text(rate.high),
        )
        self.setAccessibleName(said)
        self.setToolTip(tr("{said} (Wilson's 95 % interval)", said=said))
        self.update()

    def sizeHint(self) -> QSize:
        return QSize(theme.SPACE * 12, RATE_BAR_HEIGHT)

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        colors, width, middle = theme.colors(), self.width() - 2, self.height() / 2
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        for share, color in ((1.0, colors.border), (self._rate.value, colors.accent)):
            painter.setBrush(QColor(color))
            if share > 0:
                painter.drawRoundedRect(QRectF(1, middle - BAR / 2, max(BAR, width * share), BAR), BAR / 2, BAR / 2)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, False)
        painter.setPen(QPen(QColor(colors.text), 1))
        low, high = (round(1 + width * end) for end in (self._rate.low, self._rate.high))
        painter.drawLine(low, round(middle), high, round(middle))
        for end in (low, high):
            painter.drawLine(end, round(middle - WHISKER / 2), end, round(middle + WHISKER / 2))
        painter.end()
