"""Batches: which examples of a token set go together, in which order, padded to which size.

Everything follows from the data, the config and the number of the iteration, so a resumed run gets the batches that
an undisturbed one would have got, to the last token.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import mlx.core as mx
import numpy as np
import numpy.typing as npt

from app.worker.array import Ints
from app.worker.batch.examples import Examples
from app.worker.batch.shape import (
    Shape,
)


@dataclass(frozen=True, slots=True)
class Batch:
    """What one iteration computes: one part, or several one after the other, each of its shape.

    A part's arrays go to the objective: ``inputs`` int32 (rows, width); ``targets`` int32 and ``weights`` float32,
    both (rows · width,) or, where only some positions count, (k,) with ``positions`` int32 (k,) into the flattened
    inputs; ``segments`` int32 (rows, width) for packed rows (0 is padding). Where rows go on from a ``prefix``
    int32 (1, shared), its positions stand before theirs in targets and weights, and a weight says how many rows
    learn the token. ``tokens`` are the real ones among the inputs, ``target_tokens`` those that are learned; what
    several sequences begin with alike may be computed once, which leaves out ``shared`` of the tokens. ``beside``
    are arrays that the parts need something of beforehand (`app.worker.objective.objective.Gather`). What came up
    when the batch was made is in ``figures`` (means) and ``samples`` (newly sampled answers). Where several
    replicas train, ``split`` says how many of the parts each of them computes, one after the other.
    """

    parts: tuple[dict[str, mx.array], ...]
    tokens: int
    target_tokens: int
    examples: int
    shapes: tuple[Shape, ...]
    figures: dict[str, float] = field(default_factory=dict)
    samples: list[dict[str, Any]] = field(default_factory=list)
    split: tuple[int, ...] = ()
    shared: int = 0
    beside: tuple[dict[str, mx.array], ...] = ()

    @property
    def positions(self) -> int:
        """How many are computed, with padding."""
        return sum(shape.positions for shape in self.shapes)

    @property
    def arrays(self) -> dict[str, mx.array]:
        """Those of a batch in one part."""
        (only,) = self.parts
        return only

    @property
    def shape(self) -> Shape:
        """That of a batch in one part."""
        (only,) = self.shapes
        return only


class Countable(Protocol):
    """What an order is made of: so many things, each of so many input positions."""

    def __len__(self) -> int: ...

    @property
    def inputs(self) -> Ints: ...


class Plan(Protocol):
    """The batch of every iteration of a run.

    ``is_ahead`` if a batch can be put together before the iteration ahead of it has ended, ``is_cut`` if batches
    may come in several parts. ``state`` are plain JSON values that a resumed run goes on from, None where every
    batch follows from the number of its iteration; ``heaviest`` the iterations, of the first epoch, that take most.
    """

    @property
    def is_ahead(self) -> bool: ...

    @property
    def is_cut(self) -> bool: ...

    @property
    def examples(self) -> Countable: ...

    @property
    def batches_per_epoch(self) -> int: ...

    def batch(self, iteration: int) -> Batch: ...

    def heaviest(self) -> list[int]: ...

    def state(self) -> dict[str, Any] | None: ...

    def restore(self, state: dict[str, Any] | None) -> None: ...


def assemble(
    examples: Examples,
    rows: Sequence[Sequence[int]],
    shape: Shape,
    stock_padding: bool = False,
    packed: bool = False,
) -> Batch:
    """Puts the examples of each row end to end into arrays of ``shape``; rows beyond the given ones stay empty."""
    inputs = np.zeros((shape.rows, shape.width), np.int32)
    targets = np.zeros_like(inputs)
    learned = np.zeros(inputs.shape, np.bool_)
    segments = np.zeros_like(inputs)
    real = 0
    for row, numbers in enumerate(rows):
        at = 0
        for segment, number in enumerate(numbers, start=1):
            tokens, trained = examples.row(number)
            end = at + len(tokens) - 1
            inputs[row, at:end], targets[row, at:end] = tokens[:-1], tokens[1:]
            learned[row, at:end] = trained[1:]
            segments[row, at:end] = segment
            if stock_padding and end < shape.width:
                inputs[row, end], learned[row, end] = tokens[-1], True
            real += end - at
            at = end
    arrays = {"inputs": mx.array(inputs)} | _loss_arrays(targets, learned.astype(np.float32), shape)
    if packed:
        arrays["segments"] = mx.array(segments)
    return Batch((arrays,), real, int(learned.sum()), sum(map(len, rows)), (shape,))


def assemble_behind_prefix(examples: Examples, numbers: Sequence[int], shape: Shape) -> Batch:
    """Puts examples that begin alike into arrays of ``shape``: that once, and what follows it a row each."""
    prefix = shape.shared
    first, _ = examples.row(numbers[0])
    inputs = np.zeros((shape.rows, shape.width), np.int32)
    targets, weights = np.zeros(shape.positions, np.int32), np.zeros(shape.positions, np.float32)
    targets[:prefix] = first[1 : prefix + 1]
    real = 0
    for row, number in enumerate(numbers):
        tokens, trained = examples.row(number)
        assert np.array_equal(tokens[: prefix + 1], first[: prefix + 1]), "not what these examples begin with"
        own = len(tokens) - 1 - prefix
        inputs[row, :own] = tokens[prefix:-1]
        at = slice(prefix + row * shape.width, prefix + row * shape.width + own)
        targets[at], weights[at] = tokens[prefix + 1 :], trained[prefix + 1 :]
        weights[:prefix] += trained[1 : prefix + 1]
        real += prefix + own
    arrays = {"prefix": mx.array(first[None, :prefix]), "inputs": mx.array(inputs)}
    return Batch(
        (arrays | _loss_arrays(targets, weights, shape),),
        real,
        int(weights.sum()),
        len(numbers),
        (shape,),
        shared=(len(numbers) - 1) * prefix,
    )


def joined_batches(pieces: Sequence[Batch]) -> Batch:
    return Batch(
        tuple(part for piece in pieces for part in piece.parts),
        sum(piece.tokens for piece in pieces),
        sum(piece.target_tokens for piece in pieces),
        sum(piece.examples for piece in pieces),
        tuple(shape for piece in pieces for shape in piece.shapes),
        shared=sum(piece.shared for piece in pieces),
    )


def shared(shares: Sequence[Batch]) -> Batch:
    """A batch that several replicas compute, each its share; one without examples has no parts."""
    return replace(joined_batches(shares), split=tuple(len(share.parts) for share in shares))


def _loss_arrays(
    targets: npt.NDArray[np.int32], learned: npt.NDArray[np.float32], shape: Shape
) -> dict[str, mx.array]:
    flat = learned.reshape(-1)
    if shape.is_dense:
        return {"targets": mx.array(targets.reshape(-1)), "weights": mx.array(flat)}
    positions, weights = np.zeros(shape.targets, np.int32), np.zeros(shape.targets, np.float32)
    found = np.flatnonzero(flat)
    positions[: len(found)], weights[: len(found)] = found, flat[found]
    return {
        "positions": mx.array(positions),
        "targets": mx.array(targets.reshape(-1)[positions]),
        "weights": mx.array(weights),
    }
