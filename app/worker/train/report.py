"""The report: what the iterations since the last one add up to."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mlx.core as mx

from app.core.protocol.event import TrainReported
from app.worker.batch.batch import Batch
from app.worker.objective.figure import FigureSums
from app.worker.process.gauge import read_memory


@dataclass(slots=True)
class Report:
    """Collects iterations until they are reported.

    ``trained_tokens`` counts the learned tokens of the whole run. Times are of training alone: validation, saving
    and pauses do not count into the rates.
    """

    trained_tokens: int = 0
    losses: list[float] = field(default_factory=list)
    tokens: int = 0
    positions: int = 0
    shared: int = 0
    training_s: float = 0.0
    figures: FigureSums = field(default_factory=FigureSums)
    last_at: float = field(default_factory=time.perf_counter)

    def add(
        self, batch: Batch, loss: float, training_s: float, figures: Mapping[str, mx.array] | None = None
    ) -> dict[str, float]:
        """Takes one iteration: batch, loss, time and the objective's figures; returns all its figures as means."""
        self.losses.append(loss)
        self.trained_tokens += batch.target_tokens
        self.tokens += batch.tokens
        self.positions += batch.positions
        self.shared += batch.shared
        self.training_s += training_s
        self.figures.add_means(batch.figures)
        return batch.figures | self.figures.add(figures or {})

    @property
    def age_s(self) -> float:
        """Seconds since the last report."""
        return time.perf_counter() - self.last_at

    def event(
        self, iteration: int, learning_rate: float, grad_norm: float | None, epoch: float, elapsed_s: float
    ) -> TrainReported:
        """The event for what was collected; the next report begins empty."""
        memory = read_memory()
        seconds = max(self.training_s, 1e-9)
        said = TrainReported(
            iteration=iteration,
            train_loss=sum(self.losses) / len(self.losses),
            losses=self.losses,
            learning_rate=learning_rate,
            iterations_per_second=len(self.losses) / seconds,
            tokens_per_second=self.tokens / seconds,
            trained_tokens=self.trained_tokens,
            epoch=epoch,
            grad_norm=grad_norm,
            padding_share=1 - (self.tokens - self.shared) / max(self.positions, 1),
            active_memory_gb=memory.active_gb,
            peak_memory_gb=memory.peak_gb,
            cache_memory_gb=memory.cache_gb,
            swap_gb=memory.swap_gb,
            elapsed_s=elapsed_s,
            figures=self.figures.means(),
        )
        self.figures = FigureSums()
        self.losses, self.tokens, self.positions, self.shared, self.training_s = [], 0, 0, 0, 0.0
        self.last_at = time.perf_counter()
        return said

    def state(self) -> dict[str, Any]:
        """What a resumed run goes on from: what was collected but not yet reported."""
        return {
            "trained_tokens": self.trained_tokens,
            "losses": self.losses,
            "tokens": self.tokens,
            "positions": self.positions,
            "shared": self.shared,
            "training_s": self.training_s,
            "figures": self.figures.sums,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from `state`."""
        for name, value in state.items():
            setattr(self, name, FigureSums(value) if name == "figures" else value)
