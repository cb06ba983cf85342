"""Spans: where in a rendered conversation the answers stand that are learned, from behind what the model is given
up to the end of the turn.

A conversation is rendered a second time with stand-ins for its texts (`app.worker.token.outline`). Behind the last
text before an answer stands, in the whole, the beginning of the answer's turn, and, in the conversation up to
there, what the model is given: as far as the two are alike the model is given it, and the rest it has to say.
Behind the answer's last text the end of the turn is found in the same way. So a span never reaches over a text of
somebody else, whatever the template makes of earlier turns; and it is used for a row only if the row is, letter for
letter, the outline filled in. Outlines are made once for all conversations of the same form.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import orjson

from app.core.language import tr
from app.worker.token.bound import Bounds, BoundTurn, Endings
from app.worker.token.chat_template import ChatTemplate, Dialogue, Message, Rendered, Span, alike
from app.worker.token.outline import CARE, Outline, Passage, Slot, missing, with_stand_ins

KEPT_READINGS = 4096
PARTS = {"reasoning": tr("reasoning"), "call": tr("tool call")}
ROLE_TEXTS = {
    "system": tr("system text"),
    "tool": tr("tool result"),
    "function": tr("tool result"),
    "ipython": tr("tool result"),
}

# Roles whose words are never an answer, whatever a template marks.
OTHERS = frozenset(("user", "developer", *ROLE_TEXTS))

Remarks = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the outline of a conversation tells: the bounds of the wanted answers (or what of them cannot be told),
    and what of the conversation the template leaves out, as (kind, reason)."""

    outline: Outline
    bounds: dict[int, Bounds | str]
    told: Remarks


@dataclass(slots=True)
class Answers:
    """The spans of a row's wanted answers in its text; ``fault`` says why they are not all there. ``told`` are
    (kind, reason) of what the template leaves out. ``marked`` where they are the template's own marks."""

    spans: list[Span] = field(default_factory=list)
    fault: str = ""
    told: Remarks = ()
    marked: bool = False


class _Asked(NamedTuple):
    """A conversation with stand-ins, what they stand for, and the numbers of the messages that are learned."""

    dialogue: Dialogue
    passages: list[Passage]
    wanted: Sequence[int]

    @property
    def owners(self) -> list[int]:
        """The message that each passage is of."""
        return [passage.message for passage in self.passages]

    def key(self) -> bytes:
        """Equal for conversations of the same form, of which the same is wanted."""
        parts = [self.dialogue.messages, self.dialogue.tools, list(self.wanted)]
        try:
            return orjson.dumps(parts, default=str, option=orjson.OPT_NON_STR_KEYS)
        except TypeError:  # whole numbers beyond 64 bits
            return repr(parts).encode("utf-8", "replace")


class SpanFinder:
    """Finds answers under one chat template.

    ``eos`` is the text of the tokenizer's end token, ``specials`` those of all tokens that are never part of words.
    """

    def __init__(self, template: ChatTemplate, eos: str, specials: Iterable[str]) -> None:
        self._template = template
        texts = sorted({text for text in specials if text.strip()}, key=len, reverse=True)
        self._endings = Endings(eos, re.compile("|".join(map(re.escape, texts)) if texts else r"(?!)"))
        self._readings: dict[bytes, Reading | None] = {}
        self._marked: dict[bytes, int] = {}

    def find(
        self, dialogues: Sequence[Dialogue], texts: Sequence[str], wanted: Sequence[Sequence[int]]
    ) -> list[Answers]:
        """The answers of each row: ``texts`` are the rows as the template renders them, ``wanted`` the numbers of
        the messages that are learned."""
        hidden = tr("The chat template writes the row in a way that hides its answers.")
        found = [Answers(fault=hidden if turns else "") for turns in wanted]
        left = list(range(len(texts)))
        for care in CARE:
            asked = [_asked(dialogues[at], wanted[at], care) for at in left]
            for at, one, reading in zip(left, asked, self._read(asked), strict=True):
                if reading is not None and (answers := _answers(one, reading, dialogues[at], texts[at], care)):
                    found[at] = answers
            left = [at for at in left if found[at].fault]
            if not left:
                break
        return found

    def left_out(self, dialogues: Sequence[Dialogue]) -> list[Remarks]:
        """What the template leaves out of each conversation, as (kind, reason)."""
        readings = self._read([_asked(dialogue, (), CARE[0]) for dialogue in dialogues])
        return [() if reading is None else reading.told for reading in readings]

    def marked_others(self, dialogues: Sequence[Dialogue]) -> list[int]:
        """Of each conversation the first message (from 0) of somebody else that the template marks as said by the
        assistant; −1 where there is none."""
        asked = [_asked(dialogue, (), CARE[0]) for dialogue in dialogues]
        keys = [one.key() for one in asked]
        if len(self._marked) + len(keys) > KEPT_READINGS:
            self._marked.clear()
        new = {key: one for key, one in zip(keys, asked, strict=True) if key not in self._marked}
        for (key, one), item in zip(
            new.items(), self._template.render([one.dialogue for one in new.values()]), strict=True
        ):
            self._marked[key] = -1 if isinstance(item, Exception) else _marked_other(one, item)
        return [self._marked[key] for key in keys]

    def _read(self, asked: list[_Asked]) -> list[Reading | None]:
        keys = [one.key() for one in asked]
        if len(self._readings) + len(keys) > KEPT_READINGS:
            self._readings.clear()
        new = {key: one for key, one in zip(keys, asked, strict=True) if key not in self._readings}
        self._readings.update(zip(new, self._made(list(new.values())), strict=True))
        return [self._readings[key] for key in keys]

    def _made(self, asked: list[_Asked]) -> list[Reading | None]:
        """A reading of each, None where the template refuses the conversation with stand-ins."""
        wholes = self._outlines([one.dialogue for one in asked])
        turns = [(number, at) for number, one in enumerate(asked) for at in one.wanted]
        heads = self._cut(asked, [(number, at) for number, at in turns if at > 0], answer_next=True)
        inner = [(number, at + 1) for number, at in turns if at + 1 < len(asked[number].dialogue.messages)]
        ends = self._cut(asked, inner)
        found: list[Reading | None] = []
        for number, (one, whole) in enumerate(zip(asked, wholes, strict=True)):
            if whole is None:
                found.append(None)
                continue
            bounds = {}
            for at in one.wanted:
                plain = partial(self._before, one.dialogue, at)
                turn = BoundTurn(at, whole, heads.get((number, at)), plain, ends.get((number, at + 1)), one.owners)
                bounds[at] = turn.bounds(self._endings, is_last=at + 1 == len(one.dialogue.messages))
            found.append(Reading(whole, bounds, _told(one, whole)))
        return found

    def _before(self, dialogue: Dialogue, at: int) -> Outline | None:
        return self._outlines([Dialogue(dialogue.messages[:at], dialogue.tools)])[0]

    def _cut(
        self, asked: list[_Asked], places: list[tuple[int, int]], *, answer_next: bool = False
    ) -> dict[tuple[int, int], Outline | None]:
        """The conversations cut before a message; None where the template refuses that."""
        cut = [
            Dialogue(asked[number].dialogue.messages[:at], asked[number].dialogue.tools) for number, at in places
        ]
        return dict(zip(places, self._outlines(cut, answer_next=answer_next), strict=True))

    def _outlines(self, dialogues: list[Dialogue], *, answer_next: bool = False) -> list[Outline | None]:
        rendered = self._template.render(dialogues, answer_next=answer_next)
        return [None if isinstance(item, Exception) else Outline.of(item.text) for item in rendered]


def _asked(dialogue: Dialogue, wanted: Sequence[int], care: int) -> _Asked:
    messages, passages = with_stand_ins(dialogue.messages, care)
    return _Asked(Dialogue(messages, dialogue.tools), passages, wanted)


def _answers(asked: _Asked, reading: Reading, dialogue: Dialogue, text: str, care: int) -> Answers | None:
    """The answers in a row's text; None if it is not the outline filled in, or an answer is not in its bounds."""
    places = reading.outline.filled(asked.passages, text)
    if places is None:
        return None
    spans: list[Span] = []
    for number in asked.wanted:
        bounds = reading.bounds[number]
        if isinstance(bounds, str):
            return Answers(
                fault=tr(
                    "In the row as rendered it cannot be told of message {number} {bounds}.",
                    number=number + 1,
                    bounds=bounds,
                )
            )
        start, end = (_in_row(place, reading.outline.slots, places) for place in bounds[:2])
        start = min(start + _given(text, start, bounds.given), end)
        if care == CARE[-1] and not _is_alone(dialogue.messages, number, text[start:end]):
            return None
        if _is_shown(asked, reading.outline, number, bounds):
            spans.append((start, end))
    return Answers(spans, told=reading.told)


def _marked_other(asked: _Asked, rendered: Rendered) -> int:
    """The first message of somebody else with a text inside a mark; −1 for none."""
    messages, owners = asked.dialogue.messages, asked.owners
    inside = (
        owners[slot.number]
        for slot in Outline.of(rendered.text).slots
        if any(start < slot.end and slot.start < end for start, end in rendered.marks)
    )
    return next((at for at in inside if messages[at].get("role") in OTHERS), -1)


def _in_row(place: int, slots: Sequence[Slot], places: Sequence[Span]) -> int:
    """A place in an outline, between its slots, as a place in the row."""
    shift = 0
    for slot, (_, end) in zip(slots, places, strict=True):
        if slot.end > place:
            break
        shift = end - slot.end
    return place + shift


def _given(text: str, start: int, given: str) -> int:
    """How much of an answer's beginning the model is given: all of ``given``, but for spaces behind it."""
    if not given or not text.startswith(given.rstrip(), start):
        return 0
    return alike(given, text[start : start + len(given)])


def _is_shown(asked: _Asked, outline: Outline, number: int, bounds: Bounds) -> bool:
    """False for an answer of which the template shows nothing at all: what is left of it would be trained as an
    empty one."""
    own = {at for at, passage in enumerate(asked.passages) if passage.message == number}
    return not own or any(slot.number in own for slot in outline.slots if bounds.start <= slot.start < bounds.end)


def _is_alone(messages: list[Message], number: int, said: str) -> bool:
    """True if a span holds the answer's text and that of no other turn, by its letters."""
    content = messages[number].get("content")
    own = content.strip() if isinstance(content, str) else ""
    if own not in said:
        return False
    rest = said.replace(own, "", 1) if own else said
    others = (m.get("content") for at, m in enumerate(messages) if at != number and m.get("role") != "assistant")
    return not any(isinstance(other, str) and other.strip() and other.strip() in rest for other in others)


# -- what the template leaves out ----------------------------------------------------------------------------


def _told(asked: _Asked, outline: Outline) -> Remarks:
    messages, tools = asked.dialogue
    last_question = max((at for at, m in enumerate(messages) if m.get("role") == "user"), default=-1)
    lost: dict[tuple[str, str], list[int]] = {}
    for passage in missing(outline, asked.passages):
        is_earlier = passage.part == "reasoning" and passage.message < last_question
        role = str(messages[passage.message].get("role"))
        what = PARTS.get(passage.part) or ROLE_TEXTS.get(role, tr("text"))
        lost.setdefault(("dropped_reasoning" if is_earlier else "dropped", what), []).append(passage.message)
    told = [
        (
            kind,
            tr(
                "The chat template leaves out the {what} of {numbers}.",
                what=what,
                numbers=_numbers(dict.fromkeys(numbers)),
            ),
        )
        for (kind, what), numbers in lost.items()
    ]
    names = [name for tool in tools or [] if (name := _name(tool))]
    if names and not any(name in outline.text for name in names):
        told.insert(0, ("dropped", tr("The chat template shows no tools: the model will not know of them.")))
    return tuple(told)


def _numbers(messages: Iterable[int]) -> str:
    numbers = [str(at + 1) for at in messages]
    if len(numbers) == 1:
        return tr("message {numbers}", numbers=numbers[0])
    return tr("messages {names} and {numbers}", names=", ".join(numbers[:-1]), numbers=numbers[-1])


def _name(tool: Any) -> str:
    function = tool.get("function", tool) if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    return name if isinstance(name, str) else ""
