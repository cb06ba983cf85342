"""Recommendations: suggestions with their reasons, from data, model and config; none is applied by itself."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from app.core.config.train_config import DEFAULT_ALPHA, WITH_CORRECTION, TrainConfig
from app.core.language import grouped, tr
from app.core.model.inspection import Inspection
from app.core.problem import Problem, Severity
from app.core.setup.chosen_method import method_of
from app.core.target.selection import Selection

FEW_EXAMPLES = 50
MANY_EXAMPLES = 200
VERY_MANY_EXAMPLES = 2000
_SMALL_RANK, _RANK, _HIGH_RANK = 8, 32, 64

LORA_RATE, FULL_RATE = 1e-4, 1e-5
# The rate that suits an alpha of 32 by the model's width, 5e-4 × (2000 / hidden size)^power: "LoRA Without Regret".
_WIDE_RATE, _WIDTH, _POWER, _QWEN_POWER = 5e-4, 2000, 0.781, 0.0775
# Below this width the rule's rates are so high that A moves too fast: alpha is what to raise there.
_LEAST_WIDTH = 512
# Alpha × rate against that of the rule: beyond these something else happens than is expected.
TOO_HOT, TOO_COLD = 3.0, 1 / 40
# Within this share of the rule nothing is suggested: such rules are no finer.
_NEAR = 0.5
_WARMUP = 0.05  # of the run
RATE_PATH, RANK_PATH, SCALE_PATH = "learning_rate", "lora_parameters.rank", "lora_parameters.scale"
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


def adapter_alpha(config: TrainConfig) -> float:
    """PEFT's alpha of a config, without the digits that the division by the rank left."""
    parameters = config.lora_parameters
    return float(f"{alpha_from_scale(parameters.scale, parameters.rank):.12g}")


def rank_values(config: TrainConfig, rank: int) -> dict[str, Any]:
    """A new rank with the scale that leaves alpha as it is."""
    return {RANK_PATH: rank, SCALE_PATH: scale_from_alpha(adapter_alpha(config), rank)}


def suggest(
    config: TrainConfig,
    *,
    examples: int | None = None,
    trained_tokens: int | None = None,
    selection: Selection | None = None,
    inspection: Inspection | None = None,
) -> list[Suggestion]:
    """What could be better, at most one suggestion a field.

    ``examples`` counts the training examples and ``trained_tokens`` their trained tokens (one epoch); what is None
    is not judged. ``inspection`` is the model that the learning rate is to suit.
    """
    found = _rate(config, inspection) + _warmup(config)
    if config.has_own_rates:  # which no field changes
        found = [suggestion for suggestion in found if suggestion.path != RATE_PATH]
    if config.fine_tune_type != "full":
        if examples is not None:
            found += _by_size(config, examples)
        if trained_tokens is not None and selection is not None:
            found += _capacity(config, trained_tokens, selection)
    unique: dict[str, Suggestion] = {}
    for suggestion in found:
        unique.setdefault(suggestion.path, suggestion)
    return list(unique.values())


def starts_too_hot(config: TrainConfig) -> bool:
    """True if Adam's bias is neither corrected nor held back by a warm-up; a schedule from a file is not judged."""
    if config.optimizer not in WITH_CORRECTION or config.schedule == "custom" or config.warmup:
        return False
    return not config.optimizer_arguments().get("bias_correction")


def _warmup(config: TrainConfig) -> list[Suggestion]:
    if not starts_too_hot(config):
        return []
    reason = tr("Without bias correction Adam's first steps are 3 to 6 times too large; a warm-up holds them back.")
    return [Suggestion("warmup", _WARMUP, reason)]


def model_rate(inspection: Inspection) -> float:
    """The learning rate that suits this model at alpha 32, by the rule of "LoRA Without Regret"; 0 if unknown."""
    if inspection.hidden_size <= 0:
        return 0.0
    power = _QWEN_POWER if inspection.model_type.startswith("qwen") else _POWER
    return float(_WIDE_RATE * (_WIDTH / inspection.hidden_size) ** power)


def warmth(config: TrainConfig, inspection: Inspection | None) -> float | None:
    """Alpha × learning rate against what suits the model: 1 is the rule's; None where it cannot be judged."""
    rate = model_rate(inspection) if inspection is not None else 0.0
    if config.fine_tune_type == "full" or not rate or config.has_own_steps:
        return None
    return adapter_alpha(config) * config.highest_rate / (DEFAULT_ALPHA * rate)


def check_scale(config: TrainConfig, inspection: Inspection | None = None) -> list[Problem]:
    """A warning when alpha and learning rate together are far from what suits the model, or alpha is below 1."""
    if config.fine_tune_type == "full":
        return []
    alpha, rate = adapter_alpha(config), config.highest_rate
    found = []
    if alpha < 1:
        said = tr("An alpha of {alpha:g} is below 1: the adapter hardly counts.", alpha=alpha)
        found.append(
            Problem(
                SCALE_PATH, said, Severity.WARNING, tr("{default_alpha:g} is usual.", default_alpha=DEFAULT_ALPHA)
            )
        )
    warm = warmth(config, inspection)
    if warm is None or inspection is None or _too_cold(config, inspection) <= warm <= TOO_HOT:
        return found
    each = tr(
        "Alpha {alpha:g} (scale {scale:g}) with a learning rate of {rate:g} is",
        alpha=alpha,
        scale=config.lora_parameters.scale,
        rate=rate,
    )
    advice = _suited(config, inspection)
    if warm > TOO_HOT:
        said = tr(
            "{each} {times} × what suits this model; the loss may jump, and it may forget what it knew.",
            each=each,
            times=grouped(warm) if warm >= 100 else f"{warm:.2g}",
        )
    else:
        said = tr("{each} 1/{warm:.0f} of what suits this model; it will learn slowly.", each=each, warm=1 / warm)
    value = (
        tr("the rate in lr_schedule, to {value:g}", value=advice.value)
        if config.has_own_rates
        else tr("the learning rate, to {value:g}", value=advice.value)
    )
    if advice.path == SCALE_PATH:
        rank = config.lora_parameters.rank
        value = tr(
            "the alpha, to {alpha_from_scale:g} (scale {value:g})",
            alpha_from_scale=alpha_from_scale(advice.value, rank),
            value=advice.value,
        )
    lower = warm > TOO_HOT
    hint = tr("Lower {value} for example.", value=value) if lower else tr("Raise {value} for example.", value=value)
    return [*found, Problem(SCALE_PATH, said, Severity.WARNING, hint)]


def _own_rate(config: TrainConfig) -> float | None:
    """The rate of a method that has one of its own, far below that of the rule, which is of supervised runs."""
    return method_of(config).settings.get("learning_rate")


def _too_cold(config: TrainConfig, inspection: Inspection) -> float:
    """As much below the method's own rate as below that of supervised runs; tiny models learn nothing at either."""
    own = _own_rate(config) if inspection.hidden_size >= _LEAST_WIDTH else None
    return TOO_COLD * (own or LORA_RATE) / LORA_RATE


def _suited(config: TrainConfig, inspection: Inspection) -> Suggestion:
    """The learning rate that suits this alpha and the model, or the method where that has its own; of a tiny model,
    the scale that suits it and the rate."""
    rate = model_rate(inspection)
    if inspection.hidden_size < _LEAST_WIDTH:
        wanted = rate / config.highest_rate * DEFAULT_ALPHA / config.lora_parameters.rank
        scale = 2.0 ** round(math.log2(wanted))
        value = min(max(scale, 2.0**-6), 8192.0)
        return Suggestion(
            SCALE_PATH, value, tr("A model so small wants another alpha: its rate cannot make up for it.")
        )
    alpha, own = adapter_alpha(config), _own_rate(config)
    if own is not None:
        value = float(f"{DEFAULT_ALPHA * own / alpha:.2g}")
        return Suggestion(
            RATE_PATH, value, tr("{label} begins with {own:g}.", label=method_of(config).label, own=own)
        )
    value = float(f"{DEFAULT_ALPHA * rate / alpha:.2g}")
    reason = tr(
        'For this model ({hidden_size:,} wide) and an alpha of {alpha:g}, the authors of "LoRA '
        'Without Regret" found {value:g}.',
        hidden_size=inspection.hidden_size,
        alpha=alpha,
        value=value,
    )
    return Suggestion(RATE_PATH, value, reason)


def _by_size(config: TrainConfig, examples: int) -> list[Suggestion]:
    rank = config.lora_parameters.rank
    if examples < FEW_EXAMPLES:
        why = tr(
            "With {examples} examples (fewer than {few_examples}), a small adapter learns less by heart",
            examples=examples,
            few_examples=FEW_EXAMPLES,
        )
        return [
            *([] if config.targets in ("minimal", "keys") else [Suggestion("targets", "minimal", f"{why}.")]),
            *([Suggestion(RANK_PATH, _SMALL_RANK, f"{why}.")] if rank > _SMALL_RANK else []),
        ]
    size = (
        tr("{examples:,} examples", examples=examples)
        if examples <= MANY_EXAMPLES
        else tr("{examples:,} examples (more than 200)", examples=examples)
    )
    found = []
    if config.targets in ("minimal", "attention", "mlp"):
        found.append(
            Suggestion(
                "targets", "full", tr("{size} are enough for attention and MLP: the best quality.", size=size)
            )
        )
    if examples <= MANY_EXAMPLES and rank > _RANK:
        found.append(
            Suggestion(
                RANK_PATH, _RANK, tr("For {size} a rank of {rank} is a good balance.", size=size, rank=_RANK)
            )
        )
    if examples > MANY_EXAMPLES:
        wanted = _HIGH_RANK if examples > VERY_MANY_EXAMPLES else _RANK
        if rank < wanted:
            why = tr("{size} hold more than a rank of {rank} can take in.", size=size, rank=rank)
            found.append(Suggestion(RANK_PATH, wanted, why))
    return found


def _capacity(config: TrainConfig, tokens: int, selection: Selection) -> list[Suggestion]:
    held = selection.trainable_parameters * _TOKENS_PER_PARAMETER
    rank = config.lora_parameters.rank
    if not held or tokens <= held or rank >= 512:
        return []
    wanted = min(512, 1 << (int(rank * tokens / held) - 1).bit_length())
    reason = tr(
        "The data has {tokens:,} trained tokens, about as many bits; rank {rank} holds some {held:,.0f}.",
        tokens=tokens,
        rank=rank,
        held=held,
    )
    return [Suggestion(RANK_PATH, wanted, reason)] if wanted > rank else []


def _rate(config: TrainConfig, inspection: Inspection | None) -> list[Suggestion]:
    rate = config.highest_rate
    if config.has_own_steps:
        return []
    if config.fine_tune_type == "full":
        reason = tr(
            "Full fine-tuning wants about a tenth of LoRA's learning rate: {full_rate:g}.", full_rate=FULL_RATE
        )
        return [Suggestion(RATE_PATH, FULL_RATE, reason)] if rate > 5 * FULL_RATE else []
    warm = warmth(config, inspection)
    if warm is not None and inspection is not None:
        is_rough = inspection.hidden_size < _LEAST_WIDTH or _own_rate(config) is not None
        near, far = (_too_cold(config, inspection), TOO_HOT) if is_rough else (_NEAR, 1 / _NEAR)
        return [] if near <= warm <= far else [_suited(config, inspection)]
    if _own_rate(config) is None and rate < 0.3 * LORA_RATE and adapter_alpha(config) <= DEFAULT_ALPHA:
        reason = tr(
            "LoRA trains best at about ten times the rate of full fine-tuning: {lora_rate:g}.", lora_rate=LORA_RATE
        )
        return [Suggestion(RATE_PATH, LORA_RATE, reason)]
    return []
