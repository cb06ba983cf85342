"""The guard: watches the loss of every iteration, tells a spike from a divergence, and checks what is written."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

WINDOW = 20
# So many iterations in a row this far above what the model could do before are no accident of the data.
DIVERGED_STREAK = 10
SPIKE_DEVIATIONS = 6.0
SPIKE_AT_LEAST = 1.0


class LossVerdict(StrEnum):
    """What an iteration's loss says: all well, unusually high, far too high (not yet for long), or beyond hope."""

    GOOD = "good"
    SPIKE = "spike"
    SUSPICIOUS = "suspicious"
    DIVERGED = "diverged"


@dataclass(slots=True)
class LossGuard:
    """Judges the loss of each iteration (nats a token) and the norm of its gradient.

    What is not finite is a divergence at once. So is a loss that is far too high for `STREAK` iterations: above one
    and a half times the reference plus 1.5, where the reference is the untrained model's loss and then the lowest
    mean of `WINDOW` iterations. A rate that throws the weights about often gives a finite loss for ever, because
    norms keep the activations finite, or turn what overflowed into zeros: the loss is then ln(vocabulary) exactly.
    With ``only_finite`` no height of the loss means anything, as where rewards of any scale are optimized.
    """

    vocabulary: int = 0
    only_finite: bool = False
    reference: float = math.inf
    streak: int = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))

    @property
    def is_suspicious(self) -> bool:
        """True while the loss is so high that nothing should be written over good weights."""
        return self.streak > 0

    def judge(self, loss: float, grad_norm: float = 0.0) -> LossVerdict:
        """Takes an iteration; its loss measures the weights before its update, its gradient makes the update."""
        if not math.isfinite(loss) or not math.isfinite(grad_norm):
            return LossVerdict.DIVERGED
        if self.only_finite:
            return LossVerdict.GOOD
        if math.isinf(self.reference):
            self.reference = loss
        if loss > 1.5 * self.reference + 1.5 or self._says_nothing(loss):
            self.streak += 1
            return LossVerdict.DIVERGED if self.streak >= DIVERGED_STREAK else LossVerdict.SUSPICIOUS
        spike = self._is_spike(loss)
        self.streak = 0
        self.recent.append(loss)
        if len(self.recent) == WINDOW:
            self.reference = min(self.reference, sum(self.recent) / WINDOW)
        return LossVerdict.SPIKE if spike else LossVerdict.GOOD

    def _says_nothing(self, loss: float) -> bool:
        """True if every token is equally likely: no model's outputs are, unless all of them are zero."""
        return self.vocabulary > 1 and abs(loss - math.log(self.vocabulary)) < 1e-4

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
            "recent": list(self.recent),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from `state`."""
        self.reference, self.streak = state["reference"], state["streak"]
        self.recent = deque(state["recent"], maxlen=WINDOW)
