"""What a batch learns is the same whether its examples compute alone what they begin with or share it: as mlx-lm's
own loss of each row by itself."""

from __future__ import annotations

import importlib
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner.trainer import default_loss

from app.worker.array import scalar
from app.worker.batch.batch import Batch
from app.worker.batch.examples import Examples
from app.worker.batch.plan import BatchPlan
from app.worker.batch.prefix import prefix_refusal
from app.worker.model.head import Head, NoHead, find_head
from app.worker.objective.supervised import supervised
from tests.worker.architectures import config_of
from tests.worker.batch.test_prefix_choice import COSTS, chats

NAMES = ["llama", "qwen3", "qwen3_moe", "mixtral", "phi3", "olmo2", "gemma3_text", "gpt_oss", "glm4", "granite"]


def _model(name: str) -> nn.Module:
    config = config_of(name) | ({"sliding_window_pattern": 2} if name == "gemma3_text" else {})
    module = importlib.import_module(f"mlx_lm.models.{config['model_type']}")
    mx.random.seed(1)
    model: nn.Module = module.Model(module.ModelArgs.from_dict(config))
    model.train()
    return model


def _stock(model: nn.Module, examples: Examples, numbers: list[int]) -> mx.array:
    """The mean over the learned tokens of all rows, each by itself."""
    total, count = mx.array(0.0), 0
    for number in numbers:
        tokens, trained = examples.row(number)
        at = np.flatnonzero(trained[1:]) + 1
        loss, learned = default_loss(model, mx.array(tokens)[None], mx.array([[int(at[0]), int(at[-1])]]))
        assert int(learned.item()) == len(at)
        total, count = total + loss * len(at), count + len(at)
    return total / count


def _ours(model: nn.Module, head: Head | NoHead, batch: Batch) -> mx.array:
    sums = [supervised(head)(model, arrays)[:2] for arrays in batch.parts]
    total: mx.array = sum((loss for loss, _ in sums), mx.array(0.0))
    return total / sum((weight for _, weight in sums), mx.array(0.0))


def _gradient(model: nn.Module, loss: Any) -> tuple[float, dict[str, mx.array]]:
    value, gradient = nn.value_and_grad(model, loss)(model)
    return value.item(), dict(tree_flatten(gradient))


@pytest.mark.parametrize("learned", ["answer", "all"])
@pytest.mark.parametrize("name", NAMES)
def test_a_batch_learns_what_its_rows_learn_alone(name: str, learned: str) -> None:
    """Several beginnings in one batch, one of them the beginning of another, one row without; longer than the
    windows that some of these models have."""
    model = _model(name)
    examples = chats([9, 20, 14, 30] * 24, [40, 90, 90, 0], learned=learned)
    plan = BatchPlan(examples, 12, "bucket", 0, costs=COSTS)
    head = find_head(model)
    assert prefix_refusal(model, head.body if isinstance(head, Head) else model) == ""
    numbers = [plan.order(0)[at].tolist() for at in range(8)]
    at = max(range(8), key=lambda one: len({shape.shared for shape in plan.batch(one + 1).shapes}))
    batch = plan.batch(at + 1)
    assert len({shape.shared for shape in batch.shapes if shape.shared}) > 1
    loss, found = _gradient(model, lambda model: _ours(model, head, batch))
    wanted_loss, wanted = _gradient(model, lambda model: _stock(model, examples, numbers[at]))
    assert loss == pytest.approx(wanted_loss, rel=1e-5)
    size = scalar(mx.sqrt(sum((mx.square(one).sum() for one in wanted.values()), mx.array(0.0))))
    for path, gradient in wanted.items():
        apart = scalar(mx.linalg.norm((found[path] - gradient).reshape(-1)))
        own = scalar(mx.linalg.norm(gradient.reshape(-1)))
        assert apart <= 2e-4 * own + 1e-6 * size, path
