"""Statistics of comparisons: what of a difference could be chance."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from app.core.language import tr
from app.core.run.curve_table import Floats

CONFIDENCE = 0.95
NORMAL_95 = 1.959963984540054  # two-sided 95 % quantile of the normal distribution
RESAMPLES = 4000
DRAWS_AT_ONCE = 2_000_000  # of a bootstrap: 16 MB
SAME = 1e-6  # nats a token, or points: below this two values of one example are called equal
FEW = 10  # pairs; with fewer, resampling says nothing that can be relied on


@dataclass(frozen=True, slots=True)
class Interval:
    """A value with the ends of its 95 % confidence interval."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def wilson(successes: float, trials: int) -> Interval:
    """A share with Wilson's score interval (1927); 0 to 1 where nothing was tried.

    It stays within 0 and 1 and keeps its coverage for few trials and for shares near the ends.
    """
    if not trials:
        return Interval(0.0, 0.0, 1.0)
    share, z2 = successes / trials, NORMAL_95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = NORMAL_95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    low = 0.0 if successes <= 0 else max(0.0, middle - half)
    high = 1.0 if successes >= trials else min(1.0, middle + half)
    return Interval(share, low, high)


def sign_test(wins: int, losses: int) -> float:
    """Two-sided p-value of the sign test: how likely a split at least this uneven is if neither is better."""
    total, fewer = wins + losses, min(wins, losses)
    if not total:
        return 1.0
    tail = sum(math.comb(total, k) for k in range(fewer + 1))
    return min(1.0, float(2 * tail / 2**total))


def bootstrap_mean(sums: Floats, weights: Floats, *, resamples: int = RESAMPLES, seed: int = 0) -> Interval:
    """``sums.sum() / weights.sum()`` with its percentile interval, resampling pairs (Efron, 1979).

    ``sums`` and ``weights`` have shape (examples,): of each example its total difference and its number of tokens.
    Both are drawn together, so that long examples count as much in a resample as in the whole. The same data and
    seed give the same interval. Raises `ValueError` without weight.
    """
    total = float(weights.sum())
    if not total > 0:
        raise ValueError(tr("nothing to resample"))
    generator, count = np.random.default_rng(seed), len(sums)
    means: list[Floats] = []
    left = resamples
    while left:
        rows = min(left, max(1, DRAWS_AT_ONCE // count))
        drawn = generator.integers(0, count, (rows, count))
        below = weights[drawn].sum(axis=1)
        above = sums[drawn].sum(axis=1)
        means.append(np.divide(above, below, out=np.zeros(rows), where=below > 0))
        left -= rows
    edge = (1 - CONFIDENCE) / 2
    low, high = np.quantile(np.concatenate(means), (edge, 1 - edge))
    return Interval(float(sums.sum() / total), float(low), float(high))
