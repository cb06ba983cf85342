"""A source: one data file, with the kind of its content, its compression and encoding, and the split it is for."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from app.core.source.encoding import reading_of
from app.core.source.finding import Findings
from app.core.source.refusal import markup_of, pointer_of, refusal_of
from app.core.source.stream import (
    HEAD_BYTES,
    Compression,
    compression_of,
    damaged_errors,
    find_encoding,
    open_bytes,
    read_block,
)

FileKind = Literal["jsonl", "json_array", "json_object", "json_stream", "csv", "parquet", "arrow", "text"]
JSON_KINDS = ("json_array", "json_object", "json_stream")
Split = Literal["train", "valid", "test"]
SPLITS: tuple[Split, ...] = ("train", "valid", "test")

SPLIT_WORDS: dict[str, Split] = {
    "train": "train", "training": "train",
    "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid", "eval": "valid", "evaluation": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip
TABLE_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather")
TEXT_SUFFIXES = (".txt", ".md", ".markdown", ".text")
COMPRESSED_SUFFIXES = (".gz", ".zst", ".zstd", ".gzip")
NOT_DATA = re.compile(
    r"(readme|license|licence|changelog|citation|dataset_infos?|dataset_dict|state|adapter_config|config)\b", re.I
)
FOLDER_DEPTH = 4
FOLDER_FILES = 10_000

# What Excel writes before a table to say how it is delimited.
SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=(.)"?\r?\n', re.IGNORECASE)
KNOWN_COLUMNS = frozenset(
    (
        "prompt", "completion", "messages", "conversations", "conversation", "instruction", "input", "output",
        "question", "answer", "problem", "solution", "response", "query", "text", "content", "chosen", "rejected",
        "system", "user", "assistant", "human", "gpt", "source", "target", "context",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Source:
    """One data file. ``encoding`` is empty for binary kinds; ``delimiter`` is set for CSV; ``size`` is in bytes.

    ``by_row`` when places in it are numbers of rows: it has no lines, or all rows stand in one. ``is_headless``
    when the first line of a table holds data where names should be. ``told`` is what a check says of the file as a
    whole: kinds of findings with their reasons.
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

    @property
    def unit(self) -> str:
        """What findings count in this file."""
        return "row" if self.by_row else "line"

    @property
    def name(self) -> str:
        """The path as findings show it."""
        return str(self.path)


class UnusableFileError(Exception):
    """A file that cannot be read as data; ``kind`` is the kind of the finding."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def inspect_file(path: Path) -> Source:
    """Finds out by its content what a file is; raises `UnusableFileError`."""
    try:
        if not path.exists():
            raise UnusableFileError("unreadable_file", "There is no file of this name.")
        if not path.is_file():
            raise UnusableFileError("unreadable_file", "This is not a regular file.")
        size = path.stat().st_size
        with path.open("rb") as file:
            magic = file.read(16)
        compression = compression_of(magic)
        with open_bytes(path, compression) as stream:
            head = read_block(stream, compression)
        return _inspect(path, size, compression, head)
    except OSError as error:
        if isinstance(error, damaged_errors("gzip")):
            raise UnusableFileError("damaged_file", f"The compressed file is damaged: {error}.") from error
        raise UnusableFileError("unreadable_file", f"It cannot be read: {error.strerror or error}.") from error
    except ValueError as error:  # a path with a NUL
        raise UnusableFileError("unreadable_file", f"It cannot be read: {error}.") from error
    except damaged_errors("zstd") as error:
        raise UnusableFileError("damaged_file", f"The compressed file is damaged: {error}.") from error


def _inspect(path: Path, size: int, compression: Compression, head: bytes) -> Source:
    if not head:
        raise UnusableFileError("empty_file", "The file is empty.")
    if said := pointer_of(head, size):
        raise UnusableFileError("pointer", said)
    if head.startswith(b"PAR1"):
        return _binary(path, "parquet", size, compression)
    if head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return _binary(path, "arrow", size, compression)
    if said := refusal_of(path, head):
        raise UnusableFileError("unsupported_file", said)
    if compression_of(head):
        raise UnusableFileError("unsupported_file", "The file is compressed twice. Unpack it once.")
    encoding = find_encoding(path, compression)
    if encoding == "utf-8" and b"\0" in head[:4096] and head[:4096].count(0) > 8:
        raise UnusableFileError("unsupported_file", "This is a binary file, not rows of text.")
    text = head.decode("utf-8-sig" if encoding == "utf-8" else encoding, "replace")
    if not text.strip():
        raise UnusableFileError("empty_file", "The file holds nothing but empty lines.")
    kind, delimiter = text_kind(text, _plain_suffix(path), complete=len(head) < HEAD_BYTES)
    return Source(
        path, kind, size, compression, encoding, delimiter, by_row=kind in JSON_KINDS and "\n" not in text.strip(),
        is_headless=kind == "csv" and is_headless(_records(_table_lines(text), delimiter)),
        told=_told(text, kind, encoding),
    )  # fmt: skip


def _told(text: str, kind: FileKind, encoding: str) -> tuple[tuple[str, str], ...]:
    """What a check says of a text as a whole."""
    told = [] if encoding in ("utf-8", "utf-8-sig") else [("encoding", reading_of(text, encoding))]
    if kind == "text" and (marks := markup_of(text)):
        told.append(("markup", marks))
    if kind == "json_stream":
        told.append(("layout", "Objects over several lines, read one by one."))
    return tuple(told)


def _binary(path: Path, kind: FileKind, size: int, compression: Compression) -> Source:
    if compression:
        raise UnusableFileError("unsupported_file", f"A compressed {kind} file is not read. Unpack it first.")
    return Source(path, kind, size, by_row=True)


def _plain_suffix(path: Path) -> str:
    """The last suffix that is not one of compression, in lower case."""
    suffixes = [s.lower() for s in path.suffixes if s.lower() not in COMPRESSED_SUFFIXES]
    return suffixes[-1] if suffixes else ""


# -- what a text holds ---------------------------------------------------------------------------------------


def text_kind(head: str, suffix: str, *, complete: bool) -> tuple[FileKind, str]:
    """The kind of a text by its first part, and a table's delimiter; the suffix settles only doubts."""
    start = head.lstrip("\ufeff \t\r\n\0")
    if start[:1] in ("{", "[") and (kind := _json_kind(start, suffix, complete=complete)):
        return kind, ""
    if named := SEPARATOR_LINE.match(head):
        return "csv", named[1]
    delimiter, columns = _table(head)
    known = {column.strip().lower() for column in columns} & KNOWN_COLUMNS
    if suffix in (".csv", ".tsv") or (known and len(columns) > 1 and suffix not in (".md", ".markdown")):
        return "csv", delimiter or ("\t" if suffix == ".tsv" else ",")
    if suffix in (".jsonl", ".ndjson", ".json"):
        return "jsonl", ""
    return "text", ""


def _json_kind(start: str, suffix: str, *, complete: bool) -> FileKind | None:
    """Rows a line, an array, an object that holds one list, or objects over several lines; None if no JSON."""
    lines = [line for line in start[:200_000].split("\n") if line.strip()][:50]
    parsed = [_parse(line.rstrip("\r ").removesuffix(",") if start[0] == "{" else line) for line in lines]
    rows = sum(1 for value in parsed if isinstance(value, dict))
    if start[0] == "[":
        if len(lines) > 1 and sum(1 for value in parsed if isinstance(value, (list, dict))) == len(lines):
            return "jsonl"
        return "json_array" if suffix.startswith(".json") or _array_of_json(start) else None
    first = parsed[0] if parsed else None
    if isinstance(first, dict):
        if len(lines) == 1 and complete and list_key(first):
            return "json_object"
        return "jsonl"
    if rows * 2 >= max(len(lines), 1) and rows > 0:
        return "jsonl"
    return _multi_line_kind(start, suffix)


def _multi_line_kind(start: str, suffix: str) -> FileKind | None:
    """For text that starts with ``{`` and whose first line is no complete object."""
    found = re.match(r'\{\s*"(?:[^"\\]|\\.)*"\s*:', start)
    if not found and not re.match(r"\{\s*\}", start):
        return "jsonl" if suffix.startswith(".json") else None
    try:
        value, end = json.JSONDecoder().raw_decode(start)
    except RecursionError:
        return "jsonl"
    except ValueError:
        # Not complete within the head, or broken: a list of objects under a key that is no column of a row.
        outer = re.search(r'"((?:[^"\\]|\\.)*)"\s*:\s*\[\s*\{', start)
        if outer and outer.group(1) not in ROW_LISTS and start.count("{", 0, outer.end()) == 2:
            return "json_object"
        return "json_stream" if "\n" in start.rstrip() else "jsonl"
    if isinstance(value, dict) and list_key(value) and not start[end:].strip():
        return "json_object"
    return "json_stream"


# Lists that belong to a row, so that an object with one of them is a row and no container of rows.
ROW_LISTS = frozenset(("messages", "conversations", "conversation", "dialog", "dialogue", "turns", "chosen",
                       "rejected", "prompt", "completion", "tools", "history"))  # fmt: skip


def list_key(value: dict[str, Any]) -> str | None:
    """The key of the one list of objects that an object holds, if it is not itself a row."""
    lists = [k for k, v in value.items() if isinstance(v, list) and any(isinstance(item, dict) for item in v)]
    if len(lists) == 1 and lists[0] not in ROW_LISTS and not _are_turns(value[lists[0]]):
        return lists[0]
    return None


def _are_turns(items: list[Any]) -> bool:
    """True for the messages of one conversation, whatever their column is called."""
    return all(isinstance(item, dict) and not {"role", "from"}.isdisjoint(item) for item in items)


def _array_of_json(start: str) -> bool:
    """True if what follows the bracket is JSON and not, say, ``[Chapter 1]``."""
    return bool(re.match(r'\[\s*(\{\s*["}]|\]|"|\[)', start))


def _parse(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _table(head: str) -> tuple[str, list[str]]:
    """The delimiter under which the first records have the most even number of fields, and the first record."""
    best: tuple[float, str, list[str]] = (0.0, "", [])
    lines = head[:100_000].splitlines(keepends=True)
    for delimiter in (",", "\t", ";", "|"):
        records = _records(lines, delimiter)
        if not records or len(records[0]) < 2:
            continue
        width = len(records[0])
        even = sum(1 for record in records if len(record) == width) / len(records)
        names = sum(1 for name in records[0] if re.fullmatch(r"[\w .\-]{1,60}", name)) / width
        score = even + names + 0.01 * min(width, 20)
        if score > best[0]:
            best = (score, delimiter, records[0])
    if not best[2] and lines:
        return "", _records(lines[:1], ",")[0] if _records(lines[:1], ",") else []
    return best[1], best[2]


def _table_lines(head: str) -> list[str]:
    """The lines of a table's beginning, from its header on."""
    return SEPARATOR_LINE.sub("", head, count=1)[:100_000].splitlines(keepends=True)


def is_headless(records: list[list[str]]) -> bool:
    """True if the first record looks like those below it and not like names: in some column it is a sentence or a
    number as most of the others are, and none of its cells is a name that is known."""
    if len(records) < 2 or {cell.strip().lower() for cell in records[0]} & KNOWN_COLUMNS:
        return False
    for at, cell in enumerate(records[0]):
        below = [record[at] for record in records[1:] if at < len(record)]
        for is_data in (_is_sentence, _is_number):
            if is_data(cell) and 2 * sum(map(is_data, below)) > len(below):
                return True
    return False


def _is_sentence(cell: str) -> bool:
    text = cell.strip()
    return " " in text and (text.endswith((".", "?", "!", "。", "？")) or len(text) > 60)


def _is_number(cell: str) -> bool:
    return re.fullmatch(r"\s*[-+]?\d+([.,]\d+)?\s*", cell) is not None


def _records(lines: list[str], delimiter: str) -> list[list[str]]:
    found: list[list[str]] = []
    try:
        for record in csv.reader(lines, delimiter=delimiter):
            if record:
                found.append(record)
            if len(found) == 20:
                break
    except csv.Error:
        return found
    return found


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
    if not path.is_dir():
        return [(path, split_of(path))]
    folder = _snapshot(path)
    mlx = [(folder / f"{split}.jsonl", split) for split in SPLITS if (folder / f"{split}.jsonl").is_file()]
    if mlx and mlx[0][1] == "train":
        return [(file, split) for file, split in mlx]
    listed = _configured_files(folder) or sorted(_walk(folder, folder, 0))
    found = [file for file in listed if _plain_suffix(file) in TABLE_SUFFIXES and not NOT_DATA.match(file.name)]
    if not found:
        found = [f for f in listed if _plain_suffix(f) in TEXT_SUFFIXES]
        named = [f for f in found if not NOT_DATA.match(f.name)]
        found = named or found
    pairs = [(file, split_of(file, folder)) for file in found]
    if any(split == "train" for _, split in pairs):
        for file, split in pairs:
            if split is None:
                findings.add("ignored_file", str(file), None, "Not used: other files are named as training data.")
        pairs = [(file, split) for file, split in pairs if split is not None]
    return pairs


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

    card = folder / "README.md"
    try:
        parts = card.read_text(encoding="utf-8", errors="replace").split("---\n", 2)
        tree = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
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
    paths: Iterable[Path], findings: Findings, *, valid: Iterable[Path] = (), test: Iterable[Path] = ()
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
                sources.append(replace(inspect_file(file), split=split))
            except UnusableFileError as error:
                findings.add(error.kind, str(file), None, error.reason)
    return sources


def _files_or_finding(path: Path, findings: Findings) -> list[tuple[Path, Split | None]]:
    try:
        found = find_files(path, findings)
    except OSError as error:
        findings.add("unreadable_file", str(path), None, f"It cannot be read: {error.strerror or error}.")
        return []
    if not found:
        findings.add("no_examples", str(path), None, "The folder holds no data file.")
    return found
