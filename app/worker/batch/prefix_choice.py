"""Which prefixes a run's batches share: few lengths, chosen from its data, and who begins alike in a batch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from app.worker.array import Ints
from app.worker.batch.examples import Examples

# Every length makes shapes of its own to compile. A shorter prefix than the last is not worth its row.
MOST_LENGTHS, SHORTEST_PREFIX = 3, 16
# A further length must save so much more, of what those before it do.
WORTH = 1.05


class Alike(NamedTuple):
    """Examples in an order; ``common[i]`` tokens are the longest prefix of theirs that number i has in common with
    the one before it, 0 where there is none."""

    numbers: Ints
    common: list[int]


class Prefixes:
    """Who begins alike, by prefixes of the ``lengths``, the shortest first.

    The token behind a prefix is alike too, as it is what its last position predicts; and every example has at
    least one input left of its own.
    """

    def __init__(self, examples: Examples, lengths: Sequence[int]) -> None:
        self._examples, self.lengths = examples, tuple(lengths)

    def learned(self, number: int) -> list[int]:
        """How many of an example's learned tokens are predicted in each of the prefixes."""
        trained = self._examples.row(number)[1]
        return [int(np.count_nonzero(trained[1 : length + 1])) for length in self.lengths]

    def orders(self, numbers: Ints) -> list[Alike]:
        """The examples as they come, and where it is another order, those together that begin alike."""
        keys = [self._key(number) for number in numbers.tolist()]
        places = list(range(len(numbers)))
        ranks = [self._ranks([key[at] for key in keys]) for at in range(len(self.lengths))]
        together = sorted(places, key=lambda place: tuple(rank[place] for rank in ranks))
        orders = [places] if together == places else [places, together]
        return [
            Alike(
                numbers[order],
                [0, *(self._common(keys[one], keys[other]) for one, other in itertools.pairwise(order))],
            )
            for order in orders
        ]

    def _key(self, number: int) -> tuple[bytes, ...]:
        """What the example begins with, of each length; nothing where it is too short."""
        tokens = self._examples.row(number)[0]
        return tuple(tokens[: length + 1].tobytes() if len(tokens) > length + 1 else b"" for length in self.lengths)

    @staticmethod
    def _ranks(keys: Sequence[bytes]) -> list[int]:
        """A number for each beginning that several have, in the order in which they come; −1 for all others."""
        first: dict[bytes, int] = {}
        for place, key in enumerate(keys):
            first.setdefault(key, place)
        return [first[key] if key and keys.count(key) > 1 else -1 for key in keys]

    def _common(self, one: Sequence[bytes], other: Sequence[bytes]) -> int:
        alike = [length for length, a, b in zip(self.lengths, one, other, strict=True) if a and a == b]
        return max(alike, default=0)


def prefix_lengths(examples: Examples, batches: Sequence[Ints]) -> tuple[int, ...]:
    """The lengths of prefixes that save most in these batches (numbers of examples), the shortest first."""
    common = np.array([length for numbers in batches for length in _common_lengths(examples, numbers)], np.int64)
    common = common[common >= SHORTEST_PREFIX]
    chosen: list[int] = []
    saved = np.zeros(len(common), np.int64)
    candidates = np.unique(common)
    while len(chosen) < MOST_LENGTHS and len(candidates):
        with_each = np.maximum(saved, np.where(common >= candidates[:, None], candidates[:, None], 0))
        best = int(np.argmax(with_each.sum(axis=1)))
        if with_each[best].sum() < WORTH * saved.sum():
            break
        saved = with_each[best]
        chosen.append(int(candidates[best]))
        candidates = np.delete(candidates, best)
    return tuple(sorted(chosen))


def _common_lengths(examples: Examples, numbers: Ints) -> list[int]:
    """How long the prefix is that each example of a batch could share with the one that begins most alike."""
    # By their bytes those that begin alike are neighbours, whatever the order of the numbers is.
    rows = sorted((examples.row(number)[0] for number in numbers.tolist()), key=lambda tokens: tokens.tobytes())
    found = []
    for one, other in itertools.pairwise(rows):
        size = min(len(one), len(other))
        differs = np.flatnonzero(one[:size] != other[:size])
        alike = int(differs[0]) if len(differs) else size
        found.append(min(alike - 1, size - 2))
    return found
