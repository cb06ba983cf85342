"""A card that stands for one method among others and can be chosen."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QMouseEvent
from PySide6.QtWidgets import QFrame, QLabel, QRadioButton, QVBoxLayout, QWidget

from app.core.method.method import Method
from app.ui.widget import theme


class MethodCard(QFrame):
    """Shows what a `Method` is; ``chosen(name)`` when it is clicked or its button is."""

    chosen = Signal(str)

    def __init__(self, method: Method, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.method = method
        self.setObjectName(f"method.{method.name}.card")
        self.setProperty("role", "choice")
        self.setCursor(Qt.CursorShape.PointingHandCursor)
        self.button = QRadioButton(method.title, self)
        self.button.setObjectName(f"method.{method.name}")
        self.button.setAccessibleName(method.title)
        self.button.setAccessibleDescription(f"{method.what} {method.when}")
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

    def set_chosen(self, chosen: bool) -> None:
        """Marks the card."""
        # The cards of all groups are one choice, kept by who owns them; to a screen reader each is one of several.
        self.button.setAutoExclusive(False)
        self.button.setChecked(chosen)
        self.button.setAutoExclusive(True)
        role = "choice-on" if chosen else "choice"
        if role != self.property("role"):
            theme.set_role(self, role=role)

    def _on_clicked(self) -> None:
        self.chosen.emit(self.method.name)

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        super().mouseReleaseEvent(event)
        if event.button() == Qt.MouseButton.LeftButton and self.rect().contains(event.position().toPoint()):
            self.chosen.emit(self.method.name)
