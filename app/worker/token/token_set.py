"""Tokenized examples in two flat arrays: what the model sees and which of it counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Example(NamedTuple):
    """One example: token ids and, for each, whether it is trained (a target of the loss); equal lengths."""

    tokens: npt.NDArray[np.int32]
    trained: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class TokenSet:
    """All examples of one split, end to end; memory-mapped from the cache when large.

    ``tokens`` int32 and ``trained`` bool have one entry a token; ``starts`` int64 has one entry an example and a
    last one for the end. Nothing is cut here: the maximum length belongs to the batches. The first token of an
    example is never a target, whatever ``trained`` says of it, because nothing precedes it.
    """

    tokens: npt.NDArray[np.int32]
    trained: npt.NDArray[np.bool_]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def __getitem__(self, index: int) -> Example:
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = slice(self.starts[index], self.starts[index + 1])
        return Example(self.tokens[part], self.trained[part])

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Tokens of each example."""
        return np.diff(self.starts)

    @classmethod
    def from_examples(cls, examples: list[Example]) -> TokenSet:
        """Puts examples end to end."""
        lengths = [len(example.tokens) for example in examples]
        empty_tokens, empty_trained = np.zeros(0, np.int32), np.zeros(0, np.bool_)
        return cls(
            np.concatenate([empty_tokens, *(e.tokens for e in examples)]).astype(np.int32),
            np.concatenate([empty_trained, *(e.trained for e in examples)]).astype(np.bool_),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        )
