"""Comparisons in figures: what is called better, what is beyond chance, and how rows are read as exchanges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.core.compare.comparison import (
    FigureDifference,
    exchange_of,
    held_out_file,
    loss_difference,
    most_moved,
    score_difference,
)
from app.core.compare.figure_row import figure_rows, signed, verdicts
from app.core.config.train_config import TrainConfig

CONFIG = TrainConfig()


def shifted(count: int, by: float, noise: float) -> tuple[list[float], list[float]]:
    generator = np.random.default_rng(2)
    base = generator.normal(3.0, 0.5, count)
    return base.tolist(), (base + by + generator.normal(0, noise, count)).tolist()


def test_a_clear_improvement_is_beyond_chance() -> None:
    base, tuned = shifted(50, -0.5, 0.1)
    found = loss_difference(base, tuned, [10] * 50)
    assert (found.better, found.worse, found.beyond_chance) == (50, 0, True)
    assert found.interval.low < -0.5 < found.interval.high < -0.45
    assert found.verdict() == "Better on 50 of 50, worse on 0; the difference is beyond chance."


def test_noise_could_be_chance_whichever_way_it_goes() -> None:
    base, tuned = shifted(50, 0.0, 0.3)
    found = loss_difference(base, tuned, [10] * 50)
    assert not found.beyond_chance
    assert found.verdict().endswith("the difference could be chance.")


def test_a_harm_is_called_worse_first() -> None:
    base, tuned = shifted(50, 0.5, 0.1)
    assert loss_difference(base, tuned, [1] * 50).verdict() == (
        "Worse on 50 of 50, better on 0; the difference is beyond chance."
    )


def test_few_examples_never_rule_out_chance() -> None:
    found = loss_difference([3.0] * 4, [2.0] * 4, [5] * 4)
    assert found.interval.excludes_zero
    assert not found.beyond_chance
    assert found.verdict() == "Better on 4 of 4, worse on 0; too few to rule out chance: 4 examples."


def test_the_same_is_the_same() -> None:
    found = loss_difference([1.0] * 20, [1.0] * 20, [1] * 20)
    assert (found.same, found.beyond_chance, found.verdict()) == (20, False, "The same on all 20.")


def test_examples_without_a_target_are_left_out_and_long_ones_weigh_more() -> None:
    found = loss_difference([2.0, None, 1.0], [1.0, None, 2.0], [30, 0, 10])
    assert found.interval.value == pytest.approx((-1.0 * 30 + 1.0 * 10) / 40)
    assert found.examples == 2
    with pytest.raises(ValueError, match="no example"):
        loss_difference([None], [None], [0])


def test_of_scores_the_higher_is_better() -> None:
    found = score_difference([0.0] * 30, [1.0] * 20 + [0.0] * 10)
    assert (found.better, found.worse, found.same, found.improves) == (20, 0, 10, True)
    assert FigureDifference.from_dict(json.loads(json.dumps(found.as_dict()))) == found


def test_the_most_moved_examples_come_first_and_unmoved_ones_not_at_all() -> None:
    base = [1.0, 1.0, 1.0, 1.0, None]
    better, worse = most_moved(base, [0.5, 2.0, 1.0, 0.1, None], shown=3)
    assert [(one.number, round(one.by, 3)) for one in better] == [(3, -0.9), (0, -0.5)]
    assert [one.number for one in worse] == [1]


def test_rows_are_read_as_prompt_and_answer() -> None:
    turns = [("system", "S"), ("user", "Q1"), ("assistant", "A1"), ("user", "Q2"), ("assistant", "A2")]
    chat = exchange_of({"messages": [{"role": r, "content": c} for r, c in turns]}, CONFIG)
    assert ([turn["content"] for turn in chat.asked], chat.answer) == (["S", "Q1", "A1", "Q2"], "A2")
    pair = exchange_of({"prompt": "P", "completion": "C"}, CONFIG)
    assert (pair.prompt, pair.answer) == ("P", "C")
    assert exchange_of({"text": "T"}, CONFIG).asked == ()
    assert exchange_of({"messages": [{"role": "user", "content": "Q"}]}, CONFIG).answer == ""
    assert exchange_of({"messages": [{"role": "user", "content": None}]}, CONFIG).prompt == ""


def test_test_data_come_before_validation_data_which_are_called_by_their_name(tmp_path: Path) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    data.mkdir()
    config = TrainConfig(data=str(data))
    assert held_out_file(run, config) is None
    (data / "valid.jsonl").write_text("{}")
    found = held_out_file(run, config)
    assert found is not None
    assert (found.path, "Validation data" in found.note) == (data / "valid.jsonl", True)
    (run / "data").mkdir(parents=True)
    (run / "data" / "test.jsonl").write_text("{}")
    found = held_out_file(run, config)
    assert found is not None
    assert (found.path, found.note) == (run / "data" / "test.jsonl", "")


def test_the_table_has_a_row_a_figure_and_leaves_out_what_nobody_has() -> None:
    difference = loss_difference([3.0] * 12, [2.0] * 12, [5] * 12).as_dict()
    column: dict[str, Any] = {
        "loss": 3.0,
        "perplexity": 20.1,
        "difference": None,
        "scores": {},
        "run": None,
        "parameters": 0,
    }
    run = {"trainable_parameters": 17_596_416, "targets": "full", "peak_memory_gb": 3.2, "elapsed_s": 200.0}
    tuned = column | {"loss": 2.0, "difference": difference, "run": run}
    found = {"columns": [column, tuned], "scored": None}
    rows = {row.label: row.cells for row in figure_rows(found)}
    assert rows["Difference"] == ("–", "−1.0000")
    assert (rows["… 95 % from"], rows["… 95 % to"]) == (("–", "−1.0000"), ("–", "−1.0000"))
    assert rows["Better / worse"] == ("–", "12 / 0 of 12")
    assert rows["Trained parameters"] == ("–", "17.6\u00a0M")
    assert (rows["Peak memory"][1], rows["Training time"][1]) == ("3.2 GB", "3\u00a0min 20\u00a0s")
    without = figure_rows({"columns": [column], "scored": None})
    assert [row.label for row in without] == ["Held-out loss", "Perplexity"]
    assert verdicts(found, ["base", "tuned"]) == [
        "tuned: Better on 12 of 12, worse on 0; the difference is beyond chance."
    ]
    assert (signed(-0.00001), signed(0.5)) == ("0.0000", "+0.5000")
