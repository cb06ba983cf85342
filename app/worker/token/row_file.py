"""Prepared rows read from their file, batch by batch, each with its line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.core.problem import Problem, UnusableError

ROWS_AT_ONCE = 512


KEPT_FAULTS = 1000


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
        said = f"This is not JSON: {error}."
        problem = Problem("data", said, hint="Prepare the data first.", file=str(path), line=number)
        raise UnusableError([problem]) from error
    if not isinstance(row, dict):
        raise UnusableError([Problem("data", "The row is no object with fields.", file=str(path), line=number)])
    return row
