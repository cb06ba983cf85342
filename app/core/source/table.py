"""How a table of text begins: its delimiter, the names of its columns, and whether it has such names at all."""

from __future__ import annotations

import csv
import re

# What Excel writes before a table to say how it is delimited.
SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=(.)"?\r?\n', re.IGNORECASE)
KNOWN_COLUMNS = frozenset(
    (
        "prompt", "completion", "messages", "conversations", "conversation", "instruction", "input", "output",
        "question", "answer", "problem", "solution", "response", "query", "text", "content", "chosen", "rejected",
        "system", "user", "assistant", "human", "gpt", "source", "target", "context",
    )
)  # fmt: skip


def table_start(head: str) -> tuple[str, list[str]]:
    """The delimiter under which the first records have the most even number of fields, and the first record."""
    best: tuple[float, str, list[str]] = (0.0, "", [])
    lines = head[:100_000].splitlines(keepends=True)
    for delimiter in (",", "\t", ";", "|"):
        records = first_records(lines, delimiter)
        if not records or len(records[0]) < 2:
            continue
        width = len(records[0])
        even = sum(1 for record in records if len(record) == width) / len(records)
        names = sum(1 for name in records[0] if re.fullmatch(r"[\w .\-]{1,60}", name)) / width
        score = even + names + 0.01 * min(width, 20)
        if score > best[0]:
            best = (score, delimiter, records[0])
    if not best[2] and lines:
        return "", first_records(lines[:1], ",")[0] if first_records(lines[:1], ",") else []
    return best[1], best[2]


def table_lines(head: str) -> list[str]:
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


def first_records(lines: list[str], delimiter: str) -> list[list[str]]:
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
