"""A cut batch makes the step of the whole one: the same loss, gradient norm and weights."""

from __future__ import annotations

from pathlib import Path

import mlx.core as mx
import mlx.optimizers as optim
import numpy as np
import pytest

from app.worker.array import scalar
from app.worker.batch.batch import Batch, assemble
from app.worker.batch.examples import Examples
from app.worker.batch.plan import BatchPlan
from app.worker.batch.shape import rounded
from app.worker.model.head import find_head
from app.worker.model.loading import load_model, make_trainable, trainable
from app.worker.objective.supervised import supervised
from app.worker.token.token_set import Example, TokenSet
from app.worker.train.step import Step
from tests.worker.tiny_model import write_model
from tests.worker.training import config_for

LENGTHS = [5, 90, 12, 40, 7, 33, 64, 9]


def batches(prompt: int) -> tuple[Batch, Batch]:
    """All examples as one batch, cut into pieces and padded to the longest."""
    random = np.random.default_rng(3)
    rows = [Example(random.integers(1, 200, n).astype(np.int32), np.arange(n) >= prompt) for n in LENGTHS]
    examples = Examples.of(TokenSet.from_examples(rows), 256)
    plan = BatchPlan(examples, len(examples), "bucket", 0)
    targets = int(examples.targets.sum())
    shape = rounded(len(examples), int(examples.inputs.max()), targets, 255)
    return plan.batch(1), assemble(examples, [[number] for number in range(len(examples))], shape)


@pytest.mark.parametrize("prompt", [0, 4])
@pytest.mark.parametrize("accumulation", [1, 2])
@pytest.mark.parametrize("kind", ["lora", "full"])
def test_pieces_add_up_to_the_whole_batch(tmp_path: Path, kind: str, accumulation: int, prompt: int) -> None:
    model_path = write_model(tmp_path / "model")
    keys = ["self_attn.q_proj", "mlp.down_proj"]
    lora = {"rank": 2, "scale": 2.0, "dropout": 0.0, "keys": keys}
    config = config_for(model_path, tmp_path, fine_tune_type=kind, lora_parameters=lora)
    found = []
    cut, whole = batches(prompt)
    assert len(cut.parts) > 1
    assert cut.positions < whole.positions
    for batch, is_cut in ((cut, True), (whole, False)):
        mx.random.seed(0)
        model, _ = load_model(model_path)
        make_trainable(model, config)
        optimizer = optim.SGD(0.1)
        optimizer.init(model.trainable_parameters())
        step = Step(model, optimizer, supervised(find_head(model)), accumulation=accumulation, is_cut=is_cut)
        outcomes = [step(batch.parts, update=number + 1 == accumulation) for number in range(accumulation)]
        assert step.accumulated is None
        last = outcomes[-1].grad_norm
        assert last is not None
        found.append(([outcome.loss.item() for outcome in outcomes], last.item(), trainable(model)))
    (losses, norm, weights), (wanted_losses, wanted_norm, wanted_weights) = found
    assert losses == pytest.approx(wanted_losses, rel=1e-5)
    assert norm == pytest.approx(wanted_norm, rel=1e-4)
    for name, array in weights.items():
        assert mx.allclose(array, wanted_weights[name], rtol=1e-4, atol=1e-6), name


@pytest.mark.parametrize("share", [0.25, 1.0, 4.0, 1e6])
def test_clipping_shortens_long_gradients_and_leaves_short_ones(share: float, tmp_path: Path) -> None:
    """Plain SGD moves each weight by rate · gradient; a bound of ``share`` norms scales it by at most 1."""
    model_path = write_model(tmp_path / "model", layers=1)
    moved = {}
    norm = 0.0
    for clip in (0.0, share):
        mx.random.seed(0)
        model, _ = load_model(model_path)
        make_trainable(model, config_for(model_path, tmp_path, fine_tune_type="full"))
        before = {name: np.array(array) for name, array in trainable(model).items()}
        optimizer = optim.SGD(0.1)
        optimizer.init(model.trainable_parameters())
        step = Step(model, optimizer, supervised(find_head(model)), clip=clip * norm)
        found = step(batches(0)[1].parts, update=True).grad_norm
        assert found is not None
        norm = scalar(found)  # as it was before it was clipped
        moved[clip] = {name: np.array(array) - before[name] for name, array in trainable(model).items()}
    squares = sum(float(np.square(change / 0.1).sum()) for change in moved[0.0].values())
    assert norm == pytest.approx(squares**0.5, rel=1e-3)
    for name, change in moved[share].items():
        np.testing.assert_allclose(change, min(share, 1.0) * moved[0.0][name], rtol=1e-3, atol=1e-7, err_msg=name)
