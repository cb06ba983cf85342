"""Conversations put together of utterances: one speaker answers, the others ask; a long pause begins another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from app.core.language import tr
from app.core.quantity import plural
from app.core.transcript.utterance import ASSISTANTS, PROGRAMS, SYSTEM, UNPAIRED, LeftOut, TranscriptKind, Utterance

PAUSE_HOURS = 4
NAMED_SPEAKERS = 8


@dataclass(frozen=True, slots=True)
class Transcript:
    """An exported chat: its program, who wrote how many messages (those with the most first), whose words are the
    answers (empty while that is not chosen), and whether a day or a month stands first in its dates."""

    program: TranscriptKind
    speakers: tuple[tuple[str, int], ...] = ()
    answers_by: str = ""
    date_order: str = ""
    groups: frozenset[str] = frozenset()  # the chats of more than two, in which each is named

    def question(self, wanted: str) -> str:
        """What is said where it is not known whose words are the answers."""
        names = [(name, count) for name, count in self.speakers if name != SYSTEM]
        wrote = [f"{name[:40]} ({plural(count, 'message')})" for name, count in names[:NAMED_SPEAKERS]]
        more = tr(" and {names:,} more", names=len(names) - NAMED_SPEAKERS) if len(names) > NAMED_SPEAKERS else ""
        said = (
            tr("Nobody in this chat is called `{wanted}`.", wanted=wanted[:40])
            if wanted
            else tr("It is not chosen whose words are the answers.")
        )
        return tr(
            "{said} It is a chat of {wrote}{more}.", said=said, wrote=", ".join(wrote) or tr("nobody"), more=more
        )


def transcript_of(program: TranscriptKind, found: Iterable[Utterance], wanted: str, order: str = "") -> Transcript:
    """What a chat is, by all of its utterances and by whose words are ``wanted`` as the answers."""
    counts: Counter[str] = Counter()
    members: dict[str, set[str]] = {}
    for utterance in found:
        counts[utterance.speaker] += 1
        members.setdefault(utterance.chat, set()).add(utterance.speaker)
    wanted = wanted or ASSISTANTS.get(program, "")
    chosen = wanted if wanted in counts else ""
    alike = [name for name in counts if name.casefold() == wanted.casefold()]
    if wanted and not chosen and len(alike) == 1:
        chosen = alike[0]
    groups = {chat for chat, its in members.items() if len(its) > 2} if program not in ASSISTANTS else set()
    return Transcript(program, tuple(counts.most_common()), chosen, order, frozenset(groups))


class Conversations:
    """Makes rows of ``messages`` of utterances, and counts what it does."""

    def __init__(self, transcript: Transcript, limit_bytes: int, left_out: LeftOut) -> None:
        self.count = self.messages = 0
        self._transcript = transcript
        self._is_whole = transcript.program in ASSISTANTS  # one is a row, however long
        self._limit_bytes = limit_bytes
        self._left_out = left_out
        self._turns: list[tuple[str, str]] = []  # speaker, text
        self._counts: list[int] = []  # the utterances of each turn
        self._bytes = 0
        self._place = 0

    def rows(self, found: Iterable[Utterance]) -> Iterator[tuple[int, dict[str, Any]]]:
        """The conversations, each with the place of its first utterance."""
        before: Utterance | None = None
        for utterance in found:
            self.messages += utterance.speaker != SYSTEM
            if before is not None and self._begins(before, utterance) and (row := self._taken()):
                yield row
            self._add(utterance, before)
            before = utterance
        yield from self.rest()

    def rest(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """The conversation that is not complete yet, where no more can be read."""
        if row := self._taken():
            yield row

    def account(self) -> str:
        """What was read, in words."""
        said, of = self._transcript, plural(self.messages, "message")
        parts = [
            tr(
                "{programs}: {conversations} of {of}, answers by {answers_by}.",
                programs=PROGRAMS[said.program],
                conversations=plural(self.count, "conversation"),
                of=of,
                answers_by=said.answers_by,
            )
        ]
        if not self._is_whole:
            parts.append(
                tr(
                    "A pause of {pause_hours} hours begins another, as does the maximum length.",
                    pause_hours=PAUSE_HOURS,
                )
            )
        if said.groups:
            parts.append(tr("In groups the name of who asks stands before the words."))
        return " ".join([*parts, self._left_out.sentence()]).strip()

    def _begins(self, before: Utterance, now: Utterance) -> bool:
        if before.chat != now.chat:
            return True
        if self._is_whole:
            return False
        if (
            before.time_s is not None
            and now.time_s is not None
            and now.time_s - before.time_s >= 3600 * PAUSE_HOURS
        ):
            return True
        is_turn = now.speaker != self._transcript.answers_by and before.speaker == self._transcript.answers_by
        return is_turn and self._bytes + len(now.text.encode("utf-8", "replace")) > self._limit_bytes

    def _add(self, utterance: Utterance, before: Utterance | None) -> None:
        role, text = self._role(utterance.speaker), utterance.text
        self._place = self._place or utterance.place
        self._bytes += len(text.encode("utf-8", "replace"))
        joins = bool(self._turns) and self._turns[-1][0] == role
        if utterance.chat in self._transcript.groups and role == "user":
            same = joins and before is not None and before.speaker == utterance.speaker
            text = text if same else f"{utterance.speaker}: {text}"
        if joins:
            blank = "\n\n" if self._is_whole else "\n"
            self._turns[-1] = (role, f"{self._turns[-1][1]}{blank}{text}")
            self._counts[-1] += 1
        else:
            self._turns.append((role, text))
            self._counts.append(1)

    def _role(self, speaker: str) -> str:
        if speaker == self._transcript.answers_by:
            return "assistant"
        return SYSTEM if speaker == SYSTEM and self._is_whole else "user"

    def _taken(self) -> tuple[int, dict[str, Any]] | None:
        """The conversation as a row, from the first question to the last answer; None where nothing is answered."""
        turns, counts, place = self._turns, self._counts, self._place
        self._turns, self._counts, self._bytes, self._place = [], [], 0, 0
        system = turns[:1] if turns and turns[0][0] == SYSTEM else []
        asked = next((at for at, turn in enumerate(turns) if turn[0] == "user"), len(turns))
        answered = next((at for at in reversed(range(len(turns))) if turns[at][0] == "assistant"), -1)
        kept = turns[asked : answered + 1]
        lost = sum(n for at, n in enumerate(counts) if turns[at][0] != SYSTEM and not asked <= at <= answered)
        self._left_out.add(UNPAIRED, lost)
        if not kept:
            return None
        self.count += 1
        place = self.count if self._transcript.program != "whatsapp" else place
        return place, {"messages": [{"role": role, "content": text} for role, text in (*system, *kept)]}
