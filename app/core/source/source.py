"""A source: one data file, with the kind of its content, its compression and encoding, and the split it is for."""

from __future__ import annotations

import io
from codecs import BOM_UTF8
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TextIO

from app.core.document.document import DOCUMENT_SUFFIXES, DocumentKind, binary_document, text_document
from app.core.document.paragraph import DocumentError
from app.core.document.translation_memory import Languages, is_translation_memory, memory_languages
from app.core.language import code, joined, tr, trn
from app.core.quantity import plural
from app.core.refusal import reason_of
from app.core.source.archive import (
    ArchiveError,
    file_size,
    is_file_in_archive,
    open_file,
)
from app.core.source.container import (
    COLUMNS_LABEL,
    CONTAINER_LABELS,
    SEVERAL_ROWS,
    SPLIT_WORDS,
    Container,
    container_of,
)
from app.core.source.encoding import ENCODING_LABELS, Judgement, example_line, reading_of, usable_encoding
from app.core.source.exported_chat import ChatFile, is_slack_export, slack_size
from app.core.source.json_stream import JsonStream
from app.core.source.reading import BY_CONTENT, FileReading
from app.core.source.refusal import (
    BINARY,
    ZIP_START,
    PackedNames,
    is_binary,
    markup_of,
    packed_names,
    pointer_of,
    refusal_of,
)
from app.core.source.stream import (
    HEAD_BYTES,
    Compression,
    compression_of,
    damaged_errors,
    find_encoding,
    first_undecodable,
    open_bytes,
    open_seekable,
    open_text,
    read_block,
)
from app.core.source.table import first_records, glossary_sides, is_headless, table_lines
from app.core.source.text_kind import JSON_KINDS, FileKind, list_names, text_kind
from app.core.source.workbook import SheetError, WorkbookError, is_workbook, sheets_text, workbook_start
from app.core.transcript.conversation import Transcript
from app.core.transcript.program import transcript_program
from app.core.transcript.utterance import TranscriptKind

Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

TABLE_SUFFIXES = (
    ".jsonl",
    ".ndjson",
    ".json",
    ".csv",
    ".tsv",
    ".xlsx",
    ".xls",
    ".ods",
    ".parquet",
    ".arrow",
    ".feather",
)
TEXT_SUFFIXES = (".txt", ".md", ".markdown", ".text", *DOCUMENT_SUFFIXES)
COMPRESSED_SUFFIXES = (".gz", ".zst", ".zstd", ".gzip")


@dataclass(frozen=True, slots=True)
class Source:
    """One data file. ``encoding`` is empty for binary kinds; ``delimiter`` is set for CSV; ``size`` is in bytes.

    ``by_row`` when places in it are numbers of rows: it has no lines, or all rows stand in one. ``is_headless``
    when the first line of a table holds data where names should be. ``told`` is what a check says of the file as a
    whole: kinds of findings with their reasons. ``parts`` are the lists to read of an object that holds one a
    split; ``container`` is what each value of the file holds rows in. ``reading`` is what was chosen by hand, and
    ``sheets`` are those to choose from, the one that is read first;
    ``transcript`` is what an exported chat is, ``document`` the kind of a document,
    ``languages`` those of translations and glossaries.
    """

    path: Path
    kind: FileKind
    size: int
    compression: Compression = ""
    encoding: str = ""
    delimiter: str = ""
    split: Split = "train"
    by_row: bool = False
    is_headless: bool = False
    told: tuple[tuple[str, str], ...] = ()
    parts: tuple[str, ...] = ()
    container: Container = ""
    reading: FileReading = BY_CONTENT
    sheets: tuple[str, ...] = ()
    transcript: Transcript | None = None
    document: DocumentKind = ""
    languages: Languages | None = None

    @property
    def unit(self) -> str:
        """What findings count in this file."""
        return trn(1, "row", "rows") if self.by_row else trn(1, "line", "lines")

    @property
    def name(self) -> str:
        """The path as findings show it."""
        return str(self.path)


class UnusableFileError(Exception):
    """A file that cannot be read as data; ``kind`` is the kind of the finding, ``line`` where it is, if known."""

    def __init__(self, kind: str, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line
        self.kind = kind
        self.reason = reason


def inspect_file(path: Path, reading: FileReading = BY_CONTENT) -> Source:
    """Finds out by its content, and by what was chosen, what a file is; raises `UnusableFileError`."""
    try:
        if is_slack_export(path):
            source = Source(path, "transcript", slack_size(path), encoding="utf-8", reading=reading)
            return _chat(source, "slack")
        if not path.exists() and not is_file_in_archive(path):
            raise UnusableFileError("unreadable_file", tr("There is no file of this name."))
        if not is_file_in_archive(path) and not path.is_file():
            raise UnusableFileError("unreadable_file", tr("This is not a regular file."))
        size = file_size(path)
        with open_file(path) as file:
            magic = file.read(16)
        compression = compression_of(magic)
        with open_bytes(path, compression) as stream:
            head = read_block(stream, compression)
        return _inspect(path, size, compression, head, reading)
    except ArchiveError as error:
        raise UnusableFileError(error.kind, error.reason) from error
    except OSError as error:
        if isinstance(error, damaged_errors("gzip")):
            raise UnusableFileError(
                "damaged_file", tr("The compressed file is damaged: {error}.", error=error)
            ) from error
        raise UnusableFileError(
            "unreadable_file", tr("It cannot be read: {reason_of}.", reason_of=reason_of(error))
        ) from error
    except ValueError as error:  # a path with a NUL
        raise UnusableFileError("unreadable_file", tr("It cannot be read: {error}.", error=error)) from error
    except damaged_errors("zstd") as error:
        raise UnusableFileError(
            "damaged_file", tr("The compressed file is damaged: {error}.", error=error)
        ) from error


def _inspect(path: Path, size: int, compression: Compression, head: bytes, reading: FileReading) -> Source:
    if not head:
        raise UnusableFileError("empty_file", tr("The file is empty."))
    if said := pointer_of(head, size):
        raise UnusableFileError("pointer", said)
    if head.startswith(b"PAR1"):
        return _binary(path, "parquet", size, compression)
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return _binary(path, "arrow", size, compression)
    packed = PackedNames()
    if head.startswith(ZIP_START):
        with open_seekable(path, compression) as file:
            packed = packed_names(file)
    if is_workbook(plain_suffix(path), head, packed):
        return _workbook(path, size, compression, reading)
    if its := binary_document(head, packed.names, packed.kind):
        return Source(path, "document", size, compression, by_row=True, document=its)
    if said := refusal_of(head, packed):
        raise UnusableFileError("unsupported_file", said)
    if compression_of(head):
        raise UnusableFileError("unsupported_file", tr("The file is compressed twice. Unpack it once."))
    judged = _encoding(path, compression, head, reading)
    encoding = judged.encoding
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding, "replace")
    if is_binary(text, is_guessed=not reading.encoding and encoding not in ("utf-8", "utf-8-sig")):
        raise UnusableFileError("unsupported_file", BINARY)
    if not text.strip():
        raise UnusableFileError("empty_file", tr("The file holds nothing but empty lines."))
    is_complete = len(head) < HEAD_BYTES
    kind, delimiter = text_kind(text, plain_suffix(path), complete=is_complete)
    told = _encoding_told(text, judged, reading)
    source = Source(path, kind, size, compression, encoding, delimiter, told=told, reading=reading)
    if is_translation_memory(text):
        return _memory(source)
    if program := transcript_program(text):
        return _chat(replace(source, kind="transcript"), program)
    if kind in ("text", "csv") and (its := text_document(text, plain_suffix(path))):
        source = replace(source, kind="document", by_row=True, document=its)
        if its == "html":  # it says itself how it is encoded
            source = replace(source, encoding="", told=())
        return replace(source, told=_told(text, source))
    if kind in ("text", "csv") and (sides := glossary_sides(first_records(table_lines(text), "\t"))):
        languages = Languages(sides.source, sides.target)
        source = replace(source, kind="csv", delimiter="\t", is_headless=sides.is_headless, languages=languages)
    elif kind == "csv":
        source = replace(source, is_headless=is_headless(first_records(table_lines(text), delimiter)))
    elif kind == "json_columns":
        source = replace(source, by_row=True)
    elif kind not in ("text", "deck"):
        container = container_of(_first_value(text, kind))
        if is_complete and not container and (names := list_names(text)):
            lists = joined(
                (joined((code(name[:40]), " (", plural(count, "row"), ")"), "") for name, count in names.items()),
                ", ",
            )
            said = tr(
                "The file holds several lists, and nothing says which are the examples: {lists}.", lists=lists
            )
            raise UnusableFileError(
                "unsupported_file", tr("{said} Save the one to train on as a file of its own.", said=said)
            )
        by_row = (kind in JSON_KINDS and "\n" not in text.strip()) or container in SEVERAL_ROWS
        parts = _split_parts(source, text, complete=is_complete) if kind == "json_object" else ()
        source = replace(source, container=container, by_row=by_row, parts=parts)
    return replace(source, told=_told(text, source))


def _encoding(path: Path, compression: Compression, head: bytes, reading: FileReading) -> Judgement:
    """The encoding that was chosen, if the whole file is in it; else the likeliest one."""
    if not reading.encoding:
        return find_encoding(path, compression)
    name = usable_encoding(reading.encoding)
    if not name:
        raise UnusableFileError(
            "wrong_encoding", tr("There is no encoding `{encoding}`.", encoding=reading.encoding[:40])
        )
    if name == "utf-8" and head.startswith(BOM_UTF8):
        name = "utf-8-sig"
    if found := first_undecodable(path, compression, name):
        said = tr(
            "Byte 0x{byte:02X} at position {position:,} is no part of a character in {name}.",
            byte=found.byte,
            position=found.position,
            name=name,
        )
        raise UnusableFileError("wrong_encoding", said, found.line)
    return Judgement(name)


def _encoding_told(text: str, judged: Judgement, reading: FileReading) -> tuple[tuple[str, str], ...]:
    """What a check says of the encoding: the reading with a line that shows it, and what else it may be."""
    if not reading.encoding and judged.encoding in ("utf-8", "utf-8-sig"):
        return ()
    said = reading_of(text, judged.encoding)
    if reading.encoding:
        return (("encoding", tr("{said} It was chosen so.", said=said)),)
    if judged.is_sure or not example_line(text):
        return (("encoding", said),)
    rival = (
        tr(" It may be {get} instead.", get=ENCODING_LABELS.get(judged.rival, judged.rival)) if judged.rival else ""
    )
    return (("doubtful_encoding", f"{said}{rival}"),)


def _first_value(text: str, kind: FileKind) -> Any:
    """The first value of a JSON file that may be cut off; None if it is not whole."""
    values = JsonStream(io.StringIO(text))
    items = {"json_array": values.array, "json_object": values.list_of_object}.get(kind, values.stream)
    return next(items(), (0, None, None))[1]


def _split_parts(source: Source, text: str, *, complete: bool) -> tuple[str, ...]:
    """The names of the lists of an object that has one a split; empty for an object of one list."""
    names = _list_names(io.StringIO(text))
    if not names or names[0].lower() not in SPLIT_WORDS:
        return ()
    if not complete:  # the other lists begin somewhere in the rest of the file
        with open_text(source.path, source.compression, source.encoding) as stream:
            names = _list_names(stream)
    return tuple(names) if all(name.lower() in SPLIT_WORDS for name in names) else ()


def _list_names(stream: TextIO) -> list[str]:
    values = JsonStream(stream)
    deque(values.list_of_object(), maxlen=0)
    return values.lists


def _told(text: str, source: Source) -> tuple[tuple[str, str], ...]:
    """What a check says of a text as a whole."""
    told = list(source.told)
    if source.kind == "text" and (marks := markup_of(text)):
        told.append(("markup", marks))
    if source.kind == "deck":
        told.append(
            ("layout", tr("A deck of cards (Anki): the front of a card is the prompt, the back the answer."))
        )
    elif source.kind == "csv" and source.languages is not None:
        said = tr("A glossary: the first column is the prompt (`source`), the second the answer (`target`).")
        told.append(("layout", said))
    elif source.kind == "json_columns":
        told.append(("layout", COLUMNS_LABEL))
    elif source.container:
        told.append(("layout", CONTAINER_LABELS[source.container]))
    elif source.kind == "json_stream":
        told.append(("layout", tr("Objects over several lines, read one by one.")))
    return tuple(told)


def _memory(source: Source) -> Source:
    """A translation memory, which says itself how it is encoded."""
    try:
        with open_bytes(source.path, source.compression) as stream:
            languages = memory_languages(stream)
    except DocumentError as error:
        raise UnusableFileError(error.kind, error.reason) from error
    told = (("layout", languages.sentence()),)
    return replace(source, kind="translations", encoding="", by_row=True, told=told, languages=languages)


def _chat(source: Source, program: TranscriptKind) -> Source:
    """An exported chat: read once to learn who writes in it."""
    chat = ChatFile(source.path, program, source.compression, source.encoding)
    transcript = chat.transcript(source.reading.answers_by)
    return replace(source, by_row=program != "whatsapp", transcript=transcript)


def _workbook(path: Path, size: int, compression: Compression, reading: FileReading) -> Source:
    source = Source(path, "workbook", size, compression, by_row=True, reading=reading)
    try:
        with open_seekable(path, compression) as file:
            records, sheets = workbook_start(file, reading.sheet)
    except SheetError as error:  # not refused: the sheets are there to choose from
        return replace(source, sheets=error.names)
    except WorkbookError as error:
        what = tr("an OpenDocument") if path.suffix.lower() == ".ods" else tr("an Excel")
        said = tr(
            "This is {what} workbook. Save it as CSV UTF-8. (It cannot be read as it is: {error}.)",
            what=what,
            error=error,
        )
        raise UnusableFileError("unsupported_file", said) from error
    said = sheets_text(sheets, reading.sheet)
    told = (("layout", said),) if said else ()
    return replace(source, is_headless=is_headless(records), told=told, sheets=sheets)


def _binary(path: Path, kind: FileKind, size: int, compression: Compression) -> Source:
    if compression:
        raise UnusableFileError(
            "unsupported_file", tr("A compressed {kind} file is not read. Unpack it first.", kind=kind)
        )
    return Source(path, kind, size, by_row=True)


def plain_suffix(path: Path) -> str:
    """The last suffix that is not one of compression, in lower case."""
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in COMPRESSED_SUFFIXES]
    return suffixes[-1] if suffixes else ""
