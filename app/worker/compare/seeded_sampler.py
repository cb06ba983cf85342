"""A sampler for one answer among several: it draws what that answer would draw alone, after its own seed."""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
from mlx_lm.sample_utils import apply_min_p, apply_top_k, apply_top_p, greedy_sampler

from app.core.protocol.question import Question

RowSampler = Callable[[mx.array], mx.array]


class DrawKeys:
    """The key of each draw after a seed, as MLX's own random state would give it; for all answers of that seed."""

    def __init__(self, seed: int) -> None:
        self._state = mx.random.key(seed)
        self._keys: list[mx.array] = []

    def of(self, draw: int) -> mx.array:
        """That of draw 0, 1, …."""
        while len(self._keys) <= draw:
            self._state, key = mx.random.split(self._state)
            self._keys.append(key)
        return self._keys[draw]


def row_sampler(question: Question, keys: DrawKeys, draw: int = 0) -> RowSampler:
    """From log-probabilities (1, vocabulary) to a token (1,), from draw number ``draw`` on, as mlx-lm samples.

    At temperature 0 it is one and the same function for all answers, which takes any number of rows.
    """
    if question.temp == 0:
        return greedy_sampler

    def sampler(log_probabilities: mx.array) -> mx.array:
        nonlocal draw
        if 0 < question.top_p < 1:
            log_probabilities = apply_top_p(log_probabilities, question.top_p)
        if question.min_p:
            log_probabilities = apply_min_p(log_probabilities, question.min_p)
        if question.top_k:
            log_probabilities = apply_top_k(log_probabilities, question.top_k)
        drawn = mx.random.categorical(log_probabilities * (1.0 / question.temp), key=keys.of(draw))
        draw += 1
        return drawn

    return sampler
