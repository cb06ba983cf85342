"""What a config has that its method cannot use, and what the method lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.problem import Severity
from app.core.setup.method_check import check_method


def test_a_reward_file_is_read_but_not_run(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    config = TrainConfig(
        train_mode="grpo", reward_functions=("mine",), reward_functions_file=str(file), max_completion_length=64
    )
    file.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\ndef mine(prompts, completions, answer): ...\n")
    assert not list(check_method(config))
    assert not (tmp_path / "ran").exists()
    file.write_text("x = 1\ndef mine(:\n")
    (problem,) = check_method(config)
    assert (problem.path, problem.line) == ("reward_functions_file", 2)
    file.write_text("def other(prompts, completions, answer): ...\n")
    (problem,) = check_method(config)
    assert problem.path == "reward_functions"
    assert "other" in problem.hint


@pytest.mark.parametrize(
    "values, path",
    [
        ({"train_mode": "dpo", "batching": "pack"}, "batching"),
        ({"train_mode": "kto", "beta": 0, "batch_size": 4}, "beta"),
        ({"train_mode": "orpo", "beta": 0}, "beta"),
        ({"train_mode": "online_dpo", "beta": 0, "max_completion_length": 64, "group_size": 2}, "beta"),
        ({"train_mode": "dpo", "dpo_cpo_loss_type": "simpo"}, "dpo_cpo_loss_type"),
        ({"train_mode": "grpo", "max_completion_length": 64, "max_seq_length": 64}, "max_completion_length"),
        ({"train_mode": "online_dpo", "max_completion_length": 64, "group_size": 3}, "group_size"),
    ],
)
def test_what_does_not_fit_is_told_beside_its_field(values: dict[str, Any], path: str) -> None:
    assert [problem.path for problem in check_method(TrainConfig.model_validate(values))] == [path]


@pytest.mark.parametrize(
    "values",
    [
        {"batching": "pack", "beta": 0},
        {"train_mode": "grpo", "beta": 0, "max_completion_length": 64},
        {"train_mode": "cpo", "dpo_cpo_loss_type": "simpo"},
        {"train_mode": "kto", "dpo_cpo_loss_type": "simpo", "batch_size": 4},
    ],
)
def test_what_a_method_does_not_read_is_no_problem_of_it(values: dict[str, Any]) -> None:
    assert not list(check_method(TrainConfig.model_validate(values)))


@pytest.mark.parametrize(("size", "warned"), [(1, True), (3, True), (4, False)])
def test_kto_wants_a_batch_to_compare_with(size: int, warned: bool) -> None:
    found = list(check_method(TrainConfig(train_mode="kto", batch_size=size)))
    assert [(p.path, p.severity) for p in found] == [("batch_size", Severity.WARNING)] * warned
