"""The recipe of a bundle: everything that the script on the other machine is told, as one JSON file.

What a config leaves to be worked out is worked out here, once: names of modules, iterations, steps of warm-up. The
script reads values and decides nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.method.method import Method
from app.core.problem import Problem
from app.core.setup.chosen_method import clip_range, method_of

RECIPE = "recipe.json"
# The trainer of TRL 1.16 for each `train_mode`; what is not here cannot be trained with torch by a bundle.
TORCH_TRAINERS = {
    "sft": "SFTTrainer", "dpo": "DPOTrainer", "orpo": "ORPOTrainer", "cpo": "CPOTrainer", "kto": "KTOTrainer",
    "grpo": "GRPOTrainer",
}  # fmt: skip
# mlx's optimizers that torch and transformers have with the same rule, or whose rule the script holds itself.
OPTIMIZERS = ("adam", "adamw", "sgd", "lion", "adafactor")


@dataclass(frozen=True, slots=True)
class BundledModel:
    """The base model as the other machine gets it: from the hub by ``id`` and ``revision``, or in ``folder``.

    ``bytes`` are those of its weights, here or to be downloaded there; ``licence`` what its card says.
    """

    id: str
    revision: str
    folder: str
    dtype: str
    bytes: int
    licence: str
    four_bit: bool = False


@dataclass(frozen=True, slots=True)
class BundledTargets:
    """``modules`` are the exact names of what is adapted, as transformers has them; ``choice`` are the keys of
    PEFT's LoraConfig that choose them."""

    modules: tuple[str, ...]
    choice: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BundledRows:
    """How many rows there are, in which form; ``batches`` of an epoch, ``tokens`` of one."""

    form: str
    train: int
    valid: int
    batches: int
    tokens: int


@dataclass(frozen=True, slots=True)
class BundledRates:
    """The learning rate over the optimizer steps: a ``name`` that transformers has and steps of warm-up, or the
    ``rates`` themselves where it has none."""

    name: str
    warmup_steps: int = 0
    rates: tuple[float, ...] = ()


def recipe_of(
    config: TrainConfig,
    model: BundledModel,
    targets: BundledTargets,
    rows: BundledRows,
    schedule: BundledRates,
    end_tokens: list[int],
    *,
    has_start: bool,
) -> dict[str, Any]:
    """The recipe of a concrete config, as plain JSON. ``has_start`` says that an adapter to begin with is there."""
    method, part = method_of(config), config.lora_parameters
    return {
        "format": 1,
        "method": config.train_mode,
        "label": method.label,
        "trainer": TORCH_TRAINERS[config.train_mode],
        "name": config.adapter_name,
        "model": asdict(model),
        "adapter": {
            "rank": part.rank,
            "alpha": alpha_of(config),
            "dropout": part.dropout,
            "use_dora": config.fine_tune_type == "dora",
            **targets.choice,
        },
        "modules": list(targets.modules),
        "has_start": has_start,
        "data": asdict(rows),
        "end_tokens": end_tokens,
        "iterations": config.iters,
        "batch_size": config.batch_size,
        "accumulation": config.grad_accumulation_steps,
        "max_length": config.max_seq_length,
        "learning_rate": config.learning_rate,
        "schedule": asdict(schedule),
        "optimizer": {
            "name": config.optimizer,
            "arguments": {"weight_decay": 0.0} | config.optimizer_arguments(),
        },
        "max_grad_norm": config.max_grad_norm,
        "activation_checkpointing": config.grad_checkpoint,
        "seed": config.seed,
        "report_every": config.steps_per_report,
        "evaluate_every": config.steps_per_eval,
        "save_every": config.save_every,
        "patience": config.early_stopping.patience if config.early_stopping.enabled else 0,
        "min_delta": config.early_stopping.min_delta,
        "select_by": config.select_by,
        "keep_best": config.final_adapter != "last",
        "loss": _loss(config, method),
    }


def alpha_of(config: TrainConfig) -> float | int:
    """PEFT's alpha, scale × rank; whole where it is a whole number, as PEFT wants it."""
    alpha = config.lora_parameters.scale * config.lora_parameters.rank
    whole = round(alpha)
    return whole if abs(whole - alpha) < 1e-9 * max(1.0, abs(alpha)) else alpha


def _loss(config: TrainConfig, method: Method) -> dict[str, Any]:
    """What the method's loss reads of the config, in TRL's words."""
    if config.train_mode == "sft":
        return {}
    if config.train_mode in ("dpo", "orpo", "cpo", "kto"):
        found: dict[str, Any] = {"beta": config.beta}
        if config.train_mode in ("dpo", "cpo"):
            found["loss_type"] = config.dpo_cpo_loss_type
        if config.train_mode == "cpo":
            found |= {"cpo_alpha": config.cpo_alpha, "simpo_gamma": config.simpo_gamma}
        if config.train_mode == "kto":
            weights = (config.desirable_weight, config.undesirable_weight)
            found |= dict(zip(("desirable_weight", "undesirable_weight"), weights, strict=True))
        return found
    low, high = clip_range(config)
    return {
        "beta": config.beta if method.reference != "never" else 0.0,
        "loss_type": config.grpo_loss_type,
        "importance_sampling_level": config.importance_sampling_level,
        "epsilon": low,
        "epsilon_high": high,
        # As in Luthier: Dr. GRPO alone does not divide by the spread of the rewards.
        "scale_rewards": "none" if config.grpo_loss_type == "dr_grpo" else "group",
        "temperature": config.temperature,
        "group_size": config.group_size,
        "max_completion_length": config.max_completion_length,
        "updates_per_generation": config.updates_per_generation,
        "reward_functions": list(config.reward_functions),
        "reward_weights": list(config.reward_weights or [1.0] * len(config.reward_functions)),
    }


def bundle_problems(config: TrainConfig) -> list[Problem]:
    """What of a config the script on the other side cannot train as Luthier does: all of it, before any work."""
    found = []
    method = method_of(config)
    if config.train_mode not in TORCH_TRAINERS:
        said = tr("{label} is not among what a bundle trains with torch.", label=method.label)
        known = tr("supervised fine-tuning, DPO, CPO, SimPO, ORPO, KTO, GRPO and its kin")
        found.append(Problem("train_mode", said, hint=tr("It trains {known}.", known=known)))
    if config.fine_tune_type == "full":
        said = tr("A bundle trains an adapter, not the model's own weights.")
        found.append(Problem("fine_tune_type", said, hint=tr("Choose LoRA or DoRA.")))
    if config.optimizer not in OPTIMIZERS:
        said = tr("The optimizer {optimizer} goes by another rule in torch.", optimizer=config.optimizer)
        found.append(
            Problem("optimizer", said, hint=tr("Choose one of {optimizers}.", optimizers=", ".join(OPTIMIZERS)))
        )
    if config.reference_model_path:
        said = tr("A bundle compares with the base itself, not with another reference model.")
        found.append(Problem("reference_model_path", said, hint=tr("Leave it empty.")))
    return found


def write_recipe(folder: Path, recipe: Mapping[str, Any]) -> None:
    """Writes ``recipe.json``."""
    (folder / RECIPE).write_text(json.dumps(recipe, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
