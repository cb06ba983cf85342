"""The cross-entropy of a language model, in float32, without ever holding all logits.

Vocabularies of 150,000 make the logits and their gradient the largest arrays of a training step by far. Here the
head and the cross-entropy run over a few rows at a time, and the gradient by the hidden states is computed right
there, while the rows' logits still exist; the backward pass only scales it.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx

from app.core.setup.memory_term import PIECE_ELEMENTS, ROW_STEP
from app.worker.model.head import Logits


def cross_entropy_sum(logits: mx.array, targets: mx.array, weights: mx.array) -> mx.array:
    """Σ weight · −log softmax(logits)[target], a float32 scalar.

    ``logits`` (n, vocabulary) in any float type, ``targets`` int32 (n,), ``weights`` float32 (n,).
    """
    loss: mx.array
    loss, *_ = _cross_entropy(logits.astype(mx.float32), targets, weights)
    return loss


def piecewise_cross_entropy_sum(
    logits_of: Logits, hidden: mx.array, targets: mx.array, weights: mx.array, rows: int
) -> mx.array:
    """`cross_entropy_sum` of ``logits_of(hidden)``, ``rows`` at a time, differentiable by ``hidden`` only.

    ``hidden`` (n, width) in the model's float type. ``logits_of`` must be a frozen head: what is trained in it
    would get no gradient.
    """
    loss: mx.array
    loss, _ = _piecewise(logits_of, rows)(hidden, targets, weights)
    return loss


def measured_cross_entropy_sum(
    logits_of: Logits, hidden: mx.array, targets: mx.array, weights: mx.array, rows: int
) -> mx.array:
    """The same sum where no gradient is wanted."""
    total, order = mx.array(0.0), None
    for start in range(0, hidden.shape[0], rows):
        part = slice(start, start + rows)
        piece = hidden[part] if order is None else _after(hidden[part], order)
        order = cross_entropy_sum(logits_of(piece), targets[part], weights[part])
        total = total + order
    return total


def measured_cross_entropies(
    logits_of: Logits, hidden: mx.array, targets: mx.array, weights: mx.array, rows: int
) -> mx.array:
    """The terms of that sum, float32 (n,)."""
    pieces: list[mx.array] = []
    for start in range(0, hidden.shape[0], rows):
        part = slice(start, start + rows)
        piece = _after(hidden[part], pieces[-1]) if pieces else hidden[part]
        terms, *_ = _cross_entropy_terms(logits_of(piece).astype(mx.float32), targets[part], weights[part])
        pieces.append(terms)
    return mx.concatenate(pieces)


def rows_at_a_time(vocabulary: int) -> int:
    """Rows of logits that are held together."""
    return max(ROW_STEP, PIECE_ELEMENTS // vocabulary // ROW_STEP * ROW_STEP)


def _after(array: mx.array, earlier: mx.array) -> mx.array:
    """``array``, but computed only once ``earlier`` is: keeps MLX from holding all pieces at the same time."""
    ordered: mx.array = mx.depends([array], [earlier])[0]
    return ordered


def _cross_entropy_value(logits: mx.array, targets: mx.array, weights: mx.array) -> tuple[mx.array, ...]:
    """(loss, powers, totals): softmax is powers / totals. Exponentials are dear on a CPU, so they are kept."""
    terms, powers, totals = _cross_entropy_terms(logits, targets, weights)
    return terms.sum(), powers, totals


def _cross_entropy_terms(logits: mx.array, targets: mx.array, weights: mx.array) -> tuple[mx.array, ...]:
    """The same before it is summed."""
    largest = logits.max(axis=-1, keepdims=True)
    powers = mx.exp(logits - largest)
    totals = powers.sum(axis=-1, keepdims=True)
    chosen = mx.take_along_axis(logits, targets[:, None], axis=-1)
    return (mx.log(totals) + largest - chosen)[:, 0] * weights, powers, totals


def _cross_entropy_vjp(primals: Any, cotangents: Any, outputs: Any) -> tuple[mx.array, mx.array, mx.array]:
    _, targets, weights = primals
    _, powers, totals = outputs
    at = targets[:, None]
    # softmax − one at the target, all of it times totals: written into the powers, which nothing else needs.
    changed = mx.put_along_axis(powers, at, mx.take_along_axis(powers, at, axis=-1) - totals, axis=-1)
    by_logits = changed * ((weights * cotangents[0])[:, None] / totals)
    return by_logits, mx.zeros_like(targets), mx.zeros_like(weights)


# mlx's stubs type the decorated function as an object, so the names are bound by hand.
_cross_entropy: Any = mx.custom_function(_cross_entropy_value)
_cross_entropy.vjp(_cross_entropy_vjp)


def _piecewise(logits_of: Logits, rows: int) -> Any:
    def of_piece(hidden: mx.array, targets: mx.array, weights: mx.array) -> mx.array:
        return cross_entropy_sum(logits_of(hidden), targets, weights)

    @mx.custom_function
    def loss(hidden: mx.array, targets: mx.array, weights: mx.array) -> tuple[mx.array, mx.array]:
        total = mx.array(0.0)
        gradients: list[mx.array] = []
        for start in range(0, hidden.shape[0], rows):
            part = slice(start, start + rows)
            piece = _after(hidden[part], gradients[-1]) if gradients else hidden[part]
            value, gradient = mx.value_and_grad(of_piece)(piece, targets[part], weights[part])
            total = total + value
            gradients.append(gradient)
        return total, mx.concatenate(gradients)

    @loss.vjp
    def loss_vjp(primals: Any, cotangents: Any, outputs: Any) -> tuple[mx.array, mx.array, mx.array]:
        _, targets, weights = primals
        by_hidden = outputs[1] * cotangents[0].astype(outputs[1].dtype)
        return by_hidden, mx.zeros_like(targets), mx.zeros_like(weights)

    return loss
