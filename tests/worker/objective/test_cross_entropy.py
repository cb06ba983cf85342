"""The loss in pieces equals the plain one, and so do its gradients, for every kind of head."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm import load

from app.worker.model.head import Head, NoHead, find_head
from app.worker.model.loading import make_trainable
from app.worker.objective.cross_entropy import (
    cross_entropy_sum,
    measured_cross_entropy_sum,
    piecewise_cross_entropy_sum,
    rows_at_a_time,
)
from app.worker.objective.supervised import supervised
from tests.worker.tiny_model import write_model
from tests.worker.training import config_for, random_words

ROWS, WIDTH, VOCABULARY = 70, 24, 300


def _arrays() -> tuple[mx.array, mx.array, mx.array]:
    mx.random.seed(3)
    hidden = mx.random.normal((ROWS, WIDTH))
    targets = mx.random.randint(0, VOCABULARY, (ROWS,))
    weights = (mx.random.uniform(shape=(ROWS,)) > 0.3).astype(mx.float32)
    return hidden, targets, weights


def _plain(logits: mx.array, targets: mx.array, weights: mx.array) -> mx.array:
    return (nn.losses.cross_entropy(logits.astype(mx.float32), targets) * weights).sum()


def _heads() -> dict[str, Callable[[mx.array], mx.array]]:
    mx.random.seed(4)
    linear = nn.Linear(WIDTH, VOCABULARY)
    tied = nn.Embedding(VOCABULARY, WIDTH)
    quantized = nn.QuantizedLinear.from_linear(nn.Linear(32, VOCABULARY, bias=False), 32, 4)
    return {
        "linear": linear,
        "tied": tied.as_linear,
        "soft-capped": lambda h: mx.tanh(linear(h) / 3) * 3,
        "scaled": lambda h: linear(h) * 0.25,
        "quantized": lambda h: quantized(mx.pad(h, [(0, 0), (0, 32 - WIDTH)])),
    }


@pytest.mark.parametrize("head", _heads())
@pytest.mark.parametrize("rows", [32, 64, 96])
def test_pieces_equal_the_whole(head: str, rows: int) -> None:
    logits_of = _heads()[head]
    hidden, targets, weights = _arrays()
    wanted, wanted_gradient = mx.value_and_grad(lambda h: _plain(logits_of(h), targets, weights))(hidden)
    found, gradient = mx.value_and_grad(
        lambda h: piecewise_cross_entropy_sum(logits_of, h, targets, weights, rows)
    )(hidden)
    measured = measured_cross_entropy_sum(logits_of, hidden, targets, weights, rows)
    np.testing.assert_allclose(found.item(), wanted.item(), rtol=1e-5)
    np.testing.assert_allclose(measured.item(), wanted.item(), rtol=1e-5)
    np.testing.assert_allclose(gradient, wanted_gradient, atol=2e-6)


def test_gradient_by_logits_scales_with_what_comes_after() -> None:
    hidden, targets, weights = _arrays()
    logits = mx.random.normal((ROWS, VOCABULARY))
    wanted = mx.grad(lambda x: mx.square(_plain(x, targets, weights)))(logits)
    found = mx.grad(lambda x: mx.square(cross_entropy_sum(x, targets, weights)))(logits)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)
    by_hidden = mx.grad(lambda h: 2 * piecewise_cross_entropy_sum(_heads()["linear"], h, targets, weights, 32))
    once = mx.grad(lambda h: piecewise_cross_entropy_sum(_heads()["linear"], h, targets, weights, 32))
    np.testing.assert_allclose(by_hidden(hidden), 2 * once(hidden), atol=1e-6)


def test_low_precision_logits_are_summed_in_float32() -> None:
    """Stock mlx-lm's loss in bfloat16 is off in the third digit; ours is the float32 loss of the same logits."""
    _, targets, weights = _arrays()
    logits = mx.random.normal((ROWS, VOCABULARY)).astype(mx.bfloat16)
    exact = _plain(logits.astype(mx.float32), targets, weights).item()
    assert cross_entropy_sum(logits, targets, weights).item() == pytest.approx(exact, rel=1e-6)


def test_pieces_keep_to_their_memory() -> None:
    assert rows_at_a_time(152_000) * 152_000 * 4 < 35e6
    assert rows_at_a_time(10**9) == 16
    assert rows_at_a_time(256) > 10_000


MODELS: dict[str, dict[str, Any]] = {
    "tied": {},
    "untied": {"tied": False},
    "llama": {"model_type": "llama", "tied": False},
    "quantized": {"quantized": True, "tied": False},
    "tied and quantized": {"quantized": True},
    "soft cap": {"model_type": "gemma2", "head_dim": 8, "final_logit_softcapping": 5.0},
    "multiplied": {"model_type": "cohere", "logit_scale": 0.25, "layer_norm_eps": 1e-5},
    "divided": {
        "model_type": "granite", "logits_scaling": 4.0, "attention_multiplier": 0.5, "embedding_multiplier": 2.0,
        "residual_multiplier": 0.5, "attention_bias": False, "mlp_bias": False,
    },
    "divided before the head": {
        "model_type": "minicpm", "dim_model_base": 8, "tied": False, "scale_depth": 1.4, "scale_emb": 12,
    },
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_models_are_taken_apart(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loss and gradients by the adapters equal those through the model in one piece, also where pieces are many."""
    folder = write_model(tmp_path, **MODELS[name])
    model, _ = load(str(folder))
    keys = ["self_attn.q_proj", "mlp.down_proj"]
    make_trainable(model, config_for(folder, tmp_path, lora_parameters={"rank": 2, "scale": 2.0, "keys": keys}))
    head = find_head(model)
    assert isinstance(head, Head)
    monkeypatch.setattr("app.worker.objective.cross_entropy.PIECE_ELEMENTS", 32 * head.vocabulary)
    mx.random.seed(0)
    inputs = mx.random.randint(0, 200, (3, 24))
    positions = mx.array(np.flatnonzero(np.arange(72) % 3 == 0).astype(np.int32))
    arrays = {
        "inputs": inputs,
        "positions": mx.concatenate([positions] * 2),
        "targets": mx.random.randint(0, 200, (48,)),
        "weights": mx.ones((48,)),
    }
    gradients = []
    for way in (head, NoHead("the plain way")):
        objective = supervised(way)
        loss, gradient = nn.value_and_grad(model, lambda arrays, f=objective: f(model, arrays)[0])(arrays)
        gradients.append((loss.item(), dict(tree_flatten(gradient))))
    (found, ours), (wanted, plain) = gradients
    assert found == pytest.approx(wanted, rel=1e-5)
    assert any(mx.any(array != 0).item() for array in plain.values())
    for key in plain:
        np.testing.assert_allclose(ours[key], plain[key], atol=2e-5 * max(1, float(mx.abs(plain[key]).max())))


def test_trained_heads_stay_in_one_piece(tmp_path: Path) -> None:
    folder = write_model(tmp_path, tied=False)
    model, _ = load(str(folder))
    make_trainable(model, config_for(folder, tmp_path, lora_parameters={"rank": 2, "keys": ["lm_head"]}))
    head = find_head(model)
    assert isinstance(head, NoHead)
    assert "trained" in head.reason


def test_looking_for_the_head_leaves_no_trace(tmp_path: Path) -> None:
    folder = write_model(tmp_path)
    model, _ = load(str(folder))
    model.train()
    mx.random.seed(7)
    before = random_words()
    find_head(model)
    assert model.training
    assert random_words() == before
