"""A smoothed curve: the running mean of losses, which costs only the new points when it grows."""

from __future__ import annotations

import numpy as np

from app.core.run.curve_table import Floats

SMOOTH_BLOCK = 64


class Smoothed:
    """A running mean over a growing curve: each update costs only the new points."""

    def __init__(self, weight: float) -> None:
        self.weight = weight
        self._values = np.empty(256)
        self._count = 0
        self._state = (0.0, 0.0)

    def update(self, losses: Floats) -> Floats:
        """The smoothed curve of ``losses``, which begin with those of the last update."""
        if len(losses) < self._count:
            self._count, self._state = 0, (0.0, 0.0)
        if len(losses) > len(self._values):
            grown = np.empty(max(len(losses), 2 * len(self._values)))
            grown[: self._count] = self._values[: self._count]
            self._values = grown
        fresh, self._state = _smooth(losses[self._count :], self.weight, self._state)
        self._values[self._count : len(losses)] = fresh
        self._count = len(losses)
        return self._values[: self._count]


def smooth(values: Floats, weight: float) -> Floats:
    """Exponential moving average without the bias towards zero at the start (as Adam corrects its moments).

    ``weight`` is the share of the past, 0 (nothing is smoothed) to below 1. Points that are not finite are left out
    of the mean, and are NaN in the result: a gap.
    """
    return _smooth(values, weight, (0.0, 0.0))[0]


def _smooth(values: Floats, weight: float, state: tuple[float, float]) -> tuple[Floats, tuple[float, float]]:
    """One mean over the values and one over "is there a value"; their quotient is the unbiased mean."""
    finite = np.isfinite(values)
    total, sums = _decay(np.where(finite, values, 0.0), weight, state[0])
    count, counts = _decay(finite.astype(float), weight, state[1])
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(finite, sums / counts, np.nan), (total, count)


def _decay(values: Floats, weight: float, state: float) -> tuple[float, Floats]:
    """``s = weight · s + (1 − weight) · value`` along the values, a block at a time instead of one by one."""
    count = len(values)
    padded = np.zeros(-(-count // SMOOTH_BLOCK) * SMOOTH_BLOCK)
    padded[:count] = values
    age = np.subtract.outer(np.arange(SMOOTH_BLOCK), np.arange(SMOOTH_BLOCK))
    kernel = np.where(age >= 0, (1 - weight) * weight ** np.maximum(age, 0), 0.0)
    blocks = padded.reshape(-1, SMOOTH_BLOCK) @ kernel.T
    fade = weight ** np.arange(1, SMOOTH_BLOCK + 1)
    carried = np.empty(len(blocks))
    for index, last in enumerate(blocks[:, -1].tolist()):
        carried[index] = state
        state = last + state * fade[-1]
    result = (blocks + carried[:, None] * fade).reshape(-1)[:count]
    return (float(result[-1]) if count else state), result
