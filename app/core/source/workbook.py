"""Workbooks of Excel and OpenDocument: one sheet, row by row, cells as texts."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import IO, TYPE_CHECKING

from app.core.language import code, joined, tr
from app.core.source.refusal import ARCHIVE_ERRORS, PackedNames

if TYPE_CHECKING:
    from python_calamine import CalamineSheet

OLD_OFFICE_START = b"\xd0\xcf\x11\xe0"
WORKBOOK_LIMIT_BYTES = 1 << 30  # unpacked: a sheet is held as a whole
HEAD_ROWS = 20
NAMED_SHEETS = 6

SheetCell = int | float | str | bool | time | date | datetime | timedelta


class WorkbookError(Exception):
    """A workbook that cannot be read, and why."""


class SheetError(WorkbookError):
    """A sheet that is chosen and not there, or empty."""

    def __init__(self, wanted: str, names: tuple[str, ...]) -> None:
        there = joined((code(name[:40]) for name in names[:NAMED_SHEETS]), ", ")
        super().__init__(
            tr("No sheet `{wanted}` holds anything; there are {there}.", wanted=wanted[:40], there=there)
        )
        self.names = names


def is_workbook(suffix: str, head: bytes, packed: PackedNames) -> bool:
    """True if a file that begins so is a workbook; of old ones the suffix tells, which letters share."""
    if head.startswith(OLD_OFFICE_START):
        return suffix == ".xls"
    return any(name.startswith("xl/") for name in packed.names) or "opendocument.spreadsheet" in packed.kind


def sheet_records(file: IO[bytes], wanted: str = "") -> Iterator[tuple[int, list[str]]]:
    """The rows of a sheet (the first that holds something), each with its number in it (from 1); empty ones have no
    cells. Raises `WorkbookError`."""
    sheet, _ = _chosen_sheet(file, wanted)
    for number, cells in enumerate(sheet.iter_rows(), 1):
        record = [cell_text(cell) for cell in cells]
        yield number, record if any(text.strip() for text in record) else []


def workbook_start(file: IO[bytes], wanted: str = "") -> tuple[list[list[str]], tuple[str, ...]]:
    """The first rows of a sheet that hold something, and the names of all sheets that hold anything, the one that
    is read first. Raises `WorkbookError`."""
    sheet, others = _chosen_sheet(file, wanted)
    records = [record for _, record in islice(sheet_records(file, wanted), HEAD_ROWS) if record]
    return records, (sheet.name, *others)


def sheets_text(names: tuple[str, ...], wanted: str) -> str:
    """What is told of a workbook's sheets, of which the first is read; empty where there is nothing to tell."""
    read, *others = (code(name[:40]) for name in names)
    if not others:
        return tr("The sheet {read} is read.", read=read) if wanted else ""
    more = tr(" and {others:,} more", others=len(others) - NAMED_SHEETS) if len(others) > NAMED_SHEETS else ""
    return tr(
        "The sheet {read} is read; not used: {names}{more}.",
        read=read,
        names=joined(others[:NAMED_SHEETS], ", "),
        more=more,
    )


def cell_text(cell: SheetCell) -> str:
    """A cell as a table of text has it: whole numbers without a point, days and times as ISO 8601 has them."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    return cell.isoformat() if isinstance(cell, (date, datetime, time)) else str(cell)


def _chosen_sheet(file: IO[bytes], wanted: str) -> tuple[CalamineSheet, list[str]]:
    """The sheet of a name, or the first that holds anything, and the names of the others that do."""
    _check_size(file)
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with CalamineWorkbook.from_filelike(file) as book:
            sheets = [book.get_sheet_by_name(name) for name in book.sheet_names]
    except (CalamineError, OSError, ValueError) as error:
        raise WorkbookError(str(error)) from error
    except BaseException as error:  # a panic of the Rust library is no `Exception`
        if type(error).__name__ != "PanicException":
            raise
        raise WorkbookError(tr("it is damaged")) from error
    full = [sheet for sheet in sheets if sheet.end is not None]
    if not full:
        raise WorkbookError(tr("no sheet holds anything"))
    names = [sheet.name for sheet in full]
    chosen = next((sheet for sheet in full if sheet.name == wanted), None) if wanted else full[0]
    if chosen is None:
        raise SheetError(wanted, tuple(names))
    return chosen, [name for name in names if name != chosen.name]


def _check_size(file: IO[bytes]) -> None:
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(part.file_size for part in archive.infolist())
    except ARCHIVE_ERRORS:
        size = file.seek(0, io.SEEK_END)  # an old one is no archive
    file.seek(0)
    if size > WORKBOOK_LIMIT_BYTES:
        raise WorkbookError(
            tr(
                "it is larger than {workbook_limit_bytes}\u00a0GB when unpacked",
                workbook_limit_bytes=WORKBOOK_LIMIT_BYTES >> 30,
            )
        )
