"""The strip: the run panel folded away, a narrow bar with the run's state that opens it."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QAbstractButton, QWidget

from app.core.language import tr
from app.ui.run.session import RunSession
from app.ui.run.word import PILLS
from app.ui.widget import theme

STRIP_WIDTH = 52  # px, with the margin at its right
ICON_PX = 18
CORNER = 8  # px


class RunStrip(QAbstractButton):
    """Says in one upright line which state the session's run has; a click asks for the panel."""

    def __init__(self, session: RunSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("run_strip")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.setAttribute(Qt.WidgetAttribute.WA_Hover)
        self._session = session
        session.run_changed.connect(self._show)
        session.state_changed.connect(self._show)
        session.emitted.connect(self._show)
        theme.theme().changed.connect(self.update)
        self._show()

    def _show(self) -> None:
        said = tr("Run")
        if self._session.run is not None:
            history = self._session.history
            said = PILLS[self._session.state][0]
            if self._session.is_live and history.iterations:
                said += tr(
                    " · {iteration:,} of {iterations:,}", iteration=history.iteration, iterations=history.iterations
                )
        if said != self.text():
            self.setText(said)
            tip = (
                tr("Show the run panel")
                if self._session.run is None
                else tr("Show the run panel: {said}", said=said)
            )
            self.setToolTip(tip)
            self.setAccessibleName(tip)
            self.update()

    def sizeHint(self) -> QSize:
        return QSize(STRIP_WIDTH, 120)

    def paintEvent(self, _event: QPaintEvent) -> None:
        c = theme.colors()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        bar = QRectF(0.5, 0.5, self.width() - 2 * theme.SPACE - 1, self.height() - 2 * theme.SPACE - 1)
        painter.setPen(QColor(c.accent if self.hasFocus() else c.border))
        painter.setBrush(QColor(c.raised if self.underMouse() else c.card))
        painter.drawRoundedRect(bar, CORNER, CORNER)
        middle = round(bar.center().x())
        corner = QPoint(middle - ICON_PX // 2, theme.SPACE * 3 // 2)
        theme.icon("ph.chart-line").paint(painter, QRect(corner, QSize(ICON_PX, ICON_PX)))
        painter.setPen(QColor(c.muted))
        painter.translate(middle, ICON_PX + theme.SPACE * 3)
        painter.rotate(90)
        height = self.fontMetrics().height()
        line = QRect(0, -height // 2, round(bar.height()) - ICON_PX - theme.SPACE * 4, height)
        painter.drawText(line, Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter, self.text())
        painter.end()
