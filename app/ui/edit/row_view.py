"""The view of one row: a chat as its turns, any row as JSON; both are the same row."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import QSignalBlocker, Signal
from PySide6.QtWidgets import QPlainTextEdit, QStackedWidget, QVBoxLayout, QWidget

from app.core.json_text import parsed_json
from app.core.language import tr
from app.ui.edit.turn_form import TurnForm, chat_column
from app.ui.platform.scrolling import CalmTabBar
from app.ui.widget import theme

TURNS, JSON_TEXT = range(2)  # the tabs


class RowView(QWidget):
    """Edits a row; ``edited`` says that its ``text`` is another now, whichever view it was changed in."""

    edited = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.text = QPlainTextEdit(self)
        self.text.setObjectName("edit.text")
        self.text.setAccessibleName(tr("The row as JSON"))
        self.text.setTabChangesFocus(True)
        self.text.setFont(theme.mono_font())
        self.text.textChanged.connect(self.edited)
        self.form = TurnForm(self)
        self.form.edited.connect(self._on_form)
        self.views = CalmTabBar(self)
        self.views.setObjectName("edit.views")
        self.views.setAccessibleName(tr("How the row is edited"))
        self.views.setDrawBase(False)
        self.views.setExpanding(False)
        self._wanted = TURNS
        self._stack = QStackedWidget(self)
        for name, view in ((tr("Turns"), self.form), ("JSON", self.text)):
            self.views.addTab(name)
            self._stack.addWidget(view)
        self.views.setTabToolTip(TURNS, tr("For chats: who says what"))
        self.views.currentChanged.connect(self._on_view)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self.views)
        layout.addWidget(self._stack, 1)

    def show_text(self, text: str) -> None:
        """Shows another row."""
        if text != self.text.toPlainText():
            self.text.setPlainText(text)
        self._show_view()

    @property
    def value(self) -> dict[str, Any] | None:
        """The row as it is typed; None while that is none."""
        return parse_row(self.text.toPlainText())[0]

    def _on_view(self, at: int) -> None:
        self._wanted = at
        self._show_view()

    def _show_view(self) -> None:
        """The turns of a chat or the text, as is chosen; a row that is no chat is text."""
        value = self.value
        is_chat = value is not None and bool(chat_column(value))
        shown = self._wanted if is_chat else JSON_TEXT
        with QSignalBlocker(self.views):  # a bar leaves a tab that cannot be used, which nobody chose
            self.views.setTabEnabled(TURNS, is_chat)
            self.views.setCurrentIndex(shown)
        if shown == TURNS and value is not None and (not self.form.parts or self.form.row != value):
            self.form.show_row(value)
        self._stack.setCurrentIndex(shown)

    def _on_form(self) -> None:
        self.text.setPlainText(pretty_row(self.form.row))


def parse_row(text: str) -> tuple[dict[str, Any] | None, str]:
    """The object that a text is, or why it is none."""
    try:
        value = parsed_json(text)
    except ValueError as error:
        return None, tr("This is not JSON yet: {error}.", error=error)
    return (value, "") if isinstance(value, dict) else (None, tr("A row is an object with named fields: { … }."))


def pretty_row(row: Any) -> str:
    """A row as text to edit."""
    return json.dumps(row, ensure_ascii=False, indent=2)
