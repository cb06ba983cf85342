"""Held-out prompts answered while a run trains, always the same ones: what its losses come to in words."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import mlx.nn as nn

from app.core.compare.held_out import HeldOut, held_out_questions
from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.protocol import event
from app.core.setup.chosen_method import method_of
from app.worker.rollout.sampling import sample
from app.worker.token.prompt import PromptEncoder

SPOKEN_TOKENS = 64  # of an answer, at most
UNASKED = tr("No held-out prompts are answered: neither validation nor test data ask any.")


class SpokenAnswers:
    """Answers a run's first held-out prompts with its model as it is, taking the likeliest token each time."""

    def __init__(self, questions: list[HeldOut], prompts: list[list[int]], tokenizer: Any) -> None:
        self._questions, self._prompts, self._tokenizer = questions, prompts, tokenizer

    @classmethod
    def of(cls, run: Path, config: TrainConfig, tokenizer: Any) -> SpokenAnswers | None:
        """Those that the config asks for; None for none, and for methods that sample answers all the time.

        Raises `UnusableError` for data that cannot be read.
        """
        if not config.sampled_prompts or method_of(config).is_sampled:
            return None
        asked = list(islice(held_out_questions(run, config), config.sampled_prompts))
        encoded = _encoded(asked, tokenizer)
        pairs = [(question, tokens) for question, tokens in zip(asked, encoded, strict=True) if tokens]
        return cls([question for question, _ in pairs], [tokens for _, tokens in pairs], tokenizer)

    def __len__(self) -> int:
        return len(self._prompts)

    def sampled(self, model: nn.Module, iteration: int, cancelled: Callable[[], bool]) -> event.Sampled | None:
        """The answers; None if cancelled. The random state of mlx is neither read nor changed.

        Raises `UnusableError` for a model whose cache cannot hold several answers.
        """
        ends = sorted(self._tokenizer.eos_token_ids)
        found = sample(
            model, self._prompts, ends=ends, max_tokens=SPOKEN_TOKENS, temperature=0.0, seed=0, cancelled=cancelled
        )
        if found is None:
            return None
        texts = [self._tokenizer.decode([token for token in one.tokens if token not in ends]) for one in found]
        return event.Sampled(
            iteration=iteration,
            samples=[
                {
                    "prompt": question.prompt,
                    "answer": question.answer,
                    "completion": text,
                    "tokens": len(one.tokens),
                    "cut": one.cut,
                }
                for question, one, text in zip(self._questions, found, texts, strict=True)
            ],
        )


def _encoded(asked: list[HeldOut], tokenizer: Any) -> list[list[int]]:
    if not tokenizer.has_chat_template:
        return [list(tokenizer.encode("\n".join(filter(None, (one.system, one.prompt))))) for one in asked]
    system = [[{"role": "system", "content": one.system}] if one.system else [] for one in asked]
    rows = [
        {"prompt": [*before, {"role": "user", "content": one.prompt}]}
        for before, one in zip(system, asked, strict=True)
    ]
    return [found.tokens for found in PromptEncoder(tokenizer).encode(rows)]
