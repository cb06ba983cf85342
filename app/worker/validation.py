"""Validation: the loss on examples that are never trained on, and what it says about going on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from app.worker.batch import Batch, Examples, Ints, assemble
from app.worker.loss import scalar
from app.worker.objective import Objective
from app.worker.shape import rounded


class ValidationSet:
    """Always the same examples, so that two measurements differ only by the weights.

    ``batches`` batches of them (−1: all), spread evenly over the set; fewer examples than a batch are fine.
    """

    def __init__(self, examples: Examples, batch_size: int, batches: int) -> None:
        self.examples = examples
        chosen = np.arange(len(examples))
        wanted = batches * batch_size
        if 0 <= wanted < len(examples):
            chosen = np.unique(np.linspace(0, len(examples) - 1, wanted).round().astype(np.int64))
        # Like lengths together: nothing here depends on the order, and nothing is padded in vain.
        chosen = chosen[np.argsort(examples.inputs[chosen], kind="stable")]
        self._groups = [chosen[start : start + batch_size] for start in range(0, len(chosen), batch_size)]

    def __len__(self) -> int:
        """Batches of a measurement."""
        return len(self._groups)

    def __iter__(self) -> Iterator[Batch]:
        return (self._batch(numbers) for numbers in self._groups)

    def _batch(self, numbers: Ints) -> Batch:
        inputs, targets = self.examples.inputs[numbers], self.examples.targets[numbers]
        shape = rounded(len(numbers), int(inputs.max()), int(targets.sum()), self.examples.max_length - 1)
        return assemble(self.examples, [[number] for number in numbers], shape)


def measure(
    model: nn.Module,
    objective: Objective,
    batches: ValidationSet,
    cancelled: Callable[[], bool] = lambda: False,
) -> float | None:
    """The mean loss over all learned tokens of ``batches``; None if it was cancelled.

    Leaves the model in training mode.
    """
    model.eval()
    total, count = 0.0, 0.0
    for batch in batches:
        if cancelled():
            break
        loss, number, _ = objective(model, batch.arrays)
        mx.eval(loss, number)
        total, count = total + scalar(loss), count + scalar(number)
    else:
        model.train()
        return total / max(count, 1)
    model.train()
    return None


@dataclass(slots=True)
class BestLoss:
    """The lowest validation loss so far, and how many measurements ago it was.

    A measurement improves if it is lower than the best by more than ``min_delta``; one that is not a number never.
    """

    min_delta: float = 0.0
    loss: float | None = None
    iteration: int | None = None
    without_improvement: int = 0

    def take(self, iteration: int, loss: float) -> bool:
        """Notes a measurement; true if it is the best."""
        if not np.isfinite(loss) or (self.loss is not None and loss >= self.loss - self.min_delta):
            self.without_improvement += 1
            return False
        self.loss, self.iteration, self.without_improvement = loss, iteration, 0
        return True

    def state(self) -> dict[str, Any]:
        """What a resumed run goes on from."""
        return {"loss": self.loss, "iteration": self.iteration, "without_improvement": self.without_improvement}

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from `state`."""
        self.loss, self.iteration = state["loss"], state["iteration"]
        self.without_improvement = state["without_improvement"]
