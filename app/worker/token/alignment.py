"""Alignments: which tokens of a text stand at which of its characters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from app.worker.token.chat_template import Span, alike


class Alignment(Protocol):
    """The tokens of one text."""

    ids: list[int]

    def tokens(self, span: Span) -> Span:
        """The tokens that hold the characters of a span: from which on and up to before which. A token that holds
        characters on both sides of an edge belongs to the span."""


class _Offsets:
    """Of a fast tokenizer, which knows the characters of each token."""

    def __init__(self, encoding: Any, text: str) -> None:
        self.ids: list[int] = encoding.ids
        self._encoding = encoding
        self._length = len(text)

    def tokens(self, span: Span) -> Span:
        start, end = span
        last = self._first(end)
        if last < len(self.ids) and self._encoding.token_to_chars(last)[0] < end:
            last += 1
        return self._first(start), last

    def _first(self, place: int) -> int:
        """The first token that holds a character, or one behind it (spaces may be in none)."""
        for at in range(place, self._length):
            token: int | None = self._encoding.char_to_token(at)
            if token is not None:
                return token
        return len(self.ids)


class _Prefixes:
    """Of a slow tokenizer: what the text's beginning alone is made into tells how far its tokens go."""

    def __init__(self, ids: list[int], text: str, encode: Callable[[str], list[int]]) -> None:
        self.ids = ids
        self._text, self._encode = text, encode

    def tokens(self, span: Span) -> Span:
        (start, _), (end, is_cut) = (self._first(place) for place in span)
        return start, end + is_cut

    def _first(self, place: int) -> tuple[int, bool]:
        """How many tokens end by a character, and whether the next one does not begin there."""
        if place >= len(self._text):
            return len(self.ids), False
        before = self._encode(self._text[:place])
        common = alike(before, self.ids)
        return common, common < len(before)


def align(tokenizer: Any, texts: Sequence[str]) -> Iterator[Alignment]:
    """The tokens of each text, none added, from one call of a tokenizer of transformers."""
    if not texts:
        return
    found = tokenizer(
        list(texts), add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False,
        verbose=False,
    )  # fmt: skip
    if found.encodings is not None:
        yield from map(_Offsets, found.encodings, texts)
        return

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    for ids, text in zip(found["input_ids"], texts, strict=True):
        yield _Prefixes(ids, text, encode)
