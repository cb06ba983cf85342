"""Orders in which examples are trained: shuffled, by length, or as in the file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.worker.array import Ints
from app.worker.batch.batch import Countable


class OrderedPlan(ABC):
    """The part of a plan whose batches are known by the number of the iteration: there is nothing to save."""

    examples: Countable
    _epoch: tuple[int, list[Ints]] = (-1, [])

    @property
    def is_cut(self) -> bool:
        """Whether batches come in pieces."""
        return False

    @property
    def computed(self) -> Ints:
        """The positions that are computed of each example, without padding."""
        return self.examples.inputs

    @property
    @abstractmethod
    def batches_per_epoch(self) -> int:
        """How many iterations show every example once."""

    @abstractmethod
    def order(self, epoch: int) -> list[Ints]:
        """The batches of an epoch (from 0) as numbers of examples."""

    def heaviest(self) -> list[int]:
        """The iteration with the longest example, and where batches are cut the one with the most tokens too."""
        inputs, order = self.computed, self.order(0)
        chosen = {int(np.argmax([int(inputs[numbers].max()) for numbers in order]))}
        if self.is_cut:
            chosen.add(int(np.argmax([int(inputs[numbers].sum()) for numbers in order])))
        return [number + 1 for number in sorted(chosen)]

    def state(self) -> dict[str, Any] | None:
        """Nothing."""
        return None

    def restore(self, state: dict[str, Any] | None) -> None:
        """Goes on from `state`."""
        assert state is None

    def _numbers(self, iteration: int) -> Ints:
        """The examples of iteration 1, 2, …"""
        epoch, place = divmod(iteration - 1, self.batches_per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self.order(epoch))
        return self._epoch[1][place]


def shuffled_order(examples: Countable, size: int, seed: int, epoch: int) -> list[Ints]:
    """Batches of examples in random order, every example once."""
    order = np.random.default_rng([seed, epoch]).permutation(len(examples))
    return _cut(order, size)


def length_order(examples: Countable, size: int, seed: int, epoch: int) -> list[Ints]:
    """Batches of examples of like length, in random order, every example once.

    Ties are broken at random and the borders between batches move from epoch to epoch, so that the same examples
    do not always meet.
    """
    random = np.random.default_rng([seed, epoch])
    order = random.permutation(len(examples))
    order = order[np.argsort(examples.inputs[order], kind="stable")]
    # The one batch that is not full lies anywhere in the order of lengths, else always at the longest examples.
    rest = len(order) % size
    head = int(random.integers(0, len(order) // size + 1)) * size if rest else 0
    batches = _cut(order[:head], size) + ([order[head : head + rest]] if rest else [])
    batches += _cut(order[head + rest :], size)
    return [batches[i] for i in random.permutation(len(batches))]


def _cut(order: Ints, size: int) -> list[Ints]:
    return [order[start : start + size] for start in range(0, len(order), size)]


@dataclass(slots=True)
class FileOrder:
    """mlx-lm's own order: neighbours in the file, batches permuted, the last ``n % size`` examples never used.

    mlx-lm draws the permutations of training and of validation from one stream; ``valid_batches`` (drawn at the
    first iteration and every ``steps_per_eval``) keeps this one in step with it. Source: mlx_lm.tuner.trainer 0.32.
    """

    examples: int
    size: int
    seed: int
    valid_batches: int
    steps_per_eval: int
    _epochs: list[Ints] = field(default_factory=list)
    _random: np.random.RandomState | None = None

    @property
    def batches(self) -> int:
        return self.examples // self.size

    def __call__(self, epoch: int) -> list[Ints]:
        if self._random is None:
            self._random = np.random.RandomState(self.seed)
        while len(self._epochs) <= epoch:
            first = len(self._epochs) * self.batches + 1
            self._epochs.append(self._random.permutation(self.batches))
            for iteration in range(first, first + self.batches):
                if self.valid_batches and (iteration == 1 or iteration % self.steps_per_eval == 0):
                    self._random.permutation(self.valid_batches)
        return [np.arange(i * self.size, (i + 1) * self.size) for i in self._epochs[epoch]]
