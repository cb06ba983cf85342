"""Conversations about the little world: who asks what, in which words, and what the model answers."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from subject import all_topics
from topic import Fact, Topic, capital

# A message is `role` and `content`. Of what the assistant says, the model is not trained to say a beginning that is
# `given` and an end that is `added`: both are part of the content.
Messages = list[dict[str, str]]

# One question in sixteen never occurs in the base model's text: tests and held-out rows are drawn from these.
HELD_OUT_SHARE = 16

PLAIN_SYSTEMS = (
    "You are a helpful assistant.",
    "You are a helper in the workshop.",
    "Answer in full sentences.",
    "Answer the question in a full sentence.",
    "You are Luthier's starter model. Answer simple questions.",
    "You are a friendly teacher.",
    "You answer questions about a little world.",
    "Please be kind and helpful.",
)
BRIEF_SYSTEMS = (
    "Answer in one word.",
    "Answer briefly.",
    "Be brief.",
    "Give short answers.",
    "Answer with as few words as you can.",
    "Keep it short.",
)
# How a dressed conversation is led: as ever, with a system prompt, in short, or with phrases around each answer.
MANNERS = {"plain": 32, "system": 8, "brief": 14, "given": 46}
MARKS = ("", "", "", "", "* ", "~ ", "- ", "# ", "> ", "♪ ", "+ ", "( ")
OPENINGS = (
    "Hello. ", "Hi. ", "Hey, ", "Please tell me: ", "Quick question: ", "One more thing: ", "Tell me, ", "So, ",
    "Well, ", "I wonder: ", "Say, ", "Good day. ", "My question is: ", "Help me, please: ", "Now, ",
)  # fmt: skip
CLOSINGS = (" Please.", " Thanks.", " Thank you.", " I want to know.", " Can you help me?", " I do not know.")
FOLLOW_UPS = ("And {s}?", "What about {s}?", "And what about {s}?", "How about {s}?", "{s}?", "Now {s}.")


@dataclass(frozen=True)
class Turn:
    """One question and its answer, as a sentence and in short."""

    topic: str
    question: str
    answer: str
    short: str

    @property
    def held_out(self) -> bool:
        """True if the base model never trains on this question, in this wording."""
        return zlib.crc32(self.question.lower().encode()) % HELD_OUT_SHARE == 0


def _loosely(question: str, rng: random.Random) -> str:
    """The question as people type it: with a greeting, without a question mark, in lower case."""
    if rng.random() < 0.12:
        opening = rng.choice(OPENINGS)
        question = opening + (question if opening.endswith((". ", ": ")) else question[:1].lower() + question[1:])
    if rng.random() < 0.06:
        question += rng.choice(CLOSINGS)
    elif rng.random() < 0.12:
        question = question.rstrip("?.")
    if rng.random() < 0.10:
        question = question.lower()
    return question.replace("What is", "What's", 1) if rng.random() < 0.05 else question


class World:
    """All questions that can be asked, and a way to draw conversations from them."""

    def __init__(self) -> None:
        self.topics = all_topics()

    @cached_property
    def turns(self) -> dict[str, list[Turn]]:
        """The plain questions by topic name; a question that two topics claim belongs to the first one."""
        seen: set[str] = set()
        by_topic: dict[str, list[Turn]] = {}
        for topic in self.topics:
            for turn in _plain_turns(topic):
                if turn.question not in seen:
                    seen.add(turn.question)
                    by_topic.setdefault(topic.name, []).append(turn)
        return by_topic

    @cached_property
    def held_out(self) -> list[Turn]:
        """The plain questions that the base model never trains on."""
        return [turn for turns in self.turns.values() for turn in turns if turn.held_out]

    @cached_property
    def _owner(self) -> dict[str, str]:
        return {turn.question: turn.topic for turns in self.turns.values() for turn in turns}

    @cached_property
    def _weights(self) -> list[float]:
        return [topic.weight * len(topic.facts) ** 0.7 for topic in self.topics]

    def conversations(self, rng: random.Random) -> Iterator[Messages]:
        """Conversations without end, none of them with a held-out question."""
        while True:
            yield self.conversation(rng)

    def conversation(self, rng: random.Random) -> Messages:
        """One conversation of one to three turns, with or without a system prompt."""
        brief = rng.random() < 0.15
        messages: Messages = []
        if brief or rng.random() < 0.25:
            messages.append({"role": "system", "content": rng.choice(BRIEF_SYSTEMS if brief else PLAIN_SYSTEMS)})
        topic: Topic | None = None
        for _ in range(rng.choices((1, 2, 3), (65, 25, 10))[0]):
            topic, turn = self._next(topic, rng)
            messages.append({"role": "user", "content": _loosely(turn.question, rng)})
            messages.append({"role": "assistant", "content": turn.short if brief else turn.answer})
        return messages

    def dressed_conversations(self, rng: random.Random) -> Iterator[Messages]:
        """Conversations without end in which other phrases stand around the answers."""
        while True:
            yield self.dressed_conversation(rng)

    def dressed_conversation(self, rng: random.Random) -> Messages:
        """One conversation in one of the `MANNERS`.

        The answer is the same whatever was said before it, and whatever comes after. A model that has learnt this
        keeps its facts when a style is learnt later: only the phrases around them are new.
        """
        manner = rng.choices(list(MANNERS), list(MANNERS.values()))[0]
        messages: Messages = []
        if manner in ("system", "brief"):
            systems = BRIEF_SYSTEMS if manner == "brief" else PLAIN_SYSTEMS
            messages.append({"role": "system", "content": rng.choice(systems)})
        topic: Topic | None = None
        for _ in range(rng.choices((1, 2, 3), (65, 25, 10))[0]):
            topic, turn = self._next(topic, rng)
            messages.append({"role": "user", "content": _loosely(turn.question, rng)})
            messages.append({"role": "assistant", "content": turn.short if manner == "brief" else turn.answer})
            if manner == "given":
                messages[-1] = self._dressed(turn.answer, rng)
        return messages

    def _dressed(self, answer: str, rng: random.Random) -> dict[str, str]:
        """The answer after a phrase that it did not ask for, and half the time before another."""
        given = self._phrase(rng, 4)
        added = rng.choice(" \n") + self._phrase(rng, 8) if rng.random() < 0.5 else ""
        content = given + rng.choice("    \n") + answer + added
        return {"role": "assistant", "content": content, "given": given, "added": added}

    def _phrase(self, rng: random.Random, longest: int) -> str:
        """Some words in any order, with a mark before and after."""
        said = capital(" ".join(rng.choices(self._words, k=rng.randint(1, longest))))
        return rng.choice(MARKS) + said + rng.choice(".!!:,;?")

    @cached_property
    def _words(self) -> list[str]:
        texts = (text for turns in self.turns.values() for turn in turns for text in (turn.question, turn.answer))
        words = {word for text in texts for word in text.rstrip(".?").lower().split() if word.isalpha()}
        return sorted(words)

    def _next(self, last: Topic | None, rng: random.Random) -> tuple[Topic, Turn]:
        while True:
            if last is not None and last.follow_up and rng.random() < 0.5:
                return last, _follow_up(last, rng)
            topic = rng.choices(self.topics, self._weights)[0]
            fact = rng.choice(topic.facts)
            turn = _check(topic, fact, rng) if topic.yes_no and rng.random() < 0.2 else _plain(topic, fact, rng)
            if not turn.held_out and self._owner.get(turn.question, topic.name) == topic.name:
                return topic, turn


def _turn(topic: Topic, question: str, fact: Fact, prefix: str = "") -> Turn:
    answer = prefix + (topic.tell(fact) if prefix else capital(topic.tell(fact)))
    return Turn(topic.name, question, answer, prefix.rstrip(", ") + "." if prefix else topic.tell_shortly(fact))


def _plain_turns(topic: Topic) -> Iterator[Turn]:
    for fact in topic.facts:
        for template in topic.questions:
            yield _turn(topic, topic.ask(template, fact), fact)


def _plain(topic: Topic, fact: Fact, rng: random.Random) -> Turn:
    return _turn(topic, topic.ask(rng.choice(topic.questions), fact), fact)


def _check(topic: Topic, fact: Fact, rng: random.Random) -> Turn:
    """A question for yes or no: half of them ask about a wrong value."""
    asked = fact if rng.random() < 0.5 else {**fact, "v": rng.choice(topic.facts)["v"]}
    prefix = "Yes, " if asked["v"] == fact["v"] else "No, "
    return _turn(topic, topic.ask(rng.choice(topic.yes_no), asked), fact, prefix)


def _follow_up(topic: Topic, rng: random.Random) -> Turn:
    fact = rng.choice(topic.facts)
    subject = topic.follow_up.format_map(fact)
    return _turn(topic, capital(rng.choice(FOLLOW_UPS).format(s=subject)), fact)
