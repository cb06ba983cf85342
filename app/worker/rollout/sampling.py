"""Sampling: many answers in one batch with a key-value cache, always the same for the same weights and seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.generate import BatchGenerator
from mlx_lm.models.cache import make_prompt_cache

from app.core.language import tr
from app.core.model.answer_size import ANSWERS_AT_ONCE
from app.core.problem import Problem, UnusableError
from app.worker.rollout.read_prompt import ReadPrompts


@dataclass(frozen=True, slots=True)
class SampledAnswer:
    """One answer: its tokens, the end token included where it has one; ``cut`` if it ran into the limit instead."""

    tokens: list[int]
    cut: bool


def sample(
    model: nn.Module,
    prompts: Sequence[Sequence[int]],
    *,
    ends: Sequence[int],
    max_tokens: int,
    temperature: float,
    seed: int,
    cancelled: Callable[[], bool] = lambda: False,
) -> list[SampledAnswer] | None:
    """An answer to each prompt, in their order; None if cancelled. ``temperature`` 0 takes the likeliest token.

    `ANSWERS_AT_ONCE` answers are sampled together; what is beyond waits for a free place. A prompt that comes
    several times is read once.

    ``ends`` are the tokens that end an answer. The random state of mlx is neither read nor changed. Raises
    `UnusableError` for a model whose cache cannot hold several answers.
    """
    was_training = model.training
    model.eval()
    generator = BatchGenerator(
        model,
        stop_tokens=[[token] for token in ends],
        sampler=_sampler(temperature, seed),
        completion_batch_size=ANSWERS_AT_ONCE,
        prefill_batch_size=ANSWERS_AT_ONCE,
    )
    try:
        _check_cache(model)
        return _collected(generator, ReadPrompts(model, prompts), max_tokens, frozenset(ends), cancelled)
    finally:
        generator.close()
        model.train(was_training)


def _check_cache(model: nn.Module) -> None:
    """mlx-lm would fail with its own words, in the middle of a run."""
    if lacking := {type(cache).__name__ for cache in make_prompt_cache(model) if not hasattr(cache, "merge")}:
        said = tr(
            "This model's cache ({names}) cannot hold several answers at once.", names=", ".join(sorted(lacking))
        )
        raise UnusableError([Problem("train_mode", said, hint=tr("Choose another model, or a method with pairs."))])


def _collected(
    generator: Any, prompts: ReadPrompts, max_tokens: int, ends: frozenset[int], cancelled: Callable[[], bool]
) -> list[SampledAnswer] | None:
    tokens: list[list[int]] = []  # by the number of the prompt, which is the generator's own for it
    ended = 0
    while True:
        if free := min(ANSWERS_AT_ONCE - len(tokens) + ended, len(prompts) - len(tokens)):
            with mx.stream(generator.stream):
                inputs, caches = prompts.begun(len(tokens), free)
                generator.insert(inputs, [max_tokens] * free, caches)
            tokens += [[] for _ in range(free)]
        responses = generator.next_generated()
        if not responses:
            return [SampledAnswer(found, found[-1] not in ends) for found in tokens]
        for response in responses:
            tokens[response.uid].append(int(response.token))
            ended += response.finish_reason is not None
        if cancelled():
            return None


def _sampler(temperature: float, seed: int) -> Callable[[mx.array], mx.array]:
    """From log-probabilities (rows, vocabulary) to tokens (rows,), with keys of its own."""
    if temperature == 0:
        return lambda log_probabilities: mx.argmax(log_probabilities, axis=-1)
    key = mx.random.key(seed)

    def sampler(log_probabilities: mx.array) -> mx.array:
        nonlocal key
        key, now = mx.random.split(key)
        return mx.random.categorical(log_probabilities / temperature, key=now)

    return sampler


def seed_of(*parts: int) -> int:
    """One seed of several numbers (the run's seed, the generation's number)."""
    text = ",".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
