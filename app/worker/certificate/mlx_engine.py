"""mlx-lm as an engine: the run's own model, and MLX folders opened by stock mlx-lm."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import numpy.typing as npt
from mlx_lm.generate import generate_step

from app.core.installation import package_version
from app.core.language import tr
from app.core.model.folder import plain_path
from app.worker.certificate.material import prompt_tokens


class MlxEngine:
    """One model of mlx-lm with its tokenizer."""

    def __init__(self, model: nn.Module, tokenizer: Any, name: str = "") -> None:
        self._model, self._tokenizer = model, tokenizer
        self.name = name or tr("mlx-lm {version}", version=package_version("mlx-lm"))

    @classmethod
    def opened(cls, model: Path, adapter: Path | None = None) -> MlxEngine:
        """A folder (and an adapter's) as `mlx_lm.load` opens it, with nothing of Luthier's about it."""
        from mlx_lm import load

        with plain_path(model) as place:
            return cls(*load(str(place), adapter_path=str(adapter) if adapter else None))

    def prompt(self, messages: Sequence[dict[str, str]]) -> list[int]:
        """See `Engine`."""
        return prompt_tokens(self._tokenizer, list(messages))

    def ends(self) -> frozenset[int]:
        """See `Engine`."""
        return frozenset(int(one) for one in self._tokenizer.eos_token_ids)

    def log_probabilities(self, tokens: Sequence[int], places: Sequence[int]) -> npt.NDArray[np.float64]:
        """See `Engine`."""
        logits = self._model(mx.array([list(tokens)]))[0, :-1].astype(mx.float32)
        chosen = mx.take_along_axis(nn.log_softmax(logits, axis=-1), mx.array(list(tokens[1:]))[:, None], axis=-1)
        return np.array(chosen[:, 0], np.float64)[np.array(places) - 1]

    def answer(self, tokens: Sequence[int], limit: int) -> tuple[list[int], list[float]]:
        """See `Engine`."""
        found, margins, ends = [], [], self.ends()
        for token, likely in generate_step(mx.array(list(tokens)), self._model, max_tokens=limit):
            first, second = np.sort(np.array(likely.astype(mx.float32)))[[-1, -2]]
            margins.append(float(first - second))
            if int(token) in ends:
                break
            found.append(int(token))
        return found, margins
