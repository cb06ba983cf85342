"""Rotation: the modules of a model that turn queries and keys by their positions, and what else it keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mlx.nn as nn
from mlx.utils import tree_flatten

ROTATION_WORDS = ("rope", "rotary")  # in the class names of such modules


def rotations(model: nn.Module) -> Iterator[nn.Module]:
    """The modules that turn by positions."""
    for _, module in tree_flatten(model.leaf_modules(), is_leaf=nn.Module.is_module):
        if any(word in type(module).__name__.lower() for word in ROTATION_WORDS):
            yield module


def is_plainly_causal(model: nn.Module) -> bool:
    """Whether every layer keeps keys and values of earlier tokens, all or those of a sliding window, and nothing
    else, as mlx-lm's own caches tell, and turns by positions; a model without such modules counts what comes before
    a token in another way."""
    if not list(getattr(model, "layers", ())):
        return False
    # mlx-lm takes a second to import, and a model is there only where it was.
    from mlx_lm.models.cache import KVCache, RotatingKVCache

    kinds = {type(one) for one in _caches(model)} or {KVCache}
    return kinds <= {KVCache, RotatingKVCache} and any(True for _ in rotations(model))


def turns_by_length(model: nn.Module) -> bool:
    """Whether positions are turned otherwise in rows longer than the model knows (dynamic scaling): parts of such a
    row are then not turned as the whole. mlx-lm calls all its modules that do so dynamic."""
    return any("dynamic" in type(module).__name__.lower() for module in rotations(model))


def windows(model: nn.Module) -> set[int]:
    """The sizes of the sliding windows of a plainly causal model, in tokens."""
    sizes = (getattr(cache, "max_size", None) for cache in _caches(model))
    return {size for size in sizes if size is not None}


def unasked_windows(model: nn.Module, asked: set[int]) -> set[int]:
    """The windows that its code did not ask its caches to mask, though their masks were ``asked`` of these sizes.

    Rows that are shorter than any window show nothing else. Some models count the token itself among those of the
    window, some do not.
    """
    return {size for size in windows(model) if not asked & {size, size + 1}}


def _caches(model: nn.Module) -> list[Any]:
    return list(model.make_cache()) if hasattr(model, "make_cache") else []
