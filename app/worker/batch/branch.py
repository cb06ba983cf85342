"""Branches: sequences that begin alike in one row, what they share computed once.

Both answers of a pair, and all answers of a group, follow the same prompt. In a row of its own each computes the
prompt again. Here a row holds the prompt once and the answers behind it, and each token stands at the *place* that
it has in its own sequence: an answer sees the prompt and itself, so that states, and with them log-probabilities
and gradients, are those of separate rows. With dropout what is shared is dropped out once instead of once a branch.

mlx-lm's models take neither mask nor places, but they ask the cache for a mask and turn queries and keys by its
offset. A cache that stores nothing answers both. That is right where plain causal attention over relative or
rotary positions is all that mixes tokens, be it of all earlier tokens or of a sliding window that the model asks
the cache to mask; it is refused for every other kind of layer, and tried on the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import numpy.typing as npt

from app.core.language import tr
from app.worker.array import Arrays, Ints, scalar
from app.worker.batch.pack import OTHER_CACHE_ERRORS, PACKING_TOLERANCES
from app.worker.model.rotation import is_plainly_causal, rotations, unasked_windows

SHARED, PADDING = 0, -1  # in `branches`; a sequence's own tokens have its number, from 1


Tokens = npt.NDArray[np.integer[Any]]


class Places:
    """The place of every token, int32 (rows, width), where a model would have one offset for all."""

    def __init__(self, places: mx.array) -> None:
        self.each = places.reshape(-1)


class BranchCache:
    """Looks like a key-value cache at its start; ``branches`` int32 (rows, width) say whose each token is."""

    def __init__(self, branches: mx.array, places: mx.array) -> None:
        self.offset = Places(places)
        self.windows: set[int] = set()  # those that were asked for
        self._places = places
        width = branches.shape[1]
        causal = mx.arange(width)[:, None] >= mx.arange(width)[None]
        seen, own = branches[:, None, :], branches[:, :, None]
        self._mask = (((seen == SHARED) | (seen == own)) & causal)[:, None]

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, mx.array]:
        """Keeps nothing: the keys and values of this call are all there are."""
        return keys, values

    def make_mask(self, size: int, return_array: bool = False, window_size: int | None = None) -> mx.array:  # noqa: ARG002
        """True where a token (second last axis) may look at another (last axis); a window counts in places."""
        if window_size is None:
            return self._mask
        self.windows.add(window_size)
        distance = self._places[:, :, None] - self._places[:, None, :]
        return self._mask & (distance < window_size)[:, None]


class BranchRow(NamedTuple):
    """One row: the tokens that go in, whose each is, and its place, all (tokens,).

    ``at`` says for each sequence where its tokens are in the row, (its length,).
    """

    inputs: Tokens
    branches: Ints
    places: Ints
    at: tuple[Ints, ...]


def branch_row(sequences: Sequence[Tokens], shared: int) -> BranchRow:
    """The sequences, which are alike in their first ``shared`` tokens, in one row."""
    inputs, branches, places = [sequences[0][:shared]], [np.full(shared, SHARED)], [np.arange(shared)]
    at: list[Ints] = []
    end = shared
    for number, tokens in enumerate(sequences, start=1):
        own = len(tokens) - shared
        inputs.append(tokens[shared:])
        branches.append(np.full(own, number))
        places.append(np.arange(shared, len(tokens)))
        at.append(np.concatenate([np.arange(shared), np.arange(end, end + own)]))
        end += own
    return BranchRow(np.concatenate(inputs), np.concatenate(branches), np.concatenate(places), tuple(at))


def branch_arrays(rows: Sequence[BranchRow], count: int, width: int) -> Arrays:
    """``inputs``, ``branches`` and ``places``, int32 (count, width); rows beyond the given ones are padding."""
    arrays = {
        "inputs": np.zeros((count, width), np.int32),
        "branches": np.full((count, width), PADDING, np.int32),
        "places": np.zeros((count, width), np.int32),
    }
    for number, row in enumerate(rows):
        for name, array in arrays.items():
            values = getattr(row, name)
            array[number, : len(values)] = values
    return {name: mx.array(array) for name, array in arrays.items()}


def shared_length(sequences: Sequence[Tokens]) -> int:
    """In how many first tokens all are alike."""
    shortest = min(map(len, sequences))
    first = sequences[0][:shortest]
    differs = np.zeros(shortest, np.bool_)
    for other in sequences[1:]:
        differs |= first != other[:shortest]
    return int(np.argmax(differs)) if differs.any() else shortest


def branch_caches(model: nn.Module, arrays: Arrays) -> list[Any] | None:
    """One cache for every layer, all the same; None where the arrays have no branches."""
    if "branches" not in arrays:
        return None
    return [BranchCache(arrays["branches"], arrays["places"])] * len(model.layers)


def branch_refusal(model: nn.Module, logits: Callable[..., mx.array]) -> str:
    """Why this model cannot compute branches; empty if it can, and from here on it does.

    ``logits(inputs, cache=…)`` is the model, or its body. The test puts random sequences into rows and compares
    with each alone.
    """
    if not is_plainly_causal(model):
        return tr("its layers keep other things of earlier tokens than their keys and values")
    take_places(model)
    random = np.random.default_rng(0)
    groups = [_sequences(random, 6, (5, 3)), _sequences(random, 3, (4, 6, 2))]
    rows = [branch_row(group, shared_length(group)) for group in groups]
    arrays = branch_arrays(rows, 2, max(len(row.inputs) for row in rows) + 1)
    caches = branch_caches(model, arrays)
    try:
        found = logits(arrays["inputs"], cache=caches)
        asked = {size for one in caches or () for size in one.windows}
        if missing := unasked_windows(model, asked):
            return tr("it masks its window of {tokens:,} tokens by itself", tokens=max(missing))
        for number, (row, group) in enumerate(zip(rows, groups, strict=True)):
            for at, tokens in zip(row.at, group, strict=True):
                alone = logits(mx.array(tokens)[None], cache=None)[0].astype(mx.float32)
                together = found[number][mx.array(at)].astype(mx.float32)
                difference = mx.abs(together - alone).max() / mx.abs(alone).max()
                if not scalar(difference) <= PACKING_TOLERANCES.get(found.dtype, 1e-3):
                    return tr("in it, answers in one row would see each other, or their positions")
    except OTHER_CACHE_ERRORS as error:
        return tr("its code asks for another kind of cache ({error})", error=error)
    return ""


def take_places(model: nn.Module) -> None:
    """Lets the modules that turn queries and keys by their positions take `Places` too; nothing else changes."""
    for module in rotations(model):
        if not hasattr(module, "takes_places"):
            module.__class__ = _placed(type(module))


def _placed(kind: Any) -> Any:
    class Placed(kind):
        """The same turning, also by a place for each token: each is then a sequence of its own."""

        takes_places = True

        def __call__(self, x: mx.array, offset: Any = 0, **options: Any) -> mx.array:
            if not isinstance(offset, Places):
                found: mx.array = super().__call__(x, offset, **options)
                return found
            rows, heads, width, size = x.shape
            single = x.swapaxes(1, 2).reshape(rows * width, heads, 1, size)
            turned: mx.array = super().__call__(single, offset.each, **options)
            each: mx.array = turned.reshape(rows, width, heads, size).swapaxes(1, 2)
            return each

    Placed.__name__ = kind.__name__
    return Placed


def _sequences(random: np.random.Generator, shared: int, own: tuple[int, ...]) -> list[Ints]:
    first = random.integers(0, 50, shared)
    # Neighbours never begin alike, whatever was drawn.
    return [np.concatenate([first, [number], random.integers(0, 50, more - 1)]) for number, more in enumerate(own)]
