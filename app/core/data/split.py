"""The split: which rows train, which validate, which are kept for the test; seeded and even in length."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

TRAIN, VALID, TEST, LEFT_OUT = 0, 1, 2, 3
SMALL_ROWS = 10


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """How much goes where. Fractions are of the unique rows; ``batch_size`` is what a held-out part should fill."""

    valid_fraction: float = 0.1
    test_fraction: float = 0.1
    seed: int = 0
    batch_size: int = 1


def held_out_sizes(rows: int, plan: SplitPlan) -> tuple[int, int]:
    """How many of ``rows`` validate and test: the fractions, but at least one row, and a batch where a fifth of
    the rows is one; with fewer than 10 rows there is no test part, with one row neither."""
    valid = _size(rows, plan.valid_fraction, plan.batch_size) if rows > 1 else 0
    test = _size(rows, plan.test_fraction, plan.batch_size) if rows >= SMALL_ROWS else 0
    while valid + test >= rows > 0:
        test, valid = (test - 1, valid) if test else (test, valid - 1)
    return valid, test


def _size(rows: int, fraction: float, batch_size: int) -> int:
    if fraction <= 0:
        return 0
    return max(round(rows * fraction), min(batch_size, rows // 5), 1)


def assign(
    lengths: npt.NDArray[np.uint32],
    groups: npt.NDArray[np.uint64] | None,
    plan: SplitPlan,
    labels: npt.NDArray[np.uint8] | None = None,
) -> npt.NDArray[np.int8]:
    """The side of every row: `TRAIN`, `VALID` or `TEST`, int8.

    Rows are put in order of length and each part takes one at random out of every stretch, so that all parts have
    short and long ones. Rows with the same value in ``groups`` stay together; a group that would overfill a part is
    left in the training part. With ``labels`` (1 good, 0 bad) each part has as good as the same share of both, and
    one of each where it has two rows and enough are there. Depends only on the arguments.
    """
    side = np.full(len(lengths), TRAIN, np.int8)
    if len(lengths) < 2:
        return side
    unit_of, sizes, means = _units(lengths, groups)
    random = np.random.default_rng(plan.seed)
    order = np.lexsort((random.permutation(len(sizes)), means))
    has = np.empty((0, len(sizes)), np.bool_) if labels is None else _holding(labels, unit_of, len(sizes))
    if labels is not None:
        order = order[np.argsort(has[1][order], kind="stable")]
    free = np.ones(len(sizes), np.bool_)
    unit_side = np.full(len(sizes), TRAIN, np.int8)
    for part, wanted in zip((VALID, TEST), held_out_sizes(len(lengths), plan), strict=True):
        taken = _take(order[free[order]], sizes, wanted, random)
        for holds in has:
            taken = _with_label(taken, holds, free, random)
        unit_side[taken] = part
        free[taken] = False
    if not free.any():
        unit_side[order[-1]] = TRAIN
    side[:] = unit_side[unit_of]
    return side


def _units(
    lengths: npt.NDArray[np.uint32], groups: npt.NDArray[np.uint64] | None
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """The unit of each row, and each unit's number of rows and mean length; units in order of their first row."""
    if groups is None:
        count = len(lengths)
        return np.arange(count), np.ones(count, np.int64), lengths.astype(np.float64)
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    # Hashes of texts differ from process to process: only the order of first rows is steady.
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    unit_of = rank[inverse]
    sizes = np.bincount(unit_of)
    return unit_of, sizes, np.bincount(unit_of, weights=lengths) / sizes


def _holding(labels: npt.NDArray[np.uint8], unit_of: npt.NDArray[np.int64], units: int) -> npt.NDArray[np.bool_]:
    """(2, units): whether a unit has a row of label 0, of label 1."""
    has = np.zeros((2, units), np.bool_)
    has[labels, unit_of] = True
    return has


def _with_label(
    taken: npt.NDArray[np.int64],
    holds: npt.NDArray[np.bool_],
    free: npt.NDArray[np.bool_],
    random: np.random.Generator,
) -> npt.NDArray[np.int64]:
    """A part of two units or more that has none with a label gets one for its last, if two or more are free."""
    if len(taken) < 2 or holds[taken].any():
        return taken
    spare = np.flatnonzero(free & holds)
    if len(spare) < 2:
        return taken
    return np.append(taken[:-1], random.choice(spare))


def _take(
    order: npt.NDArray[np.int64], sizes: npt.NDArray[np.int64], wanted: int, random: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Units of about ``wanted`` rows together: one out of every stretch of the order, then fewer or more to fit."""
    if wanted <= 0 or len(order) < 2:
        return order[:0]
    share = wanted / max(int(sizes[order].sum()), 1)
    stretches = min(max(round(share * len(order)), 1), len(order) - 1)
    edges = np.linspace(0, len(order), stretches + 1).astype(np.int64)
    picks = edges[:-1] + (random.random(stretches) * np.diff(edges)).astype(np.int64)
    chosen = order[picks]
    if (sizes[order] == 1).all():
        return chosen
    others = random.permutation(np.setdiff1d(order, chosen))
    taken: list[int] = []
    total = 0
    for unit in [*random.permutation(chosen).tolist(), *others.tolist()]:
        if total >= wanted:
            break
        if total + int(sizes[unit]) <= max(wanted + wanted // 5, 1):
            taken.append(unit)
            total += int(sizes[unit])
    return np.array(taken, np.int64)
