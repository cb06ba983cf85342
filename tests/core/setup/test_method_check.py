"""What a config has that its method cannot use, and what the method lacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.method.reward import BUILT_IN
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
    assert (problem.path, problem.file, problem.line) == ("reward_functions_file", str(file), 2)
    assert problem.message.startswith("This is not Python: ")
    file.write_bytes(b"\xff")
    (problem,) = check_method(config)
    assert (problem.path, problem.file, problem.line) == ("reward_functions_file", str(file), None)
    file.write_text("def other(prompts, completions, answer): ...\n")
    (problem,) = check_method(config)
    assert problem.path == "reward_functions"
    assert problem.text == f"There is no reward function mine. There are {', '.join(BUILT_IN)}, other."


SAMPLED: dict[str, Any] = {"train_mode": "grpo", "max_completion_length": 64}
ONLINE: dict[str, Any] = {"train_mode": "online_dpo", "max_completion_length": 64, "group_size": 2}


@pytest.mark.parametrize(
    "values, path, said",
    [
        ({"train_mode": "dpo", "batching": "pack"}, "batching",
         "Only supervised examples can be packed. Choose batches by length."),
        ({"train_mode": "kto", "beta": 0, "batch_size": 4}, "beta",
         "At 0 there is no preference to learn. 0.1 is usual."),
        ({"train_mode": "orpo", "beta": 0}, "beta", "At 0 there is no preference to learn. 0.1 is usual."),
        (ONLINE | {"beta": 0}, "beta", "At 0 there is no preference to learn. 0.1 is usual."),
        ({"train_mode": "dpo", "dpo_cpo_loss_type": "simpo"}, "dpo_cpo_loss_type",
         "SimPO has no reference: it goes with CPO. Choose CPO."),
        (SAMPLED | {"max_seq_length": 64}, "max_completion_length",
         "Answers of 64 tokens leave no room for a prompt. The maximum length is 64 tokens for both together."),
        (SAMPLED | {"max_completion_length": 2000}, "max_completion_length",
         "Answers of 2,000 tokens leave no room for a prompt. "
         "The maximum length is 1,024 tokens for both together."),
        (ONLINE | {"group_size": 3}, "group_size",
         "Answers are compared two by two: of 3 one would be left over. Sample 2 or 4."),
        (ONLINE | {"judge": " human "}, "judge",
         "Nobody can be asked while a run goes on: the judge is a model, or the reward functions. "
         "Choose a model's folder, or leave it empty."),
        ({"train_mode": "dpo", "reference_model_path": "/nowhere"}, "reference_model_path",
         "There is no model in /nowhere. Choose a model's folder, or leave it empty."),
        (SAMPLED | {"reward_weights": (1.0, 2.0), "reward_functions": ("last_number",)}, "reward_weights",
         "Not one weight for each: 2 weights, and 1 reward function. Give one for each, or none."),
        (SAMPLED | {"reward_weights": (0.0,), "reward_functions": ("last_number",)}, "reward_weights",
         "All weights are 0: no answer would earn anything."),
        (SAMPLED | {"reward_functions_file": "/nowhere.py"}, "reward_functions_file",
         "/nowhere.py cannot be read: No such file or directory. Choose a Python file."),
        (SAMPLED | {"reward_functions": ()}, "reward_functions",
         f"No reward function is chosen. There are {', '.join(BUILT_IN)}."),
        (SAMPLED | {"reward_functions": ("short", "last_number", "short")}, "reward_functions",
         "The reward function short is named 2 times: it counts once. Name it once, with a weight."),
        (SAMPLED | {"reward_functions": ("last_number", "mine")}, "reward_functions",
         f"There is no reward function mine. There are {', '.join(BUILT_IN)}."),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_beside_its_field(values: dict[str, Any], path: str, said: str) -> None:
    [found] = check_method(TrainConfig.model_validate(values))
    assert (found.path, found.text, found.severity) == (path, said, Severity.ERROR)


def test_a_start_that_the_reference_does_not_have_is_told() -> None:
    start = {"train_mode": "dpo", "resume_adapter_file": "adapters.safetensors"}
    [found] = check_method(TrainConfig.model_validate(start))
    assert (found.path, found.severity) == ("reference_model_path", Severity.WARNING)
    assert found.message == (
        "Answers are compared with the base alone, not with the adapter that the run starts from."
    )
    for more in ({"train_mode": "orpo"}, {"fine_tune_type": "full"}):
        assert not list(check_method(TrainConfig.model_validate(start | more)))


def test_a_judge_that_cannot_be_found_is_told_beside_the_judge(tmp_path: Path) -> None:
    [found] = check_method(TrainConfig.model_validate(ONLINE | {"judge": f" {tmp_path} "}))
    assert (found.path, found.severity) == ("judge", Severity.ERROR)
    assert found.message
    assert found.hint


@pytest.mark.parametrize(
    "values",
    [
        {"batching": "pack", "beta": 0},
        {"train_mode": "grpo", "beta": 0, "max_completion_length": 64},
        {"train_mode": "cpo", "dpo_cpo_loss_type": "simpo"},
        {"train_mode": "kto", "dpo_cpo_loss_type": "simpo", "batch_size": 4},
        {"train_mode": "orpo", "reference_model_path": "/nowhere"},
        {"train_mode": "grpo", "max_completion_length": 1023},
        {"train_mode": "grpo", "max_completion_length": 64, "group_size": 3},
        {"train_mode": "grpo", "max_completion_length": 64, "judge": "human"},
        {
            "train_mode": "grpo",
            "max_completion_length": 64,
            "reward_functions": ("last_number", "short"),
            "reward_weights": (0.0, 1.0),
        },
    ],
)
def test_what_a_method_does_not_read_is_no_problem_of_it(values: dict[str, Any]) -> None:
    assert not list(check_method(TrainConfig.model_validate(values)))


@pytest.mark.parametrize(("size", "warned"), [(1, True), (3, True), (4, False)])
def test_kto_wants_a_batch_to_compare_with(size: int, warned: bool) -> None:
    found = list(check_method(TrainConfig(train_mode="kto", batch_size=size)))
    said = f"KTO compares answers with a mean over the batch; over {size} that is mostly noise."
    expected = [("batch_size", f"{said} Use a batch of at least 4.", Severity.WARNING)] * warned
    assert [(p.path, p.text, p.severity) for p in found] == expected
