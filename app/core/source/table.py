"""How a table of text begins: its delimiter, the names of its columns, and whether it has such names at all."""

from __future__ import annotations

import csv
import re
from typing import NamedTuple

# What Excel writes before a table to say how it is delimited.
SEPARATOR_LINE = re.compile(r'\ufeff?"?sep=(.)"?\r?\n', re.IGNORECASE)
KNOWN_COLUMNS = frozenset(
    (
        "prompt", "completion", "messages", "conversations", "conversation", "instruction", "input", "output",
        "question", "answer", "problem", "solution", "response", "query", "text", "content", "chosen", "rejected",
        "system", "user", "assistant", "human", "gpt", "source", "target", "context",
    )
)  # fmt: skip


TERM_CHARACTERS = 80
_CODES = frozenset(
    [
        "ar",
        "bg",
        "bn",
        "ca",
        "cs",
        "cy",
        "da",
        "de",
        "el",
        "en",
        "es",
        "et",
        "eu",
        "fa",
        "fi",
        "fr",
        "ga",
        "gl",
        "he",
        "hi",
        "hr",
        "hu",
        "id",
        "is",
        "it",
        "ja",
        "ko",
        "lt",
        "lv",
        "mk",
        "ms",
        "mt",
        "nb",
        "nl",
        "nn",
        "no",
        "pl",
        "pt",
        "ro",
        "ru",
        "sk",
        "sl",
        "sq",
        "sr",
        "sv",
        "sw",
        "ta",
        "th",
        "tr",
        "uk",
        "ur",
        "vi",
        "zh",
    ]
)
_LANGUAGES = frozenset((
    "arabic", "bulgarian", "catalan", "chinese", "croatian", "czech", "danish", "dutch", "english", "estonian",
    "finnish", "french", "german", "greek", "hebrew", "hindi", "hungarian", "icelandic", "indonesian", "irish",
    "italian", "japanese", "korean", "latin", "latvian", "lithuanian", "norwegian", "persian", "polish",
    "portuguese", "romanian", "russian", "serbian", "slovak", "slovenian", "spanish", "swahili", "swedish", "thai",
    "turkish", "ukrainian", "vietnamese", "welsh", "deutsch", "englisch", "französisch", "spanisch", "italienisch",
    "français", "anglais", "allemand", "español", "inglés", "italiano", "inglese", "português", "nederlands",
    "polski", "svenska", "русский", "中文", "日本語", "source term", "target term", "source language",
    "target language",
))  # fmt: skip
_COLUMN_WORDS = frozenset((
    "id", "term", "terms", "word", "words", "meaning", "definition", "translation", "label", "labels", "category",
    "class", "name", "title", "utterance", "intent", "sentence", "sentence1", "sentence2", "phrase", "key", "value",
    "reply", "comment", "review", "sentiment", "topic", "type", "tag", "score", "date", "description", "q", "a",
    "front", "back", "request", "message", "post", "summary", "document", "premise", "hypothesis", "entity",
))  # fmt: skip


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


class GlossarySides(NamedTuple):
    """What the two sides of a glossary are called, and whether its first line is a pair already."""

    source: str
    target: str
    is_headless: bool


def glossary_sides(records: list[list[str]]) -> GlossarySides | None:
    """The sides of terms in two columns (and a comment): by a header that names two languages, or without one; None
    for every other table."""
    if len(records) < 2 or not all(2 <= len(record) <= 3 for record in records):
        return None
    first, second = (cell.strip("\ufeff ") for cell in records[0][:2])
    if first and second and _is_language(first) and _is_language(second):
        return GlossarySides(first, second, False)
    if len(records[0]) > 2 or any(_reads_as_name(cell) for cell in records[0]):
        return None
    terms = [cell.strip() for record in records for cell in record[:2]]
    is_terms = all(0 < len(term) <= TERM_CHARACTERS and not _is_number(term) for term in terms)
    return GlossarySides("", "", True) if is_terms and len(records) >= 3 else None


def _is_language(cell: str) -> bool:
    name = cell.strip().casefold()
    return name in _LANGUAGES or (re.split(r"[-_]", name)[0] in _CODES and len(name) <= 7)


def _reads_as_name(cell: str) -> bool:
    """True for what may be a column's name: a word of data sets, or several written as one."""
    name = cell.strip().casefold()
    if name in KNOWN_COLUMNS or name in _COLUMN_WORDS or _is_language(cell):
        return True
    return re.fullmatch(r"\w+_\w+|[a-z]+[A-Z]\w*|\w*\d\w*", cell.strip()) is not None


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
