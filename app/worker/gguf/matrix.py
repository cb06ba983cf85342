"""The plain float32 weight of any module: unpacked if it is quantized, with its adapter in it if it wears one."""

from __future__ import annotations

from typing import Any

import mlx.core as mx
import mlx.nn as nn
from mlx_lm.models.switch_layers import QuantizedSwitchLinear, SwitchLinear
from mlx_lm.tuner.dora import DoRAEmbedding, DoRALinear
from mlx_lm.tuner.lora import LoRAEmbedding, LoRALinear, LoRASwitchLinear

LORA = (LoRALinear, LoRAEmbedding, LoRASwitchLinear)
DORA = (DoRALinear, DoRAEmbedding)
PLAIN = (nn.Linear, nn.Embedding, nn.QuantizedLinear, nn.QuantizedEmbedding, SwitchLinear, QuantizedSwitchLinear)


def wrapped(module: nn.Module) -> nn.Module:
    """The module inside an adapter, or the module itself."""
    inner: nn.Module = module.embedding if isinstance(module, (LoRAEmbedding, DoRAEmbedding)) else module
    return module.linear if isinstance(module, (*LORA, *DORA)) and inner is module else inner


def full_weight(module: nn.Module) -> mx.array:
    """The weight of a matrix module in float32, (outputs, inputs), or (experts, outputs, inputs).

    The sum of base and adapter is taken in float32, so that a small adapter is not rounded away before the result
    is packed. Lazy: nothing is computed before it is used.
    """
    base, delta = _unpacked(wrapped(module)), adapter_delta(module)
    if delta is None:
        return base
    weight = base + delta
    if isinstance(module, DORA):
        weight = weight * (_wide(module.m) / mx.linalg.norm(weight, axis=1))[:, None]
    return weight


def adapter_delta(module: Any) -> mx.array | None:
    """What an adapter adds to a weight, in float32 and the weight's own shape; None for other kinds of modules."""
    if not isinstance(module, (*LORA, *DORA)):
        return None
    a, b = _wide(module.lora_a), _wide(module.lora_b)
    if isinstance(module, (LoRALinear, DoRALinear)):
        return module.scale * (b.T @ a.T)
    if isinstance(module, LoRASwitchLinear):
        return module.scale * (b @ a.reshape(b.shape[0], -1, a.shape[-1]))
    return module.scale * (a @ b)


def _wide(array: mx.array) -> mx.array:
    return array.astype(mx.float32)


def _unpacked(module: Any) -> mx.array:
    if not hasattr(module, "bits"):
        return _wide(module.weight)
    scales, biases, mode = module.scales, module.get("biases"), getattr(module, "mode", "affine")
    if mode == "affine":  # the result has the type of the scales
        scales, biases = _wide(scales), _wide(biases)
    return _wide(
        mx.dequantize(module.weight, scales, biases, group_size=module.group_size, bits=module.bits, mode=mode)
    )
