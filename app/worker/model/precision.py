"""Adapters in the base model's precision (``adapter_dtype: base``): the weights and the optimizer stay float32."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn


def compute_in_base_precision(model: nn.Module) -> None:
    """Lets the model's LoRA layers multiply in the type of their input while they are trained.

    mlx-lm's keep float32 adapters, which promote a bfloat16 base's activations and keep copies of them for the
    backward pass: a fifth of all activations. Measuring and generating stay as mlx-lm does them. Does nothing to
    a float32 base.
    """
    from mlx_lm.tuner.lora import LoRALinear

    def call(self: Any, x: mx.array) -> mx.array:
        if not self.training or x.dtype == mx.float32:
            output: mx.array = LoRALinear.__call__(self, x)
            return output
        z = (self.dropout(x) @ self.lora_a.astype(x.dtype)) @ self.lora_b.astype(x.dtype)
        return self.linear(x) + (self.scale * z).astype(x.dtype)

    kind = type("LoRALinear", (LoRALinear,), {"__call__": call})
    for _, module in model.named_modules():
        if type(module) is LoRALinear:
            module.__class__ = kind
