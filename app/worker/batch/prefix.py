"""Prefixes: what the examples of a piece begin with alike, computed once, in a row from which theirs go on.

Chats often begin with the same system prompt, or the same descriptions of tools. In a row of its own each computes
that again. Here the prefix is a row by itself; then the rows hold what follows it, and each layer gives them the
prefix's keys and values, as it would where an answer is sampled. Both are parts of one computation, so the gradient
passes back through them: states and gradients are those of whole rows. With dropout the prefix is dropped out once
for all of the piece's rows instead of once a row.

mlx-lm's models ask their caches for all of that. It is right where keys and values are all that layers keep of
earlier tokens; it is refused for every other kind of layer, and tried on the model, forward and backward.
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from mlx.utils import tree_flatten

from app.core.language import tr
from app.worker.array import Arrays, scalar
from app.worker.batch.pack import OTHER_CACHE_ERRORS, PACKING_TOLERANCES
from app.worker.model.prefix_cache import PrefixCache
from app.worker.model.rotation import is_plainly_causal, turns_by_length, unasked_windows

# Of all gradients together, relative: what rounding may do. A gradient that is lost on the way is a large part.
GRADIENT_TOLERANCES = {mx.float32: 1e-3, mx.float16: 5e-2, mx.bfloat16: 1e-1}

States = Callable[..., mx.array]


def prefixed_states(model: nn.Module, states: States, arrays: Arrays) -> mx.array:
    """What ``states(inputs, cache=…)``, the model or its body, gives of the ``prefix`` and then of the ``inputs``,
    row by row: (positions, size)."""
    return _states(model, states, arrays, set())


def _states(model: nn.Module, states: States, arrays: Arrays, asked: set[int]) -> mx.array:
    caches = [PrefixCache(asked) for _ in model.layers]
    first = states(arrays["prefix"], cache=caches)
    for cache in caches:
        cache.go_on()
    rest = states(arrays["inputs"], cache=caches)
    return mx.concatenate([part.reshape(-1, part.shape[-1]) for part in (first, rest)])


def prefix_refusal(model: nn.Module, states: States) -> str:
    """Why this model cannot go on from a prefix; empty if it can.

    The test compares random rows with the same ones whole: what ``states`` gives of them, and the gradient of what
    the model trains.
    """
    if not is_plainly_causal(model):
        return tr("its layers keep other things of earlier tokens than their keys and values")
    if turns_by_length(model):  # which the rows of the test are too short to show
        return tr("it turns positions by the length of the whole row")
    random = np.random.default_rng(0)
    first, rest = random.integers(0, 50, 7), random.integers(0, 50, (3, 5))
    whole = mx.array(np.concatenate([np.tile(first, (3, 1)), rest], axis=1))
    arrays = {"prefix": mx.array(first)[None], "inputs": mx.array(rest)}
    asked: set[int] = set()

    def together(model: nn.Module) -> mx.array:
        found = _states(model, states, arrays, asked)
        rows = found[7:].reshape(3, 5, -1)
        return mx.concatenate([mx.broadcast_to(found[None, :7], (3, 7, found.shape[-1])), rows], axis=1)

    def apart(_model: nn.Module) -> mx.array:
        return states(whole, cache=None)

    try:
        wanted, found = apart(model), together(model)
        if missing := unasked_windows(model, asked):
            return tr("it masks its window of {tokens:,} tokens by itself", tokens=max(missing))
        if not _distance([found], [wanted]) <= PACKING_TOLERANCES.get(wanted.dtype, 1e-3):
            return tr("in it, rows would not see the beginning that they share, or not at its place")
        if not _distance(_gradient(model, together), _gradient(model, apart)) <= GRADIENT_TOLERANCES.get(
            wanted.dtype, 1e-3
        ):
            return tr("in it, a beginning that rows share would not learn from all of them")
    except OTHER_CACHE_ERRORS as error:
        return tr("its code asks for another kind of cache ({error})", error=error)
    return ""


def _gradient(model: nn.Module, states: Callable[[nn.Module], mx.array]) -> list[mx.array]:
    """That of what is trained, by name."""

    def mixed(model: nn.Module) -> mx.array:
        found = states(model).astype(mx.float32)
        return (found * mx.cos(mx.arange(found.size).reshape(found.shape))).sum()

    found = tree_flatten(nn.value_and_grad(model, mixed)(model)[1])
    return [array for _, array in sorted(found, key=lambda item: item[0])]


def _distance(found: list[mx.array], wanted: list[mx.array]) -> float:
    """Between the two, relative to the second, by Euclid; 0 where there is nothing, no number where one is none."""
    apart = size = 0.0
    for one, other in zip(found, wanted, strict=True):
        apart += scalar(mx.square(one.astype(mx.float32) - other.astype(mx.float32)).sum())
        size += scalar(mx.square(other.astype(mx.float32)).sum())
    return float((apart / size) ** 0.5) if size else float(apart)
