"""Training as people run it: compiled by MLX, which the other tests leave out. Held against the same uncompiled.

Compiled, MLX traces a step once a shape; what the trace does not know to be input stays as it was when it was made:
a mask of dropout, a learning rate, a sum of gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlx.core as mx
import numpy as np
import pytest

from app.core.config.train_config import TrainConfig
from app.core.protocol.event import Finished, TrainReported
from app.core.protocol.program import compiles_kernels
from app.worker.array import Arrays
from app.worker.model.head import find_head
from app.worker.model.loading import load_model, make_trainable, trainable
from app.worker.objective.supervised import supervised
from app.worker.train.optimizer import build_optimizer
from app.worker.train.step import Step
from tests.worker.tiny_model import write_data, write_model
from tests.worker.train.test_resume import stop_at, weights
from tests.worker.training import config_for, go_on, start


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("MLX_DISABLE_COMPILE", raising=False)
    if not compiles_kernels():
        pytest.skip("MLX has no compiler here")
    mx.enable_compile()
    yield
    mx.disable_compile()


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The smallest model, with rows of a few lengths."""
    folder = tmp_path_factory.mktemp("inputs")
    model = write_model(folder / "model", layers=1, hidden_size=16)
    return model, write_data(folder / "data", train=12, valid=4, longest=8)


LORA = {"rank": 2, "scale": 4.0, "dropout": 0.5, "keys": ["self_attn.q_proj"]}


def random_batch(rows: int, width: int, seed: int, prefix: int = 0) -> Arrays:
    random = np.random.default_rng(seed)
    tokens = random.integers(5, 200, (rows, width + 1))
    first = random.integers(5, 200, prefix)
    targets = np.concatenate([first, tokens[:, 1:].reshape(-1)])
    arrays = {"inputs": mx.array(tokens[:, :-1]), "targets": mx.array(targets), "weights": mx.ones(targets.shape)}
    return arrays | ({"prefix": mx.array(first)[None]} if prefix else {})


def steps(config: TrainConfig, batches: list[Arrays], accumulation: int = 1) -> tuple[list[Any], dict[str, Any]]:
    """Losses and norms of one iteration after the other, and the weights after them."""
    mx.random.seed(3)
    model, _ = load_model(Path(config.model))
    make_trainable(model, config)
    optimizer = build_optimizer(config)
    model.train()
    step = Step(
        model, optimizer, supervised(find_head(model)), accumulation=accumulation, clip=config.max_grad_norm
    )
    said = []
    for number, batch in enumerate(batches, start=1):
        outcome = step([batch], update=number % accumulation == 0)
        norm = None if outcome.grad_norm is None else outcome.grad_norm.item()
        said.append((outcome.loss.item(), norm))
    return said, {name: np.array(array) for name, array in trainable(model).items()}


WAYS: dict[str, tuple[dict[str, Any], int]] = {
    "dropout, shapes": ({}, 1),
    "schedule": ({"schedule": "linear", "warmup": 2, "max_grad_norm": 0.01}, 1),
    "accumulation": ({"max_grad_norm": 0.01}, 2),
    "prefix": ({"max_grad_norm": 0.01}, 2),
}


@pytest.mark.parametrize("way", WAYS)
def test_compiled_steps_are_those_that_are_not(way: str, inputs: tuple[Path, Path]) -> None:
    values, accumulation = WAYS[way]
    config = config_for(*inputs, lora_parameters=LORA, learning_rate=0.05, iters=6, **values)
    same = random_batch(2, 8, seed=1)
    second, fourth = random_batch(1, 8, seed=2), random_batch(1, 8, seed=4)
    if way == "prefix":
        second, fourth = random_batch(3, 4, seed=2, prefix=5), random_batch(3, 4, seed=4, prefix=5)
    batches = [same, same, second, same, fourth, same]
    found, trained = steps(config, batches, accumulation)
    mx.disable_compile()
    wanted, expected = steps(config, batches, accumulation)
    for (loss, norm), (wanted_loss, wanted_norm) in zip(found, wanted, strict=True):
        assert loss == pytest.approx(wanted_loss, rel=1e-4)
        assert norm == (None if wanted_norm is None else pytest.approx(wanted_norm, rel=1e-3))
    for name, array in trained.items():
        np.testing.assert_allclose(array, expected[name], rtol=2e-3, atol=2e-4, err_msg=name)


def test_every_compiled_step_draws_another_mask(inputs: tuple[Path, Path]) -> None:
    """The same batch, and weights that stay: only dropout can make its losses differ."""
    config = config_for(*inputs, lora_parameters=LORA | {"scale": 40.0}, learning_rate=0.5, iters=3)
    model, _ = load_model(inputs[0])
    make_trainable(model, config)
    optimizer = build_optimizer(config)
    model.train()
    step = Step(model, optimizer, supervised(find_head(model)))
    batch = random_batch(2, 8, seed=1)
    step([batch], update=True)  # only now the adapter adds something that could be dropped
    optimizer.learning_rate = 0.0
    losses = [step([batch], update=True).loss.item() for _ in range(4)]
    assert len(set(losses)) == 4


def test_a_compiled_run_resumes_to_the_last_bit(inputs: tuple[Path, Path], tmp_path: Path) -> None:
    config = config_for(
        *inputs, iters=6, steps_per_report=1, steps_per_eval=3, save_every=3, lora_parameters=LORA,
        schedule="cosine", warmup=2, final_adapter="last", early_stopping={"enabled": False},
    )  # fmt: skip
    undisturbed, whole = start(config, tmp_path / "undisturbed")
    run, first = start(config, tmp_path / "run", stop_at(2))
    assert first.of(Finished)[-1].reason == "stopped"
    second = go_on(run, resume=True)
    assert first.losses + second.losses == whole.losses
    assert len(set(whole.losses)) == 6
    assert weights(run) == weights(undisturbed)
    rates = [event.learning_rate for part in (first, second) for event in part.of(TrainReported)]
    assert rates == [event.learning_rate for event in whole.of(TrainReported)]
    assert rates[0] < rates[1] > rates[-1]
