"""A row fault: what stands in the place of a row that cannot be read, or tells of the file that is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NumberedRow = tuple[int, Any]


@dataclass(frozen=True, slots=True)
class RowFault:
    """What stands in the place of a row that cannot be read: the kind of the finding and the reason."""

    kind: str
    reason: str


# Faults that stand for no row: what they tell of is the file, or a line without anything in it.
ABOUT_FILE = frozenset(("unusual_header", "line_comma", "contents"))
NO_ROWS = ABOUT_FILE | {"empty_line"}
EMPTY_LINE = RowFault("empty_line", "The line is empty.")
