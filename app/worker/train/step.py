"""The training step: loss and gradient of one batch, compiled, and the update they add up to.

Over an accumulation the gradient is the one of all its tokens: each batch's mean counts by its tokens, so uneven
batches weigh what they hold. Where several replicas train, each adds up its own shares; the sums are exchanged
outside of what is compiled, once an update, and divided by the tokens of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import mlx.optimizers as optim
from mlx.utils import tree_flatten, tree_map, tree_unflatten

from app.worker.array import Arrays
from app.worker.exchange.group import ReplicaGroup
from app.worker.objective.objective import Gather, Objective, with_gathered

Tree = Any  # mlx's nested dicts and lists of arrays
GRADIENT, SUM_WEIGHT = "gradient.", "weight"  # what sums are called


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """What one iteration gave, still lazy: the mean loss, the gradient's norm (None without an update), figures."""

    loss: mx.array
    grad_norm: mx.array | None
    figures: Arrays


@dataclass(frozen=True, slots=True)
class Accumulated:
    """The batches since the last update: Σ weight · mean gradient, and Σ weight (of supervised batches: tokens)."""

    gradient: Tree
    weight: mx.array

    def arrays(self) -> Arrays:
        """By name, as a saved state holds them."""
        return {f"{GRADIENT}{name}": array for name, array in tree_flatten(self.gradient)} | {
            SUM_WEIGHT: self.weight
        }

    @classmethod
    def of(cls, arrays: Arrays) -> Accumulated:
        """The same, back."""
        named = [(name.removeprefix(GRADIENT), one) for name, one in arrays.items() if name.startswith(GRADIENT)]
        return cls(tree_unflatten(named), arrays[SUM_WEIGHT])


class Step:
    """Runs iterations on a model. Its whole state is the model's, the optimizer's, ``accumulated`` and mx.random's.

    ``clip`` bounds the gradient's global norm (0: unbounded). ``is_cut`` where batches may come in several parts,
    which are added up like the batches of an accumulation. ``group`` are the replicas that take part: each is given
    its own parts (none is fine), and all get the same loss, norm and weights. ``gather`` is what the objective's
    parts need of a whole batch beforehand. ``weight`` is what all of them
    trained in the last iteration (of supervised batches: tokens).
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: optim.Optimizer,
        objective: Objective,
        *,
        accumulation: int = 1,
        clip: float = 0.0,
        is_cut: bool = False,
        group: ReplicaGroup | None = None,
        gather: Gather | None = None,
    ) -> None:
        self.accumulated: Accumulated | None = None
        self.weight = mx.array(0.0)
        self._group = group
        self._model = model
        self._optimizer = optimizer
        self._clip = clip
        self._adds_up = accumulation > 1 or is_cut or group is not None
        self._gradient = nn.value_and_grad(model, _mean(objective))
        self._state = [model.state, optimizer.state, mx.random.state]
        self._gather = None if gather is None else self._compiled(partial(gather, model))
        self._whole = self._compiled(self._whole_step)
        self._part = self._compiled(self._part_step)
        self._update = self._compiled(self._update_step)

    def __call__(self, parts: Sequence[Arrays], *, update: bool, beside: Sequence[Arrays] = ()) -> StepOutcome:
        """One iteration; ``update`` says that an accumulation ends. Starts the computation, waits for nothing.

        What is ``beside`` is gathered first, under the weights that the parts are computed with.
        """
        parts = with_gathered(parts, beside, self._gather)
        if self._adds_up:
            loss, norm, figures = self._accumulate(parts, update=update)
        else:
            (arrays,) = parts
            loss, norm, figures = self._whole(arrays)
        pending = (self.accumulated.gradient, self.accumulated.weight) if self.accumulated else ()
        mx.async_eval(self._state, loss, norm, figures, pending)
        return StepOutcome(loss, norm, figures)

    def _accumulate(self, parts: Sequence[Arrays], *, update: bool) -> tuple[mx.array, mx.array | None, Arrays]:
        sums = self.accumulated or self.nothing()
        if self._group is None:
            self.accumulated = None  # a lost exchange leaves everything as it was; here there is none
        done: list[tuple[mx.array, mx.array, Arrays]] = []
        for arrays in parts:
            loss, weight, figures, *total = self._part(arrays, sums.gradient, sums.weight)
            sums = Accumulated(*total)
            # Begun before the next one is built: else MLX may compute both at once and hold what both need.
            mx.async_eval(loss, weight, figures, total, self._state)
            done.append((loss, weight, figures))
        if self._group is not None:
            loss, figures, sums = self._exchanged(self._group, done, sums, update=update)
        else:
            loss, figures = _together(done)
        self.accumulated = None if update else sums
        return loss, self._update(sums.gradient, sums.weight) if update else None, figures

    def _exchanged(
        self,
        group: ReplicaGroup,
        done: Sequence[tuple[mx.array, mx.array, Arrays]],
        sums: Accumulated,
        *,
        update: bool,
    ) -> tuple[mx.array, Arrays, Accumulated]:
        """The iteration's mean loss and figures over all replicas, and for an update the sums of all."""
        nothing = mx.array(0.0)
        own = {"loss": sum((loss * weight for loss, weight, _ in done), nothing)}
        own[SUM_WEIGHT] = sum((weight for _, weight, _ in done), nothing)
        found = group.summed(own | (_together(done)[1] if done else {}))
        if update:
            sums = Accumulated.of(group.summed(sums.arrays()))
        self.weight = found.pop(SUM_WEIGHT)
        return found.pop("loss") / mx.maximum(self.weight, 1), found, sums

    def nothing(self) -> Accumulated:
        """What there is right after an update."""
        return Accumulated(tree_map(mx.zeros_like, self._model.trainable_parameters()), mx.array(0.0))

    def _compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return mx.compile(function, inputs=self._state, outputs=self._state)

    # One compiled function a batch shape, and one for the update: no variants for the ends of an accumulation.

    def _whole_step(self, arrays: Arrays) -> tuple[mx.array, mx.array, Arrays]:
        (loss, (_, figures)), gradient = self._gradient(self._model, arrays)
        return loss, self._apply(gradient), figures

    def _part_step(
        self, arrays: Arrays, earlier: Tree, earlier_weight: mx.array
    ) -> tuple[mx.array, mx.array, Arrays, Tree, mx.array]:
        (loss, (weight, figures)), gradient = self._gradient(self._model, arrays)
        total = tree_map(lambda old, new: old + new * weight.astype(new.dtype), earlier, gradient)
        return loss, weight, figures, total, earlier_weight + weight

    def _update_step(self, gradient: Tree, weight: mx.array) -> mx.array:
        divisor = mx.maximum(weight, 1)
        return self._apply(tree_map(lambda part: part / divisor.astype(part.dtype), gradient))

    def _apply(self, gradient: Tree) -> mx.array:
        norm = global_norm(gradient)
        if self._clip > 0:
            factor = mx.minimum(self._clip / (norm + 1e-6), 1.0)
            gradient = tree_map(lambda part: part * factor.astype(part.dtype), gradient)
        self._optimizer.update(self._model, gradient)
        return norm


def sum_of(sums: Sequence[Accumulated]) -> Accumulated:
    """What several replicas accumulated, as if one had."""
    parts = [one.arrays() for one in sums]
    return Accumulated.of(
        {name: sum((part[name] for part in parts[1:]), array) for name, array in parts[0].items()}
    )


def nothing_like(sums: Accumulated) -> Accumulated:
    """Nothing accumulated yet."""
    return Accumulated.of({name: mx.zeros_like(array) for name, array in sums.arrays().items()})


def _together(parts: Sequence[tuple[mx.array, mx.array, Arrays]]) -> tuple[mx.array, Arrays]:
    """The mean loss and the sums of the figures of (mean loss, weight, figures) of each part."""
    if len(parts) == 1:
        return parts[0][0], parts[0][2]
    weights = mx.stack([weight for _, weight, _ in parts])
    losses = mx.stack([loss for loss, _, _ in parts])
    figures = {name: mx.stack([sums[name] for *_, sums in parts]).sum(axis=0) for name in parts[0][2]}
    return (losses * weights).sum() / mx.maximum(weights.sum(), 1), figures


def global_norm(tree: Tree) -> mx.array:
    """The Euclidean norm of all arrays together, float32.

    Added up by name: gradients that come back from a checkpoint in the middle of an accumulation have another
    order, and the last bit of the sum with it.
    """
    named = sorted(tree_flatten(tree), key=lambda item: item[0])
    squares = [mx.square(array.astype(mx.float32)).sum() for _, array in named]
    return mx.sqrt(mx.stack(squares).sum())


def _mean(objective: Objective) -> Callable[[nn.Module, Arrays], tuple[mx.array, tuple[mx.array, Arrays]]]:
    def mean(model: nn.Module, arrays: Arrays) -> tuple[mx.array, tuple[mx.array, Arrays]]:
        total, weight, figures = objective(model, arrays)
        return total / mx.maximum(weight, 1), (weight, figures)

    return mean
