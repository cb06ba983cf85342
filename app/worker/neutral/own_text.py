"""A model's own text: what it answers to questions of every kind before it is tuned, sampled at temperature 1.

The mean loss of another model on such text, less the model's own, is a Monte-Carlo estimate of the divergence
KL(model ‖ other) a token: it needs no data, and nothing that the model can say is left out of it by choice.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from app.core.model.answer_size import ANSWERS_AT_ONCE
from app.core.problem import UnusableError
from app.worker.neutral.text import GIVEN_TOKENS, counted_rows
from app.worker.rollout.sampling import SampledAnswer, sample, seed_of
from app.worker.token.prompt import PromptEncoder
from app.worker.token.token_set import Example, TokenSet

ROW_TOKENS = 48  # counted ones of an answer, at most
MOST_ROUNDS = 4  # of sampling, where the answers are short
SEED = 0x6E65  # with the run's own: an answer here is none that the run samples elsewhere
QUESTIONS = (
    "Why is the sky blue?",
    "Write a short story about a lighthouse.",
    "What is 17 times 6? Show how you get there.",
    "Explain how bread rises.",
    "Write a Python function that reverses a list.",
    "Summarize the plot of a fairy tale that you know.",
    "What should I pack for a week in the mountains?",
    "Translate into French: The train leaves at noon.",
    "Who was Marie Curie?",
    "Give me three tips for sleeping better.",
    "What is the difference between weather and climate?",
    "Write a polite letter that declines an invitation.",
    "Wie funktioniert ein Fahrrad?",
    "Name five rivers and the seas that they flow into.",
    "What does this mean: a stitch in time saves nine?",
    "How do I boil an egg?",
    "¿Qué es una célula?",
    "Write a short poem about rain.",
    "Is a tomato a fruit or a vegetable?",
    "What happens when water freezes?",
    "Write a SQL query that counts the orders of each customer.",
    "Compare cats and dogs as pets.",
    "What causes the seasons?",
    "Describe your favourite painting.",
)
# How a text may begin, for models without a chat template.
OPENINGS = (
    "The history of",
    "Once upon a time, there was",
    "In this article, we",
    "def read_file(path):",
    "The first thing to know about",
    "It was late in the evening when",
    "According to the report,",
    "To make the dough,",
    "La ville de",
    "A triangle is",
    "Dear Sir or Madam,",
    "The most important difference between",
)


def own_text(
    model: nn.Module,
    tokenizer: Any,
    tokens: int,
    seed: int,
    cancelled: Callable[[], bool] = lambda: False,
    *,
    together: int = ANSWERS_AT_ONCE,
) -> TokenSet | None:
    """About ``tokens`` counted tokens that the model says, ``together`` answers at a time; None if cancelled. The
    same for the same ``seed`` and ``together``.

    MLX's random state is neither read nor changed. Raises `UnusableError` for a model that says nothing.
    """
    prompts, ends = _prompts(tokenizer), frozenset(tokenizer.eos_token_ids)
    rows: list[Example] = []
    found = counted_rows(rows, ends, tokens)
    for number in range(MOST_ROUNDS):
        missing = tokens - int(found.trained.sum())
        if missing <= 0:
            break
        asked = [prompts[(len(rows) + at) % len(prompts)] for at in range(-(-missing // ROW_TOKENS))]
        answers = _answers(model, asked, ends, seed_of(SEED, seed, number), cancelled, together)
        if answers is None:
            return None
        rows += [_example(prompt, answer.tokens) for prompt, answer in zip(asked, answers, strict=True)]
        found = counted_rows(rows, ends, tokens)
    return found


def _prompts(tokenizer: Any) -> list[list[int]]:
    """The beginnings as tokens, in the chat template where there is one that takes them."""
    if tokenizer.has_chat_template:
        asked = [{"prompt": [{"role": "user", "content": question}]} for question in QUESTIONS]
        found = [prompt.tokens for prompt in PromptEncoder(tokenizer).encode(asked) if prompt.tokens]
        if found:
            return found
    return [list(tokenizer.encode(opening)) for opening in OPENINGS]


def _example(prompt: Sequence[int], answer: Sequence[int]) -> Example:
    said = np.zeros(len(prompt) + len(answer), np.bool_)
    said[len(prompt) :] = True
    return Example(np.array([*prompt, *answer], np.int32), said)


def _answers(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    ends: Collection[int],
    seed: int,
    cancelled: Callable[[], bool],
    together: int,
) -> list[SampledAnswer] | None:
    most = GIVEN_TOKENS + ROW_TOKENS
    found: list[SampledAnswer] = []
    try:
        # Not all at once: while mlx-lm answers some prompts it reads the next ones, which doubles the cache.
        for start in range(0, len(prompts), together):
            now, own_seed = prompts[start : start + together], seed_of(seed, start)
            answers = sample(
                model, now, ends=sorted(ends), max_tokens=most, temperature=1.0, seed=own_seed, cancelled=cancelled
            )
            if answers is None:
                return None
            found += answers
        return found
    except UnusableError:  # its cache holds one answer at a time
        return _one_by_one(model, prompts, ends, most, seed, cancelled)


def _one_by_one(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    ends: Collection[int],
    most: int,
    seed: int,
    cancelled: Callable[[], bool],
) -> list[SampledAnswer] | None:
    from mlx_lm.generate import generate_step

    key = mx.random.key(seed)

    def sampler(log_probabilities: mx.array) -> mx.array:
        nonlocal key
        key, now = mx.random.split(key)
        return mx.random.categorical(log_probabilities, key=now)

    was_training = model.training
    model.eval()
    found: list[SampledAnswer] = []
    try:
        for prompt in prompts:
            if cancelled():
                return None
            said: list[int] = []
            for token, _ in generate_step(mx.array(list(prompt)), model, max_tokens=most, sampler=sampler):
                said.append(int(token))
                if said[-1] in ends:
                    break
            found.append(SampledAnswer(said, not said or said[-1] not in ends))
    finally:
        model.train(was_training)
    return found
