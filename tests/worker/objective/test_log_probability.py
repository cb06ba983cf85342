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
from app.core.setup.memory_term import grown
from app.worker.batch.answer import answer_arrays, answers_in_row
from app.worker.batch.branch import branch_refusal
from app.worker.batch.shape import Costs, Shape
from app.worker.model.head import Head, NoHead, find_head
from app.worker.model.loading import load_model, make_trainable, trainable
from app.worker.objective import log_probability
from app.worker.objective.log_probability import answer_log_probabilities
from app.worker.objective.reference import Reference
from app.worker.token.token_set import Example
from tests.worker.tiny_model import VOCABULARY, write_model

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
    arrays = answer_arrays(examples(), [[0], [1], [2]], Shape(4, 16, 16))
    assert arrays["mask"].sum(axis=1).tolist() == [4, 5, 2]
    shares = (
        mx.array(np.random.default_rng(1).normal(size=arrays["mask"].shape).astype(np.float32)) * arrays["mask"]
    )

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


def groups() -> list[Example]:
    """Three answers to one prompt, two of which begin alike, and three to another."""
    random = np.random.default_rng(3)
    prompts = [random.integers(4, 200, size) for size in (9, 4)]
    answers = [[5, 6, 7, 8], [5, 6, 9], [10], [11, 12], [13, 14, 15], [11]]
    found = []
    for at, answer in enumerate(answers):
        prompt = prompts[at // 3]
        learned = np.arange(len(prompt) + len(answer)) >= len(prompt)
        found.append(Example(np.array([*prompt, *answer], np.int32), learned))
    return found


@pytest.mark.parametrize("has_head", [True, False])
@pytest.mark.parametrize("rows", [[[0, 1, 2], [3, 4, 5]], [[2, 1], [0], [4, 3], [5]], [[n] for n in range(6)]])
def test_answers_in_one_row_are_those_of_their_own_rows(
    has_head: bool, rows: list[list[int]], tmp_path: Path
) -> None:
    """By example and token, whichever stand together: value and gradient are those of each whole conversation."""
    model, _ = model_of(tmp_path)
    disturb(model)
    head = find_head(model)
    used = head if has_head else NoHead("a test", head.vocabulary)
    assert branch_refusal(model, model) == ""
    model.train()
    arrays = answer_arrays(groups(), rows, Shape(len(rows), 32, 16))
    assert ("branches" in arrays) == any(len(row) > 1 for row in rows)
    assert arrays["mask"].sum(axis=1).tolist() == [4, 3, 1, 2, 3, 1]
    shares = mx.array(np.random.default_rng(1).normal(size=arrays["mask"].shape), mx.float32) * arrays["mask"]

    def ours(model: nn.Module) -> mx.array:
        return (answer_log_probabilities(model, used, arrays) * shares).sum()

    def theirs(model: nn.Module) -> mx.array:
        each = [plain(model, example) for example in groups()]
        return sum(((one * shares[n, : len(one)]).sum() for n, one in enumerate(each)), mx.array(0.0))

    found, gradient = nn.value_and_grad(model, ours)(model)
    wanted, wanted_gradient = nn.value_and_grad(model, theirs)(model)
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    for (name, one), (_, other) in zip(tree_flatten(gradient), tree_flatten(wanted_gradient), strict=True):
        np.testing.assert_allclose(np.array(one), np.array(other), rtol=1e-3, atol=1e-5, err_msg=name)


def test_a_row_takes_as_many_answers_as_cost_least() -> None:
    """Short answers to a long prompt go into one row, long ones to a short prompt keep theirs: with 8 of 1,000
    tokens in one row each would attend over 8,000."""
    costs = Costs(attention_span=2000, branches=True)
    assert answers_in_row(512, 32, 1, 8, costs) == 8
    assert answers_in_row(16, 1000, 1, 8, costs) == 1
    assert 1 < answers_in_row(600, 300, 2, 8, costs) < 8
    assert answers_in_row(512, 32, 1, 8, Costs(attention_span=2000)) == 1


@pytest.mark.parametrize("wants_gradient", [True, False])
def test_not_all_logits_are_held_at_the_same_time(wants_gradient: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 1,024 positions and 8,192 words all logits are 34 MB; a piece of 32 rows is a thirty-second of them."""
    monkeypatch.setattr(log_probability, "rows_at_a_time", lambda _: 32)
    mx.random.seed(0)
    model = nn.Linear(16, 8192, bias=False)
    states = mx.random.normal((4, 256, 16))
    head = Head(lambda _inputs, **_: states + model.weight[0], model, 8192, 16, "a test")
    arrays = {"inputs": states, "positions": mx.arange(1024), "targets": mx.random.randint(0, 8192, (1024,))}
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
    arrays = answer_arrays(examples(), [[0], [1], [2]], Shape(3, 16, 16))
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
    arrays = answer_arrays(examples(), [[0], [1], [2]], Shape(3, 16, 16))
    reference = Reference(model, find_head(model), config)
    found = reference.log_probabilities(arrays)
    assert (len(reference.model.layers), len(model.layers)) == (1, 2)
    assert reference.head.vocabulary == VOCABULARY
    wanted_model, _ = load_model(other)
    wanted_model.freeze()
    wanted = answer_log_probabilities(wanted_model, find_head(wanted_model), arrays)
    np.testing.assert_array_equal(np.array(found), np.array(wanted))


def test_shapes_grow_in_few_steps() -> None:
    sizes = sorted({grown(size) for size in range(1, 4097)})
    assert all(grown(size) >= size for size in range(1, 4097))
    assert all(size % 16 == 0 and grown(size) == size for size in sizes)
    assert len(sizes) < 32
