"""Contradictions: one answer labelled good here and bad there, one pair the other way round elsewhere."""

from __future__ import annotations

from typing import Any

from app.core.data.duplicate import RowPlace
from app.core.data.format import Format, Layout
from app.core.data.label import label_of
from app.core.data.row_check import dumped

# Answers that are remembered, 240 bytes each; what comes after them is compared with these.
REMEMBERED_ANSWERS = 1_000_000


class Contradictions:
    """Takes rated rows in order and tells which of them say the opposite of an earlier one."""

    def __init__(self, limit: int = REMEMBERED_ANSWERS) -> None:
        self._limit = limit
        self._said: dict[int, tuple[bool, RowPlace]] = {}

    def take(self, row: dict[str, Any], layout: Layout, place: RowPlace) -> RowPlace | None:
        """Where the first row stands that says otherwise, if there is one. ``row`` is a good one of ``layout``."""
        prompt = dumped(row.get(layout.prompt))
        if layout.format is Format.LABELLED:
            key, verdict = hash((prompt, dumped(row.get(layout.completion)))), bool(label_of(row[layout.label]))
        else:
            chosen, rejected = dumped(row.get(layout.chosen)), dumped(row.get(layout.rejected))
            verdict = chosen < rejected
            key = hash((prompt, *sorted((chosen, rejected))))
        known = self._said.get(key)
        if known is None:
            if len(self._said) < self._limit:
                self._said[key] = verdict, place
            return None
        return known[1] if known[0] != verdict else None
