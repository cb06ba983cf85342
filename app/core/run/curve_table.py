"""The points of curves: rows of floats that grow, and how the reports of a run become them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
PointPlaces = npt.NDArray[np.int64]

CURVE_COLUMNS = ("iterations", "epochs", "tokens", "time", "loss")
LEAST_ROOM, MOST_ROOM = 256, 2**22  # rows
_PLACE_OF = {name: place for place, name in enumerate(CURVE_COLUMNS)}


class CurveTable:
    """Rows of floats in one array that doubles when it is full: adding a row hardly ever copies the whole history.

    With room for all rows that will come it never does: that takes a moment which somebody at the window notices.
    """

    def __init__(self, room: int = 0) -> None:
        self._rows = np.empty((len(CURVE_COLUMNS), min(max(room, LEAST_ROOM), MOST_ROOM)))
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def column(self, name: str) -> Floats:
        """A read-only view of one column."""
        view = self._rows[_PLACE_OF[name], : self._count]
        view.flags.writeable = False
        return view

    def last(self) -> Floats:
        """The last row (columns,), a copy."""
        return self._rows[:, self._count - 1].copy()

    def extend(self, rows: Floats) -> None:
        """Adds rows of shape (columns, n)."""
        end = self._count + rows.shape[1]
        if end > self._rows.shape[1]:
            self._grow(max(end, 2 * self._rows.shape[1]))
        self._rows[:, self._count : end] = rows
        self._count = end

    def reserve(self, room: int) -> None:
        """Makes room for so many rows in all; memory that is not written to costs nothing."""
        if self._rows.shape[1] < min(room, MOST_ROOM):
            self._grow(min(room, MOST_ROOM))

    def _grow(self, room: int) -> None:
        grown = np.empty((len(CURVE_COLUMNS), room))
        grown[:, : self._count] = self._rows[:, : self._count]
        self._rows = grown

    def cut_after(self, iteration: float) -> bool:
        """Forgets the rows of later iterations; True if there were any."""
        if not self._count or self._rows[0, self._count - 1] <= iteration:  # as nearly always
            return False
        self._count = int(np.searchsorted(self.column("iterations"), iteration, side="right"))
        return True


def stretches(last: Floats, ends: Floats, counts: PointPlaces, fresh: PointPlaces) -> Floats:
    """One row an iteration (columns, n) of reports whose stretches end at ``ends`` (4, reports).

    ``counts`` is how many iterations each report tells of, ``fresh`` how many of these are new. In the place of the
    loss stands where it is, counted from behind the last one of its report.
    """
    firsts = np.cumsum(fresh) - fresh
    age = np.repeat(firsts + fresh, fresh) - np.arange(fresh.sum())  # 1 for the last of a report
    begins = np.concatenate((last[:, None], ends[:, :-1]), axis=1)
    rows = np.empty((len(CURVE_COLUMNS), len(age)))
    share = (np.repeat(counts, fresh) - age + 1) / np.repeat(counts, fresh)
    rows[:4] = np.repeat(begins, fresh, axis=1) + np.repeat(ends - begins, fresh, axis=1) * share
    rows[:4, firsts + fresh - 1] = ends
    rows[0] = np.repeat(ends[0], fresh) - age + 1
    rows[4] = -age
    return rows


def figure_points(at: Floats, values: Floats) -> Floats:
    """Rows of one figure (columns, n); ``at`` (4, n) is where it lies: iteration, epoch, tokens, seconds."""
    rows = np.empty((len(CURVE_COLUMNS), len(values)))
    rows[:4], rows[4] = at, values
    return rows
