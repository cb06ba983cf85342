"""The recipe: no field of the config is forgotten, for what is would train something else without a word."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.core.bundle.recipe import (
    BundledModel,
    BundledRates,
    BundledRows,
    BundledTargets,
    alpha_of,
    bundle_problems,
    recipe_of,
)
from app.core.config.spec import field_specs
from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS

# What the rows, their order, the schedule, the targets or the start are made of: see `app.worker.bundle`.
PREPARED = {
    "model", "data", "valid_data", "test_data", "valid_fraction", "test_fraction", "group_feature",
    "skip_bad_answers", "skip_bad_rows", "data_format", "prompt_feature", "completion_feature", "chat_feature",
    "text_feature", "system_feature", "sheet", "encoding", "answers_by", "mask_prompt", "mask_turns",
    "template_date", "epochs", "batching", "val_batches", "schedule", "warmup", "lr_schedule", "num_layers",
    "targets", "lora_parameters.keys", "resume_adapter_file", "weight_decay",
}  # fmt: skip
# What has nothing to do with what is trained, or is told where it cannot be as here.
HERE_ONLY = {
    "train", "neutral_tokens", "sampled_prompts", "report_to", "project_name", "adapter_path", "adapter_dtype",
    "judge", "judge_config.system_prompt", "reward_functions_file", "reward_timeout_s", "checkpoint_layers",
}  # fmt: skip
REFUSED = {"reference_model_path": "/other"}
# Another value of every field that the script is told, with what makes its method read it.
TOLD: dict[str, tuple[Any, str]] = {
    "fine_tune_type": ("dora", "sft"), "learning_rate": (3e-4, "sft"), "batch_size": (3, "sft"),
    "grad_accumulation_steps": (5, "sft"), "max_seq_length": (77, "sft"), "iters": (123, "sft"),
    "optimizer": ("lion", "sft"), "bias_correction": (False, "sft"),
    "optimizer_config": ({"adam": {"eps": 1e-5}}, "sft"), "max_grad_norm": (2.0, "sft"), "seed": (9, "sft"),
    "grad_checkpoint": (True, "sft"), "steps_per_report": (7, "sft"), "steps_per_eval": (7, "sft"),
    "save_every": (7, "sft"), "early_stopping.enabled": (False, "sft"), "early_stopping.patience": (7, "sft"),
    "early_stopping.min_delta": (0.5, "sft"), "final_adapter": ("last", "sft"), "adapter_name": ("other", "sft"),
    "lora_parameters.rank": (5, "sft"), "lora_parameters.scale": (5.0, "sft"),
    "lora_parameters.dropout": (0.5, "sft"), "train_mode": ("orpo", "dpo"), "beta": (0.7, "dpo"),
    "dpo_cpo_loss_type": ("hinge", "dpo"), "simpo_gamma": (0.7, "simpo"), "cpo_alpha": (0.7, "cpo"),
    "desirable_weight": (0.7, "kto"), "undesirable_weight": (0.7, "kto"), "group_size": (3, "grpo"),
    "temperature": (0.7, "grpo"), "max_completion_length": (77, "grpo"), "updates_per_generation": (3, "grpo"),
    "grpo_loss_type": ("bnpo", "grpo"), "importance_sampling_level": ("sequence", "grpo"),
    "epsilon": (0.7, "grpo"), "epsilon_high": (0.7, "grpo"), "reward_functions": (("short",), "grpo"),
    "reward_weights": ((0.7,), "grpo"), "select_by": ("margin", "dpo"),
}  # fmt: skip


def told(config: TrainConfig) -> str:
    model = BundledModel("org/name", "", "", "bfloat16", 0, "")
    choice = {"target_modules": ["q_proj"], "fan_in_fan_out": False}
    recipe = recipe_of(
        config, model, BundledTargets(("q_proj",), choice), BundledRows("examples", 1, 0, 1, 1),
        BundledRates("constant"), [1], has_start=False,
    )  # fmt: skip
    return json.dumps(recipe)


def test_no_field_is_forgotten() -> None:
    assert PREPARED | HERE_ONLY | REFUSED.keys() | TOLD.keys() == set(field_specs())


@pytest.mark.parametrize("path", list(TOLD))
def test_the_script_is_told_of_each_field(path: str) -> None:
    value, method = TOLD[path]
    config = TrainConfig().with_values(dict(METHODS[method].settings))
    assert told(config.with_value(path, value)) != told(config)


def test_what_would_be_another_run_is_refused() -> None:
    assert bundle_problems(TrainConfig()) == []
    for path, value in REFUSED.items():
        (problem,) = bundle_problems(TrainConfig().with_value(path, value))
        assert problem.path == path


LOSSES: dict[str, dict[str, Any]] = {
    "sft": {},
    "dpo": {"beta": 0.7, "loss_type": "sigmoid"},
    "orpo": {"beta": 0.7},
    "cpo": {"beta": 0.7, "loss_type": "sigmoid", "cpo_alpha": 1.0, "simpo_gamma": 0.5},
    "kto": {"beta": 0.7, "desirable_weight": 0.25, "undesirable_weight": 0.75},
    "grpo": {
        "beta": 0.7, "loss_type": "grpo", "importance_sampling_level": "token", "epsilon": 0.125,
        "epsilon_high": 0.375, "scale_rewards": "group", "temperature": 0.5, "group_size": 3,
        "max_completion_length": 77, "updates_per_generation": 2, "reward_functions": ["short", "exact_match"],
        "reward_weights": [1.0, 1.0],
    },
}  # fmt: skip
CHOSEN = {
    "beta": 0.7, "desirable_weight": 0.25, "undesirable_weight": 0.75, "epsilon": 0.125, "epsilon_high": 0.375,
    "temperature": 0.5, "group_size": 3, "max_completion_length": 77, "updates_per_generation": 2,
    "reward_functions": ("short", "exact_match"),
}  # fmt: skip


@pytest.mark.parametrize("mode", LOSSES)
def test_a_loss_is_told_with_all_that_it_reads(mode: str) -> None:
    found = json.loads(told(TrainConfig().with_values(CHOSEN | {"train_mode": mode})))["loss"]
    expected = LOSSES[mode]
    assert found.keys() == expected.keys()
    assert {name: found[name] for name in CHOSEN if name in found} == {
        name: list(value) if isinstance(value, tuple) else value for name, value in CHOSEN.items() if name in found
    }
    assert found == expected | {name: found[name] for name in ("loss_type", "cpo_alpha", "simpo_gamma",
                                "importance_sampling_level") if name in found}  # fmt: skip


def test_dr_grpo_alone_does_not_divide_by_the_spread_of_rewards() -> None:
    grpo = TrainConfig(train_mode="grpo")
    for name, scale in (("grpo", "group"), ("dr_grpo", "none")):
        loss = json.loads(told(grpo.with_value("grpo_loss_type", name)))["loss"]
        assert (loss["loss_type"], loss["scale_rewards"]) == (name, scale)


def test_what_the_script_need_not_work_out_is_told() -> None:
    config = TrainConfig().with_values({
        "lora_parameters.rank": 8, "lora_parameters.scale": 2.0, "early_stopping.enabled": False,
        "final_adapter": "last",
    })  # fmt: skip
    found = json.loads(told(config))
    assert found["format"] == 1
    assert found["adapter"] == {
        "rank": 8, "alpha": 16, "dropout": 0.0, "use_dora": False, "target_modules": ["q_proj"],
        "fan_in_fan_out": False,
    }  # fmt: skip
    assert (found["patience"], found["keep_best"], found["modules"], found["has_start"]) == (
        0,
        False,
        ["q_proj"],
        False,
    )
    assert found["optimizer"]["arguments"]["weight_decay"] == config.optimizer_arguments().get("weight_decay", 0.0)
    assert json.loads(told(config.with_value("optimizer", "adam")))["optimizer"]["arguments"]["weight_decay"] == 0.0
    assert found["schedule"] == {"name": "constant", "warmup_steps": 0, "rates": []}


@pytest.mark.parametrize(
    ("rank", "scale", "alpha"), [(8, 2.0, 16), (3, 1 / 3, 1), (3, 0.5, 1.5), (100, 9999.999995, 1_000_000)]
)
def test_alpha_is_whole_where_it_is_a_whole_number(rank: int, scale: float, alpha: float) -> None:
    found = alpha_of(TrainConfig().with_values({"lora_parameters.rank": rank, "lora_parameters.scale": scale}))
    assert (found, type(found)) == (alpha, type(alpha))


def test_all_that_another_machine_cannot_train_is_told_at_once() -> None:
    config = TrainConfig(optimizer="muon", fine_tune_type="full", reference_model_path="/other")
    assert [(one.path, one.hint) for one in bundle_problems(config.with_value("train_mode", "online_dpo"))] == [
        ("train_mode", "It trains supervised fine-tuning, DPO, CPO, SimPO, ORPO, KTO, GRPO and its kin."),
        ("fine_tune_type", "Choose LoRA or DoRA."),
        ("optimizer", "Choose one of adam, adamw, sgd, lion, adafactor."),
        ("reference_model_path", "Leave it empty."),
    ]  # fmt: skip
