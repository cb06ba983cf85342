"""The optimizer and its learning-rate schedule, in the form that mlx-lm's config has and with mlx's own classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import mlx.optimizers as optim

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.worker.array import scalar

CLASSES: dict[str, type[optim.Optimizer]] = {
    "adam": optim.Adam,
    "adamw": optim.AdamW,
    "muon": optim.Muon,
    "sgd": optim.SGD,
    "adafactor": optim.Adafactor,
    "lion": optim.Lion,
}
WITH_WEIGHT_DECAY = frozenset(CLASSES) - {"adam"}


def concrete_schedule(config: TrainConfig) -> dict[str, Any] | None:
    """mlx-lm's ``lr_schedule`` for this config's schedule and warm-up; None for a constant rate.

    mlx's schedules count optimizer steps, the config counts iterations: gradient accumulation divides.
    ``config.iters`` must be the real length of the run. A decay after a warm-up is at every step what transformers'
    is, to the last one. A run of an earlier version goes on with the schedule that its file holds.
    """
    if config.schedule == "custom":
        return config.lr_schedule
    updates = max(1, -(-config.iters // config.grad_accumulation_steps))
    warmup = _warmup_updates(config, updates)
    if config.schedule == "constant" and not warmup:
        return None
    before = _in_form(config, warmup, updates - warmup)
    if config.schedule == "constant" or not warmup or config.lr_schedule == before:
        return before
    # mlx-lm's warm-up takes a step more than it says, and that one at the peak where the decay begins once again.
    return _in_form(config, warmup - 1, updates - warmup) if warmup > 1 else _in_form(config, 1, updates - 2)


def _in_form(config: TrainConfig, warmup: int, rest: int) -> dict[str, Any]:
    """The schedule in mlx-lm's form, with so many optimizer steps of warm-up and of decay."""
    rate, rest = config.learning_rate, max(1, rest)
    name, arguments = {
        "constant": ("linear_schedule", [rate, rate, rest]),
        "linear": ("linear_schedule", [rate, 0.0, rest]),
        "cosine": ("cosine_decay", [rate, rest, 0.0]),
    }[config.schedule]
    return {"name": name, "arguments": arguments} | ({"warmup": warmup} if warmup else {})


def _warmup_updates(config: TrainConfig, updates: int) -> int:
    if config.warmup <= 0:
        return 0
    iterations = config.warmup if config.warmup >= 1 else config.warmup * config.iters
    return min(updates, max(1, round(iterations / config.grad_accumulation_steps)))


def concrete_arguments(config: TrainConfig) -> dict[str, Any]:
    """The optimizer's arguments: what ``optimizer_config`` says, and the config's fields where it is silent."""
    arguments = config.optimizer_arguments()
    if config.optimizer in WITH_WEIGHT_DECAY:
        arguments.setdefault("weight_decay", config.weight_decay)
    return arguments


def build_optimizer(config: TrainConfig) -> optim.Optimizer:
    """The optimizer of a config whose ``lr_schedule`` and ``optimizer_config`` are concrete.

    Raises `UnusableError` for arguments that the optimizer or the schedule does not take.
    """
    rate = _learning_rate(config)
    try:
        return CLASSES[config.optimizer](learning_rate=rate, **concrete_arguments(config))
    except (TypeError, ValueError) as error:
        said = tr("{optimizer} does not take these settings: {error}.", optimizer=config.optimizer, error=error)
        raise UnusableError([Problem("optimizer_config", said)]) from error


def rate_at(config: TrainConfig, updates: int) -> float:
    """The learning rate after so many optimizer steps. Raises as `build_optimizer`."""
    rate = _learning_rate(config)
    return rate if isinstance(rate, float) else scalar(rate(mx.array(updates)))


def rate_of(optimizer: optim.Optimizer) -> float:
    """The learning rate of the last step; of an Adafactor that goes by itself, what it took in the rate's place."""
    if not (isinstance(optimizer, optim.Adafactor) and optimizer.relative_step):
        return scalar(optimizer.learning_rate)
    step = max(1.0, scalar(optimizer.step))
    return min(1e-6 * step if optimizer.warmup_init else 1e-2, step**-0.5)


def _learning_rate(config: TrainConfig) -> float | Callable[[mx.array], mx.array]:
    from mlx_lm.tuner.utils import build_schedule

    schedule = concrete_schedule(config)
    if schedule is None:
        return config.learning_rate
    try:
        return build_schedule(schedule)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        said = tr("This schedule cannot be built: {error}.", error=error)
        hint = tr(
            "It needs a name from mlx.optimizers (cosine_decay, linear_schedule, …) and its arguments in a list."
        )
        raise UnusableError([Problem("lr_schedule", said, hint=hint)]) from error
