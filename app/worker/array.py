"""Types of arrays that the worker's parts hand each other."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt

Arrays = dict[str, mx.array]  # by their names: a batch, or weights
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
SingleFloats = npt.NDArray[np.float32]
DoubleFloats = npt.NDArray[np.float64]


def scalar(array: mx.array) -> float:
    """The value of an array that holds a single real number; waits for its computation."""
    value: Any = array.item()
    return float(value)
