"""Tokenized examples by their lengths, without their tokens."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from app.worker.array import Ints
from app.worker.token.token_set import TokenSet


@dataclass(frozen=True, slots=True)
class Examples:
    """The examples of a token set that can be trained, cut to the maximum length.

    ``indices`` into the set; ``inputs`` and ``targets`` count each one's input positions and learned tokens.
    ``truncated`` are longer than the maximum, ``skipped`` have no token to learn (after the cut).
    """

    token_set: TokenSet
    max_length: int
    indices: Ints
    inputs: Ints
    targets: Ints
    truncated: int
    skipped: int

    @classmethod
    def of(cls, token_set: TokenSet, max_length: int) -> Examples:
        """Counts and cuts, without reading more than the flags."""
        lengths = np.minimum(token_set.lengths, max_length)
        targets = target_counts(token_set, lengths)
        usable = np.flatnonzero(targets)
        return cls(
            token_set,
            max_length,
            usable,
            lengths[usable] - 1,
            targets[usable],
            int(np.count_nonzero(token_set.lengths > max_length)),
            len(token_set) - len(usable),
        )

    def __len__(self) -> int:
        return len(self.indices)

    def row(self, number: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
        """Tokens (cut) of one example, and which of them are learned; the first never is."""
        tokens, trained = self.token_set[int(self.indices[number])]
        return tokens[: self.max_length], trained[: self.max_length]


def target_counts(token_set: TokenSet, lengths: Ints) -> Ints:
    """Learned tokens of each example when cut to ``lengths``; the first token of an example is never one."""
    counts = np.zeros(len(token_set), np.int64)
    some = np.flatnonzero(lengths >= 2)
    if len(some):
        starts = token_set.starts[:-1][some]
        # reduceat sums from each even border to the next odd one; a border at the very end needs an element there.
        borders = np.stack([starts + 1, starts + lengths[some]], axis=1).reshape(-1)
        flags = token_set.trained if borders[-1] < len(token_set.trained) else np.append(token_set.trained, False)
        counts[some] = np.add.reduceat(flags, borders, dtype=np.int64)[::2]
    return counts
