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
