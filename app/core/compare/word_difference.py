"""The word difference: which words of a text are not in another one, by the longest common subsequence.

The rows of the subsequence's table are integers, one bit a word (Hyyrö, "Bit-parallel LCS-length computation
revisited", 2004): a pair of answers of a thousand words takes milliseconds, without a table of a million cells.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

WORD_PATTERN = re.compile(r"\w+(?:['’]\w+)*|[\ud800-\udbff][\udc00-\udfff]|[^\w\s]")
STRETCH = 4_000  # words compared at once: longer texts are compared stretch by stretch


@dataclass(frozen=True, slots=True)
class Word:
    """A word or a sign, and where it stands."""

    text: str
    start: int
    end: int


def words_of(text: str) -> list[Word]:
    """The words and signs of a text; what is between them does not count."""
    return [Word(found[0], found.start(), found.end()) for found in WORD_PATTERN.finditer(text)]


def differing_spans(reference: str, text: str) -> list[tuple[int, int]]:
    """Where ``text`` has words that ``reference`` has not, at that place: (start, end), neighbours joined."""
    words = words_of(text)
    differ = differing([word.text for word in words_of(reference)], [word.text for word in words])
    spans: list[tuple[int, int]] = []
    before = -2
    for index in differ:
        if index == before + 1:
            spans[-1] = (spans[-1][0], words[index].end)
        else:
            spans.append((words[index].start, words[index].end))
        before = index
    return spans


def differing(reference: Sequence[str], words: Sequence[str]) -> list[int]:
    """Indices of the ``words`` outside the longest common subsequence with ``reference``."""
    first, end = 0, 0
    shorter = min(len(reference), len(words))
    while first < shorter and reference[first] == words[first]:
        first += 1
    while end < shorter - first and reference[-1 - end] == words[-1 - end]:
        end += 1
    left, right = reference[first : len(reference) - end], words[first : len(words) - end]
    found: list[int] = []
    for start in range(0, len(right), STRETCH):
        part = right[start : start + STRETCH]
        found += [first + start + index for index in _outside(left[start : start + STRETCH], part)]
    return found


def _outside(reference: Sequence[str], words: Sequence[str]) -> list[int]:
    """Indices of ``words`` that are in no longest common subsequence, read back from the table's rows."""
    places: dict[str, int] = {}
    for index, word in enumerate(words):
        places[word] = places.get(word, 0) | 1 << index
    everything = (1 << len(words)) - 1
    row, rows = everything, []
    for word in reference:
        common = row & places.get(word, 0)
        row = (row + common | row - common) & everything
        rows.append(row)
    found, at, column = [], len(reference), len(words)
    while at and column:
        if rows[at - 1] >> (column - 1) & 1:
            column -= 1
            found.append(column)
            continue
        at -= 1
        if not at or rows[at - 1] >> (column - 1) & 1:
            column -= 1
    return [*range(column), *reversed(found)]
