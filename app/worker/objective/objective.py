"""Objectives: what training minimizes, as a plain function from the model and a batch's arrays to sums.

The loop in `app.worker.train.train` knows nothing else of it, so that other objectives run on the same loop.
"""

from __future__ import annotations

from collections.abc import Callable

import mlx.core as mx
import mlx.nn as nn

from app.worker.array import Arrays

# (model, arrays) → (sum of the losses, what they are divided by, further figures by name); float32 scalars, each
# figure its (sum, count). Sums, because the mean over uneven batches is the sum of sums over the sum of counts.
Objective = Callable[[nn.Module, Arrays], tuple[mx.array, mx.array, Arrays]]
