"""Decks of cards as Anki exports them: lines that say how the table is written, then a card a record."""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

_SETTING = re.compile(r"\ufeff?#([a-z ]+):(.*?)\r?\n?$", re.IGNORECASE)
_BEGINNING = re.compile(r"\ufeff?(#[a-z ]+:[^\n]*\n)*#separator:", re.IGNORECASE)
_SEPARATORS = {"tab": "\t", "comma": ",", "semicolon": ";", "space": " ", "pipe": "|", "colon": ":"}
_SIDES = ("front", "back")
# What breaks a line, what ends a block, and every other tag or comment.
_BREAK = re.compile(r"<br\s*/?>|</(p|div|li|tr|h\d)\s*>", re.IGNORECASE)
_TAG = re.compile(r"<!--.*?-->|</?[a-z][^<>]*>", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Setting:
    """How a deck is written: ``named`` are columns (from 1) that are no sides of a card."""

    delimiter: str = "\t"
    is_html: bool = False
    columns: tuple[str, ...] = ()
    named: dict[int, str] = field(default_factory=dict)


def is_deck(head: str) -> bool:
    """True if a text begins as an exported deck does."""
    return _BEGINNING.match(head) is not None


def deck_rows(lines: Iterator[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The cards, each with the line on which it begins; sides are `front` and `back` unless the deck names them."""
    before: list[str] = []
    first = ""
    for first in lines:
        if _SETTING.match(first) is None:
            break
        before.append(first)
        first = ""
    setting = _setting(before)
    reader = csv.reader(chain([first], lines), delimiter=setting.delimiter)
    line = len(before) + 1
    for record in reader:
        if any(cell.strip() for cell in record):
            names = _names(setting, len(record))
            yield line, {name: _plain(cell, setting) for name, cell in zip(names, record, strict=True)}
        line = len(before) + reader.line_num + 1


def _setting(lines: Iterable[str]) -> _Setting:
    said = {match[1].strip().lower(): match[2] for line in lines if (match := _SETTING.match(line))}
    separator = said.get("separator", "tab").strip().lower()
    delimiter = _SEPARATORS.get(separator, separator[:1] or "\t")
    named = {int(value): name.removesuffix(" column") for name, value in said.items()
             if name.endswith(" column") and value.strip().isdecimal()}  # fmt: skip
    columns = tuple(said["columns"].split(delimiter)) if "columns" in said else ()
    return _Setting(delimiter, said.get("html", "").strip().lower() == "true", columns, named)


def _names(setting: _Setting, count: int) -> list[str]:
    """A name for each of a record's columns, no two alike."""
    sides = iter(_SIDES)
    names: list[str] = []
    for at in range(1, count + 1):
        name = setting.columns[at - 1].strip() if at <= len(setting.columns) else ""
        name = name or setting.named.get(at, "") or next(sides, "")
        names.append(name if name and name not in names else f"column {at}")
    return names


def _plain(cell: str, setting: _Setting) -> str:
    """The text of a side without its marks."""
    if not setting.is_html:
        return cell
    return html.unescape(_TAG.sub("", _BREAK.sub("\n", cell))).replace("\u00a0", " ").strip()
