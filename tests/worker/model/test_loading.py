"""Loading: what mlx-lm says of files that do not fit a model's config reaches people in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import pytest
from mlx.utils import tree_flatten, tree_map

from app.core.config.train_config import TrainConfig
from app.core.problem import UnusableError
from app.worker.model import loading
from app.worker.model.loading import grad_checkpoint, load_model, make_trainable
from app.worker.token.tokenizer import load_tokenizer
from tests.worker.answering_model import make_model
from tests.worker.tiny_model import write_model
from tests.worker.training import random_words


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"num_hidden_layers": 2}, "hold 12 weights that a model of its config has not, such as model.layers.2."),
        ({"num_hidden_layers": 4}, "lack 12 weights that its config asks for, such as model.layers.3."),
        ({"intermediate_size": 32}, "is 128 × 64 in its files, and 32 × 64 by its config"),
    ],
)
def test_weights_that_do_not_fit_the_config(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    """A layer of the tiny Qwen2 has 12 tensors: 4 matrices and 3 biases, 3 matrices of the MLP, 2 norms."""
    path = make_model(tmp_path / "model") / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UnusableError) as caught:
        load_model(tmp_path / "model")
    assert said in str(caught.value)


def test_two_weight_files_that_contradict_each_other(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "model")
    weights = mx.load(str(folder / "model.safetensors"))
    assert isinstance(weights, dict)
    again = folder / "model-00001-of-00001.safetensors"
    mx.save_safetensors(str(again), weights)
    load_model(folder)
    mx.save_safetensors(str(again), {name: array * 2 for name, array in weights.items()})
    with pytest.raises(UnusableError, match="which of them counts is chance"):
        load_model(folder)


def test_a_tokenizer_that_cannot_be_read(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    (folder / "tokenizer.json").write_text('{"model": 3}')
    with pytest.raises(UnusableError, match="The tokenizer's files cannot be read"):
        load_tokenizer(str(folder))


def test_dropout_leaves_out_the_same_when_it_is_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gradient is that of the function that gave the loss: along it the loss changes by its square.

    Where the backward pass leaves out other inputs than the forward pass did (as mlx-lm's checkpointing does), it
    is the gradient of something else.
    """
    model, _ = load_model(write_model(tmp_path / "model"))
    monkeypatch.setattr(type(model.layers[0]), "__call__", type(model.layers[0]).__call__)  # put back afterwards
    shape = {"rank": 4, "scale": 8.0, "dropout": 0.5, "keys": ["self_attn.q_proj", "mlp.down_proj"]}
    config = TrainConfig.model_validate({"lora_parameters": shape})
    make_trainable(model, config)
    model.update(tree_map(lambda a: a + 0.1 * mx.random.normal(a.shape), model.trainable_parameters()))
    grad_checkpoint(model)
    model.train()
    tokens = mx.array([[5, 9, 40, 7, 11, 90]])

    def loss(parameters: dict[str, Any]) -> mx.array:
        mx.random.seed(3)
        model.update(parameters)
        return nn.losses.cross_entropy(model(tokens[:, :-1]), tokens[:, 1:], reduction="mean")

    parameters = model.trainable_parameters()
    gradient = mx.grad(loss)(parameters)
    square = sum(mx.square(array).sum().item() for _, array in tree_flatten(gradient))
    step = 1e-2 / square**0.5
    forth, back = (
        loss(tree_map(lambda p, g, s=sign: p + s * step * g, parameters, gradient)).item() for sign in (1, -1)
    )
    assert (forth - back) / (2 * step) == pytest.approx(square, rel=2e-2)
    mx.random.seed(3)
    first = model(tokens)
    assert not mx.array_equal(first, model(tokens)), "each pass leaves out something else"


@pytest.mark.parametrize(("num_layers", "count", "recomputed"), [
    (-1, 0, [0, 1, 2, 3]), (-1, 1, [0]), (-1, 3, [0, 1, 2]), (-1, 9, [0, 1, 2, 3]),
    (2, 1, [2]), (2, 0, [0, 1, 2, 3]),
])  # fmt: skip
def test_the_lowest_layers_that_the_gradient_passes_compute_anew(
    num_layers: int, count: int, recomputed: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them is computed twice, the others once; the gradients are those of keeping all, to the last bits."""
    model, _ = load_model(write_model(tmp_path / "model", layers=4))
    kind = type(model.layers[0])
    monkeypatch.setattr(kind, "__call__", kind.__call__)  # put back afterwards
    shape = {"rank": 4, "scale": 8.0, "dropout": 0.0, "keys": ["self_attn.q_proj", "mlp.down_proj"]}
    make_trainable(model, TrainConfig.model_validate({"lora_parameters": shape, "num_layers": num_layers}))
    model.update(tree_map(lambda a: a + 0.1 * mx.random.normal(a.shape), model.trainable_parameters()))
    tokens = mx.array([[5, 9, 40, 7, 11, 90]])

    def gradients() -> dict[str, mx.array]:
        def loss(model: nn.Module) -> mx.array:
            return nn.losses.cross_entropy(model(tokens[:, :-1]), tokens[:, 1:], reduction="mean")

        return dict(tree_flatten(nn.value_and_grad(model, loss)(model)[1]))

    kept = gradients()
    counted: list[int] = []
    plain = kind.__call__

    def counting(layer: nn.Module, *args: Any, **kwargs: Any) -> Any:
        counted.append(next(index for index, other in enumerate(model.layers) if other is layer))
        return plain(layer, *args, **kwargs)

    monkeypatch.setattr(kind, "__call__", counting)
    grad_checkpoint(model, count)
    again = gradients()
    assert kept.keys() == again.keys()
    assert all(mx.allclose(kept[name], again[name], rtol=1e-6, atol=1e-8) for name in kept)
    passed = [index for index in recomputed if num_layers < 0 or index >= 4 - num_layers]
    assert {index for index in range(4) if counted.count(index) > 1} == set(passed)


def test_a_later_model_at_the_same_address_computes_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a run's losses were not those of its other half: a layer stood where one had stood that computed anew,
    and drew its dropout from the run's random state once more."""
    monkeypatch.setattr(loading, "id", lambda _: 1, raising=False)  # what is dropped leaves its address to the next
    model, _ = load_model(write_model(tmp_path / "model", layers=1))
    kind, mlp = type(model.layers[0]), type(model.layers[0].mlp)
    monkeypatch.setattr(kind, "__call__", kind.__call__)  # put back afterwards
    make_trainable(
        model, TrainConfig.model_validate({"lora_parameters": {"dropout": 0.5, "keys": ["mlp.up_proj"]}})
    )
    grad_checkpoint(model)
    layer = kind(model.args)
    computed: list[nn.Module] = []
    plain = mlp.__call__

    def counting(module: nn.Module, x: mx.array) -> Any:
        computed.append(module)
        return plain(module, x)

    monkeypatch.setattr(mlp, "__call__", counting)
    before = random_words()
    mx.eval(nn.value_and_grad(layer, lambda x: layer(x).sum())(mx.ones((1, 3, model.args.hidden_size))))
    assert (len(computed), random_words()) == (1, before)
