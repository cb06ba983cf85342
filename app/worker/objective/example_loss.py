"""The loss of each example, on validation's way: like lengths together, the head only where a token counts."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import numpy.typing as npt

from app.core.setup.memory_term import LARGEST_PIECE
from app.worker.array import Arrays
from app.worker.batch.examples import Examples
from app.worker.model.head import Head, NoHead, find_head
from app.worker.objective.cross_entropy import measured_cross_entropies, rows_at_a_time
from app.worker.objective.supervised import picked
from app.worker.objective.validation import group_batch, group_shape
from app.worker.process.progress import Progress
from app.worker.token.token_set import TokenSet

# Of one batch, in float32, where a model's head cannot be run apart: a large vocabulary must not fill the memory.
LOGITS_BYTES = 256 * 2**20


def example_losses(
    model: nn.Module, examples: TokenSet, max_seq_length: int, progress: Progress
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Summed cross-entropy (nats, float32 softmax) and number of targets of each example, in their order.

    The model must be in evaluation mode.
    """
    sums, counts = np.zeros(len(examples), np.float64), np.zeros(len(examples), np.int64)
    usable = Examples.of(examples, max_seq_length)
    counts[usable.indices] = usable.targets
    head = find_head(model, trained=False)
    done = len(examples) - len(usable)
    # The longest first, so that too little memory shows at once.
    for numbers in reversed(_groups(usable, positions_at_once(head))):
        batch = group_batch(usable, numbers)
        each = np.array(_token_losses(model, head, batch.arrays), np.float64)
        positions = batch.arrays.get("positions")
        at = np.arange(len(each)) if positions is None else np.array(positions)
        sums[usable.indices[numbers]] = np.bincount(at // batch.shape.width, each, minlength=len(numbers))
        done += len(numbers)
        progress(done, len(examples))
    mx.clear_cache()
    return sums, counts


def positions_at_once(head: Head | NoHead) -> int:
    """How many positions are read together: matrix products gain nothing from more, and memory grows with them."""
    if isinstance(head, NoHead):
        return max(1, min(LARGEST_PIECE, LOGITS_BYTES // (4 * max(1, head.vocabulary))))
    return LARGEST_PIECE


def _groups(examples: Examples, positions: int) -> list[npt.NDArray[np.int64]]:
    """Numbers of examples of like length, the shortest first, that have so many positions together at most.

    One example alone may have more.
    """
    groups: list[list[int]] = [[]]
    for number in np.argsort(examples.inputs, kind="stable").tolist():
        width = group_shape(examples, np.array([number])).width
        if groups[-1] and width * (len(groups[-1]) + 1) > positions:
            groups.append([])
        groups[-1].append(number)
    return [np.array(group, np.int64) for group in groups if group]


def _token_losses(model: nn.Module, head: Head | NoHead, arrays: Arrays) -> mx.array:
    """Weighted cross-entropies (n,) of the positions that go through the head."""
    inputs, targets, weights = arrays["inputs"], arrays["targets"], arrays["weights"]
    positions = arrays.get("positions")
    if isinstance(head, NoHead):
        logits = picked(model(inputs), positions)
        return measured_cross_entropies(lambda rows: rows, logits, targets, weights, logits.shape[0])
    hidden = picked(head.body(inputs, cache=None), positions)
    return measured_cross_entropies(head.logits, hidden, targets, weights, rows_at_a_time(head.vocabulary))
