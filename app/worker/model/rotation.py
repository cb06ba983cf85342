"""Rotation: the modules of a model that turn queries and keys by their positions, and what else it keeps."""

from __future__ import annotations

from collections.abc import Iterator

import mlx.nn as nn
from mlx.utils import tree_flatten

ROTATION_WORDS = ("rope", "rotary")  # in the class names of such modules


def rotations(model: nn.Module) -> Iterator[nn.Module]:
    """The modules that turn by positions."""
    for _, module in tree_flatten(model.leaf_modules(), is_leaf=nn.Module.is_module):
        if any(word in type(module).__name__.lower() for word in ROTATION_WORDS):
            yield module


def is_plainly_causal(model: nn.Module) -> bool:
    """Whether every layer keeps all keys and values of earlier tokens and nothing else, as mlx-lm's own caches
    tell, and turns by positions; a model without such modules counts what comes before a token in another way."""
    if not list(getattr(model, "layers", ())):
        return False
    # mlx-lm takes a second to import, and a model is there only where it was.
    from mlx_lm.models.cache import KVCache

    made = model.make_cache() if hasattr(model, "make_cache") else [KVCache()]
    return all(type(one) is KVCache for one in made) and any(True for _ in rotations(model))
