"""Prepared rows read from their file, batch by batch, each with its line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.core.language import tr
from app.core.problem import Problem, UnusableError

ROWS_AT_ONCE = 512
KEPT_FAULTS = 1000

# What is the same for every row of a file is shown once, with the number of rows.
ALIKE = frozenset(("no_stop_token", "unmarked_stop"))

KeptFault = tuple[str, int, str]  # kind, line, reason


class RowFaults:
    """Collects what is to be said of rows: all are counted by kind, the first ones kept."""

    def __init__(self) -> None:
        self.kept: list[KeptFault] = []
        self.counts: Counter[str] = Counter()

    def add(self, kind: str, line: int, reason: str) -> None:
        """Adds one finding of a row."""
        self.counts[kind] += 1
        if self.counts[kind] <= (1 if kind in ALIKE else KEPT_FAULTS):
            self.kept.append((kind, line, reason))


def row_batches(path: Path) -> Iterator[tuple[list[dict[str, Any]], list[int], int]]:
    """Rows of a JSONL file with their lines, some hundred at a time, and the bytes read so far."""
    rows: list[dict[str, Any]] = []
    lines: list[int] = []
    done = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            done += len(line)
            rows.append(_row(line, path, number))
            lines.append(number)
            if len(rows) == ROWS_AT_ONCE:
                yield rows, lines, done
                rows, lines = [], []
    if rows:
        yield rows, lines, done


def _row(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        said = tr("This is not JSON: {error}.", error=error)
        problem = Problem("data", said, hint=tr("Prepare the data first."), file=str(path), line=number)
        raise UnusableError([problem]) from error
    if not isinstance(row, dict):
        raise UnusableError([Problem("data", tr("The row is no object with fields."), file=str(path), line=number)])
    return row
