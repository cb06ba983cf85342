"""Recommendations by data, model and scale: the right one, with a reason, and none where nothing is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.model.inspection import Inspection
from app.core.problem import Severity
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
        (49, "keys", 8, {}),
        (49, "attention", 9, {"targets": "minimal", "lora_parameters.rank": 8}),
        (50, "mlp", 32, {"targets": "full"}),
        (200, "minimal", 33, {"targets": "full", "lora_parameters.rank": 32}),
        (200, "full", 8, {}),
        (201, "full", 31, {"lora_parameters.rank": 32}),
        (201, "full", 33, {}),
        (2000, "full", 32, {}),
        (2001, "full", 32, {"lora_parameters.rank": 64}),
    ],
)
def test_by_data_set_size(examples: int, targets: str, rank: int, expected: dict[str, Any]) -> None:
    chosen = config(targets=targets, lora_parameters__rank=rank)
    assert suggested(chosen, examples=examples) == expected


@pytest.mark.parametrize("name", [name for name, method in METHODS.items() if not method.is_stock])
@pytest.mark.parametrize(
    ("hidden_size", "model_type"), [(896, "qwen2"), (3584, "qwen3"), (2048, "llama"), (8192, "")]
)
def test_a_methods_own_rate_is_not_called_low(name: str, hidden_size: int, model_type: str) -> None:
    """The rule is of supervised runs: its rate, some fifty times as high, makes a model forget how to speak."""
    model = wide(hidden_size, model_type)
    chosen = TrainConfig().with_values(dict(METHODS[name].settings))
    assert check_scale(chosen, model) == []
    assert "learning_rate" not in suggested(chosen, inspection=model)
    assert "learning_rate" not in suggested(chosen)
    [found] = check_scale(chosen.with_value("learning_rate", 1e-8), model)
    assert found.hint == "Raise the learning rate, to 1e-05 for example."
    [found] = check_scale(chosen.with_value("learning_rate", 1e-2), model)
    assert found.hint == "Lower the learning rate, to 1e-05 for example."


def test_every_suggestion_can_be_applied() -> None:
    chosen = config(learning_rate=1.0)
    for suggestion in suggest(chosen, examples=10):
        chosen = chosen.with_value(suggestion.path, suggestion.value)
    assert suggest(chosen, examples=10) == []


def test_more_tokens_than_the_adapter_holds() -> None:
    chosen = config(lora_parameters__rank=4)
    selection = resolve(llama(), chosen)
    held = 2 * selection.trainable_parameters
    for times, rank in ((1.2, None), (1.25, 8), (2, 8), (5, 32), (1000, 512)):
        found = suggested(chosen, trained_tokens=round(times * held), selection=selection)
        assert found == ({"lora_parameters.rank": rank} if rank else {}), times
    assert suggested(chosen, trained_tokens=5 * held) == {}
    largest = config(lora_parameters__rank=512)
    assert suggested(largest, trained_tokens=999 * held, selection=selection) == {}


def reasons(chosen: TrainConfig, **facts: Any) -> list[str]:
    return [one.reason for one in suggest(chosen, **facts)]


def test_each_suggestion_says_why() -> None:
    few = "With 20 examples (fewer than 50), a small adapter learns less by heart."
    assert reasons(config(), examples=20) == [few, few]
    assert reasons(config(targets="attention", lora_parameters__rank=64), examples=100) == [
        "100 examples are enough for attention and MLP: the best quality.",
        "For 100 examples a rank of 32 is a good balance.",
    ]
    many = "5,000 examples (more than 200) hold more than a rank of 32 can take in."
    assert reasons(config(), examples=5000) == [many]
    chosen = config(lora_parameters__rank=4)
    assert reasons(chosen, trained_tokens=65_536, selection=resolve(llama(), chosen)) == [
        "The data has 65,536 trained tokens, about as many bits; rank 4 holds some 32,768."
    ]
    assert reasons(config(fine_tune_type="full")) == [
        "Full fine-tuning wants about a tenth of LoRA's learning rate: 1e-05."
    ]
    assert reasons(config(learning_rate=1e-6)) == [
        "LoRA trains best at about ten times the rate of full fine-tuning: 0.0001."
    ]
    assert reasons(config(bias_correction=False)) == [
        "Without bias correction Adam's first steps are 3 to 6 times too large; a warm-up holds them back."
    ]
    assert reasons(config(lora_parameters__scale=8.0), inspection=wide(4096)) == [
        'For this model (4,096 wide) and an alpha of 256, the authors of "LoRA Without Regret" found 3.6e-05.'
    ]
    assert reasons(config(), inspection=wide(128)) == [
        "A model so small wants another alpha: its rate cannot make up for it."
    ]


def test_full_training_is_told_nothing_of_adapters() -> None:
    full = config(fine_tune_type="full", learning_rate=1e-5, targets="attention", lora_parameters__rank=4)
    selection = resolve(llama(), config())
    assert suggested(full, examples=20, trained_tokens=10**12, selection=selection, inspection=wide(128)) == {}


@pytest.mark.parametrize(
    ("values", "path"),
    [
        ({"bias_correction": False}, "warmup"),
        ({"bias_correction": False, "optimizer": "adamw"}, "warmup"),
        ({"bias_correction": False, "optimizer": "sgd"}, None),
        ({"bias_correction": False, "warmup": 10.0}, None),
        ({"bias_correction": False, "schedule": "custom"}, None),
    ],
)
def test_a_warm_up_is_for_adam_whose_bias_is_not_corrected(values: dict[str, Any], path: str | None) -> None:
    assert suggested(TrainConfig().with_values(values)) == ({path: 0.05} if path else {})


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


@pytest.mark.parametrize(
    ("hidden_size", "scale", "rate", "said"),
    [
        (4096, 32.0, 1e-4, "Alpha 1024 (scale 32) with a learning rate of 0.0001 is 11 × what suits this model; "
         "the loss may jump, and it may forget what it knew. Lower the learning rate, to 8.9e-06 for example."),
        (4096, 1000.0, 1e-3, "Alpha 32000 (scale 1000) with a learning rate of 0.001 is 3,501 × what suits this "
         "model; the loss may jump, and it may forget what it knew. Lower the learning rate, to 2.9e-07 for "
         "example."),
        (4096, 1.0, 2e-6, "Alpha 32 (scale 1) with a learning rate of 2e-06 is 1/143 of what suits this model; it "
         "will learn slowly. Raise the learning rate, to 0.00029 for example."),
        (128, 1.0, 1e-4, "Alpha 32 (scale 1) with a learning rate of 0.0001 is 1/43 of what suits this model; it "
         "will learn slowly. Raise the alpha, to 1024 (scale 32) for example."),
        (128, 9000.0, 1e-4, "Alpha 288000 (scale 9000) with a learning rate of 0.0001 is 210 × what suits this "
         "model; the loss may jump, and it may forget what it knew. Lower the alpha, to 1024 (scale 32) for "
         "example."),
    ],
)  # fmt: skip
def test_what_is_far_from_the_rule_says_how_far_and_what_to_set(
    hidden_size: int, scale: float, rate: float, said: str
) -> None:
    [found] = check_scale(config(lora_parameters__scale=scale, learning_rate=rate), wide(hidden_size))
    assert (found.path, found.text, found.severity) == ("lora_parameters.scale", said, Severity.WARNING)


def test_the_alpha_of_a_tiny_model_stays_between_the_least_and_the_most() -> None:
    for rate, alpha in ((1e6, 0.5), (1e-12, 262_144.0)):
        [found] = suggest(config(learning_rate=rate), inspection=wide(128))
        assert alpha_from_scale(found.value, 32) == alpha


def test_an_alpha_below_one_is_warned_of() -> None:
    [found] = check_scale(config(lora_parameters__rank=8, lora_parameters__scale=0.1))
    assert found.text == "An alpha of 0.8 is below 1: the adapter hardly counts. 32 is usual."
    assert found.severity is Severity.WARNING
    assert check_scale(config(lora_parameters__rank=8, lora_parameters__scale=0.125)) == []
    both = check_scale(config(lora_parameters__rank=8, lora_parameters__scale=0.1, learning_rate=1e-6), wide(4096))
    assert [one.message.partition(" is ")[0] for one in both] == [
        "An alpha of 0.8", "Alpha 0.8 (scale 0.1) with a learning rate of 1e-06",
    ]  # fmt: skip


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


@pytest.mark.parametrize(
    "given, highest",
    [
        ({"name": "cosine_decay", "arguments": [2e-3, 20, 1e-7]}, 2e-3),
        ({"name": "linear_schedule", "arguments": [0.0, 3e-3, 100]}, 3e-3),
        ({"name": "step_decay", "arguments": [1e-2, 0.9, 10]}, 1e-2),
        ({"name": "cosine_decay", "arguments": "2e-3"}, 1e-5),
        ({"name": "cosine_decay", "arguments": [[2e-3]]}, 1e-5),
        ({"name": "cosine_decay"}, 1e-5),
        (None, 1e-5),
    ],
)
def test_the_rate_of_a_schedule_in_the_file_is_the_one_that_is_judged(given: Any, highest: float) -> None:
    own = config(learning_rate=1e-5, schedule="custom", lr_schedule=given)
    assert own.highest_rate == highest
    assert own.with_value("schedule", "cosine").highest_rate == 1e-5
    plain = config(learning_rate=highest)
    model = wide(4096)
    said = [problem.message for problem in check_scale(own, model)]
    assert said == [problem.message for problem in check_scale(plain, model)]


def test_a_rate_that_counts_for_nothing_is_not_suggested() -> None:
    rates = {"name": "cosine_decay", "arguments": [1e-3, 20, 0.0]}
    own = config(fine_tune_type="full", schedule="custom", lr_schedule=rates)
    assert "learning_rate" in suggested(own.with_value("schedule", "cosine"))
    assert "learning_rate" not in suggested(own)
