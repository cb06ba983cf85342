"""Prompts read once, however many answers are sampled to each: their caches are copied for every answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.generate import PromptProcessingBatch
from mlx_lm.models.cache import make_prompt_cache

# All layers' caches of one sequence, as mlx-lm makes them.
Caches = list[Any]
_Prompt = tuple[int, ...]


class ReadPrompts:
    """Gives what a generator of mlx-lm is told of each of ``prompts``, in their order.

    A prompt that comes once is left to the generator. One that comes again is read up to its last token when its
    first answer begins, together with the others that begin then, and forgotten when its last one has begun.
    """

    def __init__(self, model: nn.Module, prompts: Sequence[Sequence[int]]) -> None:
        self._model = model
        self._prompts: list[_Prompt] = [tuple(prompt) for prompt in prompts]
        self._left = Counter(self._prompts)
        self._is_repeated = {prompt: count > 1 for prompt, count in self._left.items()}
        self._read: dict[_Prompt, Caches] = {}

    def __len__(self) -> int:
        return len(self._prompts)

    def begun(self, first: int, count: int) -> tuple[list[list[int]], list[Caches | None]]:
        """What is left to read of ``count`` prompts from number ``first`` on, and the caches of what was read.

        A cache may be given several times: who takes it copies it, as mlx-lm's generators do.
        """
        now = self._prompts[first : first + count]
        again = [one for one in dict.fromkeys(now) if self._is_repeated[one] and len(one) > 1]
        new = [one for one in again if one not in self._read]
        self._read |= zip(new, _read(self._model, new), strict=True)
        caches = [self._read.get(one) for one in now]
        self._left.subtract(now)
        for one in again:
            if not self._left[one]:
                del self._read[one]
        return [list(one[-1:] if cache else one) for one, cache in zip(now, caches, strict=True)], caches


def _read(model: nn.Module, prompts: Sequence[_Prompt]) -> list[Caches]:
    """The caches of each prompt without its last token."""
    if not prompts:
        return []
    caches = [make_prompt_cache(model) for _ in prompts]
    batch = PromptProcessingBatch(model, list(range(len(prompts))), caches)
    batch.prompt([list(prompt[:-1]) for prompt in prompts])
    found = [batch.extract_cache(number) for number in range(len(prompts))]
    mx.eval([cache.state for each in found for cache in each])
    return found
