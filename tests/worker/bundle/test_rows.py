"""Rows of a bundle by hand: labels, the order of generations, what is measured; and what is not the same there."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from app.core.bundle.recipe import BundledRows
from app.core.config.train_config import TrainConfig
from app.core.problem import Severity
from app.worker.bundle import rows as module
from app.worker.bundle.rows import learned
from app.worker.bundle.task import _warnings
from app.worker.token.prompt import Prompts


def prompts(count: int) -> Prompts:
    numbers = range(count)
    return Prompts(
        [[n, 9] for n in numbers], [f"p{n}" for n in numbers], [f"a{n}" for n in numbers], [None] * count, 0,
        [f"p{n}" for n in numbers],
    )  # fmt: skip


def lines(file: Path) -> list[Any]:
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.parametrize(("val_batches", "measured"), [
    (1, [[0, 6]]), (2, [[0, 2], [4, 6]]), (4, [[0, 1], [2, 3], [4, 5], [6]]), (-1, [[0, 1], [2, 3], [4, 5], [6]]),
    (0, None),
])  # fmt: skip
def test_prompts_are_drawn_in_whole_generations_and_measured_as_here(
    val_batches: int, measured: list[list[int]] | None, tmp_path: Path
) -> None:
    config = TrainConfig(
        train_mode="grpo", batch_size=2, iters=5, updates_per_generation=2, val_batches=val_batches
    )
    given: Any = SimpleNamespace(train=prompts(5), valid=prompts(7), batches_per_epoch=lambda _config: 6)
    told: list[tuple[int, int]] = []
    found = module._rewarded(tmp_path, config, given, lambda done, total: told.append((done, total)))
    count = sum(map(len, measured or []))
    assert found == BundledRows("prompts", 5, count, 6, 10)
    assert lines(tmp_path / "train.jsonl") == [
        {"input_ids": [n, 9], "prompt": f"p{n}", "answer": f"a{n}", "type": None} for n in range(5)
    ]
    order = lines(tmp_path / "order.jsonl")
    assert [len(one) for one in order] == [2, 2, 2], "five iterations are two and a half generations"
    assert sorted(order[0] + order[1] + order[2][:1]) == list(range(5)), (
        "each prompt once, and on with the next epoch"
    )
    if measured is None:
        assert not (tmp_path / "valid.jsonl").exists()
        assert told == [(0, 5), (5, 5)]
        return
    assert [one["prompt"] for one in lines(tmp_path / "valid.jsonl")] == [
        f"p{n}" for group in measured for n in group
    ]
    places = iter(range(count))
    assert lines(tmp_path / "valid_order.jsonl") == [[next(places) for _ in group] for group in measured]
    assert told == [(0, 5), (5, 5), (0, count), (count, count)]


def test_labels_are_what_is_learned_but_never_the_first_token() -> None:
    tokens = np.array([4, 5, 6], np.int32)
    assert learned(tokens, np.array([True, False, True])) == {"input_ids": [4, 5, 6], "labels": [-100, -100, 6]}
    assert learned(tokens[:0], np.zeros(0, np.bool_)) == {"input_ids": [], "labels": []}
    assert module._taken_apart(np.array([2, 0]), 2).tolist() == [4, 0, 5, 1]
    assert module._taken_apart(np.array([2, 0]), 1).tolist() == [2, 0]


FORGETS = "What the run forgets is not measured elsewhere."
SAMPLES = "Answers to held-out prompts are not sampled elsewhere."


@pytest.mark.parametrize(("values", "four_bit", "dtype", "said"), [
    ({}, False, "bfloat16", []), ({"neutral_tokens": 500}, False, "bfloat16", [FORGETS]),
    ({"neutral_tokens": 500, "final_adapter": "balanced"}, False, "bfloat16",
     ["Elsewhere the best weights by validation loss are kept: forgetting is not measured there."]),
    ({"sampled_prompts": 2}, False, "bfloat16", [SAMPLES]),
    ({"report_to": "wandb"}, False, "bfloat16",
     ["`report_to` is for this machine: elsewhere the figures go into the run's own events."]),
    ({}, True, "bfloat16",
     ["The base is loaded in 4 bit (NF4) there, whose losses are not those of the model here."]),
    ({"adapter_dtype": "base"}, False, "float32", []),
    ({"adapter_dtype": "base"}, False, "bfloat16",
     ["PEFT multiplies adapters in float32 where Luthier does it in the base's own precision."]),
    ({"adapter_dtype": "float32"}, False, "bfloat16", []),
])  # fmt: skip
def test_what_is_not_the_same_elsewhere_is_told(
    values: dict[str, Any], four_bit: bool, dtype: str, said: list[str]
) -> None:
    config = TrainConfig().with_values(
        {"neutral_tokens": 0, "sampled_prompts": 0, "adapter_dtype": "float32"} | values
    )
    model: Any = SimpleNamespace(four_bit=four_bit, dtype=dtype)
    found = _warnings(config, model)
    assert [one.message for one in found] == said
    assert {(one.path, one.severity) for one in found} <= {("bundle", Severity.WARNING)}
