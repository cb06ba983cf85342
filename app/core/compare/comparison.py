"""A comparison in figures: losses or scores of two candidates by example, their difference, and a plain verdict."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from app.core.compare.held_out import held_out_files
from app.core.compare.statistic import FEW, SAME, Interval, bootstrap_mean
from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.quantity import plural

EXAMPLES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class FigureDifference:
    """A candidate against the reference on the same examples.

    ``interval`` is candidate minus reference (nats a token for losses, points for scores) with its 95 % bootstrap
    interval. ``better``, ``worse`` and ``same`` count examples; ``lower_is_better`` says which side is better.
    """

    interval: Interval
    better: int
    worse: int
    same: int
    lower_is_better: bool = True

    @property
    def examples(self) -> int:
        """How many examples both were measured on."""
        return self.better + self.worse + self.same

    @property
    def beyond_chance(self) -> bool:
        """True if the interval leaves out zero, and there are enough examples to rely on it."""
        return self.examples >= FEW and self.interval.excludes_zero

    @property
    def improves(self) -> bool:
        """True if the candidate is better on the whole, be it by chance."""
        value = self.interval.value
        return value < 0 if self.lower_is_better else value > 0

    def verdict(self) -> str:
        """``Better on 41 of 50, worse on 6; the difference is beyond chance.``"""
        if self.better + self.worse == 0:
            return (
                tr("The same on all {examples:,}.", examples=self.examples)
                if self.examples > 1
                else tr("The same on the one example.")
            )
        first, second = (tr("Better"), self.better), (tr("worse"), self.worse)
        if not self.improves:
            first, second = (tr("Worse"), self.worse), (tr("better"), self.better)
        counts = tr(
            "{first} on {first2:,} of {examples:,}, {second} on {second2:,}",
            first=first[0],
            first2=first[1],
            examples=self.examples,
            second=second[0],
            second2=second[1],
        )
        return f"{counts}; {self._chance()}."

    def _chance(self) -> str:
        if self.examples < FEW:
            return tr("too few to rule out chance: {examples}", examples=plural(self.examples, "example"))
        return tr("the difference is beyond chance") if self.beyond_chance else tr("the difference could be chance")

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; `from_dict` reads it."""
        return {
            "difference": self.interval.value,
            "low": self.interval.low,
            "high": self.interval.high,
            "better": self.better,
            "worse": self.worse,
            "same": self.same,
            "lower_is_better": self.lower_is_better,
            "beyond_chance": self.beyond_chance,
            "verdict": self.verdict(),
        }

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> Self:
        """The same from what `as_dict` gave."""
        interval = Interval(float(tree["difference"]), float(tree["low"]), float(tree["high"]))
        better, worse, same = (int(tree[name]) for name in ("better", "worse", "same"))
        return cls(interval, better, worse, same, lower_is_better=bool(tree["lower_is_better"]))


def loss_difference(
    reference: Sequence[float | None], candidate: Sequence[float | None], tokens: Sequence[int], *, seed: int = 0
) -> FigureDifference:
    """Compares mean losses (nats a token) of the same examples, weighted by their ``tokens``.

    Examples without a target (None) are left out. Raises `ValueError` if none is left.
    """
    rows = [
        (b - a, n) for a, b, n in zip(reference, candidate, tokens, strict=True) if a is not None and b is not None
    ]
    if not rows:
        raise ValueError(tr("no example was measured in both"))
    differences, weights = (np.array(column, np.float64) for column in zip(*rows, strict=True))
    interval = bootstrap_mean(differences * weights, weights, seed=seed)
    return _counted(interval, differences, lower_is_better=True)


def score_difference(reference: Sequence[float], candidate: Sequence[float], *, seed: int = 0) -> FigureDifference:
    """Compares scores of the answers to the same prompts; higher is better. Raises `ValueError` without any."""
    differences = np.array(candidate, np.float64) - np.array(reference, np.float64)
    return _counted(
        bootstrap_mean(differences, np.ones(len(differences)), seed=seed), differences, lower_is_better=False
    )


def _counted(interval: Interval, differences: Any, *, lower_is_better: bool) -> FigureDifference:
    below, above = int((differences < -SAME).sum()), int((differences > SAME).sum())
    better, worse = (below, above) if lower_is_better else (above, below)
    return FigureDifference(interval, better, worse, len(differences) - below - above, lower_is_better)


@dataclass(frozen=True, slots=True)
class Moved:
    """An example whose loss changed: ``number`` counts from 0, ``by`` is nats a token (negative is better)."""

    number: int
    reference: float
    candidate: float

    @property
    def by(self) -> float:
        return self.candidate - self.reference


def most_moved(
    reference: Sequence[float | None], candidate: Sequence[float | None], shown: int = EXAMPLES_SHOWN
) -> tuple[list[Moved], list[Moved]]:
    """The examples that became better by the most, and those that became worse, most moved first."""
    moved = [
        Moved(number, a, b)
        for number, (a, b) in enumerate(zip(reference, candidate, strict=True))
        if a is not None and b is not None
    ]
    moved.sort(key=lambda one: (one.by, one.number))
    best = [one for one in moved[:shown] if one.by < -SAME]
    worst = [one for one in reversed(moved[-shown:]) if one.by > SAME]
    return best, worst


@dataclass(frozen=True, slots=True)
class Exchange:
    """An example as people read it: what was asked (empty for plain text), and the answer that is right.

    ``is_text`` unless it offers tools or calls them: what is asked here is not all that there is.
    """

    asked: tuple[dict[str, str], ...]
    answer: str
    is_text: bool = True

    @property
    def prompt(self) -> str:
        """The last question."""
        return self.asked[-1]["content"] if self.asked else ""


def exchange_of(row: dict[str, Any], config: TrainConfig) -> Exchange:
    """Reads a row in one of mlx-lm's forms (chat, prompt and completion, text) under the config's column names."""
    messages = row.get(config.chat_feature)
    if isinstance(messages, list):
        return _of_chat([m for m in messages if isinstance(m, dict)], offers_tools=bool(row.get("tools")))
    prompt, completion = row.get(config.prompt_feature), row.get(config.completion_feature)
    if prompt is not None and completion is not None:
        return Exchange(({"role": "user", "content": _text(prompt)},), _text(completion))
    return Exchange((), _text(row.get(config.text_feature, "")))


def _of_chat(messages: list[dict[str, Any]], *, offers_tools: bool) -> Exchange:
    """The last answer of the assistant, and everything before it."""
    turns = [{"role": _text(m.get("role")), "content": _text(m.get("content"))} for m in messages]
    last = max((i for i, turn in enumerate(turns) if turn["role"] == "assistant"), default=len(turns))
    calls = any(m.get("tool_calls") for m in messages[: last + 1])
    answer = turns[last]["content"] if last < len(turns) else ""
    return Exchange(tuple(turns[:last]), answer, not calls and not offers_tools)


def _text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class HeldOutFile:
    """A run's own examples to measure on; ``note`` says what is to be kept in mind about them."""

    path: Path
    note: str = ""


def held_out_file(run: Path, config: TrainConfig) -> HeldOutFile | None:
    """The test data of a run, else its validation data; None if it has neither (see `held_out_files`)."""
    for split, place in held_out_files(run, config):
        said = tr("Validation data: not trained on, but the best weights were picked by them.")
        return HeldOutFile(place, said if split == "valid" else "")
    return None
