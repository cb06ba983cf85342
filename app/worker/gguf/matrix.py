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
    base = _unpacked(wrapped(module))
    if isinstance(module, (LoRAEmbedding, DoRAEmbedding)):
        weight = base + module.scale * (_wide(module.lora_a) @ _wide(module.lora_b))
    elif isinstance(module, LoRASwitchLinear):
        first = _wide(module.lora_a).reshape(base.shape[0], -1, base.shape[-1])
        weight = base + module.scale * (_wide(module.lora_b) @ first)
    elif isinstance(module, (LoRALinear, DoRALinear)):
        weight = base + module.scale * (_wide(module.lora_b).T @ _wide(module.lora_a).T)
    else:
        return base
    if isinstance(module, DORA):
        weight = weight * (_wide(module.m) / mx.linalg.norm(weight, axis=1))[:, None]
    return weight


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
