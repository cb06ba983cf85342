"""Outlines: a conversation rendered with stand-ins for its texts, which tells what the template adds from what was
said, and where in the row each text comes to stand."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from app.worker.token.chat_template import Message, Span

STAND_IN = re.compile(r"Qz(\d{4,})zQ")
REASONING_FIELDS = ("reasoning_content", "thinking", "reasoning")
# Templates cut an answer at these, so they stay where they are.
_REASONING_TAGS = re.compile(
    r"(</?(?:think|thinking|thought|reasoning|seed:think)>|\[/?THINK\]|<\|(?:START|END)_THINKING\|>)"
)
_TAGS = re.compile(r"(<[^<>\s]{1,40}>|\[/?[A-Z_]{2,30}\])")

OutlinePart = Literal["content", "reasoning", "call"]
# How much of a conversation is replaced: everything, everything but what looks like a tag, the words of user and
# assistant only, nothing. A template that looks into the texts is read with less of them replaced.
CARE = (0, 1, 2, 3)


class Passage(NamedTuple):
    """A text of a conversation that a stand-in replaces: in which message (from 0), what it is, and the text."""

    message: int
    part: OutlinePart
    text: str


class Slot(NamedTuple):
    """A place in an outline where the stand-in of passage ``number`` stands."""

    start: int
    end: int
    number: int


@dataclass(frozen=True, slots=True)
class Outline:
    """A rendered conversation whose texts are stand-ins: its slots in order, and the literals before,
    between and behind them (one more than slots).
    """

    text: str
    slots: tuple[Slot, ...]
    literals: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> Outline:
        """Finds the stand-ins in a rendered text."""
        slots = tuple(Slot(*match.span(), int(match[1])) for match in STAND_IN.finditer(text))
        begins = (0, *(slot.end for slot in slots))
        ends = (*(slot.start for slot in slots), len(text))
        return cls(text, slots, tuple(text[begin:end] for begin, end in zip(begins, ends, strict=True)))

    def behind(self, place: int) -> tuple[int, str]:
        """What stands behind slot ``place`` (−1: at the beginning), up to the next one: where it begins, and it."""
        return self.slots[place].end if place >= 0 else 0, self.literals[place + 1]

    def same_place(self, other: Outline) -> int | None:
        """The slot here that is the last one of another outline of the same beginning; −1 if that has none, None if
        it is not here."""
        if not other.slots:
            return -1
        number = other.slots[-1].number
        times = sum(1 for slot in other.slots if slot.number == number)
        places = [at for at, slot in enumerate(self.slots) if slot.number == number]
        return places[times - 1] if len(places) >= times else None

    def filled(self, passages: Sequence[Passage], text: str) -> list[Span] | None:
        """Where each slot's passage stands in a rendered ``text``; None if that is not this outline filled in."""
        spans: list[Span] = []
        if not text.startswith(self.literals[0]):
            return None
        at = len(self.literals[0])
        for slot, following in zip(self.slots, self.literals[1:], strict=True):
            said = _written(passages[slot.number].text, text, at, following)
            if said < 0:
                return None
            spans.append((at, at + said))
            at += said + len(following)
        return spans if at == len(text) else None


def _written(said: str, text: str, at: int, following: str) -> int:
    """The length that a passage has at a place of a text, as it is or as JSON writes it; −1 if it is not there."""
    if text.startswith(said, at) and text.startswith(following, at + len(said)):
        return len(said)
    for form in (json.dumps(said, ensure_ascii=False)[1:-1], json.dumps(said)[1:-1]):
        if text.startswith(form, at) and text.startswith(following, at + len(form)):
            return len(form)
    return -1


def with_stand_ins(messages: Sequence[Message], care: int) -> tuple[list[Message], list[Passage]]:
    """The messages with a stand-in for each of their texts, and those texts. Spaces around a text stay, and so do
    tags: templates look at both."""
    hider = _Hider([], care)
    return [hider.message(at, message) for at, message in enumerate(messages)], hider.passages


@dataclass
class _Hider:
    passages: list[Passage]
    care: int

    def message(self, at: int, message: Message) -> Message:
        if self.care == CARE[-1]:
            return message
        if len(message) == 2 and type(message.get("content")) is str:  # nearly all
            return {"role": message.get("role"), "content": self._content(at, message["content"], message)}
        hidden = dict(message)
        for name in REASONING_FIELDS:
            if isinstance(message.get(name), str):
                hidden[name] = self._text(at, message[name], "reasoning")
        if "content" in message:
            hidden["content"] = self._content(at, message["content"], message)
        if isinstance(message.get("tool_calls"), list):
            hidden["tool_calls"] = [self._call(at, call) for call in message["tool_calls"]]
        return hidden

    def _content(self, at: int, content: Any, message: Message) -> Any:
        if self.care >= 2 and message.get("role") not in ("user", "assistant"):
            return content
        if isinstance(content, list):
            return [
                {**part, "text": self._text(at, part["text"], "content")}
                if isinstance(part, dict) and isinstance(part.get("text"), str)
                else part
                for part in content
            ]
        return self._text(at, content, "content") if isinstance(content, str) else content

    def _text(self, at: int, text: str, part: OutlinePart) -> str:
        if "<" not in text and "[" not in text:
            return self._hidden(at, text, part)
        pieces = (_TAGS if self.care else _REASONING_TAGS).split(text)  # every second one is a tag
        closing = [n for n in range(1, len(pieces), 2) if _closes_reasoning(pieces[n])]
        last = closing[-1] if closing else 0
        return "".join(
            piece if number % 2 else self._hidden(at, piece, "reasoning" if number < last else part)
            for number, piece in enumerate(pieces)
        )

    def _hidden(self, at: int, text: str, part: OutlinePart) -> str:
        core = text.strip()
        if not core:
            return text
        begin = text.index(core)
        self.passages.append(Passage(at, part, core))
        return f"{text[:begin]}Qz{len(self.passages) - 1:04d}zQ{text[begin + len(core) :]}"

    def _call(self, at: int, call: Any) -> Any:
        """A call whose name is a stand-in: its arguments are written in too many ways to be replaced."""
        if self.care >= 2 or not isinstance(call, dict):
            return call
        if isinstance(call.get("function"), dict):
            return {**call, "function": self._named(at, call["function"])}
        return self._named(at, call)

    def _named(self, at: int, function: dict[str, Any]) -> dict[str, Any]:
        name = function.get("name")
        if not isinstance(name, str) or not name.strip():
            return function
        return {**function, "name": self._hidden(at, name, "call")}


def _closes_reasoning(tag: str) -> bool:
    return _REASONING_TAGS.fullmatch(tag) is not None and ("/" in tag or "END_" in tag)


def missing(outline: Outline, passages: Sequence[Passage]) -> list[Passage]:
    """The passages that the template does not show."""
    shown = Counter(slot.number for slot in outline.slots)
    return [passage for number, passage in enumerate(passages) if not shown[number]]
