"""Objectives: what training minimizes, as a plain function from the model and a batch's arrays to sums.

The loop in `app.worker.train.train` knows nothing else of it, so that other objectives run on the same loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import mlx.core as mx
import mlx.nn as nn

from app.worker.array import Arrays

# (model, arrays) → (sum of the losses, what they are divided by, further figures by name); float32 scalars, each
# figure its (sum, count). Sums, because the mean over uneven batches is the sum of sums over the sum of counts.
Objective = Callable[[nn.Module, Arrays], tuple[mx.array, mx.array, Arrays]]

# What the loss of each part of a batch needs of all of it, from arrays beside them: (model, arrays) → sums,
# float32, without a gradient. They are added up over all that is beside, before any part is computed.
Gather = Callable[[nn.Module, Arrays], mx.array]
GATHERED = "gathered"  # where a part has them among its arrays


def with_gathered(
    parts: Sequence[Arrays], beside: Sequence[Arrays], gather: Callable[[Arrays], mx.array] | None
) -> Sequence[Arrays]:
    """The parts with what was gathered, whose computation has begun; unchanged where nothing is to be."""
    if gather is None or not beside:
        return parts
    total = gather(beside[0])
    for arrays in beside[1:]:
        mx.async_eval(total)  # else MLX may compute all at once, and hold what each needs
        total = total + gather(arrays)
    mx.async_eval(total)
    return [{**part, GATHERED: total} for part in parts]
