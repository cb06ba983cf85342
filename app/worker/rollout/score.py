"""Scores: what the chosen reward functions, built-in ones and the user's own, say of answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.method.reward import BUILT_IN, declared_in
from app.core.problem import Problem, TaskError, UnusableError
from app.core.system.reward_trust import content_hash, is_trusted
from app.core.typed_path import typed_path
from app.worker.array import DoubleFloats
from app.worker.rollout.reward_process import LARGEST_SCORE, RewardProcess


@dataclass(frozen=True, slots=True)
class Scored:
    """``by_function`` (answers,) by name, unweighted; ``total`` (answers,) is their weighted sum."""

    by_function: dict[str, DoubleFloats]
    total: DoubleFloats


class Scorer:
    """Scores answers with the functions of a config. `close` ends the process of the user's own ones."""

    def __init__(self, config: TrainConfig, trusted_sha256: str = "") -> None:
        """Raises `UnusableError` if there is a reward file whose content nobody has said may run.

        ``trusted_sha256`` is such a word for the content of that hash; else it is remembered (see
        `app.core.system.reward_trust`).
        """
        own = _own_names(config)
        self._weights = dict(
            zip(config.reward_functions, config.reward_weights or [1.0] * len(config.reward_functions), strict=True)
        )
        self._own = [name for name in self._weights if name in own]
        self._process: RewardProcess | None = None
        if self._own:
            file = typed_path(config.reward_functions_file)
            _check_trust(file, trusted_sha256)
            self._process = RewardProcess(file, config.reward_timeout_s)

    def score(self, prompts: list[str], completions: list[str], answers: list[str], types: Sequence[Any]) -> Scored:
        """Raises `TaskError` with the file and line where the user's functions fail, and for rewards that are too
        large."""
        found: dict[str, DoubleFloats] = {}
        if self._process is not None:
            own = self._process.score(self._own, prompts, completions, answers, list(types))
            found = {name: np.array(values, np.float64) for name, values in own.items()}
        for name in self._weights:
            if name not in found:
                values = BUILT_IN[name](prompts, completions, answer=answers, types=types)
                found[name] = np.array(values, np.float64)
        ordered = {name: found[name] for name in self._weights}
        total = sum((ordered[name] * weight for name, weight in self._weights.items()), np.zeros(len(completions)))
        if not (np.abs(total) <= LARGEST_SCORE).all():
            said = tr("With their weights rewards are beyond {largest:g}: they cannot be trained on.",
                      largest=LARGEST_SCORE)  # fmt: skip
            raise TaskError(said, tr("Lower the weights."))
        return Scored(ordered, total)

    def close(self) -> None:
        """Ends the process of the user's own functions, if there is one."""
        if self._process is not None:
            self._process.close()


def _own_names(config: TrainConfig) -> set[str]:
    """The functions of the user's file, which come before built-in ones of the same name."""
    if not config.reward_functions_file:
        return set()
    return {function.name for function in declared_in(Path(config.reward_functions_file))}


def _check_trust(file: Path, word: str) -> None:
    if word == content_hash(file) or is_trusted(file):
        return
    said = tr("{file} is code, and nobody has said that it may run.", file=file)
    hint = tr("Read it, then allow it beside the field, or with --trust-reward-file.")
    raise UnusableError([Problem("reward_functions_file", said, hint=hint)])
