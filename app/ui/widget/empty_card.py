"""The empty card: what will appear in a place, and what to do for it."""

from __future__ import annotations

from PySide6.QtCore import Qt, SignalInstance
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from app.ui.widget import theme

ICON = 40  # px


class EmptyCard(QFrame):
    """An icon, a title and a few sentences, a little above the middle; ``add_link`` puts what to do below them."""

    def __init__(self, name: str, icon: str, title: str, text: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        theme.set_role(self, role="card")
        self._icon_name, self._icon = icon, QLabel(self)
        self.title = QLabel(title, self)
        self.title.setObjectName(name)
        theme.set_role(self.title, role="section")
        said = QLabel(text, self)
        said.setWordWrap(True)
        theme.set_role(said, role="muted")
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(*[theme.SPACE * 4] * 4)
        self._layout.setSpacing(theme.SPACE * 3 // 2)
        self._layout.addStretch(2)
        for widget in (self._icon, self.title, said):
            self._layout.addWidget(widget)
        self._layout.addStretch(3)
        theme.theme().changed.connect(self._dress)
        self._dress()

    def add_link(self, name: str, text: str, asked: SignalInstance) -> None:
        """Puts a button that looks like a link below the text; ``asked`` is emitted when it is pressed."""
        link = QPushButton(text)
        link.setObjectName(name)
        theme.set_role(link, kind="link")
        link.setCursor(Qt.CursorShape.PointingHandCursor)
        link.clicked.connect(asked)
        self._layout.insertWidget(self._layout.count() - 1, link)

    def _dress(self) -> None:
        self._icon.setPixmap(theme.icon(self._icon_name, theme.colors().accent).pixmap(ICON, ICON))
