"""The empty card: what will appear in a place, and what to do for it."""

from __future__ import annotations

from PySide6.QtWidgets import QFrame, QLabel, QVBoxLayout, QWidget

from app.ui.widget import theme

ICON = 40  # px


class EmptyCard(QFrame):
    """An icon, a title and a few sentences, a little above the middle; ``add`` puts more below them."""

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

    def add(self, widget: QWidget) -> None:
        """Puts a button, say, below the text."""
        self._layout.insertWidget(self._layout.count() - 1, widget)

    def _dress(self) -> None:
        self._icon.setPixmap(theme.icon(self._icon_name, theme.colors().accent).pixmap(ICON, ICON))
