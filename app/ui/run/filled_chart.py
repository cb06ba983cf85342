"""The filled chart: the chart of a run over the whole window, until Esc or its own button."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import Qt
from PySide6.QtGui import QShortcut
from PySide6.QtWidgets import QFrame, QVBoxLayout, QWidget

from app.ui.run.panel import RunPanel
from app.ui.widget import theme


class FilledChart(QWidget):
    """Takes the place of ``parts`` with the chart of a `RunPanel` when that asks for it, and gives both back."""

    def __init__(self, panel: RunPanel, parts: Sequence[QWidget], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("filled_chart")
        self._panel, self._parts = panel, tuple(parts)
        card = QFrame(self)
        theme.set_role(card, role="card")
        self._place = QVBoxLayout(card)
        self._place.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.addWidget(card)
        escape = QShortcut(Qt.Key.Key_Escape, self)
        escape.setContext(Qt.ShortcutContext.WindowShortcut)
        escape.activated.connect(self.leave)
        panel.fill_requested.connect(self._on_requested)
        self.hide()

    def leave(self) -> None:
        """Gives the chart back to its panel, and shows what was there."""
        if self.isHidden():
            return
        chart = self._panel.page.chart
        self._panel.page.take_chart_back()
        self.hide()
        for part in self._parts:
            part.show()
        chart.show_filled(False)

    def _on_requested(self, filled: bool) -> None:
        if not filled:
            self.leave()
            return
        chart = self._panel.page.chart
        for part in self._parts:
            part.hide()
        self._place.addWidget(chart)
        self.show()
        chart.show_filled(True)
