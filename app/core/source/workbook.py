"""Workbooks of Excel and OpenDocument: the first sheet that holds something, row by row, cells as texts."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from app.core.source.refusal import ARCHIVE_ERRORS, ZIP_START

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

OLD_OFFICE_START = b"\xd0\xcf\x11\xe0"
WORKBOOK_LIMIT_BYTES = 1 << 30  # unpacked: a sheet is held as a whole
HEAD_ROWS = 20

SheetCell = int | float | str | bool | time | date | datetime | timedelta


class WorkbookError(Exception):
    """A workbook that cannot be read, and why."""


def is_workbook(path: Path, head: bytes) -> bool:
    """True if a file that begins so is a workbook; of old ones the suffix tells, which letters share."""
    if head.startswith(OLD_OFFICE_START):
        return path.suffix.lower() == ".xls"
    if not head.startswith(ZIP_START):
        return False
    names, kind = _inside(path)
    return any(name.startswith("xl/") for name in names) or "opendocument.spreadsheet" in kind


def _inside(path: Path) -> tuple[list[str], str]:
    """The names of the files in an archive, and the kind that OpenDocument writes into it."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            kind = archive.read("mimetype")[:100].decode("ascii", "replace") if "mimetype" in names else ""
            return names, kind
    except ARCHIVE_ERRORS:
        return [], ""


def sheet_records(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The rows of the sheet that is read, each with its number in it (from 1); empty ones have no cells. Raises
    `WorkbookError`."""
    sheet, _ = _chosen_sheet(path)
    for number, cells in enumerate(sheet.iter_rows(), 1):
        record = [cell_text(cell) for cell in cells]
        yield number, record if any(text.strip() for text in record) else []


def workbook_start(path: Path) -> tuple[list[list[str]], str]:
    """The first rows that hold something, and what is to be told of the sheets. Raises `WorkbookError`."""
    sheet, others = _chosen_sheet(path)
    records = [record for _, record in islice(sheet_records(path), HEAD_ROWS) if record]
    if not others:
        return records, ""
    names = ", ".join(f"`{name[:40]}`" for name in others[:6])
    return records, f"The sheet `{sheet.name[:40]}` is read; not used: {names}. Save another as CSV to use it."


def cell_text(cell: SheetCell) -> str:
    """A cell as a table of text has it: whole numbers without a point, days and times as ISO 8601 has them."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    return cell.isoformat() if isinstance(cell, (date, datetime, time)) else str(cell)


def _chosen_sheet(path: Path) -> tuple[CalamineSheet, list[str]]:
    """The first sheet that holds anything (else the first), and the names of the others that do."""
    _check_size(path)
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with CalamineWorkbook.from_path(path) as book:
            sheets = [book.get_sheet_by_name(name) for name in book.sheet_names]
    except (CalamineError, OSError, ValueError) as error:
        raise WorkbookError(str(error)) from error
    except BaseException as error:  # a panic of the Rust library is no `Exception`
        if type(error).__name__ != "PanicException":
            raise
        raise WorkbookError("it is damaged") from error
    full = [sheet for sheet in sheets if sheet.end is not None]
    if not full:
        raise WorkbookError("no sheet holds anything")
    return full[0], [sheet.name for sheet in full[1:]]


def _check_size(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except ARCHIVE_ERRORS:
        size = path.stat().st_size  # an old one is no archive
    if size > WORKBOOK_LIMIT_BYTES:
        raise WorkbookError(f"it is larger than {WORKBOOK_LIMIT_BYTES >> 30} GB when unpacked")
