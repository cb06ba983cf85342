"""The peaks of a long curve: as many points as a picture can show, with every spike and every gap in it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from app.core.run.curve_table import Floats, PointPlaces

STRETCH_POINTS = 32  # points of one, and shorter stretches of the next longer one

_Bools = npt.NDArray[np.bool_]
Stretches = tuple[Floats, Floats, _Bools]  # the lowest and the highest of each, and whether it has a gap


class _Level:
    """Lowest, highest and gaps of stretches alike in length, in arrays that double when they are full."""

    def __init__(self) -> None:
        self.count = 0
        self._low, self._high, self._gap = np.empty(64), np.empty(64), np.empty(64, dtype=bool)

    def between(self, first: int, last: int) -> Stretches:
        """Views of some of them."""
        return self._low[first:last], self._high[first:last], self._gap[first:last]

    def extend(self, found: Stretches) -> None:
        """Adds stretches behind the last."""
        end = self.count + len(found[0])
        if end > len(self._low):
            size = max(end, 2 * len(self._low))
            self._low, self._high, self._gap = (
                np.concatenate((kept[: self.count], np.empty(size - self.count, dtype=kept.dtype)))
                for kept in (self._low, self._high, self._gap)
            )
        for kept, new in zip((self._low, self._high, self._gap), found, strict=True):
            kept[self.count : end] = new
        self.count = end


class Peaks:
    """Lowest and highest values of a growing curve, of stretches of 32, 1,024, … points.

    An update costs the new points, and a picture what can be seen in it, however long the curve is. What is not
    finite, or with ``positive`` not above zero, is a gap.
    """

    def __init__(self, *, positive: bool = False) -> None:
        self._positive = positive
        self._values: Floats = np.empty(0)
        self._levels: list[_Level] = []
        self.low = self.high = np.nan  # of the whole curve; not a number while there is nothing to see

    def __len__(self) -> int:
        return len(self._values)

    def update(self, values: Floats) -> None:
        """The curve is now ``values``, which begin with those of the last update."""
        fresh = self.drawable(values[len(self._values) :])
        self._values = values
        if len(fresh):
            self.low = float(np.fmin(self.low, np.fmin.reduce(fresh)))
            self.high = float(np.fmax(self.high, np.fmax.reduce(fresh)))
        size, number = STRETCH_POINTS, 0
        while len(values) >= size:
            if number == len(self._levels):
                self._levels.append(_Level())
            level, whole = self._levels[number], len(values) // size
            if number:
                found = self._levels[number - 1].between(level.count * STRETCH_POINTS, whole * STRETCH_POINTS)
            else:
                found = self._points(level.count * STRETCH_POINTS, whole * STRETCH_POINTS)
            low, high, gap = (part.reshape(-1, STRETCH_POINTS) for part in found)
            gaps: _Bools = np.logical_or.reduce(gap, axis=1)
            level.extend((np.fmin.reduce(low, axis=1), np.fmax.reduce(high, axis=1), gaps))
            size, number = size * STRETCH_POINTS, number + 1

    def drawable(self, values: Floats) -> Floats:
        """Values with what cannot be drawn as a gap."""
        with np.errstate(invalid="ignore"):
            good = np.isfinite(values) & (values > 0) if self._positive else np.isfinite(values)
        return values if good.all() else np.where(good, values, np.nan)

    def thinned(self, first: int, last: int, most: int) -> tuple[PointPlaces, Floats]:
        """Which of the points ``first`` to before ``last`` to draw, how high; at most 4 × ``most``.

        Few are drawn as they are. Of many, each of about ``most`` parts is drawn in its middle as highest and
        lowest, and one with a gap is not joined to the next; the first and the last point stand where they are.
        """
        if last - first <= 2 * most:
            return np.arange(first, last), self.drawable(self._values[first:last])
        part = 1 << (-(-(last - first) // most) - 1).bit_length()  # a power of two: parts stay what they are
        size, number = 1, -1
        while (
            size * STRETCH_POINTS <= part and 2 * size * STRETCH_POINTS <= last - first
        ):  # a whole one lies between
            size, number = size * STRETCH_POINTS, number + 1
        begin, end = -(-first // size), last // size  # of the stretches that lie wholly between
        found = self._levels[number].between(begin, end) if number >= 0 else self._points(first, last)
        places = np.arange(begin, end) * size // part
        starts = np.flatnonzero(np.diff(places, prepend=-1))
        low, high = np.fmin.reduceat(found[0], starts), np.fmax.reduceat(found[1], starts)
        gap = np.logical_or.reduceat(found[2], starts)
        bounds = np.append(starts + begin, end) * size
        middles = (bounds[:-1] + bounds[1:]) // 2
        return self._joined(first, last, (begin * size, end * size), (middles, low, high, gap))

    def _joined(
        self, first: int, last: int, whole: tuple[int, int], parts: tuple[PointPlaces, Floats, Floats, _Bools]
    ) -> tuple[PointPlaces, Floats]:
        """The points of the parts, between what is left over at both ends."""
        middles, low, high, gap = parts
        places, values = np.repeat(middles, 3), np.stack((high, low, np.full(len(low), np.nan)), axis=1).ravel()
        shown = np.ones(len(places), dtype=bool)
        shown[2::3] = gap
        ends = [self._end(first, whole[0]), self._end(whole[1], last)]
        edge = self.drawable(self._values[[first, last - 1]])
        return (
            np.concatenate(([first], ends[0][0], places[shown], ends[1][0], [last - 1])),
            np.concatenate((edge[:1], ends[0][1], values[shown], ends[1][1], edge[1:])),
        )

    def _end(self, first: int, last: int) -> tuple[PointPlaces, Floats]:
        """Highest and lowest of a few points that are no whole stretch, where they are."""
        values = self.drawable(self._values[first:last])
        if np.isnan(values).all():
            return np.arange(first, last)[:1], values[:1]
        found = np.unique([int(np.nanargmin(values)), int(np.nanargmax(values))])
        if np.isnan(values).any():  # behind both, so that they are not joined to what follows
            return first + np.append(found, found[-1]), np.append(values[found], np.nan)
        return first + found, values[found]

    def _points(self, first: int, last: int) -> Stretches:
        """Points as stretches of one."""
        values = self.drawable(self._values[first:last])
        return values, values, np.isnan(values)
