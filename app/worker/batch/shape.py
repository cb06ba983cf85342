"""Shapes: the few sizes that batches are padded to, chosen so that little is computed for nothing.

MLX compiles the training step once for every distinct shape and keeps it: a new one costs a quarter of a second and
some 14 MB at 28 layers. So the sizes that an epoch needs are merged, the cheapest merge first, until few are left.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

SHAPE_LIMIT = 20
PLANNED_EPOCHS = 2
WIDTH_STEP = 16
TARGET_STEPS = 8


@dataclass(frozen=True, slots=True)
class Costs:
    """What computing costs, in units of one position in the body.

    ``head`` is one position in head and loss. ``attention_span`` is the row width at which a position's attention
    costs as much as the rest of the body. ``branches`` says whether the model computes what sequences begin with
    alike once (`app.worker.batch.branch`, `app.worker.batch.prefix`).
    """

    head: float = 0.0
    attention_span: float = math.inf
    branches: bool = False

    def of(self, rows: Any, width: Any, targets: Any, shared: Any = 0) -> Any:
        """The cost of a batch of this shape; numbers or arrays of them."""
        behind = rows * width * (1 + (width + shared) / self.attention_span)
        return behind + shared * (1 + shared / self.attention_span) + self.head * targets


class Shape(NamedTuple):
    """``rows`` × ``width`` input positions behind ``shared`` ones that they begin with alike
    (`app.worker.batch.prefix`), of which ``targets`` go through the head and the loss."""

    rows: int
    width: int
    targets: int
    shared: int = 0

    @property
    def positions(self) -> int:
        return self.rows * self.width + self.shared

    @property
    def is_dense(self) -> bool:
        """True if every position goes through the head, so that none need be picked out."""
        return self.targets == self.positions


def rounded(rows: int, width: int, targets: int, widest: int = 2**31, shared: int = 0) -> Shape:
    """The shape on the fine grid that holds a batch: widths by 16, targets by eighths of the positions.

    Nothing is padded beyond ``widest``, the longest that an example can be. Of ``width`` the first ``shared`` are
    computed once for all rows.
    """
    width = min(-(-(width - shared) // WIDTH_STEP) * WIDTH_STEP, max(widest - shared, 1))
    positions = rows * width + shared
    eighth = -(-positions // TARGET_STEPS)
    return Shape(rows, width, min(positions, -(-max(targets, 1) // eighth) * eighth), shared)


def worthwhile(uses: int, limit: int = SHAPE_LIMIT, *, each: int = 4) -> int:
    """How many shapes to plan for so many uses: one that has less than ``each`` is not worth its compilation.

    The uses of a run's first epochs are counted (`PLANNED_EPOCHS`) and not those of all its iterations: a run that
    is extended pads as it did before, and so its losses are those of a run that was as long from the start.
    """
    return max(2, min(limit, uses // each))


@dataclass(frozen=True, slots=True)
class ShapeTable:
    """The shapes of a run. It follows from data and config alone, so that a resumed run pads as it did before."""

    shapes: tuple[Shape, ...]  # the cheapest first
    largest: Shape

    def fit(self, need: Shape) -> Shape:
        """The cheapest shape that holds ``need``; ``largest``, which holds every batch, if none does."""
        return self.cheapest(lambda shape: _holds(shape, need))

    def cover(self, need: Shape) -> Shape | None:
        """The cheapest shape that holds ``need``, ``largest`` among them; None if none does."""
        found = self.fit(need)
        return found if _holds(found, need) else None

    def cheapest(self, holds: Callable[[Shape], bool]) -> Shape:
        """The cheapest shape for which ``holds`` is true; ``largest`` if there is none."""
        return next((shape for shape in self.shapes if holds(shape)), self.largest)


def _holds(shape: Shape, need: Shape) -> bool:
    is_large = shape.rows >= need.rows and shape.width >= need.width and shape.targets >= need.targets
    return is_large and shape.shared == need.shared


def plan_shapes(
    needs: Iterable[Shape],
    largest: Shape,
    costs: Costs,
    limit: int = SHAPE_LIMIT,
    most: int | None = None,
    each: int = 1,
    most_shared: int = 0,
) -> ShapeTable:
    """At most ``limit`` shapes for batches that need ``needs``; ``largest`` is for what these did not foresee.

    Where ``most`` is given no shape of more than ``each`` rows has more positions: a need that nothing holds then
    has to be cut into so many rows, which ``largest`` holds. Where rows share what they begin with it may have
    ``most_shared`` if that is more.
    """
    counts = Counter(needs)
    shapes = np.array(sorted(counts), dtype=np.int64).reshape(-1, 4)
    uses = np.array([counts[shape] for shape in sorted(counts)], dtype=np.float64)
    while len(shapes) > max(1, limit):
        limits = (math.inf, math.inf) if most is None else (most, max(most, most_shared))
        shapes, uses = _merge_cheapest(shapes, uses, costs, limits, each)
    found = [Shape(*(int(side) for side in shape)) for shape in shapes]
    return ShapeTable(tuple(sorted(found, key=lambda shape: (costs.of(*shape), shape))), largest)


def _merge_cheapest(
    shapes: np.ndarray, uses: np.ndarray, costs: Costs, most: tuple[float, float], each: int
) -> tuple[np.ndarray, np.ndarray]:
    """Joins the two shapes, of as much that is shared, whose common cover adds the least work over the epoch.

    If every cover of two would be too large, the shape with the least work is given up.
    """
    cover = np.maximum(shapes[:, None], shapes[None])
    shared = cover[..., 3]
    full = cover[..., 0] * cover[..., 1] + shared
    # A cover of a dense shape is dense: picking positions out is only worth it where many are left out.
    dense = shapes[:, 2] == shapes[:, 0] * shapes[:, 1] + shapes[:, 3]
    cover[..., 2] = np.where(dense[:, None] | dense[None], full, np.minimum(cover[..., 2], full))
    own = costs.of(*shapes.T)
    covered = costs.of(*np.moveaxis(cover, -1, 0))
    added = uses[:, None] * (covered - own[:, None]) + uses[None] * (covered - own[None])
    added[np.tril_indices(len(shapes))] = np.inf
    added[(cover[..., 0] > each) & (full > np.where(shared > 0, most[1], most[0]))] = np.inf
    added[shapes[:, None, 3] != shapes[None, :, 3]] = np.inf
    if not np.isfinite(added).any():
        least = int(np.argmin(uses * own))
        return np.delete(shapes, least, axis=0), np.delete(uses, least)
    first, second = np.unravel_index(np.argmin(added), added.shape)
    kept = [i for i in range(len(shapes)) if i not in (first, second)]
    merged = np.vstack([shapes[kept], cover[first, second][None]])
    return merged, np.append(uses[kept], uses[first] + uses[second])
