"""A row of data as people read it: who says what, whatever its format."""

from __future__ import annotations

import json
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QWidget

from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel

SPEAKER_WIDTH = 84  # px in Inter
MESSAGE_COLUMNS = ("messages", "conversations", "conversation")


def turns(row: dict[str, Any]) -> list[tuple[str, str]]:
    """A row as (who, text) pairs: its messages, or its columns."""
    messages = next((row[name] for name in MESSAGE_COLUMNS if isinstance(row.get(name), list)), None)
    if messages is not None:
        parts = [m for m in messages if isinstance(m, dict)]
        return [(str(m.get("role") or m.get("from") or ""), _said(m)) for m in parts]
    return [(str(name), _text(value)) for name, value in row.items()]


def _said(message: dict[str, Any]) -> str:
    """What a message says, and the tools that it calls."""
    parts = [_text(message.get("content") or message.get("value") or "")]
    calls = message.get("tool_calls") or []
    for call in calls if isinstance(calls, list) else [calls]:
        function = call.get("function", call) if isinstance(call, dict) else call
        parts.append(f"→ {_text(function)}")
    return " ".join(part for part in parts if part)


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(turn, dict) and "content" in turn for turn in value):
        return "\n".join(_said(turn) for turn in value)
    return "" if value is None else json.dumps(value, ensure_ascii=False, default=str)


class RowCard(QFrame):
    """Some turns of a row, one line each."""

    def __init__(self, pairs: list[tuple[str, str]], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "well")
        grid = QGridLayout(self)
        grid.setContentsMargins(*[theme.SPACE * 3 // 2] * 4)
        grid.setHorizontalSpacing(theme.SPACE * 3 // 2)
        grid.setVerticalSpacing(theme.SPACE // 2)
        grid.setColumnStretch(1, 1)
        for number, (speaker, text) in enumerate(pairs):
            who = QLabel(speaker, self)
            who.setProperty("role", "small")
            who.setMaximumWidth(theme.text_width(SPEAKER_WIDTH * 2))
            grid.addWidget(who, number, 0, Qt.AlignmentFlag.AlignTop)
            what = ElidedLabel(" ".join(text.split()), self)
            what.setToolTip(text[:2000])
            grid.addWidget(what, number, 1)
