"""Pieces: a batch is computed in parts of like length, one after the other, whose gradients are added up.

A batch that is drawn at random holds short and long examples: padded to its longest, more than half of it is
padding (Dolly's lengths, batch 8). Batches of like lengths avoid that too, but they are no random sample: runs of
eight steps ended 11 % behind in validation loss, as a share of the improvement. Cutting a batch changes neither its
examples nor its gradient, which is the mean of the pieces' by tokens; it takes less time and, as only one piece is
held at once, less memory. What the examples of a piece begin with alike may be computed once
(`app.worker.batch.prefix`), where that costs less.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from app.core.setup.memory_term import LARGEST_PIECE
from app.worker.array import Ints
from app.worker.batch.prefix_choice import Alike, Prefixes
from app.worker.batch.shape import SHAPE_LIMIT, Costs, Shape, plan_shapes, rounded, worthwhile

# What a piece costs beside its positions, in positions: its start, and matrix products that are not full.
START = 32
# What a position of a prefix costs for each row that goes on from it: its keys and values are put before the row's.
COPY = 0.05
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
    ``each`` rows, all of its ``inputs``, and ``targets`` are those of all of them. Examples may share ``prefixes``;
    what these save never makes a piece larger than the longest example.
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
        prefixes: Prefixes | None = None,
    ) -> None:
        self._most, self._each, self._prefixes = most, each, prefixes
        # Whoever asks for smaller pieces than usual gets them.
        self._most_shared = max(most, int(inputs.max())) if most >= LARGEST_PIECE else most
        self._inputs, self._targets, self._widest, self._costs = inputs, targets, widest, costs
        alone = rounded(each, int(inputs.max()), 0, widest)
        alone = alone._replace(targets=alone.positions)
        needs = [piece.shape for batch in batches for piece in self._cut(batch, lambda need: need)]
        # One more holds what no plan foresaw.
        limit = worthwhile(len(needs), SHAPE_LIMIT - 1)
        while True:
            # The fewer shapes there are, the other cuts are the cheapest: so some are given up, and it is cut anew.
            now = max(limit, len(set(needs)) // 2)
            self._table = plan_shapes(needs, alone, costs, now, most, each, self._most_shared)
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

    def cost(self, batches: Sequence[Ints]) -> float:
        """What these batches cost, cut, in positions of the body."""
        return sum(self._price(piece.shape) for batch in batches for piece in self.cut(batch))

    def _fit(self, need: Shape) -> Shape | None:
        return self._table.cover(need)

    def _cut(self, numbers: Ints, shape_of: Callable[[Shape], Shape | None]) -> list[Piece]:
        """The cheapest cut of the batch, sorted by length or by what examples begin with, into runs."""
        by_length = numbers[np.argsort(-self._inputs[numbers], kind="stable")]
        plain = Alike(by_length, [0] * len(by_length))
        orders = self._prefixes.orders(by_length) if self._prefixes is not None else [plain]
        found = [(self._cheapest(order, shape_of), order) for order in orders]
        best, order = min(found, key=lambda one: one[0][-1].cost)  # of equal ones the first
        return list(_traced(best, order.numbers))[::-1]

    def _cheapest(self, order: Alike, shape_of: Callable[[Shape], Shape | None]) -> list[_Cut]:
        """``[j]`` is what the first j examples cost."""
        inputs = self._inputs[order.numbers].tolist()
        learned = self._learned(order)
        best = [_Cut(0.0, 0, None)]
        for end in range(1, len(inputs) + 1):
            found = _Cut(math.inf, 0, None)
            longest, common = 0, math.inf
            for start in range(end - 1, -1, -1):
                longest = max(longest, inputs[start])
                fitting = [
                    shape
                    for prefix in learned
                    if prefix <= (common if end - start > 1 else 0)
                    if (need := self._need(start, end, longest, prefix, learned)) is not None
                    if (shape := shape_of(need)) is not None
                ]
                if not fitting:
                    break  # a longer run needs more
                cost, shape = min((self._price(shape), shape) for shape in fitting)
                if best[start].cost + cost < found.cost:
                    found = _Cut(best[start].cost + cost, start, shape)
                common = min(common, order.common[start])
            best.append(found)
        return best

    def _learned(self, order: Alike) -> dict[int, tuple[list[int], list[int]]]:
        """By the length of a prefix (0: none): the learned tokens of the first j examples, and those predicted in
        the prefix."""
        of_all = [0, *np.cumsum(self._targets[order.numbers]).tolist()]
        found = {0: (of_all, [0] * len(of_all))}
        if self._prefixes is not None and any(order.common):
            each = np.array([self._prefixes.learned(number) for number in order.numbers.tolist()], np.int64)
            for at, length in enumerate(self._prefixes.lengths):
                found[length] = (of_all, [0, *np.cumsum(each[:, at]).tolist()])
        return found

    def _need(
        self, start: int, end: int, longest: int, prefix: int, learned: dict[int, tuple[list[int], list[int]]]
    ) -> Shape | None:
        """The shape that holds a run; None where a piece may not be so large."""
        of_all, inside = learned[prefix]
        inside_of_run = inside[end] - inside[start]
        targets = of_all[end] - of_all[start] - inside_of_run + min(inside_of_run, prefix)
        need = rounded(self._each * (end - start), longest, targets, self._widest, prefix)
        return need if is_allowed(need, self._most_shared if prefix else self._most, self._each) else None

    def _price(self, shape: Shape) -> float:
        """What a piece costs with all that is beside its positions."""
        price = self._costs.of(*shape) + START
        if shape.shared:  # two calls of the model
            price += START + COPY * shape.rows * shape.shared
        return float(price)


class _Cut(NamedTuple):
    """The cheapest cut of the first examples: its last run begins at ``start`` and has this shape."""

    cost: float
    start: int
    shape: Shape | None


def is_allowed(shape: Shape, most: int = LARGEST_PIECE, each: int = 1) -> bool:
    """Whether a piece may be so large: one example, of ``each`` rows, may always."""
    return shape.rows == each or shape.positions <= most


def _traced(best: Sequence[_Cut], order: Ints) -> Iterator[Piece]:
    end = len(order)
    while end:
        _, start, shape = best[end]
        assert shape is not None, "one example always fits"
        yield Piece(shape, order[start:end])
        end = start
