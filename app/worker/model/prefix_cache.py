"""The cache through which a layer's rows go on from a prefix that they share (`app.worker.batch.prefix`)."""

from __future__ import annotations

from typing import Any

import mlx.core as mx


class PrefixCache:
    """Looks like a key-value cache: at its start while the prefix is computed, then at the prefix's end.

    ``kept`` are the keys and values of the prefix, (1, heads, its tokens, size), ``offset`` its tokens once rows
    go on from it. ``asked`` collects the sizes of the windows that a model masks.
    """

    def __init__(self, asked: set[int]) -> None:
        self.offset = 0
        self.kept: tuple[mx.array, ...] = ()
        self._asked = asked

    def go_on(self) -> None:
        """From here on rows follow the prefix."""
        if not self.kept:
            raise ValueError("a layer has no keys and values of its own")
        self.offset = self.kept[0].shape[2]

    def at(self, offset: int, kept: tuple[mx.array, ...]) -> PrefixCache:
        """Another one that stands there: for a layer that is computed twice, with the arrays of each time."""
        found = PrefixCache(self._asked)
        found.offset, found.kept = offset, kept
        return found

    def update_and_fetch(self, keys: mx.array, values: mx.array) -> tuple[mx.array, ...]:
        """Keeps those of the prefix; gives each of the rows behind it the prefix's and its own."""
        if self.offset:
            return tuple(_behind(kept, own) for kept, own in zip(self.kept, (keys, values), strict=True))
        if self.kept:
            raise ValueError("layers share their keys and values")
        self.kept = keys, values
        return self.kept

    def make_mask(self, size: int, return_array: bool = False, window_size: int | None = None) -> Any:
        """What mlx-lm's own cache answers at this place."""
        if window_size is None and not return_array:
            return None if size == 1 else "causal"
        seen = mx.arange(self.offset + size)
        distance = seen[self.offset :, None] - seen[None]
        if window_size is None:
            return distance >= 0
        self._asked.add(window_size)
        return (distance >= 0) & (distance < window_size)


def _behind(kept: mx.array, own: mx.array) -> mx.array:
    return mx.concatenate([mx.broadcast_to(kept, (own.shape[0], *kept.shape[1:])), own], axis=2)
