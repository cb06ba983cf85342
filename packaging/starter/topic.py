"""A topic of the starter model's world: its facts, the ways to ask, and the one way to answer."""

from __future__ import annotations

import re
from dataclasses import dataclass

Fact = dict[str, str]


@dataclass(frozen=True)
class Topic:
    """One kind of question.

    `facts` fill the templates; `answer` is a full sentence, `short` the same in a word or two. `follow_up` asks for
    another fact in a conversation that is already about this topic ("And a lemon?"), `yes_no` asks whether a
    value `v` is right.
    """

    name: str
    facts: tuple[Fact, ...]
    questions: tuple[str, ...]
    answer: str
    short: str = "{v}."
    follow_up: str = ""
    yes_no: tuple[str, ...] = ()
    weight: float = 1.0

    def ask(self, template: str, fact: Fact) -> str:
        """The question that `template` asks about `fact`."""
        return capital(_with_article(template.format_map(fact)))

    def tell(self, fact: Fact) -> str:
        """The full sentence that answers every question about `fact`, without its capital letter."""
        return _with_article(self.answer.format_map(fact))

    def tell_shortly(self, fact: Fact) -> str:
        """The same in a word or two."""
        return capital(self.short.format_map(fact))


def ways(table: str) -> tuple[str, ...]:
    """Read `question | question | …`: several ways to ask the same."""
    return tuple(question.strip() for question in " ".join(table.split()).split("|"))


def capital(text: str) -> str:
    """`text` with its first letter in upper case, the rest as it is."""
    return text[:1].upper() + text[1:]


def _with_article(text: str) -> str:
    """ "a oboe" becomes "an oboe"."""
    return re.sub(r"\b([Aa]) (?=[aeio])", r"\1n ", text)
