"""Log-probabilities of answers equal the plain computation in value and gradient; the reference is the base."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten

from app.core.config.train_config import TrainConfig
from app.worker.batch.answer import answer_arrays, answer_shape, grown
from app.worker.batch.shape import Shape
from app.worker.model.head import Head, NoHead, find_head
from app.worker.model.loading import load_model, make_trainable, trainable
from app.worker.objective import log_probability
from app.worker.objective.log_probability import answer_log_probabilities
from app.worker.objective.reference import Reference
from app.worker.token.token_set import Example
from tests.worker.tiny_model import write_model

KEYS = ("self_attn.q_proj", "mlp.down_proj")


def model_of(folder: Path, kind: str = "lora", **more: Any) -> tuple[nn.Module, TrainConfig]:
    """A model with changed adapters, and its config."""
    config = TrainConfig.model_validate(
        {"fine_tune_type": kind, "num_layers": 2, "lora_parameters": {"rank": 2, "scale": 4.0, "keys": KEYS}} | more
    )
    model, _ = load_model(write_model(folder))
    make_trainable(model, config)
    return model, config


def disturb(model: nn.Module) -> None:
    mx.random.seed(5)
    arrays = {name: array + mx.random.normal(array.shape) * 0.1 for name, array in trainable(model).items()}
    model.load_weights(list(arrays.items()), strict=False)


def examples() -> list[Example]:
    random = np.random.default_rng(0)
    lengths = ((9, 4), (6, 5), (12, 2))
    return [
        Example(random.integers(4, 200, size).astype(np.int32), np.arange(size) >= size - learned)
        for size, learned in lengths
    ]


def plain(model: nn.Module, example: Example, temperature: float = 1.0) -> mx.array:
    """One example by itself, from all logits."""
    logits = model(mx.array(example.tokens[:-1])[None])[0].astype(mx.float32) / temperature
    every = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    at = np.flatnonzero(example.trained[1:])
    return every[mx.array(at), mx.array(example.tokens[1:][at])]


@pytest.mark.parametrize("pieces", [False, True])
@pytest.mark.parametrize("has_head", [True, False])
@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_values_and_gradients(
    pieces: bool, has_head: bool, temperature: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, _ = model_of(tmp_path)
    disturb(model)
    model.train()
    head = find_head(model)
    assert isinstance(head, Head)
    if pieces:
        monkeypatch.setattr(log_probability, "rows_at_a_time", lambda _: 4)
    used = head if has_head else NoHead("a test", head.vocabulary)
    arrays = answer_arrays(examples(), Shape(4, 16, 4 * 8))
    assert arrays["mask"].sum(axis=1).tolist() == [4, 5, 2, 0]
    shares = mx.array(np.random.default_rng(1).normal(size=(4, 8)).astype(np.float32)) * arrays["mask"]

    def ours(model: nn.Module) -> mx.array:
        return (answer_log_probabilities(model, used, arrays, temperature) * shares).sum()

    def theirs(model: nn.Module) -> mx.array:
        return sum(
            (plain(model, example, temperature) * shares[row, : int(example.trained[1:].sum())]).sum()
            for row, example in enumerate(examples())
        )  # type: ignore[return-value]

    found, gradient = nn.value_and_grad(model, ours)(model)
    wanted, wanted_gradient = nn.value_and_grad(model, theirs)(model)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    for (name, one), (_, other) in zip(tree_flatten(gradient), tree_flatten(wanted_gradient), strict=True):
        np.testing.assert_allclose(np.array(one), np.array(other), rtol=1e-3, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("wants_gradient", [True, False])
def test_not_all_logits_are_held_at_the_same_time(wants_gradient: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,024 positions and 8,192 words all logits are 34 MB; a piece of 32 rows is a thirty-second of them."""
    monkeypatch.setattr(log_probability, "rows_at_a_time", lambda _: 32)
    mx.random.seed(0)
    model = nn.Linear(16, 8192, bias=False)
    states = mx.random.normal((4, 256, 16))
    head = Head(lambda _inputs, **_: states + model.weight[0], model, 8192, 16, "a test")
    arrays = {"inputs": states, "positions": mx.arange(1024).reshape(4, 256)}
    arrays["targets"] = mx.random.randint(0, 8192, (4, 256))
    model.train(wants_gradient)
    mx.eval(model.parameters(), arrays)

    def total(model: nn.Module) -> mx.array:
        return answer_log_probabilities(model, head, arrays).sum()

    mx.clear_cache()
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    mx.eval(nn.value_and_grad(model, total)(model) if wants_gradient else total(model))
    assert mx.get_peak_memory() - before < 4 * 1024 * 8192 / 2


@pytest.mark.parametrize("kind", ["lora", "dora", "full"])
def test_the_reference_is_the_base(kind: str, tmp_path: Path) -> None:
    model, config = model_of(tmp_path, kind)
    reference = Reference(model, find_head(model), config)
    disturb(model)
    changed = trainable(model)
    arrays = answer_arrays(examples(), Shape(3, 16, 3 * 8))
    model.train()
    found = reference.log_probabilities(arrays)
    assert model.training
    assert all((trainable(model)[name] == array).all() for name, array in changed.items())
    base, _ = load_model(tmp_path)
    wanted = answer_log_probabilities(base, find_head(base), arrays)
    # The base's head may be taken apart where the trained model's is not: matrices of other shapes round otherwise.
    np.testing.assert_allclose(np.array(found), np.array(wanted), rtol=1e-5)
    assert not mx.allclose(answer_log_probabilities(model, find_head(model), arrays), wanted, atol=1e-3)


def test_another_model_as_the_reference(tmp_path: Path) -> None:
    other = write_model(tmp_path / "other", layers=1)
    model, config = model_of(tmp_path / "own", reference_model_path=str(other))
    arrays = answer_arrays(examples(), Shape(3, 16, 3 * 8))
    found = Reference(model, find_head(model), config).log_probabilities(arrays)
    wanted_model, _ = load_model(other)
    wanted_model.freeze()
    wanted = answer_log_probabilities(wanted_model, find_head(wanted_model), arrays)
    np.testing.assert_array_equal(np.array(found), np.array(wanted))


def test_shapes_grow_in_few_steps() -> None:
    sizes = sorted({grown(size) for size in range(1, 4097)})
    assert all(grown(size) >= size for size in range(1, 4097))
    assert all(size % 16 == 0 and grown(size) == size for size in sizes)
    assert len(sizes) < 32
    assert answer_shape(2, 17, 3) == Shape(2, grown(17), 32)
