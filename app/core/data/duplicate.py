"""Duplicates and contradictions: rows that train alike, and rated rows that say the opposite of an earlier one."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from app.core.data.format import Format, Layout
from app.core.data.label import label_of
from app.core.data.rated import better_of
from app.core.data.row_check import dumped

LIMIT_ROWS = 3_000_000
LISTED_REPEATS = 1000

Positions = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows that repeat an earlier one: positions of the later and of the first, in order of the later."""

    later: Positions
    first: Positions


class RowPlace(NamedTuple):
    """A row: the number of its file (from 0) and its line."""

    file: int
    line: int


@dataclass(slots=True)
class RepeatSummary:
    """How many rows repeat an earlier one, and (later, first) of the first 1,000 of them.

    ``estimated`` when there were so many different rows that only a sample of them was compared.
    """

    count: int = 0
    listed: list[tuple[RowPlace, RowPlace]] = field(default_factory=list)
    estimated: bool = False


class Fingerprints:
    """The fingerprints of rows in order, with their lines.

    When there are more than ``limit``, repeats found so far are counted and put aside; if that is not enough, an
    even sample of all *contents* is followed from there on: by the fingerprint itself, so that equal rows stay or
    go together. With ``limit`` None everything is kept, and `repeats` tells the positions.
    """

    def __init__(self, limit: int | None = LIMIT_ROWS) -> None:
        self.keys = array("q")
        self.lines = array("I")
        self.starts: list[int] = []  # where each file begins
        self._parts: list[int] = []  # which part of the data (training, validation, …) each file belongs to
        self._limit = limit
        self._dropped_bits = 0
        self._within = RepeatSummary()
        self._across = RepeatSummary()

    def start_file(self, part: int = 0) -> None:
        """What is added from now on belongs to the next file, which is in this part of the data."""
        self.starts.append(len(self.keys))
        self._parts.append(part)

    def extend(self, fingerprints: list[int], lines: list[int]) -> None:
        """Adds rows: what `hash` gave for each, and its line."""
        drop = (1 << self._dropped_bits) - 1
        if drop:
            kept = [at for at, fingerprint in enumerate(fingerprints) if not fingerprint & drop]
            fingerprints, lines = [fingerprints[at] for at in kept], [lines[at] for at in kept]
        self.keys.extend(fingerprints)
        self.lines.extend(lines)
        if self._limit is not None and len(self.keys) >= self._limit:
            self._make_room(self._limit)

    def summary(self) -> tuple[RepeatSummary, RepeatSummary]:
        """The repeats within one part of the data, and those of rows of an earlier part. To be asked once."""
        self._count(self.repeats())
        return self._within, self._across

    def repeats(self) -> Repeats:
        """Every row that repeats an earlier one of those that are kept."""
        keys = np.frombuffer(self.keys, np.int64)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        is_new = np.ones(len(keys), np.bool_)
        is_new[1:] = ordered[1:] != ordered[:-1]
        later = np.flatnonzero(~is_new)
        starts = np.flatnonzero(is_new)
        first = order[starts[np.searchsorted(starts, later, side="right") - 1]] if len(later) else later
        repeating = order[later]
        sorting = np.argsort(repeating)
        return Repeats(repeating[sorting].astype(np.int64), first[sorting].astype(np.int64))

    def _make_room(self, limit: int) -> None:
        found = self.repeats()
        self._count(found)
        keep = np.ones(len(self.keys), np.bool_)
        keep[found.later] = False
        self._keep(keep)
        while len(self.keys) > limit // 2 and self._dropped_bits < 62:
            bit = np.int64(1 << self._dropped_bits)
            self._dropped_bits += 1
            self._keep((np.frombuffer(self.keys, np.int64) & bit) == 0)

    def _count(self, found: Repeats) -> None:
        if not len(found.later):
            return
        starts, parts = np.array(self.starts), np.array(self._parts)
        its, other = (np.searchsorted(starts, at, side="right") - 1 for at in (found.later, found.first))
        crosses = parts[its] != parts[other]
        for summary, chosen in ((self._within, np.flatnonzero(~crosses)), (self._across, np.flatnonzero(crosses))):
            summary.count += len(chosen) << self._dropped_bits
            summary.estimated = self._dropped_bits > 0
            for at in chosen[: LISTED_REPEATS - len(summary.listed)].tolist():
                later = RowPlace(int(its[at]), self.lines[found.later[at]])
                summary.listed.append((later, RowPlace(int(other[at]), self.lines[found.first[at]])))

    def _keep(self, keep: npt.NDArray[np.bool_]) -> None:
        before = np.concatenate([[0], np.cumsum(keep)])
        self.starts = [int(before[start]) for start in self.starts]
        keys, lines = np.frombuffer(self.keys, np.int64)[keep], np.frombuffer(self.lines, np.uint32)[keep]
        self.keys, self.lines = array("q", keys.tobytes()), array("I", lines.tobytes())


# -- contradictions ------------------------------------------------------------------------------------------------

# Answers that are remembered, 240 bytes each; what comes after them is compared with these.
REMEMBERED_ANSWERS = 1_000_000


class Contradictions:
    """Takes rated rows in order and tells which of them say the opposite of an earlier one."""

    def __init__(self, limit: int = REMEMBERED_ANSWERS) -> None:
        self._limit = limit
        self._said: dict[int, tuple[bool, RowPlace]] = {}

    def take(self, row: dict[str, Any], layout: Layout, place: RowPlace) -> RowPlace | None:
        """Where the first row stands that says otherwise, if there is one. ``row`` is a good one of ``layout``."""
        if layout.format is Format.LABELLED:
            said, verdict = {*layout.read} - {layout.label}, bool(label_of(row[layout.label]))
            key = hash(dumped({column: row.get(column) for column in said}))
        else:
            asked = {*layout.read} - {layout.chosen, layout.rejected, layout.verdict}
            chosen, rejected = dumped(row.get(layout.chosen)), dumped(row.get(layout.rejected))
            verdict = (chosen < rejected) != (bool(layout.verdict) and better_of(row, layout) == 1)
            prompt = dumped({column: row.get(column) for column in asked})
            key = hash((prompt, *sorted((chosen, rejected))))
        known = self._said.get(key)
        if known is None:
            if len(self._said) < self._limit:
                self._said[key] = verdict, place
            return None
        return known[1] if known[0] != verdict else None
