"""Answers as arrays: whole conversations in rows, and where in them the tokens stand whose probability counts."""

from __future__ import annotations

from collections.abc import Sequence

import mlx.core as mx
import numpy as np

from app.core.setup.memory_term import cheapest_in_row, grown
from app.worker.array import Arrays
from app.worker.batch.branch import BranchRow, branch_arrays, branch_row, shared_length
from app.worker.batch.shape import Costs, Shape
from app.worker.token.token_set import Example


def answer_arrays(examples: Sequence[Example], rows: Sequence[Sequence[int]], shape: Shape) -> Arrays:
    """The arrays of a batch: ``rows`` say which examples stand in each row; of several the beginning that they have
    in common is there once (`app.worker.batch.branch`).

    ``inputs`` int32 (rows, width) are all tokens but the last, with ``branches`` and ``places`` where a row has
    several. Of the learned ones ``positions`` int32 (k,) say where in the flattened inputs each is predicted, and
    ``targets`` int32 (k,) what it is: ``shape.targets`` is k. By example and token, (examples, tokens), ``slots``
    int32 say which of these it is, and ``mask`` float32 whether there is one.
    """
    learned = [np.flatnonzero(example.trained[1:]) for example in examples]
    slots = np.zeros((len(examples), grown(max(map(len, learned)))), np.int32)
    mask = np.zeros(slots.shape, np.float32)
    positions, targets = np.zeros(shape.targets, np.int32), np.zeros(shape.targets, np.int32)
    found = answer_rows(examples, rows)
    end = 0
    for at, numbers in enumerate(rows):
        for number, inside in zip(numbers, found[at].at, strict=True):
            count = len(learned[number])
            positions[end : end + count] = at * shape.width + inside[learned[number]]
            targets[end : end + count] = examples[number].tokens[1:][learned[number]]
            slots[number, :count] = np.arange(end, end + count)
            mask[number, :count] = 1
            end += count
    arrays = branch_arrays(found, shape.rows, shape.width)
    if all(len(numbers) == 1 for numbers in rows):
        arrays = {"inputs": arrays["inputs"]}
    return arrays | {
        "positions": mx.array(positions), "targets": mx.array(targets), "slots": mx.array(slots),
        "mask": mx.array(mask),
    }  # fmt: skip


def answer_rows(examples: Sequence[Example], rows: Sequence[Sequence[int]]) -> list[BranchRow]:
    """What stands in each row."""
    inputs = [[examples[number].tokens[:-1] for number in numbers] for numbers in rows]
    return [branch_row(sequences, shared_length(sequences)) for sequences in inputs]


def answers_in_row(shared: int, own: int, groups: int, each: int, costs: Costs) -> int:
    """How many of the ``each`` answers to a prompt of ``shared`` tokens go into one row, for the least work; one
    where the model cannot compute branches. ``own`` tokens are the longest answer's."""
    if not costs.branches:
        return 1
    return cheapest_in_row(shared, own, groups, each, lambda rows, width: float(costs.of(rows, width, 0)))
