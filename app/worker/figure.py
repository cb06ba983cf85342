"""Figures: what an objective tells of its batches beside the loss, added up to means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx


@dataclass(slots=True)
class FigureSums:
    """Sums and counts by name; the mean over uneven batches is the sum of sums over the sum of counts."""

    sums: dict[str, list[float]] = field(default_factory=dict)

    def add(self, figures: Mapping[str, mx.array]) -> dict[str, float]:
        """Adds those of one batch, each a (sum, count) of shape (2,); returns that batch's own means."""
        own = {}
        for name, array in figures.items():
            values: Any = array.tolist()
            own[name] = values[0] / max(values[1], 1)
            self._add(name, values[0], values[1])
        return own

    def add_means(self, figures: Mapping[str, float]) -> None:
        """Adds means that count once."""
        for name, value in figures.items():
            self._add(name, value, 1)

    def means(self) -> dict[str, float]:
        """The means of everything added."""
        return {name: total / max(count, 1) for name, (total, count) in self.sums.items()}

    def _add(self, name: str, total: float, count: float) -> None:
        before = self.sums.setdefault(name, [0.0, 0.0])
        before[0], before[1] = before[0] + total, before[1] + count
