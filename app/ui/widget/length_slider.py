"""A slider for a length in tokens: eight steps a doubling, so that short and long ones are set as easily."""

from __future__ import annotations

import math

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QWidget

from app.ui.platform.scrolling import CalmSlider

STEPS_A_DOUBLING = 8  # a doubling
SHORTEST, LONGEST = 16, 131_072  # tokens


def length_at(position: int) -> int:
    """The length that a position stands for, a multiple of 8."""
    return int(max(8, round(2 ** (position / STEPS_A_DOUBLING) / 8) * 8))


def position_of(length: int) -> int:
    """The position nearest to a length."""
    return round(STEPS_A_DOUBLING * math.log2(max(length, 1)))


class LengthSlider(CalmSlider):
    """``chosen(tokens)`` fires for moves of the user; `set_length` tells no one."""

    chosen = Signal(int)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setRange(position_of(SHORTEST), position_of(LONGEST))
        self.setPageStep(STEPS_A_DOUBLING)
        self.setMinimumHeight(24)
        self._shows = 0
        self.valueChanged.connect(self._on_value)

    def set_length(self, length: int) -> None:
        """Stands at a length; at its end for one that is beyond it."""
        self._shows = min(max(position_of(length), self.minimum()), self.maximum())
        self.setValue(self._shows)

    def _on_value(self, position: int) -> None:
        if position != self._shows:
            self._shows = position
            self.chosen.emit(length_at(position))
