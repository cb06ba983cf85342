"""Passages: the parts of a text or document that train as one example each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Chunking:
    """How a text is cut into examples: at most ``length`` UTF-8 bytes, repeating the last ``overlap`` bytes."""

    length: int = 3072
    overlap: int = 300

    @classmethod
    def for_tokens(cls, tokens: int) -> Chunking:
        """How documents are cut so that parts fit a maximum length: some three bytes a token."""
        length = max(3 * tokens, 24)
        return cls(length, length // 10)


# The key of a document part under which the characters it repeats from the part before are counted.
OVERLAP_KEY = "_overlap"
DOCUMENT_END = re.compile(r"\s*(<\|endoftext\|>|\f)\s*")
_BREAKS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"[.!?。！？]['\")\]]*\s"), re.compile(r"\s"))


def passages(lines: Iterable[str], chunking: Chunking) -> Iterator[tuple[int, dict[str, Any]]]:
    """Passages of lines, each ``{"text": …}`` with the line on which it begins, cut at the last paragraph, line,
    sentence or word that fits."""
    number, first, held, repeated = 0, 1, "", 0
    for line in lines:
        number += line.endswith("\n")
        if DOCUMENT_END.fullmatch(line):
            if held[repeated:].strip():
                yield first, _part(held, repeated)
            first, held, repeated = number + 1, "", 0
            continue
        held += line
        while _bytes(held) > chunking.length:
            end = max(_cut(held, chunking.length), repeated + 1)
            yield first, _part(held[:end], repeated)
            start = end - _overlap(held[:end], chunking)
            first += held.count("\n", 0, start)
            held, repeated = held[start:], end - start
    if held[repeated:].strip():
        yield first, _part(held, repeated)


def _part(text: str, repeated: int) -> dict[str, Any]:
    stripped = text.strip()
    lead = len(text) - len(text.lstrip())
    return {"text": stripped, OVERLAP_KEY: max(0, repeated - lead)}


def _bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


def _cut(text: str, length: int) -> int:
    """Where to end a part: the best break in the last half of what fits."""
    fits = len(text.encode("utf-8", "replace")[:length].decode("utf-8", "ignore"))
    for pattern in _BREAKS:
        breaks = [match.end() for match in pattern.finditer(text, fits // 2, fits)]
        if breaks:
            return breaks[-1]
    return fits


def _overlap(part: str, chunking: Chunking) -> int:
    """How many last characters of a part the next one repeats: whole words, less than half of the part."""
    wanted = min(chunking.overlap, _bytes(part) // 2)
    if wanted <= 0:
        return 0
    tail = part.encode("utf-8", "replace")[-wanted:].decode("utf-8", "ignore")
    space = re.search(r"\s", tail)
    return len(tail) - space.end() if space and space.end() < len(tail) else len(tail)
