"""Recommendations: each with its reason and a button that applies it; none is applied by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.core.config.spec import field_specs
from app.core.language import tr
from app.core.setup.recommendation import Suggestion
from app.core.target.preset import PRESETS
from app.ui.form.number_box import number_text
from app.ui.widget import theme
from app.ui.widget.layout import clear_layout


class SuggestionList(QWidget):
    """Shows `Suggestion`s; ``applied(path, value)`` asks to make one change."""

    applied = Signal(str, object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._shown: Sequence[Suggestion] = ()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(theme.SPACE // 2)
        self.hide()

    def show_suggestions(self, suggestions: Sequence[Suggestion]) -> None:
        """Replaces what is shown; nothing is rebuilt while it stays the same."""
        if list(suggestions) == list(self._shown):
            return
        self._shown = tuple(suggestions)
        clear_layout(self._layout)
        for suggestion in suggestions:
            self._layout.addWidget(self._line(suggestion))
        self.setVisible(bool(suggestions))

    def _line(self, suggestion: Suggestion) -> QFrame:
        line = QFrame(self)
        line.setProperty("role", "banner")
        layout = QHBoxLayout(line)
        layout.setContentsMargins(theme.SPACE * 3 // 2, theme.SPACE, theme.SPACE, theme.SPACE)
        text = QLabel(f"<b>{change_text(suggestion.path, suggestion.value)}</b> {suggestion.reason}", line)
        text.setWordWrap(True)
        apply = QPushButton(tr("Apply"), line)
        apply.setObjectName(f"suggestion.{suggestion.path}")
        apply.setAccessibleName(
            tr("Apply: {change_text}", change_text=change_text(suggestion.path, suggestion.value))
        )
        apply.setToolTip(change_text(suggestion.path, suggestion.value))
        apply.setProperty("change", [suggestion.path, suggestion.value])
        apply.clicked.connect(self._on_apply)
        layout.addWidget(text, 1)
        layout.addWidget(apply)
        return line

    def _on_apply(self) -> None:
        button = self.sender()
        assert isinstance(button, QPushButton)
        path, value = button.property("change")
        self.applied.emit(path, value)


def change_text(path: str, value: Any) -> str:
    """A change in words: ``LoRA rank 8``, ``Gradient checkpointing on``, ``Targets Minimal (Q + V)``."""
    spec = field_specs()[path]
    if isinstance(value, bool):
        shown = tr("on") if value else tr("off")
    elif path == "targets":
        shown = PRESETS[value].label if value in PRESETS else str(value)
    elif spec.choices:
        shown = next((text for choice, text in spec.choices if choice == value), str(value))
    else:
        shown = number_text(value) if isinstance(value, (int, float)) else str(value)
    return f"{spec.label}: {shown}"
