"""Rotary positions: what the model turns its heads by, in llama.cpp's hyper-parameters and factors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import mlx.core as mx
import mlx.nn as nn
from gguf import MODEL_ARCH
from mlx_lm.models.rope_utils import Llama3RoPE, SuScaledRoPE, YarnRoPE

from app.core.language import tr

Values = dict[str, int | float | str]


def rotation_values(
    kind: MODEL_ARCH, text: nn.Module, args: Mapping[str, Any], head_dim: int
) -> tuple[Values, list[str]]:
    """llama.cpp's keys for the rotation, and what of it cannot be said in them."""
    rope = _global_rope(kind, text, args)
    values: Values = {"rope.freq_base": float(args["rope_theta"] or 10000.0)}
    if kind is MODEL_ARCH.PHI3:
        values["rope.dimension_count"] = int(head_dim * args["partial_rotary_factor"])
        values["rope.scaling.original_context_length"] = int(args["original_max_position_embeddings"])
        values["attention.sliding_window"] = 0  # MLX sees everything
    else:
        values["rope.dimension_count"] = head_dim
    scaling = args.get("rope_scaling") or {}
    if isinstance(rope, nn.RoPE):
        if rope.scale != 1.0:
            values |= {"rope.scaling.type": "linear", "rope.scaling.factor": 1 / rope.scale}
    elif isinstance(rope, YarnRoPE):
        values |= _yarn(rope, scaling)
    elif isinstance(rope, SuScaledRoPE) and kind is MODEL_ARCH.PHI3:
        values["rope.scaling.attn_factor"] = float(rope._scale)
    elif not (isinstance(rope, Llama3RoPE) and kind is MODEL_ARCH.LLAMA):
        name = scaling.get("rope_type") or scaling.get("type") or type(rope).__name__
        return values, [
            tr("Positions are scaled by {name}, which this architecture has not in llama.cpp", name=name)
        ]
    return values, []


def rotation_factors(kind: MODEL_ARCH, text: nn.Module, args: Mapping[str, Any]) -> dict[str, mx.array]:
    """The tensors that llama.cpp divides the frequencies by, by their names; none where keys say all.

    MLX takes Phi-3's long factors whatever the length, and was trained with them: here they stand for both.
    """
    rope = _global_rope(kind, text, args)
    if not isinstance(rope, (Llama3RoPE, SuScaledRoPE)):
        return {}
    dims = rope.dims if isinstance(rope, Llama3RoPE) else rope.dim
    plain = float(args["rope_theta"]) ** (mx.arange(0, dims, 2, dtype=mx.float32) / dims)
    factors = rope._freqs / plain
    if isinstance(rope, Llama3RoPE):
        return {"rope_freqs.weight": factors}
    return {"rope_factors_long.weight": factors, "rope_factors_short.weight": factors}


def _global_rope(kind: MODEL_ARCH, text: nn.Module, args: Mapping[str, Any]) -> nn.Module:
    """The rotation of a layer that sees everything: Gemma 3's others are never scaled."""
    pattern = int(args["sliding_window_pattern"]) if kind is MODEL_ARCH.GEMMA3 else 1
    layers = text.layers
    return layers[pattern - 1 if pattern <= len(layers) else 0].self_attn.rope


def _yarn(rope: YarnRoPE, scaling: Mapping[str, Any]) -> Values:
    factor = float(scaling["factor"])
    values: Values = {
        "rope.scaling.type": "yarn",
        "rope.scaling.factor": factor,
        "rope.scaling.original_context_length": int(scaling.get("original_max_position_embeddings", 4096)),
        "rope.scaling.yarn_beta_fast": float(scaling.get("beta_fast", 32)),
        "rope.scaling.yarn_beta_slow": float(scaling.get("beta_slow", 1)),
    }
    usual = 0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0  # what llama.cpp takes by itself
    if not math.isclose(rope.mscale, usual, rel_tol=1e-6):
        values["rope.scaling.attn_factor"] = rope.mscale / usual
    return values
