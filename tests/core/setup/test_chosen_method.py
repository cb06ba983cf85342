"""Methods: the config tells which one, files get its defaults, and what does not fit is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS, MODES, PATHS
from app.core.model.folder import locate_model
from app.core.problem import UnusableError
from app.core.setup.chosen_method import (
    clip_range,
    has_judge,
    locate_judge,
    method_of,
    needs_reference,
    prompt_limit,
    uses_rewards,
)
from app.core.setup.config_file import dump_config, load_config, parse_config
from app.core.setup.method_check import check_method


@pytest.mark.parametrize("name", METHODS)
def test_choosing_a_method_makes_a_config_of_it(name: str) -> None:
    method = METHODS[name]
    config = TrainConfig().with_values(dict(method.settings) | {"max_completion_length": 128})
    assert method_of(config) is method
    assert not list(check_method(config))


def test_files_get_the_defaults_of_their_method() -> None:
    config = parse_config("train_mode: cpo\ndpo_cpo_loss_type: simpo\n").config
    assert (config.beta, config.simpo_gamma, config.cpo_alpha, config.learning_rate) == (2.0, 1.0, 0.0, 1e-5)
    given = parse_config("train_mode: dpo\nlearning_rate: 3e-5\nbeta: 0.3\n").config
    assert (given.beta, given.learning_rate) == (0.3, 3e-5)
    assert parse_config("model: m\ntargets: full\n").config.learning_rate == 1e-4


@pytest.mark.parametrize("name", METHODS)
def test_files_hold_what_the_method_needs(name: str) -> None:
    config = TrainConfig().with_values(dict(METHODS[name].settings) | {"beta": 0.7, "seed": 3})
    text = dump_config(config)
    assert (name == "sft") == all(f"{path}:" not in text for path in PATHS)
    if name != "sft":
        assert parse_config(text).config == config


def test_a_file_of_mlx_lm_lora_opens(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    (tmp_path / "rewards.py").write_text("")
    file.write_text(
        "model: some/model\ntrain: true\ntrain_type: dora\ntrain_mode: grpo\ndata: data\niters: 50\nepochs: null\n"
        "gradient_accumulation_steps: 2\ngroup_size: 6\nepsilon: 0.1\nepsilon_high: null\ntemperature: 0.9\n"
        "max_completion_length: 64\ngrpo_loss_type: dr_grpo\nimportance_sampling_level: null\n"
        "reward_functions: r1_accuracy_reward_func, r1_int_reward_func\nreward_weights: '[0.7, 0.3]'\n"
        "reward_functions_file: rewards.py\nreference_model_path: null\nfuse: true\n"
    )
    config = load_config(file).config
    assert method_of(config).name == "dr_grpo"
    assert (config.fine_tune_type, config.grad_accumulation_steps, config.group_size) == ("dora", 2, 6)
    assert config.reward_functions == ("r1_accuracy_reward_func", "r1_int_reward_func")
    assert config.reward_weights == (0.7, 0.3)
    assert config.reward_functions_file == str(tmp_path / "rewards.py")
    assert not list(check_method(config))


def test_a_method_that_is_not_there_is_named() -> None:
    with pytest.raises(UnusableError) as refused:
        parse_config("train_mode: ppo\n")
    assert refused.value.problems[0].path == "train_mode"
    assert ", ".join(MODES) in refused.value.problems[0].hint


@pytest.mark.parametrize(
    "values, expected",
    [
        ({}, (0.2, 0.2)),
        ({"grpo_loss_type": "dapo"}, (0.2, 0.28)),
        ({"importance_sampling_level": "sequence"}, (3e-4, 4e-4)),
        ({"epsilon": 0.1}, (0.1, 0.1)),
        ({"epsilon": 0.1, "epsilon_high": 0.3}, (0.1, 0.3)),
        ({"epsilon_high": 0.3}, (0.2, 0.3)),
    ],
)
def test_the_clip_range(values: dict[str, object], expected: tuple[float, float]) -> None:
    assert clip_range(TrainConfig.model_validate({"train_mode": "grpo"} | values)) == expected


def test_whose_word_counts_on_sampled_answers() -> None:
    def found(**values: object) -> tuple[bool, bool]:
        config = TrainConfig.model_validate(values)
        return uses_rewards(config), has_judge(config)

    assert found(train_mode="grpo") == (True, False)
    assert found(train_mode="grpo", judge="a") == (True, False)
    assert found(train_mode="online_dpo") == (True, False)
    assert found(train_mode="online_dpo", judge=" ") == (True, False)
    assert found(train_mode="online_dpo", judge="a") == (False, True)
    assert found(train_mode="dpo", judge="a") == (False, False)
    assert prompt_limit(TrainConfig(max_seq_length=100, max_completion_length=30)) == 70


def test_a_judge_that_is_no_model_is_told_as_such(tmp_path: Path) -> None:
    with pytest.raises(UnusableError) as of_model:
        locate_model(str(tmp_path))
    with pytest.raises(UnusableError) as of_judge:
        locate_judge(TrainConfig(judge=str(tmp_path)))
    (expected,), (found,) = of_model.value.problems, of_judge.value.problems
    assert (found.path, found.text, found.severity) == ("judge", expected.text, expected.severity)
    assert expected.hint


def test_who_needs_a_reference() -> None:
    def needs(**values: object) -> bool:
        return needs_reference(TrainConfig.model_validate(values))

    assert needs(train_mode="dpo")
    assert needs(train_mode="kto")
    assert needs(train_mode="grpo")
    assert not needs(train_mode="grpo", beta=0)
    assert not needs(train_mode="orpo")
    assert not needs()
    assert needs(train_mode="dpo", beta=0)
