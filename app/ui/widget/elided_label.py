"""A label of one line that says less where there is no room, with the whole text as its tool tip."""

from __future__ import annotations

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QPainter, QPaintEvent
from PySide6.QtWidgets import QLabel, QSizePolicy, QWidget


class ElidedLabel(QLabel):
    """Plain text in one line; ``text`` stays whole.

    Of a text and its shorter forms the first is shown that has room, and of the last what of it has. What is left
    out stands at the end, or where ``mode`` says.
    """

    def __init__(
        self,
        text: str = "",
        parent: QWidget | None = None,
        *,
        mode: Qt.TextElideMode = Qt.TextElideMode.ElideRight,
    ) -> None:
        super().__init__(text, parent)
        self._shorter: tuple[str, ...] = ()
        self._mode = mode
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setToolTip(text)

    def setText(self, text: str, *shorter: str) -> None:
        self._shorter = shorter
        super().setText(text)
        self.setToolTip(text)

    def minimumSizeHint(self) -> QSize:
        return QSize(0, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        area = self.contentsRect()
        painter.drawText(area, Qt.AlignmentFlag.AlignVCenter | self.alignment(), self.shown(area.width()))
        painter.end()

    def shown(self, width: int) -> str:
        """What so many pixels have room for."""
        metrics, forms = self.fontMetrics(), (self.text(), *self._shorter)
        fitting = next((one for one in forms if metrics.horizontalAdvance(one) <= width), None)
        return metrics.elidedText(forms[-1], self._mode, width) if fitting is None else fitting
