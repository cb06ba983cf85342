"""Rows that go on from a prefix compute what they compute whole, and learn the same; models that cannot are
refused."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm import load

from app.worker.array import Arrays
from app.worker.batch.prefix import prefix_refusal, prefixed_states
from app.worker.model.loading import grad_checkpoint, load_model, make_trainable, trainable
from app.worker.model.prefix_cache import PrefixCache
from tests.worker.batch.test_branch import KINDS, SLIDING
from tests.worker.batch.test_pack import ABSOLUTE, HEAD_MASKS, STATE_SPACE
from tests.worker.tiny_model import write_model
from tests.worker.training import config_for

PREFIX, ROWS, BEHIND = 9, 3, 6


def _arrays() -> tuple[Arrays, mx.array]:
    """A prefix with rows behind it, and the same rows whole."""
    random = np.random.default_rng(1)
    first, rest = random.integers(4, 200, PREFIX), random.integers(4, 200, (ROWS, BEHIND))
    whole = np.concatenate([np.tile(first, (ROWS, 1)), rest], axis=1)
    return {"prefix": mx.array(first)[None], "inputs": mx.array(rest)}, mx.array(whole)


def _whole(found: mx.array) -> mx.array:
    """States as they are of whole rows."""
    rows = found[PREFIX:].reshape(ROWS, BEHIND, -1)
    return mx.concatenate([mx.broadcast_to(found[None, :PREFIX], (ROWS, PREFIX, found.shape[-1])), rows], axis=1)


@pytest.mark.parametrize("name", KINDS)
def test_states_are_those_of_whole_rows(name: str, tmp_path: Path) -> None:
    model, _ = load(str(write_model(tmp_path, **KINDS[name])))
    arrays, whole = _arrays()
    found = _whole(prefixed_states(model, model, arrays)).astype(mx.float32)
    wanted = model(whole).astype(mx.float32)
    tolerance = (0.05 if name == "half precision" else 1e-5) * float(mx.abs(wanted).max())
    np.testing.assert_allclose(found, wanted, atol=tolerance)
    assert prefix_refusal(model, model) == ""


@pytest.mark.parametrize("name", ["qwen2", "qwen3", "llama3", "phixtral, experts", "gemma, windows"])
@pytest.mark.parametrize("checkpointed", [False, True])
def test_gradients_are_those_of_whole_rows(name: str, checkpointed: bool, tmp_path: Path) -> None:
    model, _ = load(str(write_model(tmp_path, **KINDS[name])))
    model.train()
    arrays, whole = _arrays()
    weights = mx.random.normal((ROWS, PREFIX + BEHIND, 3))

    def together(model: nn.Module) -> mx.array:
        return (_whole(prefixed_states(model, model, arrays))[..., :3] * weights).sum()

    def apart(model: nn.Module) -> mx.array:
        return (model(whole)[..., :3] * weights).sum()

    wanted = dict(tree_flatten(nn.value_and_grad(model, apart)(model)[1]))
    kinds = {type(layer): type(layer).__call__ for layer in model.layers}
    try:
        if checkpointed:
            grad_checkpoint(model)
        gradient_of = nn.value_and_grad(model, together)
        found = dict(tree_flatten(mx.compile(lambda: gradient_of(model)[1])()))
        refused = prefix_refusal(model, model)
    finally:
        for kind, plain in kinds.items():
            kind.__call__ = plain
    assert refused == ""
    for path, gradient in wanted.items():
        largest = float(mx.abs(gradient).max())
        np.testing.assert_allclose(found[path], gradient, atol=2e-5 * max(largest, 1e-3), err_msg=path)


def test_adapters_on_packed_matrices_learn_behind_a_prefix(tmp_path: Path) -> None:
    path = write_model(tmp_path / "model", quantized=True)
    model, _ = load_model(path)
    lora = {"rank": 2, "scale": 2.0, "dropout": 0.1, "keys": ["self_attn.k_proj", "mlp.down_proj"]}
    make_trainable(model, config_for(path, tmp_path, lora_parameters=lora))
    model.eval()
    before = {name: np.array(array) for name, array in trainable(model).items()}
    assert prefix_refusal(model, model) == ""
    assert all(np.array_equal(array, before[name]) for name, array in trainable(model).items())


def test_a_gradient_that_does_not_reach_the_prefix_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = load(str(write_model(tmp_path)))
    assert prefix_refusal(model, model) == ""
    fetch = PrefixCache.update_and_fetch

    def cut_off(self: PrefixCache, keys: mx.array, values: mx.array) -> tuple[mx.array, ...]:
        self.kept = tuple(mx.stop_gradient(one) for one in self.kept)
        return fetch(self, keys, values)

    monkeypatch.setattr(PrefixCache, "update_and_fetch", cut_off)
    assert "learn" in prefix_refusal(model, model)


def test_rows_that_begin_at_a_wrong_place_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, _ = load(str(write_model(tmp_path)))

    def back(self: PrefixCache) -> None:
        self.offset = 1

    monkeypatch.setattr(PrefixCache, "go_on", back)
    assert "place" in prefix_refusal(model, model)


def test_other_memories_than_keys_and_values_are_refused(tmp_path: Path) -> None:
    model, _ = load(str(write_model(tmp_path, "mamba2", **STATE_SPACE)))
    assert "earlier tokens" in prefix_refusal(model, model)


def test_positions_that_do_not_turn_are_refused(tmp_path: Path) -> None:
    model, _ = load(str(write_model(tmp_path, "gpt2", **ABSOLUTE)))
    assert prefix_refusal(model, model)


def test_positions_that_turn_by_the_length_of_a_row_are_refused(tmp_path: Path) -> None:
    scaling = {"type": "dynamic", "factor": 2.0}
    model, _ = load(str(write_model(tmp_path, "llama", rope_scaling=scaling, max_position_embeddings=64)))
    assert "length" in prefix_refusal(model, model)


def test_a_window_that_the_model_masks_by_itself_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = load(str(write_model(tmp_path, "gemma3_text", **SLIDING)))
    assert prefix_refusal(model, model) == ""
    monkeypatch.setattr(model.model, "window_size", 300)
    assert "window of 6 tokens" in prefix_refusal(model, model)


def test_an_attention_with_a_mask_of_its_own(tmp_path: Path) -> None:
    """Where it takes the rows of a mask for heads, one mask for all rows is right, or else it is refused."""
    model, _ = load(str(write_model(tmp_path, **HEAD_MASKS)))
    if prefix_refusal(model, model):
        return
    arrays, whole = _arrays()
    np.testing.assert_allclose(_whole(prefixed_states(model, model, arrays)), model(whole), atol=1e-4)


def test_layers_that_share_their_keys_and_values_are_refused() -> None:
    cache = PrefixCache(set())
    with pytest.raises(ValueError, match="no keys"):
        cache.go_on()
    keys = mx.zeros((1, 2, 4, 8))
    cache.update_and_fetch(keys, keys)
    with pytest.raises(ValueError, match="share"):
        cache.update_and_fetch(keys, keys)


def test_what_a_row_behind_a_prefix_sees() -> None:
    cache = PrefixCache(asked := set[int]())
    assert (cache.make_mask(1), cache.make_mask(4)) == (None, "causal")
    cache.update_and_fetch(*[mx.zeros((1, 2, 2, 8))] * 2)
    cache.go_on()
    assert np.array(cache.make_mask(3, return_array=True)).astype(int).tolist() == [
        [1, 1, 1, 0, 0], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1],
    ]  # fmt: skip
    assert asked == set()
    assert np.array(cache.make_mask(3, window_size=2)).astype(int).tolist() == [
        [0, 1, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 0, 1, 1],
    ]  # fmt: skip
    assert asked == {2}
