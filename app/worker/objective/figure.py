"""Figures: what an objective tells of its batches beside the loss, added up to means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

SIDES = ("chosen_reward", "rejected_reward")


@dataclass(slots=True)
class FigureSums:
    """Sums and counts by name; the mean over uneven batches is the sum of sums over the sum of counts."""

    sums: dict[str, list[float]] = field(default_factory=dict)

    def add(self, figures: Mapping[str, mx.array]) -> dict[str, float]:
        """Adds those of one batch, each a (sum, count) of shape (2,); returns that batch's own means."""
        own: dict[str, list[float]] = {}
        for name, array in figures.items():
            values: Any = array.tolist()
            own[name] = values
            self._add(name, values[0], values[1])
        return _means(own)

    def add_means(self, figures: Mapping[str, float]) -> None:
        """Adds means that count once."""
        for name, value in figures.items():
            self._add(name, value, 1)

    def means(self) -> dict[str, float]:
        """The means of everything added."""
        return _means(self.sums)

    def _add(self, name: str, total: float, count: float) -> None:
        before = self.sums.setdefault(name, [0.0, 0.0])
        before[0], before[1] = before[0] + total, before[1] + count


def _means(sums: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """The means of (sum, count) by name.

    What was counted nowhere has no mean: the accuracy of nothing but ties, or the reward of one kind of labelled
    answers. The margin of these is that of the two means.
    """
    found = {name: total / max(count, 1) for name, (total, count) in sums.items() if count}
    if "margin" not in sums and all(name in found for name in SIDES):
        found["margin"] = found[SIDES[0]] - found[SIDES[1]]
    return found
