"""What a text holds, by its first part: rows a line, JSON of some form, a table, or plain text."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from app.core.document.deck import is_deck
from app.core.source.container import ROW_LISTS, ROW_TEXTS, SPLIT_WORDS, begins_columns, rows_of_columns
from app.core.source.table import KNOWN_COLUMNS, SEPARATOR_LINE, table_start

FileKind = Literal[
    "jsonl", "json_array", "json_object", "json_stream", "json_columns", "csv", "deck", "workbook", "parquet",
    "arrow", "text", "document", "transcript", "translations",
]  # fmt: skip
JSON_KINDS = ("json_array", "json_object", "json_stream")


def text_kind(head: str, suffix: str, *, complete: bool) -> tuple[FileKind, str]:
    """The kind of a text by its first part, and a table's delimiter; the suffix settles only doubts."""
    start = head.lstrip("\ufeff \t\r\n\0")
    if start[:1] in ("{", "[") and (kind := _json_kind(start, suffix, complete=complete)):
        return kind, ""
    if named := SEPARATOR_LINE.match(head):
        return "csv", named[1]
    if is_deck(head):
        return "deck", ""
    delimiter, columns = table_start(head)
    known = {column.strip().lower() for column in columns} & KNOWN_COLUMNS
    if suffix in (".csv", ".tsv") or (known and len(columns) > 1 and suffix not in (".md", ".markdown")):
        return "csv", delimiter or ("\t" if suffix == ".tsv" else ",")
    if suffix in (".jsonl", ".ndjson", ".json"):
        return "jsonl", ""
    return "text", ""


# A first line that holds no more than the name of a list and its bracket.
_LIST_BEGINS = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\[\s*')


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
        return (_whole_kind(first) if len(lines) == 1 and complete else None) or "jsonl"
    # The rows of one list may stand a line each, too.
    is_one = isinstance(_parse(start), dict) if complete else bool(lines and _LIST_BEGINS.fullmatch(lines[0]))
    if rows * 2 >= max(len(lines), 1) and rows > 0 and not is_one:
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
        if begins_columns(start):
            return "json_columns"
        outer = re.search(r'"((?:[^"\\]|\\.)*)"\s*:\s*\[\s*\{', start)
        if outer and outer.group(1) not in ROW_LISTS and start.count("{", 0, outer.end()) == 2:
            return "json_object"
        return "json_stream" if "\n" in start.rstrip() else "jsonl"
    if isinstance(value, dict) and not start[end:].strip() and (whole := _whole_kind(value)):
        return whole
    return "json_stream"


def _whole_kind(value: dict[str, Any]) -> FileKind | None:
    """What an object is that is all a file holds: columns, or one list of rows, or one a split; None for a row."""
    if rows_of_columns(value) is not None:
        return "json_columns"
    return "json_object" if list_key(value) or _are_splits(value) else None


def list_names(text: str) -> dict[str, int]:
    """The lists of rows of a text that is one JSON object with several of them and nothing that makes it a row,
    each with its length; empty for everything else."""
    value = _parse(text.strip("\ufeff \t\r\n")) if text.count("[") > 1 else None
    if not isinstance(value, dict) or _are_splits(value) or {str(name).lower() for name in value} & KNOWN_COLUMNS:
        return {}
    found = {name: len(part) for name, part in value.items()
             if isinstance(part, list) and part and all(isinstance(item, dict) for item in part)}  # fmt: skip
    return found if len(found) > 1 and not ROW_LISTS & set(found) else {}


def _are_splits(value: dict[str, Any]) -> bool:
    lists = [k for k, v in value.items() if isinstance(v, list) and any(isinstance(item, dict) for item in v)]
    return bool(lists) and all(name.lower() in SPLIT_WORDS for name in lists)


def list_key(value: dict[str, Any]) -> str | None:
    """The key of the one list of objects that an object holds, if it is not itself a row."""
    lists = [k for k, v in value.items() if isinstance(v, list) and any(isinstance(item, dict) for item in v)]
    if len(lists) != 1 or lists[0] in ROW_LISTS or _are_turns(value[lists[0]]):
        return None
    # Beside a prompt or an instruction the list is a part of that row, and read alone it would lose it.
    beside = any(isinstance(v, str) and v.strip() and k.strip().lower() in ROW_TEXTS for k, v in value.items())
    return None if beside else lists[0]


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
