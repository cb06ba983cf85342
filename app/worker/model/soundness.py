"""Whether weights can be trusted: finite, and of a size that training can explain."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx.utils import tree_flatten

from app.core.language import tr


class UnsoundWeightsError(Exception):
    """Weights that hold NaN or infinity, or have grown beyond all measure: they must not be written."""


def sizes(weights: Mapping[str, mx.array]) -> dict[str, float]:
    """The root mean square of each array; infinite or NaN if the array is not finite throughout."""
    if not weights:
        return {}
    squares = mx.stack([mx.square(array.astype(mx.float32)).mean() for array in weights.values()])
    values: Any = mx.sqrt(squares).tolist()
    return dict(zip(weights, values, strict=True))


def check_sound(weights: Mapping[str, mx.array], largest: float) -> None:
    """Raises `UnsoundWeightsError` naming the first array that is not finite or whose size is over ``largest``."""
    for name, size in sizes(weights).items():
        if not math.isfinite(size):
            raise UnsoundWeightsError(tr("{name} is no longer finite", name=name))
        if size > largest:
            raise UnsoundWeightsError(
                tr("the weights of {name} have grown to {size:.3g} on average", name=name, size=size)
            )


def largest_sound(weights: Mapping[str, mx.array]) -> float:
    """The size beyond which trained weights can only be the product of a divergence, from what they begin with."""
    return 100 * (1 + max(sizes(weights).values(), default=0.0))


def unsound_base(model: nn.Module) -> str:
    """The first of a model's frozen arrays that holds NaN or infinity; empty if none does. It reads all of them."""
    trained = {name for name, _ in tree_flatten(model.trainable_parameters())}
    return first_unsound((name, array) for name, array in tree_flatten(model.parameters()) if name not in trained)


def first_unsound(arrays: Iterable[tuple[str, mx.array]]) -> str:
    """The name of the first array that holds NaN or infinity; empty if none does."""
    return next(
        (
            name
            for name, array in arrays
            if mx.issubdtype(array.dtype, mx.floating) and not mx.isfinite(array).all().item()
        ),
        "",
    )
