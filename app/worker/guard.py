"""The guard: watches the loss of every iteration, tells a spike from a divergence, and checks what is written."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import mlx.core as mx

WINDOW = 20
# So many iterations in a row this far above what the model could do before are no accident of the data.
STREAK = 10
SPIKE_DEVIATIONS = 6.0
SPIKE_AT_LEAST = 1.0


class Verdict(StrEnum):
    """What an iteration's loss says: all well, unusually high, far too high (not yet for long), or beyond hope."""

    GOOD = "good"
    SPIKE = "spike"
    SUSPICIOUS = "suspicious"
    DIVERGED = "diverged"


@dataclass(slots=True)
class LossGuard:
    """Judges losses (nats a token) as they come. The first one is of the untouched model: the measure of the rest.

    A loss that is not finite is a divergence at once. So is one that stays above twice the reference plus 3 for
    `STREAK` iterations, where the reference is the lowest mean of `WINDOW` iterations so far: weights that a rate
    much too high has thrown about often give a finite loss for ever, because norms keep the activations finite.
    """

    reference: float = math.inf
    streak: int = 0
    last_good: int = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    @property
    def is_suspicious(self) -> bool:
        """True while the loss is so high that nothing should be written over good weights."""
        return self.streak > 0

    def judge(self, iteration: int, loss: float) -> Verdict:
        """Takes the loss of an iteration, which measures the weights before that iteration's update."""
        if not math.isfinite(loss):
            return Verdict.DIVERGED
        if not self.recent and self.reference == math.inf:
            self.reference = loss
        if loss > 2 * self.reference + 3:
            self.streak += 1
            return Verdict.DIVERGED if self.streak >= STREAK else Verdict.SUSPICIOUS
        spike = self._is_spike(loss)
        self.streak, self.last_good = 0, iteration - 1
        self.recent.append(loss)
        if len(self.recent) == WINDOW:
            self.reference = min(self.reference, sum(self.recent) / WINDOW)
        return Verdict.SPIKE if spike else Verdict.GOOD

    def _is_spike(self, loss: float) -> bool:
        if len(self.recent) < WINDOW:
            return False
        mean = sum(self.recent) / WINDOW
        deviation = math.sqrt(sum((past - mean) ** 2 for past in self.recent) / WINDOW)
        return loss > mean + max(SPIKE_DEVIATIONS * deviation, SPIKE_AT_LEAST)

    def state(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return {
            "reference": self.reference,
            "streak": self.streak,
            "last_good": self.last_good,
            "recent": list(self.recent),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from `state`."""
        self.reference, self.streak = state["reference"], state["streak"]
        self.last_good = state["last_good"]
        self.recent = deque(state["recent"], maxlen=WINDOW)


class NotFiniteError(Exception):
    """Weights that hold NaN or infinity: they must not be written."""


def check_finite(weights: Mapping[str, mx.array]) -> None:
    """Raises `NotFiniteError` naming the first array that is not finite throughout."""
    finite = {name: mx.isfinite(array).all() for name, array in weights.items()}
    mx.eval(finite)
    for name, is_finite in finite.items():
        if not is_finite.item():
            raise NotFiniteError(name)
