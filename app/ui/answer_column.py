"""One column of a comparison: who answers, the answer as it comes, and its figures."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QTextCursor
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPlainTextEdit, QVBoxLayout, QWidget

from app.core import event
from app.core.quantity import duration_text, plural
from app.ui import theme
from app.ui.elided_label import ElidedLabel
from app.ui.icon_button import IconButton

ENDINGS = {
    "stop": "",
    "length": "cut at the maximum",
    "stopped": "stopped",
}


class AnswerColumn(QFrame):
    """Shows the answers of one model; it knows nothing of the other columns."""

    def __init__(self, index: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(f"answer.{index}")
        theme.set_role(self, role="card")
        self._title, self._pill = ElidedLabel("", self), QLabel(self)
        theme.set_role(self._title, role="label")
        self._text = QPlainTextEdit(self)
        self._text.setObjectName(f"answer.{index}.text")
        self._text.setReadOnly(True)
        self._text.setAcceptDrops(False)
        self._text.setTabChangesFocus(True)
        self._text.setStyleSheet("QPlainTextEdit { border: none; padding: 0; background: transparent; }")
        self._figures = QLabel(self)
        self._figures.setObjectName(f"answer.{index}.figures")
        self._figures.setWordWrap(True)
        theme.set_role(self._figures, role="small")
        self._copy = IconButton("ph.copy", "Copy this answer", self)
        self._copy.setObjectName(f"answer.{index}.copy")
        self._copy.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._copy.clicked.connect(self._on_copy)
        self._lay_out()

    def set_model(self, title: str, *, tuned: bool) -> None:
        """Who answers here."""
        self._title.setText(title)
        self._title.setToolTip(title)
        self._pill.setText("Tuned" if tuned else "Base")
        theme.set_role(self._pill, role="pill-accent" if tuned else "pill")
        self._text.setAccessibleName(f"Answer of {title}")
        who = "tuned model's" if tuned else "base model's"
        self._text.setPlaceholderText(f"The {who} answer appears here.")

    def begin(self, text: str) -> None:
        """Empties the column for a new answer; ``text`` says what it waits for."""
        self._text.clear()
        self.set_status(text)

    def set_status(self, text: str) -> None:
        """What stands under the answer."""
        self._figures.setText(text)
        theme.set_role(self._figures, role="small")

    def take(self, piece: event.Answered) -> None:
        """Adds a piece; the last one brings the figures or why there is no answer."""
        if piece.text:
            cursor = QTextCursor(self._text.document())
            cursor.movePosition(QTextCursor.MoveOperation.End)
            cursor.insertText(piece.text)
        if not piece.done:
            self.set_status("Answering…")
        elif piece.message:
            self._figures.setText(piece.message)
            theme.set_role(self._figures, role="error")
        else:
            self.set_status(figures_text(piece))

    @property
    def answer(self) -> str:
        """The text so far."""
        return self._text.toPlainText()

    @property
    def status(self) -> str:
        """What stands under the answer."""
        return self._figures.text()

    def _on_copy(self) -> None:
        QGuiApplication.clipboard().setText(self.answer)

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.setSpacing(theme.SPACE)
        head.addWidget(self._pill, 0, Qt.AlignmentFlag.AlignVCenter)
        head.addWidget(self._title, 1)
        head.addWidget(self._copy)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE * 2, theme.SPACE, theme.SPACE, theme.SPACE * 3 // 2)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(head)
        layout.addWidget(self._text, 1)
        layout.addWidget(self._figures)


def figures_text(piece: event.Answered) -> str:
    """``42 tokens · 85.3 tokens/s · first after 0.12 s``."""
    parts = [plural(piece.generation_tokens, "token")]
    if piece.tokens_per_second:
        parts.append(f"{piece.tokens_per_second:.1f} tokens/s")
    if piece.first_token_s:
        first = f"{piece.first_token_s:.2f} s" if piece.first_token_s < 10 else duration_text(piece.first_token_s)
        parts.append(f"first after {first}")
    if ending := ENDINGS.get(piece.finish_reason, piece.finish_reason):
        parts.append(ending)
    return " · ".join(parts)
