"""A card that stands for one method among others and can be chosen."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QFrame, QLabel, QRadioButton, QVBoxLayout, QWidget

from app.core.method import Method
from app.ui import theme


class MethodCard(QFrame):
    """Shows what a `Method` is; ``chosen(name)`` when it is clicked or its button is."""

    chosen = Signal(str)

    def __init__(self, method: Method, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.method = method
        self.setObjectName(f"method.{method.name}.card")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.button = QRadioButton(method.label, self)
        self.button.setObjectName(f"method.{method.name}")
        self.button.setAccessibleName(method.label)
        self.button.setAccessibleDescription(f"{method.what} {method.when}")
        self.button.setAutoExclusive(False)  # the cards of all groups are one choice, kept by who owns them
        self.button.clicked.connect(self._on_clicked)
        what = QLabel(method.what, self)
        what.setProperty("role", "small")
        what.setWordWrap(True)
        what.setAlignment(Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 3 // 2] * 4)
        layout.setSpacing(theme.SPACE // 2)
        layout.addWidget(self.button)
        layout.addWidget(what, 1)
        theme.theme().changed.connect(self._dress)
        self._dress()

    def set_chosen(self, chosen: bool) -> None:
        """Marks the card."""
        self.button.setChecked(chosen)
        self._dress()

    def _dress(self) -> None:
        c, on = theme.colors(), self.button.isChecked()
        border, ground = (c.accent, c.accent_soft) if on else (c.border, c.raised)
        name = self.objectName().replace(".", "\\.")
        self.setStyleSheet(
            f"QFrame#{name} {{ background: {ground}; border: 1px solid {border}; border-radius: 8px; }}"
            f"QFrame#{name}:hover {{ border-color: {c.accent if on else c.border_strong}; }}"
            "QRadioButton { font-weight: 600; }"
        )

    def _on_clicked(self) -> None:
        self.chosen.emit(self.method.name)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.chosen.emit(self.method.name)
