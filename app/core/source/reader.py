"""Readers: the rows of a source one by one, each with its line, in constant memory; faults come as rows too."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import orjson

from app.core.document.deck import deck_rows
from app.core.document.paragraph import DocumentError
from app.core.document.passage import Chunking, passages
from app.core.document.translation_memory import memory_rows
from app.core.json_text import EXACT, certainty_of, has_surrogate, spelled_json
from app.core.language import code, joined, tr
from app.core.refusal import reason_of
from app.core.source.assembled_row import lines_of, read_document, read_transcript
from app.core.source.columnar import read_arrow, read_parquet
from app.core.source.container import (
    COLUMN_LIMIT_BYTES,
    COLUMNS_TOO_LARGE,
    SEVERAL_ROWS,
    rows_of_columns,
    unfolded,
)
from app.core.source.finding import EMPTY_LINE, NumberedRow, RowFault, repeated_name_fault
from app.core.source.json_stream import TOO_DEEP, JsonStream, is_too_deep
from app.core.source.source import Source
from app.core.source.stream import (
    FIELD_LIMIT_CHARACTERS,
    ByteCount,
    damaged_errors,
    open_bytes,
    open_seekable,
    open_text,
)
from app.core.source.table import SEPARATOR_LINE
from app.core.source.workbook import SheetError, WorkbookError, sheet_records

LINE_LIMIT_BYTES = 64 << 20


def read_rows(
    source: Source, count: ByteCount | None = None, chunking: Chunking | None = None
) -> Iterator[NumberedRow]:
    """The rows of a source as ``(line, value)``; the value is any JSON value or a `RowFault`.

    Never raises for what is in the file: a damaged file ends with a fault at the line that was reached.
    """
    count = count or ByteCount()
    rows = {
        "jsonl": _read_lines, "csv": _read_table, "deck": _read_deck, "workbook": _read_workbook,
        "parquet": read_parquet, "arrow": read_arrow, "json_array": _read_json, "json_object": _read_json,
        "json_stream": _read_json, "json_columns": _read_columns, "translations": _read_translations,
    }  # fmt: skip
    if source.kind == "text":
        reader = _read_texts(source, count, chunking or Chunking())
    elif source.transcript is not None:
        reader = read_transcript(source, source.transcript, count, chunking or Chunking())
    elif source.kind == "document":
        reader = read_document(source, count, chunking or Chunking())
    else:
        reader = rows[source.kind](source, count)
    if source.container:
        reader = _unfolded(source, reader)
    line = 0
    try:
        for line, value in reader:  # the line is told when the next read fails
            yield line, value
    except damaged_errors(source.compression) as error:
        yield (
            line + 1,
            RowFault("damaged_file", tr("The compressed file is damaged or cut off here: {error}.", error=error)),
        )
    except OSError as error:
        yield (
            line + 1,
            RowFault("unreadable_file", tr("Reading stopped here: {reason_of}.", reason_of=reason_of(error))),
        )


def _unfolded(source: Source, rows: Iterator[NumberedRow]) -> Iterator[NumberedRow]:
    """The rows that are in the values of a file; numbered one by one where a value holds several."""
    number = 0
    for line, value in rows:
        for row in [value] if isinstance(value, RowFault) else unfolded(source.container, value):
            of_next = isinstance(row, RowFault) and row.kind == "repeated_name"
            number += not of_next
            yield (number + of_next if source.container in SEVERAL_ROWS else line), row


# -- JSON ----------------------------------------------------------------------------------------------------


def _read_lines(source: Source, count: ByteCount) -> Iterator[NumberedRow]:
    if source.encoding in ("utf-8", "utf-8-sig"):
        stream: Any = open_bytes(source.path, source.compression, count)
        if source.encoding == "utf-8-sig":
            stream.read(3)
    else:
        stream = open_text(source.path, source.compression, source.encoding, count)
    loads, broken = orjson.loads, orjson.JSONDecodeError
    number, has_comma = 0, False
    with stream:
        while line := stream.readline(LINE_LIMIT_BYTES):
            number += 1
            try:
                row = loads(line)
                known = certainty_of(line, row) if type(row) is dict else EXACT
                count.is_plain = known > EXACT
                if not known:
                    row, twice = _spelled_line(line)
                    if twice:
                        yield number, repeated_name_fault(twice)
            except broken:
                count.is_plain = False
                row, twice = _slow_line(line)
                if isinstance(row, RowFault) and row.kind == "broken_json" and (found := _before_comma(line)):
                    row, twice = found
                    if not has_comma:
                        has_comma = True
                        yield number, RowFault("line_comma", tr("The comma at the end of the line is left out."))
                if twice:
                    yield number, repeated_name_fault(twice)
                if len(line) == LINE_LIMIT_BYTES and line[-1:] not in (b"\n", "\n"):
                    _skip_line(stream)
                    row = RowFault(
                        "line_too_long",
                        tr(
                            "The line is longer than {line_limit_bytes}\u00a0MB.",
                            line_limit_bytes=LINE_LIMIT_BYTES >> 20,
                        ),
                    )
            yield number, row


def _skip_line(stream: Any) -> None:
    while (more := stream.readline(LINE_LIMIT_BYTES)) and more[-1:] not in (b"\n", "\n"):
        pass


def _spelled_line(line: bytes | str) -> tuple[Any, list[str]]:
    """A line that the fast parser took, read with how its numbers are written and the names that stand twice."""
    return parse_json((line.decode("utf-8") if isinstance(line, bytes) else line).strip("\ufeff \t\r\n"))


def _slow_line(line: bytes | str) -> tuple[Any, list[str]]:
    """What the fast parser refused: an empty line, JSON with NaN, which Python's parser takes, or a fault."""
    if isinstance(line, bytes):
        try:
            line = line.decode("utf-8")
        except UnicodeDecodeError as error:
            said = tr(
                "Byte 0x{line:02X} at position {start} is not UTF-8.", line=line[error.start], start=error.start + 1
            )
            return RowFault("bad_encoding", said), []
    line = line.strip("\ufeff \t\r\n")
    return parse_json(line) if line else (EMPTY_LINE, [])


def _before_comma(line: bytes | str) -> tuple[dict[str, Any], list[str]] | None:
    """The object of a line that ends with a comma, as inside an array, and its names that stand twice."""
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    text = text.strip("\ufeff \t\r\n")
    inner = text.removesuffix(",").rstrip(" \t")
    row, twice = parse_json(inner) if inner != text and inner.endswith("}") else (None, [])
    return (row, twice) if isinstance(row, dict) and row else None


def parse_json(text: str) -> tuple[Any, list[str]]:
    """Python's own parser, with every way to fail in words: the value, or a `RowFault`, and the names that stand
    twice in one object."""
    if is_too_deep(text):
        return RowFault("broken_json", TOO_DEEP), []
    try:
        value, twice = spelled_json(text)
    except json.JSONDecodeError as error:
        return RowFault("broken_json", json_reason(error, text)), []
    except (ValueError, RecursionError) as error:
        return RowFault("broken_json", _other_reason(error)), []
    if "\\u" in text and has_surrogate(value):
        return _half_character(), []
    return value, twice


def _half_character() -> RowFault:
    return RowFault("half_character", tr("It holds half of a character (a lone surrogate escape such as \\ud83d)."))


def json_reason(error: json.JSONDecodeError, text: str) -> str:
    """What is wrong with the JSON, where in the line, and what stands there."""
    near = text[error.pos : error.pos + 20].split("\n")[0]
    if error.pos >= len(text.rstrip()):
        return tr("The JSON breaks off at column {colno}.", colno=error.colno)
    what = error.msg.removesuffix(" at")  # "Unterminated string starting at" says it already
    return tr("{what} at column {colno}, near {near!r}.", what=what, colno=error.colno, near=near)


def _other_reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return TOO_DEEP
    return tr("The JSON cannot be read: {error}.", error=error)


def _read_json(source: Source, count: ByteCount) -> Iterator[NumberedRow]:
    with open_text(source.path, source.compression, source.encoding, count) as stream:
        values = JsonStream(stream)
        if source.kind == "json_object":
            rows = values.list_of_object(source.parts)
        else:
            rows = values.array() if source.kind == "json_array" else values.stream()
        for number, (line, value, broken) in enumerate(rows, 1):
            line = number + values.skipped if source.by_row else line
            if broken is not None:
                yield line, RowFault("broken_json", broken)
            elif has_surrogate(value):
                yield line, _half_character()
            else:
                if values.twice:
                    yield line, repeated_name_fault(values.twice)
                yield line, value


def _read_columns(source: Source, count: ByteCount) -> Iterator[NumberedRow]:
    """Columns lie apart in the file: it is read as a whole, up to a limit."""
    if source.size > COLUMN_LIMIT_BYTES:
        yield 1, RowFault("unsupported_file", COLUMNS_TOO_LARGE)
        return
    with open_text(source.path, source.compression, source.encoding, count) as stream:
        text = stream.read(COLUMN_LIMIT_BYTES)
    value, twice = parse_json(text.strip("\ufeff \t\r\n"))
    if twice:
        yield 1, repeated_name_fault(twice)
    rows = None if isinstance(value, RowFault) else rows_of_columns(value)
    if rows is None:
        said = tr("The file begins as columns, but they are not all of one length.")
        yield 1, value if isinstance(value, RowFault) else RowFault("damaged_file", said)
        return
    yield from enumerate(rows, 1)


# -- tables --------------------------------------------------------------------------------------------------


def _read_table(source: Source, count: ByteCount) -> Iterator[NumberedRow]:
    csv.field_size_limit(FIELD_LIMIT_CHARACTERS)
    with open_text(source.path, source.compression, source.encoding, count, newline="") as stream:
        first = stream.readline(FIELD_LIMIT_CHARACTERS)
        before = 1 if SEPARATOR_LINE.match(first) else 0
        # Strict, so that an open quote is told and does not silently swallow the rest of the file.
        lines = stream if before else chain([first], stream)
        reader = csv.reader(lines, delimiter=source.delimiter, strict=True)
        header: list[str] | None = None
        names = _Names([])
        line = 1 + before
        while True:
            start = line
            try:
                record = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                line = reader.line_num + before + 1
                yield start, RowFault("broken_record", _table_reason(str(error), start, line - 1))
                continue
            line = reader.line_num + before + 1
            if header is None:
                header, told = _header(record, source)
                if told:
                    yield start, RowFault("unusual_header", told)
                if not source.is_headless:
                    names = _Names(record, header)
                    continue
            while len(record) > len(header) and not record[-1].strip():
                record.pop()  # a delimiter at the line's end
            if not record or (len(record) == 1 and not record[0].strip() and len(header) > 1):
                yield start, EMPTY_LINE
            elif len(record) != len(header):
                said = tr(
                    "The number of fields is {record}, that of column names {header}.",
                    record=len(record),
                    header=len(header),
                )
                yield start, RowFault("broken_record", said)
            elif names.stand_in(record):
                header, told = names.read_again(record)
                yield start, RowFault("repeated_header", told)
            else:
                yield start, dict(zip(header, record, strict=True))


def _read_translations(source: Source, count: ByteCount) -> Iterator[NumberedRow]:
    """The units of a translation memory, numbered."""
    assert source.languages is not None  # of every source of this kind
    number = 0
    try:
        with open_bytes(source.path, source.compression, count) as stream:
            for number, row in enumerate(memory_rows(stream, source.languages), 1):
                yield number, row
    except DocumentError as error:
        yield number + 1, RowFault(error.kind, error.reason)


def _read_deck(source: Source, count: ByteCount) -> Iterator[NumberedRow]:
    csv.field_size_limit(FIELD_LIMIT_CHARACTERS)
    line = 0
    with open_text(source.path, source.compression, source.encoding, count, newline="") as stream:
        try:
            for line, row in deck_rows(stream):
                yield line, row
        except csv.Error as error:
            yield line + 1, RowFault("broken_record", _table_reason(str(error), line + 1, line + 1))


def _read_workbook(source: Source, count: ByteCount) -> Iterator[NumberedRow]:
    """The rows of a sheet, by the numbers that they have in it."""
    start = count.done
    try:
        with open_seekable(source.path, source.compression) as file:
            yield from _sheet_rows(source, sheet_records(file, source.reading.sheet))
    except SheetError as error:
        yield 1, RowFault("no_sheet", str(error))
    except WorkbookError as error:
        yield 1, RowFault("damaged_file", tr("The workbook cannot be read: {error}.", error=error))
    count.done = start + source.size


def _sheet_rows(source: Source, records: Iterable[tuple[int, list[str]]]) -> Iterator[NumberedRow]:
    header, names = list[str](), _Names([])
    for number, record in records:
        if not record:
            continue
        if not header:
            header, told = _header(record, source)
            header = [name or f"column {at}" for at, name in enumerate(header, 1)]
            if told:
                yield number, RowFault("unusual_header", told)
            if not source.is_headless:
                names = _Names(record, header)
                continue
        if names.stand_in(record):
            header, told = names.read_again(record)
            yield number, RowFault("repeated_header", told)
        else:
            yield number, dict(zip(header, record, strict=True))


class _Names:
    """The first line of a table, which stands in it again where tables were put together, perhaps with its columns
    in another order. ``header`` is what they are called."""

    def __init__(self, record: Sequence[str], header: Sequence[str] = ()) -> None:
        self._cells, self._header = [_as_name(cell) for cell in record], header
        self._order = sorted(self._cells)
        self._longest = max(map(len, self._cells), default=0)

    def stand_in(self, record: list[str]) -> bool:
        """Whether a line is that of the names. It is asked of every line: what is longer is none at a glance."""
        if len(self._cells) < 2 or len(record[-1]) > self._longest + 8:  # one word alone may be a text
            return False
        cells = [_as_name(cell) for cell in record]
        return any(cells) and (cells == self._cells or sorted(cells) == self._order)

    def read_again(self, record: list[str]) -> tuple[list[str], str]:
        """What the columns are called from such a line on, with what is to be told of it."""
        cells = [_as_name(cell) for cell in record]
        if cells == self._cells:
            return list(self._header), tr("The names of the columns stand here again; they are left out.")
        left, header = list(enumerate(self._cells)), list[str]()
        for cell in cells:
            found = next(one for one in left if one[1] == cell)
            left.remove(found)
            header.append(self._header[found[0]])
        return header, tr("The names of the columns stand here in another order; the rows below are read by it.")


def _as_name(cell: str) -> str:
    return cell.strip('\ufeff \t"').casefold()


def _header(record: list[str], source: Source) -> tuple[list[str], str]:
    """The names of the columns, no two alike, and what is to be told of them."""
    if source.languages is not None:
        sides = [
            "source",
            "target",
            *(f"column {number}" for number in range(3, len(record) + 1)),
        ]
        shown = joined((code(cell.strip()[:40]) for cell in record[:2]), tr(" and "))
        said = tr("The first line ({shown}) is taken as a pair, not as the names of the columns.", shown=shown)
        return sides, said if source.is_headless else ""
    if source.is_headless:
        shown = joined((code(cell.strip()[:40]) for cell in record[:6]), ", ")
        said = tr(
            "The first line looks like data, not like column names ({shown}); they are now `column 1`, …",
            shown=shown,
        )
        return [f"column {number}" for number in range(1, len(record) + 1)], said
    names: list[str] = []
    doubles: list[str] = []
    for cell in record:
        name = plain = cell.strip()
        number = 1
        while name in names:
            number += 1
            name = f"{plain} ({number})"
        if number > 1 and plain:
            doubles.append(
                tr("`{plain}` stands there again and is called `{name}`", plain=plain[:40], name=name[:44])
            )
        names.append(name)
    return names, joined((joined(doubles[:6], "; "), "."), "") if doubles else ""


def _table_reason(message: str, start: int, end: int) -> str:
    if "unexpected end" in message:
        return tr("A quote is opened and never closed, up to line {end}.", end=end)
    if "field larger" in message:
        return tr("A field is larger than 16 MB; a quote is probably never closed.")
    if "expected after" in message:
        return (
            tr("A quote inside a quoted field is not doubled.")
            if start == end
            else tr("A quoted field ends wrongly.")
        )
    return tr("The record cannot be read: {message}.", message=message)


# -- texts ---------------------------------------------------------------------------------------------------


def _read_texts(source: Source, count: ByteCount, chunking: Chunking) -> Iterator[NumberedRow]:
    """Parts of a text, each with the line on which it begins.

    ``<|endoftext|>`` alone on a line, or a form feed, ends a document: no part goes across it.
    """
    with open_text(source.path, source.compression, source.encoding, count, newline=None) as stream:
        yield from passages(lines_of(stream), chunking)
