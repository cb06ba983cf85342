"""Reasons why a value is not taken: of every kind of field, in words of the house."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from app.core.config.fault import fault_reason
from app.core.config.train_config import TrainConfig
from app.core.language import choose_language


def reasons(values: dict[str, Any]) -> list[str]:
    with pytest.raises(ValidationError) as refused:
        TrainConfig().with_values(values)
    return [fault_reason(fault) for fault in refused.value.errors(include_url=False)]


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("batch_size", "two", "it is no whole number"),
        ("batch_size", 1.5, "it is no whole number"),
        ("batch_size", 0, "it is less than 1"),
        ("batch_size", 65, "it is more than 64"),
        ("learning_rate", 0, "it is not more than 0"),
        ("learning_rate", "fast", "it is no number"),
        ("learning_rate", math.nan, "it is not finite"),
        ("lora_parameters.dropout", 1, "it is not less than 1"),
        ("mask_prompt", 7, "it is neither true nor false"),
        ("mask_prompt", "perhaps", "it is neither true nor false"),
        ("model", 7, "it is no text"),
        ("adapter_name", "", "it is empty"),
        ("optimizer", "adamx", "it is none of the choices"),
        ("optimizer_config", 7, "it is no mapping of keys to values"),
        ("reward_functions", 7, "it is no list"),
    ],
)
def test_each_kind_of_field_says_why_in_words_of_the_house(key: str, value: Any, reason: str) -> None:
    assert reasons({key: value}) == [reason]


def test_in_german_too() -> None:
    choose_language("de")
    try:
        assert reasons({"batch_size": 0}) == ["es ist kleiner als 1"]
    finally:
        choose_language("en")


def test_what_is_not_known_stays_as_it_was_said() -> None:
    assert fault_reason({"type": "of_another_kind", "msg": "Input is odd"}) == "input is odd"
