"""Log-probabilities of given tokens, one by one, in float32, without ever holding all logits.

Where `app.worker.objective.cross_entropy` needs only a sum whose weights are known, preference and reward losses
weigh each token by what the model says of all of them. A token's log-probability depends on its own hidden state
alone, so its gradient is computed in the forward pass, while its logits exist, and the backward pass only scales
it, row by row.
"""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn

from app.worker.array import Arrays
from app.worker.batch.branch import branch_caches
from app.worker.model.head import Head, Logits, NoHead
from app.worker.objective.cross_entropy import rows_at_a_time


def answer_log_probabilities(
    model: nn.Module,
    head: Head | NoHead,
    arrays: dict[str, mx.array],
    temperature: float = 1.0,
    *,
    differentiable: bool = True,
) -> mx.array:
    """log π of each learned token, float32, as the arrays have them; what their mask leaves out means nothing.

    ``arrays`` hold ``inputs`` (rows, width), ``positions`` into the flattened inputs and ``targets``, both (k,),
    and where sequences share a row their ``branches`` and ``places``. What is found is (answers, tokens) where they
    have ``slots`` (see `app.worker.batch.answer`), else (k,) (`app.worker.batch.pair_batch`). ``temperature``
    divides the logits, as where answers are sampled. Of a model in evaluation mode, or without ``differentiable``,
    there is no gradient.
    """
    picked, targets = arrays["positions"], arrays["targets"]
    cache = branch_caches(model, arrays)
    if isinstance(head, NoHead):
        logits = model(arrays["inputs"], cache=cache)
        flat = logits.reshape(-1, logits.shape[-1])[picked]
        return _placed(_log_probabilities(flat.astype(mx.float32) / temperature, targets)[0], arrays)
    hidden = head.body(arrays["inputs"], cache=cache)
    flat = hidden.reshape(-1, hidden.shape[-1])[picked]

    def logits_of(states: mx.array) -> mx.array:
        return head.logits(states).astype(mx.float32) / temperature

    rows = rows_at_a_time(head.vocabulary)
    if flat.shape[0] <= rows:
        found = _log_probabilities(logits_of(flat), targets)[0]
    elif model.training and differentiable:
        found = _piecewise(logits_of, rows)(flat, targets)[0]
    else:
        found = _measured(logits_of, flat, targets, rows)
    return _placed(found, arrays)


def _placed(found: mx.array, arrays: Arrays) -> mx.array:
    return found[arrays["slots"]] if "slots" in arrays else found


def answer_sums(found: mx.array, arrays: Arrays) -> tuple[mx.array, mx.array]:
    """Each answer's log-probability, and its learned tokens, (answers,), of those of the tokens (``found``)."""
    if "owners" not in arrays:
        return (found * arrays["mask"]).sum(axis=1), arrays["mask"].sum(axis=1)
    lengths = arrays["lengths"]
    # By comparison and sum: scattered sums are added up in another order each time, where a GPU does it.
    is_own = mx.arange(lengths.shape[0], dtype=mx.int32)[:, None] == arrays["owners"][None]
    return mx.where(is_own, (found * arrays["weights"])[None], 0).sum(axis=1), lengths


def _value(logits: mx.array, targets: mx.array) -> tuple[mx.array, mx.array]:
    """(log-probabilities, normalizers), both (n,), of float32 ``logits`` (n, vocabulary)."""
    normalizer = mx.logsumexp(logits, axis=-1)
    return mx.take_along_axis(logits, targets[:, None], axis=-1)[:, 0] - normalizer, normalizer


def _vjp(primals: Any, cotangents: Any, outputs: Any) -> tuple[mx.array, mx.array]:
    logits, targets = primals
    probabilities = mx.exp(logits - outputs[1][:, None])
    # A comparison fuses with the rest, as in `app.worker.objective.cross_entropy`.
    is_target = mx.arange(logits.shape[-1], dtype=targets.dtype)[None] == targets[:, None]
    by_logits = mx.where(is_target, 1 - probabilities, -probabilities) * cotangents[0][:, None]
    return by_logits, mx.zeros_like(targets)


# mlx's stubs type the decorated function as an object, so the names are bound by hand.
_log_probabilities: Any = mx.custom_function(_value)
_log_probabilities.vjp(_vjp)


def _measured(logits_of: Logits, hidden: mx.array, targets: mx.array, rows: int) -> mx.array:
    """Piece after piece, where no gradient is wanted."""
    found: list[mx.array] = []
    for start in range(0, hidden.shape[0], rows):
        piece = hidden[start : start + rows]
        if found:  # else MLX holds all pieces' logits at the same time
            piece = mx.depends([piece], [found[-1]])[0]
        found.append(_log_probabilities(logits_of(piece), targets[start : start + rows])[0])
    return mx.concatenate(found)


def _piecewise(logits_of: Logits, rows: int) -> Any:
    def of_piece(hidden: mx.array, targets: mx.array) -> tuple[mx.array, mx.array]:
        found = _log_probabilities(logits_of(hidden), targets)[0]
        return found.sum(), found

    @mx.custom_function
    def log_probabilities(hidden: mx.array, targets: mx.array) -> tuple[mx.array, mx.array]:
        values: list[mx.array] = []
        gradients: list[mx.array] = []
        for start in range(0, hidden.shape[0], rows):
            piece = hidden[start : start + rows]
            if gradients:
                piece = mx.depends([piece], [gradients[-1]])[0]
            (_, value), gradient = mx.value_and_grad(of_piece)(piece, targets[start : start + rows])
            values.append(value)
            gradients.append(gradient)
        return mx.concatenate(values), mx.concatenate(gradients)

    @log_probabilities.vjp
    def vjp(primals: Any, cotangents: Any, outputs: Any) -> tuple[mx.array, mx.array]:
        by_hidden = outputs[1] * cotangents[0][:, None].astype(outputs[1].dtype)
        return by_hidden, mx.zeros_like(primals[1])

    return log_probabilities
