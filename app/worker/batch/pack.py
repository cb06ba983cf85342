"""Packing: several examples in one row, each seeing only itself.

mlx-lm's models take no mask, but they ask the cache for one. A cache that stores nothing and answers with a
block-diagonal causal mask makes a packed row compute what its examples would alone, where attention is all that
mixes positions and positions are relative. Both are tested on the model itself.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from app.core.language import tr
from app.worker.array import scalar

# What a model's code raises that asks its caches for something which ours do not have.
OTHER_CACHE_ERRORS = (AttributeError, IndexError, TypeError, ValueError, NotImplementedError)
PACKING_TOLERANCES = {mx.float32: 1e-3, mx.float16: 2e-2, mx.bfloat16: 5e-2}


class SegmentCache:
    """Looks like a key-value cache at its start; ``segments`` int32 (rows, width) numbers each row's examples."""

    offset = 0

    def __init__(self, segments: mx.array) -> None:
        width = segments.shape[1]
        causal = mx.arange(width)[:, None] >= mx.arange(width)[None]
        self._mask = ((segments[:, :, None] == segments[:, None, :]) & causal)[:, None]

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Keeps nothing: the keys and values of this call are all there are."""
        return keys, values

    def make_mask(self, size: int, return_array: bool = False, window_size: int | None = None) -> mx.array:  # noqa: ARG002
        """True where a position (second last axis) may look at another (last axis)."""
        if window_size is None:
            return self._mask
        distance = mx.arange(size)[:, None] - mx.arange(size)[None]
        return self._mask & (distance < window_size)


def caches(model: nn.Module, segments: mx.array) -> list[Any]:
    """One cache for every layer, all the same."""
    return [SegmentCache(segments)] * len(model.layers)


def packing_refusal(model: nn.Module, logits: Callable[..., mx.array]) -> str:
    """Why this model cannot be trained packed; empty if it can.

    ``logits(inputs, cache)`` is the model. The test packs two random sequences and compares with each alone.
    """
    random = np.random.default_rng(0)
    first, second = random.integers(0, 50, 7), random.integers(0, 50, 9)
    # Two rows, cut differently: some attentions take the rows of a mask for heads.
    rows = [np.concatenate([first, second]), np.concatenate([second, first])]
    segments = mx.array([[1] * 7 + [2] * 9, [1] * 9 + [2] * 7])
    try:
        packed = logits(mx.array(np.stack(rows)), caches(model, segments))
        one, two = (logits(mx.array(tokens)[None], None) for tokens in (first, second))
        pairs = [mx.concatenate([*pair], axis=1) for pair in ((one, two), (two, one))]
        apart = mx.concatenate(pairs).astype(mx.float32)
        difference = mx.abs(packed.astype(mx.float32) - apart).max() / mx.abs(apart).max()
        if scalar(difference) <= PACKING_TOLERANCES.get(packed.dtype, 1e-3):
            return ""
    except OTHER_CACHE_ERRORS as error:
        return tr("its code asks for another kind of cache ({error})", error=error)
    return tr("in it, examples in one row would see each other, or their positions")
