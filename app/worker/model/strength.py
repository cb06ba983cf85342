"""An adapter's strength: how much of it is put on the base; 0 is the base itself, 1 the adapter as trained."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn

WRAPPED = ("linear", "embedding")


def at_strength(model: nn.Module, weights: Mapping[str, mx.array], strength: float) -> dict[str, mx.array]:
    """The weights of a LoRA or DoRA adapter of ``model`` that give ``strength`` of it, whatever reads them.

    The factor is in the second matrix, so that no config says otherwise than before; DoRA's magnitudes stand
    between the base's own and those that were trained. The adapters are in ``model``, with any weights.
    """
    modules = dict(model.named_modules()) if any(name.endswith(".m") for name in weights) else {}

    def scaled(name: str, array: mx.array) -> mx.array:
        path, _, leaf = name.rpartition(".")
        if leaf == "lora_b":
            return (array.astype(mx.float32) * strength).astype(array.dtype)
        return between(own_magnitudes(modules[path]), array, strength) if leaf == "m" else array

    found = dict(weights) if strength == 1 else {name: scaled(name, array) for name, array in weights.items()}
    mx.eval(found)
    return found


def module_at_strength(module: nn.Module, strength: float) -> nn.Module:
    """A second LoRA or DoRA module over the same arrays with ``strength`` of the first one's effect."""
    made: Any = copy.copy(module)
    made.scale = float(made.scale) * strength
    if "m" in made:
        made.m = between(own_magnitudes(module), module["m"], strength)
    found: nn.Module = made
    return found


def between(base: mx.array, tuned: mx.array, strength: float) -> mx.array:
    """``strength`` of the way from one array to the other, in the type of the latter."""
    first, last = base.astype(mx.float32), tuned.astype(mx.float32)
    return (first + strength * (last - first)).astype(tuned.dtype)


def own_magnitudes(dora: Any) -> mx.array:
    """The magnitudes that an untrained DoRA module has: the norms of the base's rows."""
    wrapped = next(dora[name] for name in WRAPPED if name in dora)
    weight = dora._dequantized_weight() if hasattr(dora, "_dequantized_weight") else wrapped.weight
    norms: mx.array = mx.linalg.norm(weight.astype(mx.float32), axis=1)
    return norms
