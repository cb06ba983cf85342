"""The concrete config of a run: nothing in it is left to be worked out, in words that stock mlx-lm understands."""

from __future__ import annotations

from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import PreparedData
from app.core.setup import plan
from app.core.target.selection import Selection
from app.worker.train.optimizer import concrete_arguments, concrete_schedule
from app.worker.train.training_data import TrainingData

STOCK_SCHEDULES = frozenset({"constant", "linear", "cosine"})


def with_targets(config: TrainConfig, selection: Selection) -> TrainConfig:
    """The config with the selection as mlx-lm's own keys."""
    keys = tuple(selection.keys) if config.fine_tune_type != "full" else None
    return config.with_values({"num_layers": selection.num_layers, "lora_parameters.keys": keys})


def as_concrete(
    config: TrainConfig, data: PreparedData, rows: TrainingData, extend_to: int | None = None
) -> TrainConfig:
    """The config with every value that was left to be worked out; ``extend_to`` is a new number of iterations."""
    config = config.with_values(
        {
            "data": str(data.folder),
            "valid_data": "",
            "test_data": "",
            # The folder is split already; a run of this config must not set aside a second time.
            "valid_fraction": 0.0,
            "test_fraction": 0.0,
            "batch_size": min(config.batch_size, len(rows)),
            # Text has no prompt to mask, and stock mlx-lm refuses a config that asks for it.
            "mask_prompt": config.mask_prompt and data.format != "text",
        }
    )
    if extend_to is not None:
        config = config.with_values({"iters": extend_to, "epochs": None})
    config = config.with_value("iters", plan.iterations(config, len(rows), rows.batches_per_epoch(config)))
    arguments = concrete_arguments(config)
    # The correction is a field here, and stands among the arguments in the file: as it is read from there again.
    values: dict[str, Any] = {"bias_correction": arguments.pop("bias_correction", config.bias_correction)}
    given = dict(config.optimizer_config) | {config.optimizer: arguments}
    values["optimizer_config"] = {name: its for name, its in given.items() if its}
    if config.schedule in STOCK_SCHEDULES:
        values["lr_schedule"] = concrete_schedule(config)
    return config.with_values(values)
