"""Validation: the loss on examples that are never trained on, and what it says about going on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from app.worker.array import Ints, scalar
from app.worker.batch.batch import Batch, Countable, assemble
from app.worker.batch.examples import Examples
from app.worker.batch.pair_batch import PairPieces, References
from app.worker.batch.shape import Costs, Shape, rounded
from app.worker.objective.figure import FigureSums
from app.worker.objective.objective import Gather, Objective, with_gathered
from app.worker.token.rated_answer import RatedAnswers


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the weights can do on held-out data: the mean loss, and the method's own figures."""

    loss: float
    figures: dict[str, float] = field(default_factory=dict)


class Validation(Protocol):
    """Held-out data that measure the weights."""

    @property
    def examples(self) -> Countable: ...

    def measured(
        self, model: nn.Module, objective: Objective, cancelled: Callable[[], bool]
    ) -> Measurement | None: ...


class ValidationSet:
    """Always the same examples, so that two measurements differ only by the weights: ``groups`` of them.

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
        self.groups = [chosen[start : start + batch_size] for start in range(0, len(chosen), batch_size)]

    def __len__(self) -> int:
        """Batches of a measurement."""
        return len(self.groups)

    def __iter__(self) -> Iterator[Batch]:
        return (group_batch(self.examples, numbers) for numbers in self.groups)

    def measured(self, model: nn.Module, objective: Objective, cancelled: Callable[[], bool]) -> Measurement | None:
        """The mean over all learned tokens; None if it was cancelled."""
        return measure_batches(model, objective, self, cancelled)


def group_shape(examples: Examples, numbers: Ints) -> Shape:
    """What examples that are measured together are padded to."""
    inputs, targets = examples.inputs[numbers], examples.targets[numbers]
    return rounded(len(numbers), int(inputs.max()), int(targets.sum()), examples.max_length - 1)


def group_batch(examples: Examples, numbers: Ints) -> Batch:
    """Examples that are measured together, a row each."""
    return assemble(examples, [[number] for number in numbers], group_shape(examples, numbers))


def measure(
    model: nn.Module,
    objective: Objective,
    batches: Iterable[Batch],
    cancelled: Callable[[], bool] = lambda: False,
) -> float | None:
    """The mean loss over all learned tokens of ``batches``; None if it was cancelled.

    Leaves the model in training mode.
    """
    found = measure_batches(model, objective, batches, cancelled)
    return None if found is None else found.loss


def measure_batches(
    model: nn.Module,
    objective: Objective,
    batches: Iterable[Batch],
    cancelled: Callable[[], bool],
    gather: Gather | None = None,
) -> Measurement | None:
    """The same with the objective's figures."""
    of_model = None if gather is None else partial(gather, model)
    model.eval()
    total, count = 0.0, 0.0
    sums = FigureSums()
    for batch in batches:
        if cancelled():
            break
        for arrays in with_gathered(batch.parts, batch.beside, of_model):
            loss, number, figures = objective(model, arrays)
            mx.eval(loss, number, figures)
            total, count = total + scalar(loss), count + scalar(number)
            sums.add(figures)
    else:
        model.train()
        return Measurement(total / max(count, 1), sums.means())
    model.train()
    return None


class PairValidation:
    """Always the same rows, in ``groups``, like `ValidationSet`; ``gather`` as where the method trains."""

    def __init__(
        self,
        pairs: RatedAnswers,
        references: References | None,
        batch_size: int,
        batches: int,
        costs: Costs | None = None,
        gather: Gather | None = None,
    ) -> None:
        self.examples = pairs
        self._gather = gather
        chosen = pairs.spread(batches * batch_size)
        chosen = chosen[np.argsort(pairs.inputs[chosen], kind="stable")]
        self.groups = [chosen[start : start + batch_size] for start in range(0, len(chosen), batch_size)]
        self._pieces = PairPieces(pairs, references, self.groups, costs)

    def measured(self, model: nn.Module, objective: Objective, cancelled: Callable[[], bool]) -> Measurement | None:
        """The mean over all of them; None if it was cancelled."""
        return measure_batches(model, objective, self, cancelled, self._gather)

    def __iter__(self) -> Iterator[Batch]:
        return map(self._pieces.batch, self.groups)
