"""llama.cpp's way to merge pieces by score, in Python: what a text becomes there, known before it is written."""

from __future__ import annotations

import heapq
import re
from collections.abc import Sequence

from gguf import TokenType

_SPACE = "▁"
# llama.cpp lets the special tokens of a model whose name holds one of these take the spaces after them; its
# vocabulary then must have all of the texts below, or the file is not opened.
STRIPPING = re.compile("phi-?3", re.IGNORECASE)
NAMED_IN_STRIPPING = frozenset({"<unk>", "<s>", "</s>", "<|endoftext|>"})
_KEEPS = NAMED_IN_STRIPPING - {"</s>"}  # these take none


class PieceMerger:
    """Encodes as llama.cpp does with a vocabulary of the model ``llama``: special tokens first, then by score.

    ``prefix``: a space goes in front of a text, and of what follows a special token. ``strips``: special tokens
    take the spaces after them, as models named so (`STRIPPING`) have it.
    """

    def __init__(
        self,
        tokens: Sequence[str],
        types: Sequence[TokenType],
        scores: Sequence[float],
        prefix: bool,
        strips: bool,
    ) -> None:
        self._ids = {token: number for number, token in enumerate(tokens)}
        self._scores, self._prefix = scores, prefix
        self._bytes = {
            int(token[3:5], 16): number for number, token in enumerate(tokens) if types[number] is TokenType.BYTE
        }
        whole = (TokenType.CONTROL, TokenType.USER_DEFINED, TokenType.UNKNOWN)
        special = [token for token, kind in zip(tokens, types, strict=True) if kind in whole]
        self._special = set(special)
        self._stripped = self._special - _KEEPS if strips else set()
        longest = sorted(special, key=len, reverse=True)
        self._cut = re.compile("(" + "|".join(map(re.escape, longest)) + ")") if longest else None

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without a token for its beginning."""
        found: list[int] = []
        strip = False
        # What lies between two special tokens is one part: each follows such a token, or begins the text.
        for part in self._cut.split(text) if self._cut else [text]:
            if part in self._special:
                found.append(self._ids[part])
                strip = part in self._stripped
                continue
            if strip:
                part = part.lstrip(" \t\n\r\v\f")
            if part:
                found += self._merge((f" {part}" if self._prefix else part).replace(" ", _SPACE))
        return found

    def _merge(self, text: str) -> list[int]:
        """Merges the neighbours whose sum scores best, the leftmost of equals, until none is a token."""
        parts: list[str] = list(text)
        before = list(range(-1, len(parts) - 1))
        after = [*range(1, len(parts)), -1]
        waiting: list[tuple[float, int, str]] = []

        def consider(left: int, right: int) -> None:
            if left < 0 or right < 0:
                return
            both = parts[left] + parts[right]
            if both in self._ids:
                heapq.heappush(waiting, (-self._scores[self._ids[both]], left, both))

        for place in range(len(parts) - 1):
            consider(place, place + 1)
        while waiting:
            _, left, both = heapq.heappop(waiting)
            right = after[left]
            if right < 0 or not parts[left] or parts[left] + parts[right] != both:
                continue
            parts[left], parts[right] = both, ""
            after[left] = after[right]
            if after[left] >= 0:
                before[after[left]] = left
            consider(before[left], left)
            consider(left, after[left])
        return [number for part in parts if part for number in self._numbers(part)]

    def _numbers(self, part: str) -> list[int]:
        if part in self._ids:
            return [self._ids[part]]
        return [self._bytes.get(byte, self._ids.get("<unk>", 0)) for byte in part.encode("utf-8")]
