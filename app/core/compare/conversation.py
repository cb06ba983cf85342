"""A conversation with several columns at once: the same prompts, and each column's own answers to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from app.core.compare.candidate import Candidate, weights_mark
from app.core.compare.prompt_set import Prompt, PromptMessage
from app.core.protocol.event import Answered

NO_ANSWER = ("unusable", "error")


@dataclass(slots=True)
class Reply:
    """One column's answer to one prompt; ``last`` is its last piece, None while it is still being written."""

    text: str = ""
    last: Answered | None = None

    def take(self, piece: Answered) -> None:
        """Adds a piece."""
        self.text += piece.text
        if piece.done:
            self.last = piece

    @property
    def is_answer(self) -> bool:
        """False where there is nothing, or only a reason why there is nothing."""
        return bool(self.text) and (self.last is None or self.last.finish_reason not in NO_ANSWER)


@dataclass(slots=True)
class Turn:
    """A prompt and a reply for each column.

    ``settings`` are the fields of `Question` with which tokens were chosen, empty where nobody knows. ``weights``
    are the columns' `weights_mark` when they were asked: a run that trains on answers otherwise by now.
    """

    prompt: str
    replies: list[Reply]
    judged: bool = False
    settings: dict[str, Any] = field(default_factory=dict)
    weights: list[str] = field(default_factory=list)

    def is_by_others(self, column: int, candidate: Candidate | None) -> bool:
        """Whether a column's reply came from other weights than lie there now; False where that was not noted."""
        then, now = "".join(self.weights[column : column + 1]), weights_mark(candidate)
        return bool(then and now) and then != now

    @property
    def has_replies(self) -> bool:
        """Whether any column said anything, if only why it cannot answer."""
        return any(reply.text or reply.last is not None for reply in self.replies)

    @property
    def has_begun(self) -> bool:
        """Whether any column said anything, and was not only stopped before it could."""
        return any(
            reply.text or (reply.last is not None and reply.last.finish_reason != "stopped")
            for reply in self.replies
        )

    @property
    def has_ended(self) -> bool:
        """True when nothing more can come."""
        return all(reply.last is not None for reply in self.replies)

    @property
    def is_answered(self) -> bool:
        """True when every column gave an answer, to its end or to where it was stopped."""
        return all(reply.last is not None and reply.is_answer for reply in self.replies)


@dataclass(slots=True)
class Conversation:
    """What was asked of ``candidates``; ``opening`` are the messages before the first turn.

    ``brings_system`` if they are the prompt's own with its own system prompt, which no other takes the place of.
    """

    candidates: list[Candidate | None]
    opening: tuple[PromptMessage, ...] = ()
    turns: list[Turn] = field(default_factory=list)
    brings_system: bool = False

    def add(self, prompt: str) -> Turn:
        """A new turn, with nothing answered yet."""
        turn = Turn(prompt, [Reply() for _ in self.candidates], weights=[""] * len(self.candidates))
        self.turns.append(turn)
        return turn

    def set_candidate(self, column: int, candidate: Candidate | None) -> None:
        """Puts another candidate into a column, or into a new one at the end: it has answered nothing yet."""
        if column == len(self.candidates):
            self.candidates.append(candidate)
            for turn in self.turns:
                turn.replies.append(Reply())
                turn.weights.append("")
        elif candidate != self.candidates[column]:
            self.candidates[column] = candidate
            for turn in self.turns:
                turn.replies[column], turn.weights[column : column + 1] = Reply(), [""]

    def remove(self, column: int) -> None:
        """Takes a column away."""
        del self.candidates[column]
        for turn in self.turns:
            del turn.replies[column], turn.weights[column : column + 1]

    def copied(self) -> Conversation:
        """The same as it is now, whatever is answered to this one later."""
        turns = [
            Turn(t.prompt, [Reply(r.text, r.last) for r in t.replies], t.judged, dict(t.settings), list(t.weights))
            for t in self.turns
        ]
        return Conversation(list(self.candidates), self.opening, turns, self.brings_system)

    def set_system(self, system: str) -> None:
        """Another system prompt from the next turn on, none if it is empty; one that the prompt brought stays."""
        if not self.brings_system:
            rest = (message for message in self.opening if message["role"] != "system")
            self.opening = (*([{"role": "system", "content": system}] if system else ()), *rest)

    def messages(self, column: int) -> list[PromptMessage]:
        """What a column is asked: all turns with its own answers, up to the prompt of the last one.

        A turn that it did not answer is left out: chat templates want the roles to alternate.
        """
        found = list(self.opening)
        for turn in self.turns[:-1]:
            if turn.replies[column].is_answer:
                found.append({"role": "user", "content": turn.prompt})
                found.append({"role": "assistant", "content": turn.replies[column].text})
        return [*found, {"role": "user", "content": self.turns[-1].prompt}]

    def asked(self) -> list[PromptMessage]:
        """What all columns were asked alike: the opening and every prompt."""
        return [*self.opening, *({"role": "user", "content": turn.prompt} for turn in self.turns)]

    @property
    def last(self) -> Turn:
        """The turn in progress, or the one that was answered last."""
        return self.turns[-1]

    @property
    def answers(self) -> list[str]:
        """The answers to the last prompt, one a column."""
        return [reply.text for reply in self.last.replies]


def opened(prompt: Prompt, candidates: Iterable[Candidate | None], system: str = "") -> Conversation:
    """A conversation that begins with ``prompt``; ``system`` counts unless the prompt brings its own."""
    brings_system = any(message["role"] == "system" for message in prompt.opening)
    found = Conversation(list(candidates), prompt.opening, brings_system=brings_system)
    found.set_system(system)
    found.add(prompt.text)
    return found
