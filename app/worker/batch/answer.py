"""Answers as arrays: whole conversations in rows, and where in them the tokens stand whose probability counts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import mlx.core as mx
import numpy as np

from app.worker.array import Arrays
from app.worker.batch.shape import Shape
from app.worker.token.token_set import Example

# Sizes that follow no plan grow by this factor, in steps: few shapes to compile, little padding.
GROWTH = 1.19
LENGTH_STEP = 16


def answer_arrays(examples: Sequence[Example | None], shape: Shape) -> Arrays:
    """The arrays of a batch: row i holds example i, None and rows beyond the last stay empty.

    ``inputs`` int32 (rows, width) are all tokens but the last; of the learned ones, in order, ``positions`` int32
    (rows, tokens) say where in the flattened inputs each is predicted, ``targets`` int32 what it is, and ``mask``
    float32 which places are taken. ``shape.targets`` counts places: rows · tokens.
    """
    places = shape.targets // shape.rows
    inputs = np.zeros((shape.rows, shape.width), np.int32)
    positions, targets = np.zeros((shape.rows, places), np.int32), np.zeros((shape.rows, places), np.int32)
    mask = np.zeros((shape.rows, places), np.float32)
    for row, example in enumerate(examples):
        if example is None:
            continue
        learned = np.flatnonzero(example.trained[1:])
        inputs[row, : len(example.tokens) - 1] = example.tokens[:-1]
        positions[row, : len(learned)] = row * shape.width + learned
        targets[row, : len(learned)] = example.tokens[1:][learned]
        mask[row, : len(learned)] = 1
    return {
        "inputs": mx.array(inputs), "positions": mx.array(positions), "targets": mx.array(targets),
        "mask": mx.array(mask),
    }  # fmt: skip


def answer_shape(rows: int, width: int, tokens: int) -> Shape:
    """The shape that holds rows of ``width`` inputs with at most ``tokens`` learned ones each, on a coarse grid."""
    wide = grown(width)
    return Shape(rows, wide, rows * min(grown(tokens), wide))


def grown(size: int) -> int:
    """The smallest size on the grid that is at least ``size``: multiples of 16, each some 1.19 × the one before."""
    found = LENGTH_STEP
    while found < size:
        found = max(found + LENGTH_STEP, LENGTH_STEP * math.ceil(found * GROWTH / LENGTH_STEP))
    return found
