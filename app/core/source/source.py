"""A source: one data file, with the kind of its content, its compression and encoding, and the split it is for."""

from __future__ import annotations

import io
import os
import re
from codecs import BOM_UTF8
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TextIO

from app.core.document.document import DOCUMENT_SUFFIXES, DocumentKind, binary_document, text_document
from app.core.source.container import (
    COLUMNS_LABEL,
    CONTAINER_LABELS,
    SEVERAL_ROWS,
    SPLIT_WORDS,
    Container,
    container_of,
)
from app.core.source.encoding import ENCODING_LABELS, Judgement, example_line, reading_of, usable_encoding
from app.core.source.exported_chat import ChatFile, is_slack_folder, slack_size
from app.core.source.finding import Findings
from app.core.source.json_stream import JsonStream
from app.core.source.reading import BY_CONTENT, FileReading
from app.core.source.refusal import ZIP_START, PackedNames, markup_of, packed_names, pointer_of, refusal_of
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
from app.core.source.table import first_records, is_headless, table_lines
from app.core.source.text_kind import JSON_KINDS, FileKind, text_kind
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
NOT_DATA = re.compile(
    r"(readme|license|licence|changelog|citation|dataset_infos?|dataset_dict|state|adapter_config|config)\b", re.I
)
FOLDER_DEPTH = 4
FOLDER_FILES = 10_000
NAMED_FILES = 8


@dataclass(frozen=True, slots=True)
class Source:
    """One data file. ``encoding`` is empty for binary kinds; ``delimiter`` is set for CSV; ``size`` is in bytes.

    ``by_row`` when places in it are numbers of rows: it has no lines, or all rows stand in one. ``is_headless``
    when the first line of a table holds data where names should be. ``told`` is what a check says of the file as a
    whole: kinds of findings with their reasons. ``parts`` are the lists to read of an object that holds one a
    split; ``container`` is what each value of the file holds rows in. ``reading`` is what was chosen by hand, and
    ``sheets`` are those to choose from, the one that is read first;
    ``transcript`` is what an exported chat is, ``document`` the kind of a document.
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

    @property
    def unit(self) -> str:
        """What findings count in this file."""
        return "row" if self.by_row else "line"

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
        if not path.exists():
            raise UnusableFileError("unreadable_file", "There is no file of this name.")
        if path.is_dir() and is_slack_folder(path):
            source = Source(path, "transcript", slack_size(path), encoding="utf-8", reading=reading)
            return _chat(source, "slack")
        if not path.is_file():
            raise UnusableFileError("unreadable_file", "This is not a regular file.")
        size = path.stat().st_size
        with path.open("rb") as file:
            magic = file.read(16)
        compression = compression_of(magic)
        with open_bytes(path, compression) as stream:
            head = read_block(stream, compression)
        return _inspect(path, size, compression, head, reading)
    except OSError as error:
        if isinstance(error, damaged_errors("gzip")):
            raise UnusableFileError("damaged_file", f"The compressed file is damaged: {error}.") from error
        raise UnusableFileError("unreadable_file", f"It cannot be read: {error.strerror or error}.") from error
    except ValueError as error:  # a path with a NUL
        raise UnusableFileError("unreadable_file", f"It cannot be read: {error}.") from error
    except damaged_errors("zstd") as error:
        raise UnusableFileError("damaged_file", f"The compressed file is damaged: {error}.") from error


def _inspect(path: Path, size: int, compression: Compression, head: bytes, reading: FileReading) -> Source:
    if not head:
        raise UnusableFileError("empty_file", "The file is empty.")
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
    if is_workbook(_plain_suffix(path), head, packed):
        return _workbook(path, size, compression, reading)
    if its := binary_document(head, packed.names, packed.kind):
        return Source(path, "document", size, compression, by_row=True, document=its)
    if said := refusal_of(head, packed):
        raise UnusableFileError("unsupported_file", said)
    if compression_of(head):
        raise UnusableFileError("unsupported_file", "The file is compressed twice. Unpack it once.")
    judged = _encoding(path, compression, head, reading)
    encoding = judged.encoding
    if encoding == "utf-8" and b"\0" in head[:4096] and head[:4096].count(0) > 8:
        raise UnusableFileError("unsupported_file", "This is a binary file, not rows of text.")
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding, "replace")
    if not text.strip():
        raise UnusableFileError("empty_file", "The file holds nothing but empty lines.")
    is_complete = len(head) < HEAD_BYTES
    kind, delimiter = text_kind(text, _plain_suffix(path), complete=is_complete)
    told = _encoding_told(text, judged, reading)
    source = Source(path, kind, size, compression, encoding, delimiter, told=told, reading=reading)
    if program := transcript_program(text):
        return _chat(replace(source, kind="transcript"), program)
    if kind in ("text", "csv") and (its := text_document(text, _plain_suffix(path))):
        source = replace(source, kind="document", by_row=True, document=its)
        if its == "html":  # it says itself how it is encoded
            source = replace(source, encoding="", told=())
        return replace(source, told=_told(text, source))
    if kind == "csv":
        source = replace(source, is_headless=is_headless(first_records(table_lines(text), delimiter)))
    elif kind == "json_columns":
        source = replace(source, by_row=True)
    elif kind not in ("text", "deck"):
        container = container_of(_first_value(text, kind))
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
        raise UnusableFileError("wrong_encoding", f"There is no encoding `{reading.encoding[:40]}`.")
    if name == "utf-8" and head.startswith(BOM_UTF8):
        name = "utf-8-sig"
    if found := first_undecodable(path, compression, name):
        said = f"Byte 0x{found.byte:02X} at position {found.position:,} is no part of a character in {name}."
        raise UnusableFileError("wrong_encoding", said, found.line)
    return Judgement(name)


def _encoding_told(text: str, judged: Judgement, reading: FileReading) -> tuple[tuple[str, str], ...]:
    """What a check says of the encoding: the reading with a line that shows it, and what else it may be."""
    if not reading.encoding and judged.encoding in ("utf-8", "utf-8-sig"):
        return ()
    said = reading_of(text, judged.encoding)
    if reading.encoding:
        return (("encoding", f"{said} It was chosen so."),)
    if judged.is_sure or not example_line(text):
        return (("encoding", said),)
    rival = f" It may be {ENCODING_LABELS.get(judged.rival, judged.rival)} instead." if judged.rival else ""
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
        told.append(("layout", "A deck of cards (Anki): the front of a card is the prompt, the back the answer."))
    elif source.kind == "json_columns":
        told.append(("layout", COLUMNS_LABEL))
    elif source.container:
        told.append(("layout", CONTAINER_LABELS[source.container]))
    elif source.kind == "json_stream":
        told.append(("layout", "Objects over several lines, read one by one."))
    return tuple(told)


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
        what = "an OpenDocument" if path.suffix.lower() == ".ods" else "an Excel"
        said = f"This is {what} workbook. Save it as CSV UTF-8. (It cannot be read as it is: {error}.)"
        raise UnusableFileError("unsupported_file", said) from error
    said = sheets_text(sheets, reading.sheet)
    told = (("layout", said),) if said else ()
    return replace(source, is_headless=is_headless(records), told=told, sheets=sheets)


def _binary(path: Path, kind: FileKind, size: int, compression: Compression) -> Source:
    if compression:
        raise UnusableFileError("unsupported_file", f"A compressed {kind} file is not read. Unpack it first.")
    return Source(path, kind, size, by_row=True)


def _plain_suffix(path: Path) -> str:
    """The last suffix that is not one of compression, in lower case."""
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in COMPRESSED_SUFFIXES]
    return suffixes[-1] if suffixes else ""


# -- which files ---------------------------------------------------------------------------------------------


def split_of(path: Path, root: Path | None = None) -> Split | None:
    """The split that a file's name (or the folder it lies in, below ``root``) tells; None if it tells none."""
    parts = [path.name]
    if root is not None and path != root:
        parts = list(path.relative_to(root).parts)[::-1]
    for part in parts:
        for word in re.split(r"[^a-z]+", part.lower()):
            if word in SPLIT_WORDS:
                return SPLIT_WORDS[word]
    return None


def find_files(path: Path, findings: Findings) -> list[tuple[Path, Split | None]]:
    """The data files that a path stands for (a file, or a folder of any of the known layouts) with their splits."""
    if not path.is_dir() or is_slack_folder(path):
        return [(path, split_of(path))]
    folder = _snapshot(path)
    mlx = [(folder / f"{split}.jsonl", split) for split in SPLITS if (folder / f"{split}.jsonl").is_file()]
    if mlx and mlx[0][1] == "train":
        _tell_left_out(path, _walk(folder, folder, 0), [file for file, _ in mlx], findings)
        return [(file, split) for file, split in mlx]
    listed = _configured_files(folder) or sorted(_walk(folder, folder, 0))
    found = [file for file in listed if _plain_suffix(file) in TABLE_SUFFIXES and not NOT_DATA.match(file.name)]
    if not found:
        found = [f for f in listed if _plain_suffix(f) in TEXT_SUFFIXES]
        named = [f for f in found if not NOT_DATA.match(f.name)]
        found = named or found
    _tell_left_out(path, listed, found, findings)  # but for what a card leaves out itself
    pairs = [(file, split_of(file, folder)) for file in found]
    if any(split == "train" for _, split in pairs):
        for file, split in pairs:
            if split is None:
                findings.add("ignored_file", str(file), None, "Not used: other files are named as training data.")
        pairs = [(file, split) for file, split in pairs if split is not None]
    return pairs


def _tell_left_out(folder: Path, there: Iterable[Path], used: Iterable[Path], findings: Findings) -> None:
    """Names the files of a folder that are not read, but for those that are about the data."""
    taken = set(used)
    names = [file.name for file in there if file not in taken and not NOT_DATA.match(file.name)]
    if names and taken:
        shown = ", ".join(f"`{name[:60]}`" for name in names[:NAMED_FILES])
        more = f" and {len(names) - NAMED_FILES:,} more" if len(names) > NAMED_FILES else ""
        findings.add("ignored_file", str(folder), None, f"Not used: {shown}{more}.")


def _walk(folder: Path, root: Path, depth: int) -> Iterator[Path]:
    """Files of a folder and those below, hidden ones and caches left out, bounded in depth and number."""
    count = 0
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda e: e.name):
            if entry.name.startswith((".", "__", "cache-")):
                continue
            if entry.is_dir() and depth < FOLDER_DEPTH:
                yield from _walk(Path(entry.path), root, depth + 1)
            elif entry.is_file():
                count += 1
                if count > FOLDER_FILES:
                    return
                yield Path(entry.path)


def _snapshot(folder: Path) -> Path:
    """The newest snapshot of a cached hub data set (``datasets--org--name``), else the folder itself."""
    snapshots = folder / "snapshots"
    if not snapshots.is_dir():
        return folder
    main = folder / "refs" / "main"
    if main.is_file():
        chosen = snapshots / main.read_text(encoding="utf-8", errors="replace").strip()
        if chosen.is_dir():
            return chosen
    there = sorted((p for p in snapshots.iterdir() if p.is_dir()), key=lambda p: p.stat().st_mtime)
    return there[-1] if there else folder


def _configured_files(folder: Path) -> list[Path]:
    """The files of the default configuration that a data set card (README.md) names, if it names any."""
    import yaml

    from app.core.system.yaml_text import bounded_yaml

    card = folder / "README.md"
    try:
        parts = card.read_text(encoding="utf-8", errors="replace").split("---\n", 2)
        tree = bounded_yaml(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
    except (OSError, yaml.YAMLError):
        return []
    configs = tree.get("configs") if isinstance(tree, dict) else None
    if not isinstance(configs, list):
        return []
    named = [c for c in configs if isinstance(c, dict) and c.get("data_files")]
    chosen = next((c for c in named if c.get("default") or c.get("config_name") == "default"), None)
    chosen = chosen or next(iter(named), None)
    if chosen is None:
        return []
    return sorted({f for pattern in _patterns(chosen["data_files"]) for f in _matches(folder, pattern)})


def _patterns(data_files: Any) -> Iterator[str]:
    if isinstance(data_files, str):
        yield data_files
    elif isinstance(data_files, dict):
        yield from _patterns(data_files.get("path"))
    elif isinstance(data_files, list):
        for item in data_files:
            yield from _patterns(item)


def _matches(folder: Path, pattern: str) -> list[Path]:
    if pattern.startswith(("/", "..")) or "://" in pattern:
        return []
    try:
        return [path for path in folder.glob(pattern) if path.is_file()]
    except (ValueError, NotImplementedError):
        return []


def locate_data(name: str) -> Path:
    """The file or folder that a config's ``data`` names: a path, or a data set in the Hugging Face cache."""
    path = Path(name).expanduser()
    if path.exists() or not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        return path
    home = Path(os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface").expanduser()
    hub = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    cached = hub / f"datasets--{name.replace('/', '--')}"
    return cached if cached.is_dir() else path


def find_sources(
    paths: Iterable[Path],
    findings: Findings,
    *,
    valid: Iterable[Path] = (),
    test: Iterable[Path] = (),
    reading: FileReading = BY_CONTENT,
) -> list[Source]:
    """Every data file that the paths stand for, in the order train, valid, test; what cannot be used is a finding.

    ``valid`` and ``test`` are files or folders given for just that; then files of ``paths`` whose names say
    validation or test are taken as such only where none were given.
    """
    given = [pair for path in paths for pair in _files_or_finding(Path(path), findings)]
    if not any(split in (None, "train") for _, split in given):
        given = [(file, None) for file, _ in given]
    chosen: dict[Split, list[Path]] = {"train": [f for f, split in given if split in (None, "train")]}
    for split, explicit in (("valid", list(valid)), ("test", list(test))):
        named = [file for file, its in given if its == split]
        if explicit:
            named = [file for path in explicit for file, _ in _files_or_finding(Path(path), findings)]
        chosen[split] = named  # type: ignore[index]  # the two literals of the loop
    sources: list[Source] = []
    for split in SPLITS:
        for file in dict.fromkeys(chosen[split]):
            try:
                sources += _by_splits(inspect_file(file, reading), split, {s for s in SPLITS if chosen.get(s)})
            except UnusableFileError as error:
                findings.add(error.kind, str(file), error.line, error.reason)
    return sources


def _by_splits(source: Source, split: Split, others: set[Split]) -> list[Source]:
    """The source for its split; one of training data that holds a list a split as one a split, unless a split has
    files of its own."""
    parts: dict[Split, tuple[str, ...]] = {}
    for name in source.parts:
        its = SPLIT_WORDS[name.lower()]
        parts[its] = (*parts.get(its, ()), name)
    if split != "train" or "train" not in parts:
        return [replace(source, split=split, parts=parts.get(split, source.parts))]
    return [replace(source, split=its, parts=names) for its, names in parts.items()
            if its == "train" or its not in others]  # fmt: skip


def _files_or_finding(path: Path, findings: Findings) -> list[tuple[Path, Split | None]]:
    try:
        found = find_files(path, findings)
    except OSError as error:
        findings.add("unreadable_file", str(path), None, f"It cannot be read: {error.strerror or error}.")
        return []
    if not found:
        findings.add("no_examples", str(path), None, "The folder holds no data file.")
    return found
