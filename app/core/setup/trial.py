"""A trial: a short run of a method on the starter model and data that shows what the method does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.method.method import DataNeed, Method
from app.core.system import starter

STARTER_DATA: Mapping[DataNeed, Callable[[], Path]] = {
    "examples": starter.examples_dir,
    "pairs": starter.preference_dir,
    "prompts": starter.reward_dir,
}
# The starter is a thousandth of the models that the methods' defaults are for: it needs larger steps.
_EVERY: dict[str, Any] = {
    "epochs": None, "iters": 60, "batch_size": 4, "learning_rate": 1e-4, "mask_prompt": True,
    "max_seq_length": 256, "lora_parameters": {"rank": 8, "scale": 8.0}, "early_stopping": {"enabled": False},
    "steps_per_report": 1, "steps_per_eval": 10, "val_batches": -1, "save_every": 60,
    "bias_correction": False,  # so few steps have nothing from being smaller
}  # fmt: skip
# The starter adds well enough when it takes the likeliest words. Sampled hotter it errs half of the time, and has
# something to learn.
_SAMPLED: dict[str, Any] = {
    "batch_size": 8, "learning_rate": 3e-4, "group_size": 8, "temperature": 1.5, "max_completion_length": 32,
    "reward_functions": ["last_number"], "steps_per_eval": 20,
}  # fmt: skip
_UNTIED: dict[str, Any] = {"beta": 0.0}  # no reference, where the method can do without


def trial_values(method: Method) -> dict[str, Any]:
    """What a trial of the method sets."""
    values = dict(method.settings) | {"targets": method.targets} | _EVERY
    if method.is_sampled:
        values |= _SAMPLED | (_UNTIED if method.reference == "beta" else {})
    return values | {"model": str(starter.model_dir()), "data": str(STARTER_DATA[method.data]())}


def trial_config(method: Method) -> TrainConfig:
    """The config of a trial of the method. Raises `FileNotFoundError` without the starter."""
    return TrainConfig.model_validate(trial_values(method))
