"""Recommendations by data, model and scale: the right one, with a reason, and none where nothing is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.model.inspection import Inspection
from app.core.setup.recommendation import (
    alpha_from_scale,
    check_scale,
    model_rate,
    rank_values,
    scale_from_alpha,
    suggest,
)
from app.core.target.selection import resolve
from tests.core.inspections import llama


def config(**values: Any) -> TrainConfig:
    return TrainConfig().with_values({name.replace("__", "."): value for name, value in values.items()})


def suggested(chosen: TrainConfig, **facts: Any) -> dict[str, Any]:
    found = suggest(chosen, **facts)
    assert all(suggestion.reason for suggestion in found)
    return {suggestion.path: suggestion.value for suggestion in found}


@pytest.mark.parametrize(
    ("examples", "targets", "rank", "expected"),
    [
        (20, "full", 32, {"targets": "minimal", "lora_parameters.rank": 8}),
        (20, "minimal", 8, {}),
        (100, "full", 32, {}),
        (100, "attention", 64, {"targets": "full", "lora_parameters.rank": 32}),
        (500, "full", 8, {"lora_parameters.rank": 32}),
        (5000, "full", 32, {"lora_parameters.rank": 64}),
        (5000, "full", 64, {}),
    ],
)
def test_by_data_set_size(examples: int, targets: str, rank: int, expected: dict[str, Any]) -> None:
    chosen = config(targets=targets, lora_parameters__rank=rank)
    assert suggested(chosen, examples=examples) == expected


def test_every_suggestion_can_be_applied() -> None:
    chosen = config(learning_rate=1.0)
    for suggestion in suggest(chosen, examples=10):
        chosen = chosen.with_value(suggestion.path, suggestion.value)
    assert suggest(chosen, examples=10) == []


def test_more_tokens_than_the_adapter_holds() -> None:
    chosen = config(lora_parameters__rank=4)
    selection = resolve(llama(), chosen)
    held = 2 * selection.trainable_parameters
    assert suggested(chosen, trained_tokens=held - 1, selection=selection) == {}
    assert suggested(chosen, trained_tokens=5 * held, selection=selection) == {"lora_parameters.rank": 32}


@pytest.mark.parametrize(
    ("kind", "rate", "expected"),
    [
        ("full", 1e-4, 1e-5), ("full", 1e-5, None), ("full", 4.9e-5, None), ("full", 5.1e-5, 1e-5),
        ("lora", 1e-6, 1e-4), ("lora", 1e-4, None), ("lora", 2.9e-5, 1e-4), ("lora", 3.1e-5, None),
        ("dora", 1e-6, 1e-4),
    ],
)  # fmt: skip
def test_learning_rate_by_type(kind: str, rate: float, expected: float | None) -> None:
    assert suggested(config(fine_tune_type=kind, learning_rate=rate)).get("learning_rate") == expected


def wide(hidden_size: int, model_type: str = "llama") -> Inspection:
    return llama().model_copy(update={"hidden_size": hidden_size, "model_type": model_type})


@pytest.mark.parametrize(
    ("hidden_size", "model_type", "rate"),
    [(4096, "llama", 2.9e-4), (128, "llama", 4.3e-3), (2000, "mistral", 5e-4), (896, "qwen2", 5.3e-4)],
)
def test_the_rate_that_suits_a_model_is_that_of_the_paper(hidden_size: int, model_type: str, rate: float) -> None:
    assert model_rate(wide(hidden_size, model_type)) == pytest.approx(rate, rel=0.02)
    assert model_rate(wide(0)) == 0


@pytest.mark.parametrize(
    ("hidden_size", "rank", "scale", "rate", "warmth_of_it"),
    [
        (4096, 32, 1.0, 1e-4, None),  # the defaults on a model of 8 billion parameters
        (4096, 32, 32.0, 1e-4, "11 ×"),  # alpha taken for the scale
        (4096, 8, 20.0, 1e-5, None),  # mlx-lm's defaults
        (4096, 8, 16.0, 7e-4, "9.8 ×"),
        (4096, 32, 1.0, 2e-6, "1/143"),
        (128, 32, 32.0, 1e-4, None),  # what the starter is trained with
        (128, 32, 1.0, 1e-4, "1/43"),
    ],
)
def test_alpha_and_rate_far_from_what_suits_the_model_are_warned_of(
    hidden_size: int, rank: int, scale: float, rate: float, warmth_of_it: str | None
) -> None:
    chosen = config(lora_parameters__rank=rank, lora_parameters__scale=scale, learning_rate=rate)
    found = check_scale(chosen, wide(hidden_size))
    assert [one.path for one in found] == (["lora_parameters.scale"] if warmth_of_it else [])
    assert all(warmth_of_it in one.message and one.hint for one in found if warmth_of_it)
    assert check_scale(chosen) == []  # of an unknown model nothing is said


def test_an_alpha_below_one_is_warned_of() -> None:
    [found] = check_scale(config(lora_parameters__rank=8, lora_parameters__scale=0.1))
    assert "An alpha of 0.8 is below 1" in found.message


@pytest.mark.parametrize(
    ("hidden_size", "values", "expected"),
    [
        (4096, {}, {"learning_rate": 2.9e-4}),
        (4096, {"learning_rate": 2e-4}, {}),
        (4096, {"lora_parameters.scale": 8.0}, {"learning_rate": 3.6e-5}),
        (4096, {"lora_parameters.scale": 32.0}, {"learning_rate": 8.9e-6}),
        (128, {}, {"lora_parameters.scale": 32.0}),
        (128, {"lora_parameters.scale": 32.0}, {}),
    ],
)
def test_the_rate_for_this_model_is_suggested_and_ends_the_suggestion(
    hidden_size: int, values: dict[str, Any], expected: dict[str, Any]
) -> None:
    chosen = TrainConfig().with_values(values)
    assert suggested(chosen, inspection=wide(hidden_size)) == expected
    assert suggested(chosen.with_values(expected), inspection=wide(hidden_size)) == {}


def test_a_new_rank_leaves_alpha_as_it_is() -> None:
    changed = TrainConfig().with_values(rank_values(TrainConfig(), 24))
    assert alpha_from_scale(changed.lora_parameters.scale, 24) == pytest.approx(32)


def test_full_training_has_no_scale() -> None:
    assert check_scale(config(fine_tune_type="full", lora_parameters__scale=5000.0)) == []


def test_alpha_is_scale_times_rank() -> None:
    assert alpha_from_scale(32.0, 32) == 1024.0
    assert scale_from_alpha(alpha_from_scale(20.0, 8), 8) == 20.0
