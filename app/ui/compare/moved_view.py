"""The examples whose loss changed most: what was asked, the right answer, and the loss before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QVBoxLayout, QWidget

from app.core.language import tr
from app.ui.widget import theme

EXCERPT_CHARACTERS = 240
TIP_CHARACTERS = 1200


class MovedView(QWidget):
    """Shows the ``moved`` examples of an ``evaluate`` result, of every candidate but the first."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("figures.examples")
        self._outer = QVBoxLayout(self)
        self._outer.setContentsMargins(0, 0, 0, 0)
        self._content: QWidget | None = None

    def show_result(self, found: dict[str, Any] | None, labels: Sequence[str]) -> None:
        """Takes over a result; None empties it."""
        if self._content is not None:
            self._outer.removeWidget(self._content)
            self._content.hide()
            self._content.deleteLater()
            self._content = None
        if found is None:
            return
        self._content = content = QWidget(self)
        grid = QGridLayout(content)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(theme.SPACE * 2)
        grid.setVerticalSpacing(theme.SPACE)
        grid.setColumnStretch(1, 1)
        for label, column in zip(labels, found["columns"], strict=True):
            for side, word in (("better", tr("better")), ("worse", tr("worse"))):
                if column["moved"][side]:
                    self._add_side(
                        grid,
                        tr("{label}: {side} than {labels}", label=label, side=word, labels=labels[0]),
                        column["moved"][side],
                    )
        self._outer.addWidget(content)
        content.show()

    def _add_side(self, grid: QGridLayout, title: str, moved: list[dict[str, Any]]) -> None:
        row = grid.rowCount()
        grid.addWidget(_text(title, "label"), row, 0, 1, 2)
        for offset, one in enumerate(moved, 1):
            figures = _text(
                tr(
                    "{reference:.2f} → {loss:.2f}\nline {line:,}",
                    reference=one["reference"],
                    loss=one["loss"],
                    line=one["line"],
                ),
                "small",
            )
            figures.setToolTip(
                tr(
                    "Loss in nats a token, before and after. {name}:{line}",
                    name=Path(one["file"]).name,
                    line=one["line"],
                )
            )
            grid.addWidget(figures, row + offset, 0, Qt.AlignmentFlag.AlignTop)
            said = _text(_shortened(one["answer"]), "small")
            if one["prompt"]:
                said.setText(f"{_shortened(one['prompt'])}\n→ {_shortened(one['answer'])}")
            said.setToolTip(f"{one['prompt']}\n→ {one['answer']}"[:TIP_CHARACTERS].strip())
            said.setWordWrap(True)
            grid.addWidget(said, row + offset, 1, Qt.AlignmentFlag.AlignTop)


def _text(text: str, role: str) -> QLabel:
    label = QLabel(text)
    label.setTextFormat(Qt.TextFormat.PlainText)
    theme.set_role(label, role=role)
    return label


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT_CHARACTERS else line[: EXCERPT_CHARACTERS - 1] + "…"
