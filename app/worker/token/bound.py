"""Bounds: where in an outline an answer begins and where its turn ends."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from app.core.language import tr
from app.worker.token.chat_template import alike
from app.worker.token.outline import Outline


class Bounds(NamedTuple):
    """Where in an outline an answer begins and ends. ``given`` is what the model is given beyond what stands in the
    row: where the answer itself begins with that, it is not learned."""

    start: int
    end: int
    given: str = ""


@dataclass(frozen=True, slots=True)
class Endings:
    """How turns end: ``eos`` is the text of the tokenizer's end token, ``special`` finds tokens that are never part
    of words."""

    eos: str
    special: re.Pattern[str]

    def whole_tokens(self, count: int, text: str) -> int:
        """``count`` characters of a text, fewer where they would end inside of a special token."""
        inside = (m.start() for m in self.special.finditer(text) if m.start() < count < m.end())
        return next(inside, count)

    def shared(self, one: str, other: str) -> int:
        """How many characters two texts begin with alike, in whole special tokens."""
        count = alike(one, other)
        return min(self.whole_tokens(count, one), self.whole_tokens(count, other))


@dataclass(frozen=True, slots=True)
class BoundTurn:
    """One turn of the assistant in a conversation with stand-ins.

    ``whole`` is the conversation, ``head`` the one before the turn up to where the answer begins, ``plain()`` the
    same without that beginning, ``until`` the one up to the end of the turn; None where the template refuses it (or
    there is nothing before the turn, or after it). ``owners`` are the messages that the stand-ins belong to.
    """

    number: int
    whole: Outline
    head: Outline | None
    plain: Callable[[], Outline | None]
    until: Outline | None
    owners: Sequence[int]

    def bounds(self, endings: Endings, *, is_last: bool) -> Bounds | str:
        """Where it begins and ends (the same place where the template shows nothing of it); or what cannot be told.

        The last turn of a row ends where the row does.
        """
        begin = self._begin(endings)
        end = len(self.whole.text) if is_last else self._end(endings)
        if begin is None:
            return tr("where it begins")
        if end is None:
            return tr("where it ends")
        start, given = begin
        if end < start:
            return Bounds(start, start)
        if any(self.owners[slot.number] != self.number for slot in self.whole.slots if start <= slot.start < end):
            return tr("what it is apart from other turns")
        return Bounds(start, end, given)

    def _begin(self, endings: Endings) -> tuple[int, str] | None:
        own = next((slot for slot in self.whole.slots if self.owners[slot.number] == self.number), None)
        if self.head is None:
            return None if own is None else (own.start, "")
        place = self.whole.same_place(self.head)
        if place is None:
            return None
        begin, literal = self.whole.behind(place)
        rest = self.head.literals[-1]
        common = alike(literal, rest)
        if (
            common < min(len(rest), len(literal))
            and (prompt := self._prompt(endings)).strip()
            and prompt in literal
        ):
            # The turn before ends otherwise when another follows: the answer is still prompted for in the same way.
            return begin + literal.index(prompt) + len(prompt), ""
        follows = place + 1 < len(self.whole.slots) and common == len(literal)
        return begin + common, rest[common:] if follows else ""

    def _end(self, endings: Endings) -> int | None:
        if self.until is None or (place := self.whole.same_place(self.until)) is None:
            return None
        begin, literal = self.whole.behind(place)
        tail = self.until.literals[-1]
        if not literal.startswith(tail):
            return begin + self._changed_end(literal, tail, endings)
        # A line break behind the end belongs to the turn only where the row begins with the conversation up to it.
        is_row = self.whole.text.startswith(self.until.text)
        size = len(tail) if is_row else len(tail.rstrip())
        if endings.eos and not endings.special.search(tail) and literal.startswith(endings.eos, size):
            size += len(endings.eos)  # it stands between turns, not behind the last
        return begin + size

    def _changed_end(self, literal: str, tail: str, endings: Endings) -> int:
        """How far the turn's end goes where the turn would end otherwise if it were the last: what they have alike,
        and where that holds no end token, the one that stands before the next turn's beginning."""
        common = endings.shared(literal, tail)
        if endings.special.search(literal[:common]):
            return len(literal[:common].rstrip())
        rest = literal[common:]
        found = list(endings.special.finditer(rest))
        if not found:
            return common
        first = self._first_given(endings)
        header = rest.find(first) if first else -1
        return common + len(rest[: header if header >= 0 else found[-1].start()].rstrip())

    def _prompt(self, endings: Endings) -> str:
        """What the template writes to prompt for an answer."""
        if self.head is None or (plain := self.plain()) is None:
            return ""
        return self.head.text[endings.shared(self.head.text, plain.text) :]

    def _first_given(self, endings: Endings) -> str:
        """The special token that turns of the assistant begin with."""
        found = endings.special.search(self._prompt(endings))
        return found[0] if found else ""
