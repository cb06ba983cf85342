"""Objectives: what training minimizes, as a plain function from the model and a batch's arrays to sums.

The loop in `app.worker.train` knows nothing else of it, so that other objectives run on the same loop.
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn

from app.worker.head import Head, NoHead
from app.worker.loss import (
    cross_entropy_sum,
    measured_cross_entropy_sum,
    piecewise_cross_entropy_sum,
    rows_at_a_time,
)
from app.worker.pack import caches

Arrays = dict[str, mx.array]
# (model, arrays) → (sum of the losses, what they are divided by, further figures by name); float32 scalars, each
# figure its (sum, count). Sums, because the mean over uneven batches is the sum of sums over the sum of counts.
Objective = Callable[[nn.Module, Arrays], tuple[mx.array, mx.array, Arrays]]


def supervised(head: Head | NoHead) -> Objective:
    """Cross-entropy of the learned tokens (see `app.worker.batch.Batch` for the arrays)."""

    def objective(model: nn.Module, arrays: Arrays) -> tuple[mx.array, mx.array, Arrays]:
        inputs, targets, weights = arrays["inputs"], arrays["targets"], arrays["weights"]
        cache = caches(model, arrays["segments"]) if "segments" in arrays else None
        positions = arrays.get("positions")
        if isinstance(head, NoHead):
            logits = _picked(model(inputs, cache=cache), positions)
            return cross_entropy_sum(logits, targets, weights), weights.sum(), {}
        hidden = _picked(head.body(inputs, cache=cache), positions)
        return _loss(head, hidden, targets, weights, training=model.training), weights.sum(), {}

    return objective


def _picked(states: mx.array, positions: mx.array | None) -> mx.array:
    """(rows, width, n) as a list of positions, only those that count if they are given."""
    flat = states.reshape(-1, states.shape[-1])
    return flat if positions is None else flat[positions]


def _loss(head: Head, hidden: mx.array, targets: mx.array, weights: mx.array, *, training: bool) -> mx.array:
    rows = rows_at_a_time(head.vocabulary)
    if hidden.shape[0] <= rows:
        return cross_entropy_sum(head.logits(hidden), targets, weights)
    compute = piecewise_cross_entropy_sum if training else measured_cross_entropy_sum
    return compute(head.logits, hidden, targets, weights, rows)
