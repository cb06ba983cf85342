"""The chosen method: which one a config means, and what follows from the config's values for it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from app.core.config.train_config import TrainConfig
from app.core.method.method import Method
from app.core.method.table import PATHS, method_for
from app.core.model.folder import locate_model
from app.core.problem import Problem, UnusableError


def method_of(config: TrainConfig) -> Method:
    """The method that a config means."""
    return method_for(config.value)


def with_defaults(config: TrainConfig, given: Collection[str]) -> TrainConfig:
    """The config with its method's own defaults (learning rate, beta, …) for what a file did not give."""
    return config.with_values({path: v for path, v in method_of(config).settings.items() if path not in given})


def unwritten_paths(config: TrainConfig) -> list[str]:
    """The methods' paths that a file leaves out: all where stock mlx-lm trains, else those that say nothing (no
    file, no second model, the paper's clip range)."""
    is_stock = method_of(config).is_stock
    return [path for path in PATHS if is_stock or config.value(path) in ("", None)]


def needs_reference(config: TrainConfig) -> bool:
    """True if answers are compared with those of a reference model."""
    reference = method_of(config).reference
    return reference == "always" or (reference == "beta" and config.beta > 0)


def prompt_limit(config: TrainConfig) -> int:
    """The longest prompt, in tokens, behind which a sampled answer fits; longer ones are left out."""
    return config.max_seq_length - config.max_completion_length


def uses_rewards(config: TrainConfig) -> bool:
    """True if reward functions score the answers: those that are sampled, unless a model judges them."""
    return method_of(config).is_sampled and not has_judge(config)


def has_judge(config: TrainConfig) -> bool:
    """True if a model judges the sampled answers."""
    return method_of(config).is_judged and bool(config.judge.strip())


def locate_judge(config: TrainConfig) -> Path:
    """The folder of the model that judges; raises `UnusableError` with the path "judge" if there is none."""
    try:
        return locate_model(config.judge)
    except UnusableError as error:
        raise UnusableError([Problem("judge", p.message, p.severity, p.hint) for p in error.problems]) from error


def clip_range(config: TrainConfig) -> tuple[float, float]:
    """How far the ratio may go below and above 1: the config's, or the method's where it says nothing.

    Given alone, the config's ``epsilon`` bounds both sides.
    """
    low, high = method_of(config).epsilon
    if config.epsilon is not None:
        low = high = config.epsilon
    return low, high if config.epsilon_high is None else config.epsilon_high
