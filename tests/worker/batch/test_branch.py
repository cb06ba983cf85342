"""Sequences that begin alike compute in one row what they compute alone; models that cannot are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm import load

from app.worker.batch.branch import (
    BranchCache,
    branch_arrays,
    branch_caches,
    branch_refusal,
    branch_row,
    shared_length,
    take_places,
)
from tests.worker.batch.test_pack import ABSOLUTE, HEAD_MASKS, MODELS, STATE_SPACE
from tests.worker.tiny_model import write_model

YARN = {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}
LLAMA3 = {
    "type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
# Shorter than the sequences: what is outside of it must not be seen, by the places of each sequence.
SLIDING: dict[str, Any] = {"head_dim": 8, "sliding_window": 6, "sliding_window_pattern": 2}
KINDS: dict[str, dict[str, Any]] = MODELS | {
    "gemma, windows": {"model_type": "gemma3_text", **SLIDING},
    "olmo, windows": {"model_type": "olmo3", **SLIDING, "layer_types": ["sliding_attention", "full_attention"]},
    "yarn": {"model_type": "llama", "rope_scaling": YARN},
    "llama3": {"model_type": "llama", "rope_scaling": LLAMA3},
}


def _rows() -> tuple[list[list[np.ndarray]], list[Any]]:
    random = np.random.default_rng(1)
    groups = []
    for shared, own in ((7, (5, 3)), (1, (9, 1, 4)), (0, (2, 2))):
        first = random.integers(4, 200, shared)
        groups.append([np.concatenate([first, [4 + n], random.integers(4, 200, more - 1)])
                       for n, more in enumerate(own)])  # fmt: skip
    return groups, [branch_row(group, shared_length(group)) for group in groups]


@pytest.mark.parametrize("name", KINDS)
def test_states_are_those_of_separate_rows(name: str, tmp_path: Path) -> None:
    model, _ = load(str(write_model(tmp_path, **KINDS[name])))
    assert branch_refusal(model, lambda tokens, cache: model(tokens, cache=cache)) == ""
    groups, rows = _rows()
    arrays = branch_arrays(rows, 4, 20)
    found = model(arrays["inputs"], cache=branch_caches(model, arrays)).astype(mx.float32)
    for number, (group, row) in enumerate(zip(groups, rows, strict=True)):
        for tokens, at in zip(group, row.at, strict=True):
            alone = model(mx.array(tokens)[None])[0].astype(mx.float32)
            largest = float(mx.abs(alone).max())
            tolerance = (0.05 if name == "half precision" else 1e-5) * largest
            np.testing.assert_allclose(found[number][mx.array(at)], alone, atol=tolerance)


@pytest.mark.parametrize("name", ["qwen2", "qwen3", "llama3", "phixtral, experts", "gemma, windows"])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_gradients_are_those_of_separate_rows(name: str, checkpointed: bool, tmp_path: Path) -> None:
    from mlx_lm.tuner.trainer import grad_checkpoint

    model, _ = load(str(write_model(tmp_path, **KINDS[name])))
    take_places(model)
    model.train()
    groups, rows = _rows()
    arrays = branch_arrays(rows, 4, 20)
    weights = [mx.random.normal((len(tokens), 3)) for group in groups for tokens in group]

    def together(model: nn.Module) -> mx.array:
        found = model(arrays["inputs"], cache=branch_caches(model, arrays))
        each = [found[n][mx.array(at)] for n, row in enumerate(rows) for at in row.at]
        return sum(((one[:, :3] * weight).sum() for one, weight in zip(each, weights, strict=True)), mx.array(0.0))

    def apart(model: nn.Module) -> mx.array:
        each = [model(mx.array(tokens)[None])[0] for group in groups for tokens in group]
        return sum(((one[:, :3] * weight).sum() for one, weight in zip(each, weights, strict=True)), mx.array(0.0))

    wanted = dict(tree_flatten(nn.value_and_grad(model, apart)(model)[1]))
    kind = type(model.layers[0])
    plain = kind.__call__
    try:
        if checkpointed:
            grad_checkpoint(model.layers[0])
        gradient_of = nn.value_and_grad(model, together)
        found = dict(tree_flatten(mx.compile(lambda: gradient_of(model)[1])()))
    finally:
        kind.__call__ = plain
    for path, gradient in wanted.items():
        largest = float(mx.abs(gradient).max())
        np.testing.assert_allclose(found[path], gradient, atol=2e-5 * max(largest, 1e-3), err_msg=path)


def test_positions_that_do_not_turn_are_refused(tmp_path: Path) -> None:
    model, _ = load(str(write_model(tmp_path, "gpt2", **ABSOLUTE)))
    assert branch_refusal(model, model)


def test_masks_that_rows_would_share_are_refused(tmp_path: Path) -> None:
    # Its own attention takes the rows of a mask for heads.
    model, _ = load(str(write_model(tmp_path, **HEAD_MASKS)))
    assert branch_refusal(model, model)


def test_other_memories_than_keys_and_values_are_refused(tmp_path: Path) -> None:
    model, _ = load(str(write_model(tmp_path, "mamba2", **STATE_SPACE)))
    assert "earlier tokens" in branch_refusal(model, model)


def test_a_window_counts_in_places() -> None:
    row = branch_row([np.array([5, 6, 7]), np.array([5, 6, 8, 9])], 2)
    arrays = branch_arrays([row], 1, 5)
    cache = BranchCache(arrays["branches"], arrays["places"])
    assert np.array(cache.make_mask(5, window_size=2))[0, 0].astype(int).tolist() == [
        [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 1, 1, 0, 0], [0, 1, 0, 1, 0], [0, 0, 0, 1, 1],
    ]  # fmt: skip
    assert cache.windows == {2}


def test_a_window_that_the_model_masks_by_itself_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = load(str(write_model(tmp_path, "gemma3_text", **SLIDING)))
    assert branch_refusal(model, model) == ""
    monkeypatch.setattr(model.model, "window_size", 300)
    assert "window of 6 tokens" in branch_refusal(model, model)


def test_the_rows_and_what_each_token_sees() -> None:
    row = branch_row([np.array([5, 6, 7]), np.array([5, 6, 8, 9])], 2)
    assert [values.tolist() for values in row[:3]] == [[5, 6, 7, 8, 9], [0, 0, 1, 2, 2], [0, 1, 2, 2, 3]]
    assert [at.tolist() for at in row.at] == [[0, 1, 2], [0, 1, 3, 4]]
    arrays = branch_arrays([row], 1, 6)
    mask = BranchCache(arrays["branches"], arrays["places"]).make_mask(6)
    assert np.array(mask)[0, 0].astype(int).tolist() == [
        [1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0],
        [1, 1, 0, 1, 0, 0], [1, 1, 0, 1, 1, 0], [1, 1, 0, 0, 0, 1],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sequences", "length"),
    [([[1, 2, 3], [1, 2, 4, 5]], 2), ([[1, 2], [1, 2, 3]], 2), ([[1], [2]], 0), ([[1, 2], [1, 2]], 2),
     ([[1, 2, 3], [1, 2, 3], [1, 3]], 1)],
)  # fmt: skip
def test_how_much_is_alike(sequences: list[list[int]], length: int) -> None:
    assert shared_length([np.array(one) for one in sequences]) == length


def test_turning_by_one_offset_stays_as_it_was(tmp_path: Path) -> None:
    model, _ = load(str(write_model(tmp_path)))
    tokens = mx.array([[5, 6, 7, 8]])
    before = model(tokens)
    take_places(model)
    take_places(model)
    assert mx.array_equal(model(tokens), before)
    assert {type(layer.self_attn.rope).__name__ for layer in model.layers} == {"RoPE"}
