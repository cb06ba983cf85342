"""Measures of a starter model: how many held-out questions it answers right, and how many in the style."""

from __future__ import annotations

from collections import Counter
from typing import Any

import mlx.core as mx
from mlx_lm.generate import batch_generate
from mlx_lm.sample_utils import make_sampler

from chat import Turn
from dataset import number_in

MAX_TOKENS = 48


def answers(model: Any, tokenizer: Any, questions: list[str], temperature: float = 0.0) -> list[str]:
    """What the model answers to each question alone, without a system prompt."""
    prompts = [
        tokenizer.apply_chat_template(
            [{"role": "user", "content": text}], add_generation_prompt=True, return_dict=False
        )
        for text in questions
    ]
    sampler = make_sampler(temp=temperature) if temperature else None
    found = batch_generate(model, tokenizer, prompts, max_tokens=MAX_TOKENS, sampler=sampler)
    return list(found.texts)


def accuracy(model: Any, tokenizer: Any, turns: list[Turn]) -> tuple[float, Counter[str]]:
    """The share of `turns` whose answer is exactly right, and the wrong ones by topic."""
    said = answers(model, tokenizer, [turn.question for turn in turns])
    wrong = Counter(turn.topic for turn, text in zip(turns, said, strict=True) if text.strip() != turn.answer)
    return 1 - wrong.total() / len(turns), wrong


def pass_rates(
    model: Any, tokenizer: Any, turns: list[Turn], samples: int, temperature: float, seed: int
) -> list[float]:
    """For each turn, the share of `samples` sampled answers that end in the right number."""
    mx.random.seed(seed)
    said = answers(model, tokenizer, [turn.question for turn in turns for _ in range(samples)], temperature)
    return [
        sum(number_in(text) == number_in(turn.answer) for text in said[i * samples : (i + 1) * samples]) / samples
        for i, turn in enumerate(turns)
    ]
