"""The learning rates of a bundle: transformers' schedule where it has the same, else every rate by itself."""

from __future__ import annotations

import math

import mlx.core as mx
from mlx_lm.tuner.utils import build_schedule

from app.core.bundle.recipe import BundledRates
from app.core.config.train_config import TrainConfig
from app.worker.array import scalar

NAMES = {"constant": "constant_with_warmup", "linear": "linear", "cosine": "cosine"}
CLOSE = 1e-5  # relative to the highest rate; mlx computes in float32


def schedule_of(config: TrainConfig) -> BundledRates:
    """The schedule over the optimizer steps of a concrete config."""
    steps = max(1, math.ceil(config.iters / config.grad_accumulation_steps))
    form = config.lr_schedule if config.schedule == "custom" or config.lr_schedule else None
    if not form:
        return BundledRates("constant")
    scheduled = build_schedule(form)
    rates = tuple(scalar(scheduled(mx.array(step))) for step in range(steps))
    highest = max(config.learning_rate, *rates)
    if config.schedule in NAMES:
        warmup = int(form.get("warmup") or 0)
        for guess in dict.fromkeys((warmup, warmup + 1)):
            wanted = [_rate(config.schedule, config.learning_rate, step, guess, steps) for step in range(steps)]
            if all(abs(one - other) <= CLOSE * highest for one, other in zip(rates, wanted, strict=True)):
                return BundledRates(NAMES[config.schedule], guess)
    return BundledRates("custom", rates=rates)


def _rate(name: str, peak: float, step: int, warmup: int, steps: int) -> float:
    """The rate of a step (from 0) in transformers (`transformers.optimization`)."""
    if step < warmup:
        return peak * step / max(1, warmup)
    if name == "constant":
        return peak
    share = (step - warmup) / max(1, steps - warmup)
    left = 1 - share if name == "linear" else 0.5 * (1 + math.cos(math.pi * share))
    return peak * max(0.0, left)
