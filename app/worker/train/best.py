"""The best validation loss so far, and how long ago it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(slots=True)
class BestLoss:
    """The lowest validation loss so far, and how many measurements ago it was.

    A measurement improves if it is lower than the best by more than ``min_delta``; one that is not a number never.
    """

    min_delta: float = 0.0
    loss: float | None = None
    iteration: int | None = None
    without_improvement: int = 0
    score: float | None = None

    def take(self, iteration: int, loss: float, score: float | None = None) -> bool:
        """Notes a measurement; true if it is the best by ``score`` (lower is better), by the loss without one."""
        score = loss if score is None else score
        if not np.isfinite(score) or (self.score is not None and score >= self.score - self.min_delta):
            self.without_improvement += 1
            return False
        self.loss, self.score, self.iteration, self.without_improvement = loss, score, iteration, 0
        return True

    def state(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return {
            "loss": self.loss,
            "score": self.score,
            "iteration": self.iteration,
            "without_improvement": self.without_improvement,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from `state`."""
        self.loss, self.iteration = state["loss"], state["iteration"]
        self.score = state.get("score", self.loss)
        self.without_improvement = state["without_improvement"]
