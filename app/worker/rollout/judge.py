"""Judges: who says which of two answers is better, a model that is asked or the reward functions.

Answers come as a list whose neighbours are compared: the first with the second, the third with the fourth, and on.
A model is asked twice, with the answers in either order, because models favour a place; where it changes its mind
with the order, neither answer is better. It is asked for one letter, and the likelier letter is its word: nothing
is generated, and every reply can be read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Protocol

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.setup.memory_method import JUDGED_AT_ONCE
from app.core.setup.memory_term import grown
from app.worker.array import Ints
from app.worker.model.head import Head, NoHead
from app.worker.process.control import StoppedError
from app.worker.rollout.rollout import score_answers
from app.worker.rollout.score import Scorer
from app.worker.token.chat_template import REFUSALS
from app.worker.token.prompt import Prompts
from app.worker.token.template_limit import limited_template

NEITHER = -1
# Rewards nearer to each other than this are equal.
EQUAL_REWARDS = 1e-8
ANSWER_LETTERS = ("A", "B")
SYSTEM_PROMPT = (
    "You compare two answers to the same request: which one helps more, is correct, and does "
    "what was asked? The order in which they are shown means nothing. Reply with one letter and "
    "nothing else."
)
QUESTION = "Request:\n{request}\n\nAnswer A:\n{first}\n\nAnswer B:\n{second}\n\nWhich answer is better, A or B?"


@dataclass(frozen=True, slots=True)
class JudgedAnswers:
    """What a judge makes of answers, (answers,), whose neighbours form pairs.

    ``preferred``, one a pair, is 0 if the first answer is better, 1 if the second is, `NEITHER` for a tie.
    ``rewards`` of the answers: a model's are 1 for the better, 0 for the other, ½ for both of a tie. ``scores`` are
    those of reward functions by name, ``figures`` what else there is to tell.
    """

    preferred: list[int]
    rewards: list[float]
    scores: dict[str, list[float]] = field(default_factory=dict)
    figures: dict[str, float] = field(default_factory=dict)


class Judge(Protocol):
    """Says which of neighbouring answers is better."""

    def judged(self, prompts: Prompts, numbers: Sequence[int] | Ints, texts: list[str]) -> JudgedAnswers:
        """Judges the answers ``texts`` to the prompts of these numbers, two by two."""


class RewardJudge:
    """The answer with the higher weighted sum of the reward functions is better."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer

    def judged(self, prompts: Prompts, numbers: Sequence[int] | Ints, texts: list[str]) -> JudgedAnswers:
        """Raises `TaskError` if the user's functions fail."""
        scored = score_answers(self._scorer, prompts, numbers, texts)
        first, second = scored.total[0::2], scored.total[1::2]
        preferred = np.where(np.abs(first - second) < EQUAL_REWARDS, NEITHER, (second > first).astype(np.int64))
        scores = {name: values.tolist() for name, values in scored.by_function.items()}
        return JudgedAnswers(preferred.tolist(), scored.total.tolist(), scores)


class ModelJudge:
    """A model that is asked for the better answer.

    ``in_place`` is entered while it is asked: where the base itself judges, its adapters are off meanwhile.
    """

    def __init__(
        self,
        model: nn.Module,
        head: Head | NoHead,
        tokenizer: Any,
        system_prompt: str = "",
        *,
        cancelled: Callable[[], bool] = lambda: False,
        in_place: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        """Raises `UnusableError` if its tokenizer has no letters to reply with."""
        self._model, self._head, self._tokenizer = model, head, tokenizer
        self._system = system_prompt.strip() or SYSTEM_PROMPT
        self._cancelled, self._in_place = cancelled, in_place
        self._letters = self._letter_tokens()

    def judged(self, prompts: Prompts, numbers: Sequence[int] | Ints, texts: list[str]) -> JudgedAnswers:
        """Raises `StoppedError` if cancelled."""
        requests = [prompts.conversations[int(number)] for number in numbers[0::2]]
        pairs = list(zip(requests, texts[0::2], texts[1::2], strict=True))
        asked = [number for number, (_, first, second) in enumerate(pairs) if first != second]
        questions = [self._question(*pairs[number]) for number in asked]
        swapped = [self._question(request, second, first) for request, first, second in (pairs[n] for n in asked)]
        replies = self._replies(questions + swapped)
        preferred = [NEITHER] * len(pairs)
        for number, one, other in zip(asked, replies[: len(asked)], replies[len(asked) :], strict=True):
            preferred[number] = one if one == 1 - other else NEITHER
        rewards = [float(reward) for better in preferred for reward in _rewards(better)]
        fickle = sum(preferred[number] == NEITHER for number in asked)
        return JudgedAnswers(preferred, rewards, {}, {"inconsistent": fickle / max(len(pairs), 1)})

    def _question(self, request: str, first: str, second: str) -> list[int]:
        """One question as the judge's tokens, up to where its reply begins."""
        question = QUESTION.format(request=request, first=first, second=second)
        if not self._tokenizer.has_chat_template:
            return list(self._tokenizer.encode(f"{self._system}\n\n{question}\n\nThe better answer is "))
        turns = [{"role": "system", "content": self._system}, {"role": "user", "content": question}]
        try:
            return self._rendered(turns)
        except REFUSALS:  # a template without a place for the system
            return self._rendered([{"role": "user", "content": f"{self._system}\n\n{question}"}])

    def _rendered(self, turns: list[dict[str, str]]) -> list[int]:
        # Judges that would think aloud first are asked not to (Qwen 3); other templates do not know the word.
        with limited_template():
            return list(
                self._tokenizer.apply_chat_template(
                    turns, add_generation_prompt=True, tokenize=True, enable_thinking=False
                )
            )

    def _replies(self, questions: list[list[int]]) -> list[int]:
        """The likelier letter, 0 or 1, for each question."""
        replies = [0] * len(questions)
        order = sorted(range(len(questions)), key=lambda number: len(questions[number]))
        was_training = self._model.training
        with self._in_place():
            self._model.eval()
            try:
                for start in range(0, len(order), JUDGED_AT_ONCE):
                    if self._cancelled():
                        raise StoppedError
                    numbers = order[start : start + JUDGED_AT_ONCE]
                    logits = self._letter_logits([questions[number] for number in numbers])
                    for number, (first, second) in zip(numbers, logits, strict=True):
                        replies[number] = int(second > first)
            finally:
                self._model.train(was_training)
        return replies

    def _letter_logits(self, questions: list[list[int]]) -> list[list[float]]:
        """Logits of the two letters behind each question, (questions, 2). Padding on the right changes none."""
        ends = mx.array([len(question) - 1 for question in questions])
        inputs = np.zeros((len(questions), grown(max(map(len, questions)))), np.int32)
        for row, question in enumerate(questions):
            inputs[row, : len(question)] = question
        rows = mx.arange(len(questions))
        if isinstance(self._head, NoHead):
            last = self._model(mx.array(inputs))[rows, ends]
        else:
            last = self._head.logits(self._head.body(mx.array(inputs), cache=None)[rows, ends])
        found: Any = last[:, mx.array(self._letters)].astype(mx.float32).tolist()
        return list(found)

    def _letter_tokens(self) -> list[int]:
        found = [self._tokenizer.encode(letter, add_special_tokens=False)[:1] for letter in ANSWER_LETTERS]
        if not all(found) or found[0] == found[1]:
            said = tr("This model's tokenizer cannot tell the letters A and B apart, with which a judge replies.")
            raise UnusableError([Problem("judge", said, hint=tr("Choose another model as judge."))])
        return [int(tokens[0]) for tokens in found]


def _rewards(better: int) -> tuple[float, float]:
    return (0.5, 0.5) if better == NEITHER else (1.0 - better, float(better))
