"""Iterations and epochs follow from each other, and the parts of the data are those the preparation makes."""

import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.config.train_config import TrainConfig
from app.core.data.report import DataReport, SplitReport
from app.core.setup import plan


def report(train: int, valid: int = 0, test: int = 0, duplicates: int = 0) -> DataReport:
    splits = {
        name: SplitReport(count, (f"{name}.jsonl",))
        for name, count in (("train", train), ("valid", valid), ("test", test))
        if count
    }
    total = train + valid + test
    return DataReport(True, "chat", "chat", total, total, splits, [], [], [], {}, duplicates=duplicates)


@pytest.mark.parametrize(
    "epochs, examples, batch, expected",
    [(3, 200, 1, 600), (1, 10, 4, 3), (0.5, 10, 4, 2), (0.1, 30, 1, 3), (2.5, 8, 8, 3), (0.001, 5, 1, 1)],
)
def test_iterations_follow_from_epochs(epochs: float, examples: int, batch: int, expected: int) -> None:
    config = TrainConfig(epochs=epochs, batch_size=batch)
    assert plan.iterations(config, examples) == expected


def test_configured_iterations_count_without_epochs_or_data() -> None:
    assert plan.iterations(TrainConfig(iters=77, epochs=None), 200) == 77
    assert plan.iterations(TrainConfig(iters=77), None) == 77


@pytest.mark.parametrize(
    ("values", "examples", "answers"),
    [
        ({"epochs": 3, "batch_size": 4}, 10, 3 * 10),  # 4, 4 and 2 prompts an epoch
        ({"epochs": 3, "batch_size": 64}, 10, 3 * 10),
        ({"epochs": None, "iters": 5, "batch_size": 4}, 10, 10 + 2 * 4),
        ({"epochs": None, "iters": 5, "batch_size": 4, "updates_per_generation": 2}, 10, 10),
        ({"epochs": None, "iters": 5, "batch_size": 4}, None, 5 * 4),
    ],
)
def test_answers_are_sampled_to_the_prompts_that_there_are(
    values: dict[str, Any], examples: int | None, answers: int
) -> None:
    config = TrainConfig.model_validate({"train_mode": "grpo", "group_size": 8} | values)
    assert plan.sampled_answers(config, examples) == 8 * answers


def test_epochs_of_iterations() -> None:
    assert plan.epochs(TrainConfig(iters=300, epochs=None, batch_size=2), 200) == 3.0
    assert plan.epochs(TrainConfig(iters=300, epochs=None), None) is None


def test_batches_known_better_than_by_counting_win() -> None:
    config = TrainConfig(epochs=2, batch_size=1)
    assert plan.iterations(config, 200, per_epoch=37) == 74
    assert plan.epochs(config, 200, per_epoch=37) == 2.0


@given(st.floats(0.01, 50), st.integers(1, 5000), st.integers(1, 64))
def test_epochs_come_back_within_one_batch(epochs: float, examples: int, batch: int) -> None:
    config = TrainConfig(epochs=epochs, batch_size=batch)
    found = plan.epochs(config, examples)
    assert found is not None
    assert epochs - 1e-5 <= found <= epochs + 1 / math.ceil(examples / batch) + 1e-5


def test_parts_of_given_files_stay_as_they_are() -> None:
    assert plan.parts(TrainConfig(), report(160, 20, 20)) == plan.Parts(160, 20, 20)


def test_parts_are_set_aside_where_none_are_given() -> None:
    assert plan.parts(TrainConfig(), report(200)) == plan.Parts(160, 20, 20)
    assert plan.parts(TrainConfig(valid_fraction=0, test_fraction=0), report(200)) == plan.Parts(200, 0, 0)
    # With validation data given, nothing is taken away for a test.
    assert plan.parts(TrainConfig(), report(200, valid=10)) == plan.Parts(200, 10, 0)


def test_repeated_rows_do_not_count_when_data_are_split() -> None:
    assert plan.parts(TrainConfig(), report(210, duplicates=10)) == plan.Parts(160, 20, 20)


def test_unknown_data_have_no_parts() -> None:
    assert plan.parts(TrainConfig(), None) is None
    assert plan.train_examples(TrainConfig(), None) is None
    assert plan.parts(TrainConfig(), report(0)) is None
    assert plan.parts(TrainConfig(), report(0, valid=10)) is None
    assert plan.train_examples(TrainConfig(), report(200)) == 160


def test_a_share_of_one_kind_alone_is_taken_of_all() -> None:
    assert plan.parts(TrainConfig(test_fraction=0), report(200)) == plan.Parts(180, 20, 0)
    assert plan.parts(TrainConfig(valid_fraction=0), report(200)) == plan.Parts(180, 0, 20)
    assert plan.parts(TrainConfig(), report(200, test=5)) == plan.Parts(180, 20, 5)


def test_each_prompt_is_used_as_often_as_its_answers_are() -> None:
    sampled = TrainConfig(train_mode="grpo", batch_size=4, updates_per_generation=3, epochs=2)
    assert plan.iterations_per_epoch(sampled, 10) == 9
    assert plan.iterations(sampled, 10) == 18
    supervised = TrainConfig(batch_size=4, updates_per_generation=3)
    assert plan.iterations_per_epoch(supervised, 10) == 3
    assert plan.iterations_per_epoch(supervised, 0) == 1


@pytest.mark.parametrize("examples, batch, expected", [(48, 5, 9), (45, 5, 9), (4, 5, 1), (0, 5, 1)])
def test_the_order_of_a_file_leaves_out_what_fills_no_batch(examples: int, batch: int, expected: int) -> None:
    in_order = TrainConfig(batching="file_order", batch_size=batch, epochs=2)
    assert plan.iterations_per_epoch(in_order, examples) == expected
    # Pairs are only put in order: all of them are trained.
    pairs = in_order.with_value("train_mode", "dpo")
    assert plan.iterations_per_epoch(pairs, examples) == max(1, math.ceil(examples / batch))


def test_examples_whose_tokens_were_counted_are_those_that_have_something_to_learn() -> None:
    counted = replace(report(200), counted={"train": 120, "valid": 15})
    assert plan.parts(TrainConfig(), counted) == plan.Parts(120, 15, 0)
    nothing = replace(report(200), counted={"train": 0, "valid": 15})
    assert plan.parts(TrainConfig(), nothing) == plan.Parts(160, 20, 20), "which is told as what it is"
