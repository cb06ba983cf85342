"""Recommendations: suggestions with their reasons, from data, model and config; none is applied by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.problem import Problem, Severity
from app.core.target.selection import Selection

FEW_EXAMPLES = 50
MANY_EXAMPLES = 200
VERY_MANY_EXAMPLES = 2000
_SMALL_RANK, _RANK, _HIGH_RANK = 8, 32, 64

LORA_RATE, FULL_RATE = 1e-4, 1e-5
# What is known to train lies between PEFT's usual 2 × 1e-5 and twice the 32 × 1e-4 of full-layer LoRA.
_LEAST_PRODUCT, _LARGEST_PRODUCT = 1e-5, 6.4e-3
# A LoRA adapter holds about two bits a parameter, and a trained token brings about one ("LoRA Without Regret").
_TOKENS_PER_PARAMETER = 2.0


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One change worth making: the config path, its new value, and why."""

    path: str
    value: Any
    reason: str


def alpha_from_scale(scale: float, rank: int) -> float:
    """PEFT's ``lora_alpha`` that does what mlx-lm's ``scale`` does: PEFT multiplies by alpha / rank."""
    return scale * rank


def scale_from_alpha(alpha: float, rank: int) -> float:
    """mlx-lm's ``scale`` that does what PEFT's ``lora_alpha`` does at this rank."""
    return alpha / rank


def suggest(
    config: TrainConfig,
    *,
    examples: int | None = None,
    trained_tokens: int | None = None,
    selection: Selection | None = None,
) -> list[Suggestion]:
    """What could be better, at most one suggestion a field.

    ``examples`` counts the training examples and ``trained_tokens`` their trained tokens (one epoch); what is None
    is not judged.
    """
    found = [*_rate(config), *_scale(config)]
    if config.fine_tune_type != "full":
        if examples is not None:
            found += _by_size(config, examples)
        if trained_tokens is not None and selection is not None:
            found += _capacity(config, trained_tokens, selection)
    unique: dict[str, Suggestion] = {}
    for suggestion in found:
        unique.setdefault(suggestion.path, suggestion)
    return list(unique.values())


def check_scale(config: TrainConfig) -> list[Problem]:
    """A warning when scale and learning rate together are far from what is known to train."""
    if config.fine_tune_type == "full":
        return []
    scale, rate = config.lora_parameters.scale, config.learning_rate
    product = scale * rate
    if _LEAST_PRODUCT <= product <= _LARGEST_PRODUCT:
        return []
    alpha = alpha_from_scale(scale, config.lora_parameters.rank)
    each = f"A step moves the weights by about scale × learning rate = {scale:g} × {rate:g} = {product:.2g}"
    if product > _LARGEST_PRODUCT:
        said = (
            f"{each}, beyond what is known to train (up to {_LARGEST_PRODUCT:g}); the loss may jump or become NaN."
        )
        hint = f"Lower the learning rate to {_rounded(_LARGEST_PRODUCT / 2 / scale):g} or the scale."
    else:
        said = f"{each}, so little that hardly anything will be learned."
        hint = "Raise the learning rate or the scale."
    note = f" In PEFT's terms the alpha is {alpha:g} (scale × rank)."
    return [Problem("lora_parameters.scale", said + note, Severity.WARNING, hint)]


def _by_size(config: TrainConfig, examples: int) -> list[Suggestion]:
    rank = config.lora_parameters.rank
    if examples < FEW_EXAMPLES:
        why = f"With {examples} examples (fewer than {FEW_EXAMPLES}), a small adapter learns less by heart"
        return [
            *([] if config.targets in ("minimal", "keys") else [Suggestion("targets", "minimal", f"{why}.")]),
            *([Suggestion("lora_parameters.rank", _SMALL_RANK, f"{why}.")] if rank > _SMALL_RANK else []),
        ]
    size = f"{examples:,} examples" if examples <= MANY_EXAMPLES else f"{examples:,} examples (more than 200)"
    found = []
    if config.targets in ("minimal", "attention", "mlp"):
        found.append(Suggestion("targets", "full", f"{size} are enough for attention and MLP: the best quality."))
    if examples <= MANY_EXAMPLES and rank > _RANK:
        found.append(Suggestion("lora_parameters.rank", _RANK, f"For {size} a rank of {_RANK} is a good balance."))
    if examples > MANY_EXAMPLES:
        wanted = _HIGH_RANK if examples > VERY_MANY_EXAMPLES else _RANK
        if rank < wanted:
            why = f"{size} hold more than a rank of {rank} can take in."
            found.append(Suggestion("lora_parameters.rank", wanted, why))
    return found


def _capacity(config: TrainConfig, tokens: int, selection: Selection) -> list[Suggestion]:
    held = selection.trainable_parameters * _TOKENS_PER_PARAMETER
    rank = config.lora_parameters.rank
    if not held or tokens <= held or rank >= 512:
        return []
    wanted = min(512, 1 << (int(rank * tokens / held) - 1).bit_length())
    reason = f"The data has {tokens:,} trained tokens, about as many bits; rank {rank} holds some {held:,.0f}."
    return [Suggestion("lora_parameters.rank", wanted, reason)] if wanted > rank else []


def _rate(config: TrainConfig) -> list[Suggestion]:
    rate = config.learning_rate
    if config.fine_tune_type == "full" and rate > 5 * FULL_RATE:
        reason = f"Full fine-tuning wants about a tenth of LoRA's learning rate: {FULL_RATE:g}."
        return [Suggestion("learning_rate", FULL_RATE, reason)]
    if config.fine_tune_type != "full" and rate < 0.3 * LORA_RATE:
        if rate * config.lora_parameters.scale > _LARGEST_PRODUCT / 10:
            return []
        reason = f"LoRA trains best at about ten times the rate of full fine-tuning: {LORA_RATE:g}."
        return [Suggestion("learning_rate", LORA_RATE, reason)]
    return []


def _scale(config: TrainConfig) -> list[Suggestion]:
    problems = check_scale(config)
    if not problems or config.learning_rate * config.lora_parameters.scale < _LARGEST_PRODUCT:
        return []
    value = _rounded(_LARGEST_PRODUCT / 2 / config.lora_parameters.scale)
    return [Suggestion("learning_rate", value, problems[0].message)]


def _rounded(number: float) -> float:
    """One significant digit, as learning rates are written."""
    return float(f"{number:.0e}")
