"""Learning rates step by step: where a decay after a warm-up ends, and what runs of earlier versions go on with."""

from __future__ import annotations

import inspect
import math
from typing import Any

import mlx.core as mx
import pytest

from app.core.config.train_config import TrainConfig
from app.core.setup.foreign_config import MLX_WEIGHT_DECAY
from app.worker.array import scalar
from app.worker.train.optimizer import (
    CLASSES,
    WITH_WEIGHT_DECAY,
    build_optimizer,
    concrete_arguments,
    concrete_schedule,
    rate_of,
)

RATE = 1e-3


def rates(**values: Any) -> list[float]:
    """The learning rate of each optimizer step of a run."""
    config = TrainConfig(learning_rate=RATE, optimizer="sgd", **values)
    optimizer, weights = build_optimizer(config), {"w": mx.zeros(1)}
    found = []
    for _ in range(config.iters // config.grad_accumulation_steps):
        optimizer.apply_gradients({"w": mx.zeros(1)}, weights)
        found.append(scalar(optimizer.learning_rate) / RATE)
    return found


def in_transformers(schedule: str, step: int, warmup: int, updates: int) -> float:
    """`get_cosine_schedule_with_warmup` and `get_linear_schedule_with_warmup`, as a share of the peak."""
    if step < warmup:
        return step / max(1, warmup)
    progress = (step - warmup) / max(1, updates - warmup)
    return 0.5 * (1 + math.cos(math.pi * progress)) if schedule == "cosine" else 1 - progress


@pytest.mark.parametrize("schedule", ["cosine", "linear"])
@pytest.mark.parametrize("warmup", [0, 4, 10])
def test_the_decay_is_that_of_transformers(schedule: str, warmup: int) -> None:
    found = rates(schedule=schedule, warmup=float(warmup), iters=20)
    wanted = [in_transformers(schedule, step, warmup, 20) for step in range(20)]
    assert found[warmup:] == pytest.approx(wanted[warmup:], abs=1e-6)
    # mlx-lm's form can reach the peak with a step of the warm-up only, not after it.
    assert found[:warmup] == pytest.approx([step / (warmup - 1) for step in range(warmup)], abs=1e-6)


def test_the_last_step_by_hand() -> None:
    """20 steps, 4 of warm-up: the last is 15/16 of the way down, ½ (1 + cos(15π/16)) = 0.0096."""
    assert rates(schedule="cosine", warmup=0.2, iters=20)[-1] == pytest.approx(0.009607, abs=1e-6)
    assert rates(schedule="cosine", warmup=8.0, iters=40, grad_accumulation_steps=2)[-1] == pytest.approx(
        0.009607, abs=1e-6
    )


def test_one_step_of_warmup_is_one_and_the_end_is_near_zero() -> None:
    found = rates(schedule="linear", warmup=1.0, iters=10)
    assert found == pytest.approx([0, 1, *(1 - step / 8 for step in range(8))], abs=1e-6)


def test_a_run_of_an_earlier_version_keeps_its_schedule_until_it_is_extended() -> None:
    held = {"name": "cosine_decay", "arguments": [RATE, 16, 0.0], "warmup": 4}
    config = TrainConfig(learning_rate=RATE, schedule="cosine", warmup=4.0, iters=20, lr_schedule=held)
    assert concrete_schedule(config) == held
    longer = concrete_schedule(config.with_value("iters", 30))
    assert longer == {"name": "cosine_decay", "arguments": [RATE, 26, 0.0], "warmup": 3}
    again = config.with_values({"iters": 30, "lr_schedule": longer})
    assert concrete_schedule(again) == longer


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
@pytest.mark.parametrize(
    ("values", "share"),
    [
        ({"bias_correction": False}, 0.1 / 0.001**0.5),
        ({}, 1.0),
        ({"bias_correction": False, "optimizer_config": {"NAME": {"bias_correction": True}}}, 1.0),
        ({"optimizer_config": {"NAME": {"bias_correction": False}}}, 0.1 / 0.001**0.5),
    ],
)
def test_the_first_step_of_adam_is_too_large_unless_corrected(
    optimizer: str, values: dict[str, Any], share: float
) -> None:
    """As the field's help says: m is 0.1 g and √v is √0.001 g, so the step is 3.16 times the rate."""
    values = dict(values)
    if "optimizer_config" in values:
        values["optimizer_config"] = {optimizer: values["optimizer_config"]["NAME"]}
    config = TrainConfig.model_validate({"learning_rate": RATE, "optimizer": optimizer} | values)
    moved = build_optimizer(config).apply_gradients({"w": mx.array([0.5])}, {"w": mx.zeros(1)})
    assert scalar(moved["w"][0]) == pytest.approx(-share * RATE, rel=1e-4)


@pytest.mark.parametrize("optimizer", ["muon", "sgd", "adafactor", "lion"])
def test_others_have_no_bias_to_correct(optimizer: str) -> None:
    assert "bias_correction" not in concrete_arguments(TrainConfig.model_validate({"optimizer": optimizer}))


def test_the_decay_of_a_file_of_mlx_lm_s_is_mlx_s_own() -> None:
    own = {name: inspect.signature(CLASSES[name]).parameters["weight_decay"].default for name in WITH_WEIGHT_DECAY}
    assert {name: decay for name, decay in own.items() if decay} == MLX_WEIGHT_DECAY


def step_of(config: TrainConfig) -> float:
    """How far the first step moves a matrix that is zero, as an adapter's second one begins."""
    start = {"w": mx.zeros((4, 4))}
    return -scalar(build_optimizer(config).apply_gradients({"w": mx.full((4, 4), 0.5)}, start)["w"][0, 0])


def test_an_adafactor_that_is_chosen_goes_by_the_learning_rate() -> None:
    """mlx's own goes 1e-2 × 1e-3 whatever the rate says, 1e-3 being the least size of a matrix to it."""
    chosen = TrainConfig(learning_rate=RATE).with_value("optimizer", "adafactor")
    assert step_of(chosen) == pytest.approx(RATE, rel=1e-4)
    assert step_of(chosen.with_value("learning_rate", 7 * RATE)) == pytest.approx(7 * RATE, rel=1e-4)
    for rate in (RATE, 7 * RATE):
        assert step_of(TrainConfig(learning_rate=rate, optimizer="adafactor")) == pytest.approx(1e-5, rel=1e-3)


def test_the_rate_that_is_reported_is_the_one_that_counts() -> None:
    of_its_own = build_optimizer(TrainConfig(learning_rate=RATE, optimizer="adafactor"))
    weights = {"w": mx.ones((2, 2))}
    for _ in range(3):
        of_its_own.apply_gradients({"w": mx.ones((2, 2))}, weights)
    assert rate_of(of_its_own) == pytest.approx(1e-2)
    by_rate = TrainConfig(learning_rate=RATE).with_value("optimizer", "adafactor")
    assert rate_of(build_optimizer(by_rate)) == pytest.approx(RATE)
