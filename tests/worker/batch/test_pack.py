"""Packed rows compute what their examples would alone; models in which they cannot are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm import load

from app.worker.batch.pack import SegmentCache, caches, packing_refusal
from tests.worker.tiny_model import write_model

MODELS: dict[str, dict[str, Any]] = {
    "qwen2": {},
    "llama": {"model_type": "llama"},
    "qwen3": {"model_type": "qwen3", "head_dim": 8},
    "half precision": {"dtype": mx.bfloat16},
    # By its own names: mlx-lm's defaults are 7.8 billion parameters, which no test should compute.
    "phixtral, experts": {
        "model_type": "phixtral",
        "num_vocab": 260,
        "model_dim": 32,
        "num_heads": 4,
        "num_layers": 2,
        "rotary_dim": 8,
    },
}
HEAD_MASKS: dict[str, Any] = {"model_type": "gemma2", "head_dim": 8}
ABSOLUTE: dict[str, Any] = {
    "n_embd": 32,
    "n_layer": 2,
    "n_head": 4,
    "n_positions": 64,
    "n_ctx": 64,
    "layer_norm_epsilon": 1e-5,
}
STATE_SPACE: dict[str, Any] = {
    "num_heads": 4, "head_dim": 16, "state_size": 16, "conv_kernel": 4, "n_groups": 1, "expand": 2,
    "use_conv_bias": True, "use_bias": False, "time_step_limit": [0.0, 1e9], "time_step_rank": "auto",
    "layer_norm_epsilon": 1e-5,
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_alone_and_packed_are_the_same(name: str, tmp_path: Path) -> None:
    model, _ = load(str(write_model(tmp_path, **MODELS[name])))
    assert packing_refusal(model, lambda tokens, cache: model(tokens, cache=cache)) == ""
    random = np.random.default_rng(1)
    pieces = [random.integers(4, 200, n).astype(np.int32) for n in (5, 1, 9)]
    segments = mx.array(np.repeat([1, 2, 3, 0], [5, 1, 9, 3])[None])
    row = mx.array(np.concatenate([*pieces, np.zeros(3, np.int32)])[None])
    packed = model(row, cache=caches(model, segments))
    alone = mx.concatenate([model(mx.array(piece[None])) for piece in pieces], axis=1)
    tolerance = 0.05 if name == "half precision" else 1e-5
    np.testing.assert_allclose(
        packed[:, :15].astype(mx.float32), alone.astype(mx.float32), atol=tolerance * float(mx.abs(alone).max())
    )


def test_absolute_positions_are_refused(tmp_path: Path) -> None:
    model, _ = load(str(write_model(tmp_path, "gpt2", **ABSOLUTE)))
    assert "positions" in packing_refusal(model, model)


def test_masks_that_rows_would_share_are_refused(tmp_path: Path) -> None:
    # Its attention takes the rows of a mask for heads: right in one row, silently wrong in as many as it has heads.
    model, _ = load(str(write_model(tmp_path, **HEAD_MASKS)))
    assert packing_refusal(model, model)


def test_state_space_models_are_refused(tmp_path: Path) -> None:
    model, _ = load(str(write_model(tmp_path, "mamba2", **STATE_SPACE)))
    assert "cache" in packing_refusal(model, model)


def test_the_mask_sees_its_own_segment_and_window() -> None:
    cache = SegmentCache(mx.array([[1, 1, 1, 2, 2]]))
    mask = np.array(cache.make_mask(5)[0, 0])
    assert mask.astype(int).tolist() == [
        [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0], [0, 0, 0, 1, 0], [0, 0, 0, 1, 1],
    ]  # fmt: skip
    narrow = np.array(cache.make_mask(5, window_size=2)[0, 0])
    assert narrow[2].astype(int).tolist() == [0, 1, 1, 0, 0]
