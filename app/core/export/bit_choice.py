"""Which bits each matrix gets when a whole model may have so many: most where it costs most to have few."""

from __future__ import annotations

import heapq
from collections.abc import Mapping

BIT_CHOICES = (4, 5, 6, 8)  # those that MLX packs well; fewer would spoil what the measured examples do not show
_ERROR_PER_BIT = 4.0  # one bit less doubles the step of a grid, and its square is what a loss grows by


def spread_bits(harms: Mapping[str, float], sizes: Mapping[str, int], average: float) -> dict[str, int]:
    """The bits of each matrix: all have the fewest, and what is left of ``average`` goes where it helps.

    ``harms`` are how much the loss grows when only that matrix has the fewest bits; with more it is taken to
    shrink to a quarter a bit. ``sizes`` are the numbers of weights. ``average`` counts no scales.
    """
    least = BIT_CHOICES[0]
    bits = dict.fromkeys(harms, least)
    room = (average - least) * sum(sizes[name] for name in harms)
    waiting = [(-_worth(harms[name], sizes[name], least), name) for name in harms]
    heapq.heapify(waiting)
    while waiting:
        _, name = heapq.heappop(waiting)
        more = _next(bits[name])
        if (cost := (more - bits[name]) * sizes[name]) > room:
            continue
        room -= cost
        bits[name] = more
        if more != BIT_CHOICES[-1]:
            heapq.heappush(waiting, (-_worth(harms[name], sizes[name], more), name))
    return bits


def _worth(harm: float, size: int, bits: int) -> float:
    """How much harm goes away for each further bit of a weight."""
    least, more = BIT_CHOICES[0], _next(bits)
    saved = _ERROR_PER_BIT ** (least - bits) - _ERROR_PER_BIT ** (least - more)
    return max(harm, 0.0) * saved / ((more - bits) * size)


def _next(bits: int) -> int:
    return BIT_CHOICES[BIT_CHOICES.index(bits) + 1]
