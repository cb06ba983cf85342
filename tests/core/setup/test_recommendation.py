"""Recommendations by data, model and scale: the right one, with a reason, and none where nothing is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.setup.recommendation import alpha_from_scale, check_scale, scale_from_alpha, suggest
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
    [("full", 1e-4, 1e-5), ("full", 1e-5, None), ("lora", 1e-6, 1e-4), ("lora", 1e-4, None), ("dora", 1e-6, 1e-4)],
)
def test_learning_rate_by_type(kind: str, rate: float, expected: float | None) -> None:
    assert suggested(config(fine_tune_type=kind, learning_rate=rate)).get("learning_rate") == expected


@pytest.mark.parametrize(
    ("scale", "rate", "warns"),
    [(32.0, 1e-4, False), (20.0, 1e-5, False), (1.0, 2e-4, False), (32.0, 1e-2, True), (1024.0, 1e-4, True),
     (0.01, 1e-5, True)],
)  # fmt: skip
def test_scale_far_from_what_trains_is_warned_of(scale: float, rate: float, warns: bool) -> None:
    problems = check_scale(config(lora_parameters__scale=scale, learning_rate=rate))
    assert [p.path for p in problems] == (["lora_parameters.scale"] if warns else [])
    assert all("scale × learning rate" in p.message and p.hint for p in problems)


def test_full_training_has_no_scale() -> None:
    assert check_scale(config(fine_tune_type="full", lora_parameters__scale=5000.0)) == []


def test_alpha_is_scale_times_rank() -> None:
    assert alpha_from_scale(32.0, 32) == 1024.0
    assert scale_from_alpha(alpha_from_scale(20.0, 8), 8) == 20.0
