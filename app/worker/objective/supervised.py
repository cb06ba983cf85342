"""The supervised objective: cross-entropy of the tokens that count."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from app.worker.array import Arrays
from app.worker.batch.pack import caches
from app.worker.batch.prefix import prefixed_states
from app.worker.model.head import Head, NoHead
from app.worker.objective.cross_entropy import (
    cross_entropy_sum,
    measured_cross_entropy_sum,
    piecewise_cross_entropy_sum,
    rows_at_a_time,
)
from app.worker.objective.objective import Objective


def supervised(head: Head | NoHead) -> Objective:
    """Cross-entropy of the learned tokens (see `app.worker.batch.batch.Batch` for the arrays)."""

    def objective(model: nn.Module, arrays: Arrays) -> tuple[mx.array, mx.array, Arrays]:
        inputs, targets, weights = arrays["inputs"], arrays["targets"], arrays["weights"]
        cache = caches(model, arrays["segments"]) if "segments" in arrays else None
        positions = arrays.get("positions")
        states = model if isinstance(head, NoHead) else head.body
        found = prefixed_states(model, states, arrays) if "prefix" in arrays else states(inputs, cache=cache)
        hidden = picked(found, positions)
        if isinstance(head, NoHead):
            return cross_entropy_sum(hidden, targets, weights), weights.sum(), {}
        return _loss(head, hidden, targets, weights, training=model.training), weights.sum(), {}

    return objective


def picked(states: mx.array, positions: mx.array | None) -> mx.array:
    """(rows, width, n) as a list of positions, only those that count if they are given."""
    flat = states.reshape(-1, states.shape[-1])
    return flat if positions is None else flat[positions]


def _loss(head: Head, hidden: mx.array, targets: mx.array, weights: mx.array, *, training: bool) -> mx.array:
    rows = rows_at_a_time(head.vocabulary)
    if hidden.shape[0] <= rows:
        return cross_entropy_sum(head.logits(hidden), targets, weights)
    compute = piecewise_cross_entropy_sum if training else measured_cross_entropy_sum
    return compute(head.logits, hidden, targets, weights, rows)
