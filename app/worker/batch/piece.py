"""Pieces: a batch is computed in parts of like length, one after the other, whose gradients are added up.

A batch that is drawn at random holds short and long examples: padded to its longest, more than half of it is
padding (Dolly's lengths, batch 8). Batches of like lengths avoid that too, but they are no random sample: runs of
eight steps ended 11 % behind in validation loss, as a share of the improvement. Cutting a batch changes neither its
examples nor its gradient, which is the mean of the pieces' by tokens; it takes less time and, as only one piece is
held at once, less memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from app.core.setup.memory_term import LARGEST_PIECE
from app.worker.array import Ints
from app.worker.batch.shape import SHAPE_LIMIT, Costs, Shape, plan_shapes, rounded, worthwhile

# What a piece costs beside its positions, in positions: its start, and matrix products that are not full.
START = 32
# Batches of an epoch that the shapes are planned from; more tell nothing new.
PLANNED_OF_EPOCH = 100


class Piece(NamedTuple):
    """``numbers`` of the examples that are computed together, padded to ``shape``."""

    shape: Shape
    numbers: Ints


class Cutter:
    """Cuts batches into pieces of few shapes, at the least cost.

    ``inputs`` and ``targets`` count each example's positions and learned tokens. The shapes are planned from
    ``batches`` (numbers of examples). A piece of several examples has at most ``most`` positions. An example takes
    ``each`` rows, all of its ``inputs``, and ``targets`` are those of all of them.
    """

    def __init__(
        self,
        inputs: Ints,
        targets: Ints,
        widest: int,
        costs: Costs,
        batches: Sequence[Ints],
        most: int = LARGEST_PIECE,
        each: int = 1,
    ) -> None:
        self._most, self._each = most, each
        self._inputs, self._targets, self._widest, self._costs = inputs, targets, widest, costs
        alone = rounded(each, int(inputs.max()), 0, widest)
        alone = alone._replace(targets=alone.positions)
        needs = [piece.shape for batch in batches for piece in self._cut(batch, lambda need: need)]
        # One more holds what no plan foresaw.
        limit = worthwhile(len(needs), SHAPE_LIMIT - 1)
        while True:
            # The fewer shapes there are, the other cuts are the cheapest: so some are given up, and it is cut anew.
            now = max(limit, len(set(needs)) // 2)
            self._table = plan_shapes(needs, alone, costs, now, most, each)
            if now == limit:
                break
            needs = [piece.shape for batch in batches for piece in self.cut(batch)]

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The planned shapes."""
        return self._table.shapes

    def cut(self, numbers: Ints) -> list[Piece]:
        """A batch in pieces, the longest examples first."""
        return self._cut(numbers, self._fit)

    def _fit(self, need: Shape) -> Shape | None:
        return self._table.cover(need)

    def _cut(self, numbers: Ints, shape_of: Callable[[Shape], Shape | None]) -> list[Piece]:
        """The cheapest cut of the batch, sorted by length, into runs: ``best[j]`` is what the first j cost."""
        order = numbers[np.argsort(-self._inputs[numbers], kind="stable")]
        inputs = self._inputs[order].tolist()
        learned = [0, *np.cumsum(self._targets[order]).tolist()]
        best: list[tuple[float, int, Shape | None]] = [(0.0, 0, None)]
        for end in range(1, len(order) + 1):
            found: tuple[float, int, Shape | None] = (math.inf, 0, None)
            for start in range(end - 1, -1, -1):
                need = rounded(
                    self._each * (end - start), inputs[start], learned[end] - learned[start], self._widest
                )
                shape = shape_of(need) if is_allowed(need, self._most, self._each) else None
                if shape is None:
                    break  # a longer run needs more
                cost = best[start][0] + self._costs.of(*shape) + START
                if cost < found[0]:
                    found = (cost, start, shape)
            best.append(found)
        return list(_traced(best, order))[::-1]


def is_allowed(shape: Shape, most: int = LARGEST_PIECE, each: int = 1) -> bool:
    """Whether a piece may be so large: one example, of ``each`` rows, may always."""
    return shape.rows == each or shape.positions <= most


def _traced(best: list[tuple[float, int, Shape | None]], order: Ints) -> Iterator[Piece]:
    end = len(order)
    while end:
        _, start, shape = best[end]
        assert shape is not None, "one example always fits"
        yield Piece(shape, order[start:end])
        end = start
