"""A pill that can be pressed: how many problems of one severity there are."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QPushButton, QWidget

from app.core.language import tr
from app.core.problem import Severity
from app.core.quantity import plural
from app.ui.widget import theme

ICONS = {Severity.ERROR: "ph.x-circle-fill", Severity.WARNING: "ph.warning-fill", Severity.NOTE: "ph.info-fill"}


def severity_color(severity: Severity) -> str:
    """The colour that stands for a severity in the present scheme."""
    c = theme.colors()
    return {Severity.ERROR: c.error, Severity.WARNING: c.warning, Severity.NOTE: c.muted}[severity]


class ProblemPill(QPushButton):
    """Shows a number of errors, warnings or notes; hidden while there are none unless ``always``."""

    def __init__(self, severity: Severity, parent: QWidget | None = None, *, always: bool = False) -> None:
        super().__init__(parent)
        self.severity = severity
        self._always = always
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.setAutoDefault(False)
        theme.theme().changed.connect(self._dress)
        self.set_count(0)
        self._dress()

    def set_count(self, count: int) -> None:
        """Shows how many there are."""
        self.setText(plural(count, self.severity.value))
        self.setAccessibleName(self.text())
        self.setToolTip(tr("Show these only"))
        self.setVisible(self._always or count > 0)

    def _dress(self) -> None:
        c = theme.colors()
        soft = {Severity.ERROR: c.error_soft, Severity.WARNING: c.warning_soft, Severity.NOTE: c.raised}
        color, back = severity_color(self.severity), soft[self.severity]
        unchecked = f"background: transparent; color: {c.faint}; border: 1px solid {c.border};"
        self.setIcon(theme.icon(ICONS[self.severity], color))
        self.setStyleSheet(
            f"QPushButton {{ background: {back}; color: {color}; border: 1px solid {back}; border-radius: 12px;"
            f" padding: 1px 10px 1px 7px; min-height: {theme.line_px()}px; font-size: {theme.text_px(12)}px;"
            " font-weight: 600; }"
            f"QPushButton:hover, QPushButton:focus {{ border-color: {color}; }}"
            + (f"QPushButton:!checked {{ {unchecked} }}" if self.isCheckable() else "")
        )

    def setCheckable(self, checkable: bool) -> None:
        """As a filter it can be on or off."""
        super().setCheckable(checkable)
        self._dress()
