"""The objective of group-relative methods: GRPO and its kin."""

from __future__ import annotations

import mlx.core as mx
import mlx.nn as nn

from app.core.config.train_config import TrainConfig
from app.core.setup.chosen_method import clip_range
from app.worker.array import Arrays
from app.worker.model.head import Head, NoHead
from app.worker.objective.group_loss import Options, group_loss
from app.worker.objective.log_probability import answer_log_probabilities
from app.worker.objective.objective import Objective


def group_relative(head: Head | NoHead, config: TrainConfig) -> Objective:
    """The objective of a config whose train_mode is grpo, on the batches of `GroupRollouts`."""
    low, high = clip_range(config)
    options = Options(
        config.grpo_loss_type,
        config.importance_sampling_level,
        low,
        high,
        config.beta,
        config.max_completion_length,
    )

    def objective(model: nn.Module, arrays: Arrays) -> tuple[mx.array, mx.array, Arrays]:
        found = answer_log_probabilities(model, head, arrays, config.temperature)
        loss = group_loss(
            found, arrays.get("old"), arrays.get("reference"), arrays["mask"], arrays["advantages"], options
        )
        figures = {"clipped": loss.clipped} | ({"kl": loss.divergence} if config.beta else {})
        return loss.total, loss.weight, {name: mx.stop_gradient(value) for name, value in figures.items()}

    return objective
