"""What a check keeps of the rows it has read: a lane for each format, and the record that a split needs."""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from app.core.data.format import Format, Layout, Target

BAD_ROW = 255
FORMATS = tuple(Format)


@dataclass(slots=True)
class Lane:
    """The rows of one format: how many, how many good ones a split, where the first of them are, and in how many of
    them something stands in a column that is not used."""

    format: Format
    layout: Layout | None
    count: int = 0
    good: list[int] = field(default_factory=lambda: [0, 0, 0])
    native: bool = True
    targets: set[Target] = field(default_factory=set)
    lines: list[tuple[int, int]] = field(default_factory=list)
    columns: list[tuple[Any, ...]] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)
    labels: list[Counter[bool]] = field(default_factory=lambda: [Counter(), Counter(), Counter()])


@dataclass(slots=True)
class RowRecord:
    """What a split needs of every row, in order.

    Its format (or `BAD_ROW`), length in characters, line, group, and label (1 good, 0 bad or none).
    """

    state: array[int] = field(default_factory=lambda: array("B"))
    lengths: array[int] = field(default_factory=lambda: array("I"))
    lines: array[int] = field(default_factory=lambda: array("I"))
    groups: array[int] = field(default_factory=lambda: array("Q"))
    labels: array[int] = field(default_factory=lambda: array("B"))
    starts: list[int] = field(default_factory=list)

    def add(self, kind: Format | None, length: int, line: int) -> None:
        """The next row: its format, None for one that does not train; group and label are added where asked for."""
        self.state.append(BAD_ROW if kind is None else FORMATS.index(kind))
        self.lengths.append(min(length, 0xFFFFFFFF))
        self.lines.append(line & 0xFFFFFFFF)
