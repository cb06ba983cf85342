"""Boxes that hold a part of a page: a card with a title, and a disclosure that opens and closes."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.ui.widget import theme


class Card(QFrame):
    """A titled block of the form; put things into ``body``, small tools into ``tools`` beside the title."""

    def __init__(self, title: str, description: str = "", parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "card")
        outer = QVBoxLayout(self)
        outer.setContentsMargins(*[theme.SPACE * 2] * 4)
        outer.setSpacing(theme.SPACE)
        head = QHBoxLayout()
        self.title = QLabel(title, self)
        self.title.setProperty("role", "section")
        self.title.setWordWrap(True)
        head.addWidget(self.title, 1)
        self.tools = QHBoxLayout()
        self.tools.setSpacing(theme.SPACE // 2)
        head.addLayout(self.tools)
        outer.addLayout(head)
        if description:
            text = QLabel(description, self)
            text.setProperty("role", "muted")
            text.setWordWrap(True)
            outer.addWidget(text)
        self.body = QVBoxLayout()
        self.body.setSpacing(theme.SPACE * 2)
        outer.addSpacing(theme.SPACE // 2)
        outer.addLayout(self.body)


class Disclosure(QWidget):
    """A part of a form that is folded away until asked for."""

    toggled = Signal(bool)

    def __init__(self, title: str, content: QWidget, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.button = QPushButton(title, self)
        self.button.setCheckable(True)
        theme.set_role(self.button, kind="quiet")
        self.content = content
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.button, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addWidget(content)
        content.hide()
        self.button.toggled.connect(self._on_toggled)
        theme.theme().changed.connect(self._redraw)
        self._redraw()

    def open(self) -> None:
        """Unfolds it."""
        self.button.setChecked(True)

    def _on_toggled(self, shown: bool) -> None:
        self.content.setVisible(shown)
        self._redraw()
        self.toggled.emit(shown)

    def _redraw(self) -> None:
        self.button.setIcon(theme.icon("ph.caret-down" if self.button.isChecked() else "ph.caret-right"))
