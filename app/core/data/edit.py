"""Edits: rows changed, dropped or added, written as a new file; the file they came from is never changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from app.core.data.check import LOOK_EVERY
from app.core.data.prepare import WRITE_BUFFER_BYTES, CancelledError, dump_row
from app.core.problem import Problem, UnusableError
from app.core.source.reader import ABOUT_FILE, NO_ROWS, OVERLAP_KEY, RowFault, read_rows
from app.core.source.source import Source, UnusableFileError, inspect_file
from app.core.source.stream import ByteCount
from app.core.system.atomic_file import write_with

EditedRow = dict[str, Any]


@dataclass(slots=True)
class Edits:
    """What is to become of a file: rows by the line that the check tells (1-based)."""

    changed: dict[int, EditedRow] = field(default_factory=dict)
    dropped: set[int] = field(default_factory=set)
    added: list[EditedRow] = field(default_factory=list)

    def change(self, line: int, row: EditedRow) -> None:
        """Puts another row in the place of one (also of one that cannot be read)."""
        self.dropped.discard(line)
        self.changed[line] = row

    def drop(self, line: int) -> None:
        """Leaves a row out."""
        self.changed.pop(line, None)
        self.dropped.add(line)

    def restore(self, line: int) -> None:
        """Takes back what was to become of a row."""
        self.changed.pop(line, None)
        self.dropped.discard(line)

    def add(self, row: EditedRow) -> None:
        """Adds a row at the end."""
        self.added.append(row)

    def __bool__(self) -> bool:
        return bool(self.changed or self.dropped or self.added)


@dataclass(frozen=True, slots=True)
class EditOutcome:
    """What was written: rows in all, and how many were changed, dropped, added, or left out as unreadable."""

    rows: int
    changed: int
    dropped: int
    added: int
    unreadable: int


def read_window(path: Path, first_line: int, count: int) -> list[tuple[int, Any]]:
    """Up to ``count`` rows from ``first_line`` on, as (line, value or `RowFault`). Raises `UnusableError`."""
    rows = (
        (line, value)
        for line, value in read_rows(_source(path))
        if line >= first_line and not (isinstance(value, RowFault) and value.kind in ABOUT_FILE)
    )
    return [(line, _plain(value)) for line, value in islice(rows, count)]


def save_edited(
    path: Path,
    edits: Edits,
    target: Path,
    *,
    drop_bad_rows: bool = False,
    progress: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> EditOutcome:
    """Writes ``path`` with the edits as JSONL to ``target``, row by row, completely or not at all.

    Rows that cannot be read must be changed or dropped, unless ``drop_bad_rows``; empty lines go. Raises
    `UnusableError` (a row that cannot be read, a line that is not there, ``target`` is the file itself), `OSError`.
    """
    source = _source(path)
    if target.exists() and target.samefile(path):
        said = "The edited rows go into a new file; the original stays as it is."
        raise UnusableError([Problem("", said, hint="Choose another name.", file=str(target))])
    counts = {"changed": 0, "dropped": 0, "unreadable": 0, "rows": 0}
    rows = _edited(source, edits, drop_bad_rows, counts, progress, cancelled)
    write_with(target, lambda temporary: _write(temporary, rows, edits, counts, path))
    return EditOutcome(counts["rows"], counts["changed"], counts["dropped"], len(edits.added), counts["unreadable"])


def _write(temporary: Path, rows: Iterable[EditedRow], edits: Edits, counts: dict[str, int], path: Path) -> None:
    with temporary.open("wb", WRITE_BUFFER_BYTES) as file:
        for row in chain(rows, edits.added):
            file.write(dump_row(row))
            counts["rows"] += 1
    done = counts["changed"] + counts["dropped"]
    if done != len(edits.changed) + len(edits.dropped):
        missing = len(edits.changed) + len(edits.dropped) - done
        said = f"{missing} of the edited lines are not in the file; it has changed since it was read."
        raise UnusableError([Problem("", said, hint="Open it again.", file=str(path))])


def _edited(
    source: Source,
    edits: Edits,
    drop_bad_rows: bool,
    counts: dict[str, int],
    progress: Callable[[int, int], None] | None,
    cancelled: Callable[[], bool] | None,
) -> Iterator[EditedRow]:
    count = ByteCount()
    bad: list[Problem] = []
    for number, (line, value) in enumerate(read_rows(source, count), 1):
        if not number & LOOK_EVERY:
            if progress is not None:
                progress(count.done, source.size)
            if cancelled is not None and cancelled():
                raise CancelledError
        if line in edits.changed:
            counts["changed"] += 1
            yield edits.changed[line]
        elif line in edits.dropped:
            counts["dropped"] += 1
        elif isinstance(value, dict):
            yield _plain(value)
        elif not (isinstance(value, RowFault) and value.kind in NO_ROWS):
            counts["unreadable"] += 1
            if not drop_bad_rows:
                said = value.reason if isinstance(value, RowFault) else "The row is no object with fields."
                bad.append(Problem("", said, hint="Repair or drop the row.", file=source.name, line=line))
    if bad:
        raise UnusableError(bad[:1000])


def _plain(value: Any) -> Any:
    return {k: v for k, v in value.items() if k != OVERLAP_KEY} if isinstance(value, dict) else value


def _source(path: Path) -> Source:
    try:
        return inspect_file(path)
    except UnusableFileError as error:
        raise UnusableError([Problem("data", error.reason, file=str(path))]) from error
