"""What all three take from Hugging Face's `TrainingArguments` and PEFT's `LoraConfig`: lengths, rates, the adapter.

Their steps are updates of the weights, Luthier's iterations are batches: gradient accumulation multiplies.
"""

from __future__ import annotations

import math
from typing import Any

from app.core.config.train_config import ADAFACTOR_BY_RATE
from app.core.foreign.file import ForeignFile
from app.core.language import tr
from app.core.problem import Severity

# Of their optimizers, by how the name begins: PyTorch's, bitsandbytes' and their paged and 8-bit kin.
_OPTIMIZERS = (
    ("adamw", "adamw"), ("paged_adamw", "adamw"), ("adafactor", "adafactor"), ("lion", "lion"),
    ("paged_lion", "lion"), ("sgd", "sgd"), ("muon", "muon"), ("adam", "adamw"),
)  # fmt: skip
_SCHEDULES = {"linear": "linear", "cosine": "cosine", "constant": "constant", "constant_with_warmup": "constant"}
_TRACKERS = ("tensorboard", "wandb", "trackio")


def complete(found: ForeignFile) -> None:
    """What none of them does by itself: a test split, early stopping, keeping the best."""
    found.put("train", True)
    found.put("test_fraction", 0.0)
    found.put("bias_correction", True)  # as in PyTorch's Adam
    found.tree.setdefault("early_stopping", {"enabled": False})
    found.tree.setdefault("final_adapter", "last")
    found.tree.setdefault("num_layers", -1)


def read_rate(found: ForeignFile, key: str, default: float | None) -> None:
    is_given = found.keys.get(key) is not None
    rate = found.number(key, "learning_rate", default)
    if rate is None and not is_given:
        found.miss(
            key,
            "learning_rate",
            tr("The file names no `{key}`, which {trainer} asks for.", key=key, trainer=found.trainer),
        )
    elif rate is not None:
        found.put("learning_rate", rate, key)


def read_batches(found: ForeignFile, size_key: str, size: int, accumulation_key: str, accumulation: int) -> int:
    """Puts the batch size and the accumulation; gives the iterations of one of their steps."""
    rows = found.number(size_key, "batch_size", size)
    if rows is not None:  # else it is told already
        found.put("batch_size", rows, size_key)
    steps = found.number(accumulation_key, "grad_accumulation_steps", accumulation)
    if steps is not None:
        found.put("grad_accumulation_steps", steps, accumulation_key)
    return max(1, int(steps or 1))


def read_length(found: ForeignFile, per_step: int, epochs_key: str, epochs: float, max_key: str) -> None:
    """A number of steps wins over epochs, as it does there."""
    passes = found.number(epochs_key, "epochs", epochs)
    most = found.number(max_key, "iters")
    if most is not None and most > 0:
        found.put("iters", int(most) * per_step, max_key)
        found.put("epochs", None)
    elif passes is not None:
        found.put("epochs", passes, epochs_key)


def read_every(found: ForeignFile, path: str, key: str, per_step: int, default: int | None = None) -> None:
    """How often something is done, in their steps; a share of the run, or an epoch, stays as it is here."""
    every = found.number(key, path, default)
    if every is None or every <= 0:
        return
    if every < 1:
        said = tr(
            "`{key}: {every:g}` is a share of the run; here it is a number of iterations, and stays as it is.",
            key=key,
            every=every,
        )
        found.miss(key, path, said, Severity.NOTE)
        return
    found.put(path, int(every) * per_step, key)


def read_schedule(found: ForeignFile, key: str, default: str) -> None:
    name = str(found.take(key, default))
    if name not in _SCHEDULES:
        instead = "cosine" if name.startswith("cosine") else "linear"
        said = tr("`{key}: {name}` is not there; {instead} is used instead.", key=key, name=name, instead=instead)
        found.miss(key, "schedule", said)
        name = instead
    found.put("schedule", _SCHEDULES[name], key)
    if name == "constant":  # which takes no warm-up there
        found.put("warmup", 0.0)


def read_warmup(found: ForeignFile, per_step: int, steps_key: str, ratio_key: str, default: float = 0.0) -> None:
    """After `read_schedule`. Steps win over a ratio; a number of steps below 1 is a ratio too (transformers 5)."""
    steps, ratio = found.number(steps_key, "warmup"), found.number(ratio_key, "warmup")
    if "warmup" in found.tree:
        return
    if steps is not None and steps > 0:
        found.put("warmup", steps if steps < 1 else int(steps) * per_step, steps_key)
    elif steps is None and ratio is None and default:
        found.left_out.append(f"{steps_key if default >= 1 else ratio_key} {default:g}")
        found.put("warmup", default if default < 1 else int(default) * per_step)
    else:
        found.put("warmup", ratio or 0.0, ratio_key)


def read_optimizer(found: ForeignFile, key: str, default: str) -> None:
    """The optimizer, with Adam's betas and epsilon where the file names them."""
    name = str(found.take(key, default)).lower()
    own = next((own for begins, own in _OPTIMIZERS if name.startswith(begins)), None)
    if own is None:
        found.miss(key, "optimizer", tr("The optimizer {name} is not there; AdamW is used instead.", name=name))
        own = "adamw"
    elif "8bit" in name or "4bit" in name:
        said = tr(
            "`{key}: {name}` keeps its figures in few bits to save memory; here they are float32.",
            key=key,
            name=name,
        )
        found.miss(key, "optimizer", said, Severity.NOTE)
    found.put("optimizer", own, key)
    _read_settings(found, key, own)


def _read_settings(found: ForeignFile, key: str, own: str) -> None:
    """What transformers' trainer gives the optimizer: Adam's betas and epsilon where the file names them, Adam's
    betas to Lion as well, and to Adafactor that it is to go by the learning rate."""
    betas = [found.number(f"adam_beta{i}", "optimizer_config") for i in (1, 2)]
    eps = found.number("adam_epsilon", "optimizer_config")
    settings: dict[str, Any] = {}
    if own == "adafactor":
        settings |= ADAFACTOR_BY_RATE
    if own == "adamw" and eps is not None:
        settings["eps"] = eps
    if own == "lion" or (own == "adamw" and betas != [None, None]):
        settings["betas"] = [
            one if one is not None else usual for one, usual in zip(betas, (0.9, 0.999), strict=True)
        ]
    if settings:
        found.put(f"optimizer_config.{own}", settings)
    if (eps is not None and own != "adamw") or (betas != [None, None] and "betas" not in settings):
        said = tr("Adam's betas and epsilon do nothing with {own}.", own=own)
        found.miss(key, "optimizer_config", said, Severity.NOTE)


def read_adapter(
    found: ForeignFile,
    *,
    rank: tuple[str, int],
    alpha: tuple[str, float | None],
    dropout: tuple[str, float],
    rslora: str,
) -> None:
    """PEFT's rank and alpha: the factor is alpha ÷ rank, or alpha ÷ √rank with rank-stabilized LoRA (2312.03732).

    An alpha of None is twice the rank, as LLaMA-Factory has it.
    """
    width = found.number(rank[0], "lora_parameters.rank", rank[1])
    usual = alpha[1] if alpha[1] is not None else 2 * (width or 0)
    strength = found.number(alpha[0], "lora_parameters.scale", usual)
    left = found.number(dropout[0], "lora_parameters.dropout", dropout[1])
    if left is not None:
        found.put("lora_parameters.dropout", left, dropout[0])
    if width is None or strength is None:
        return
    found.put("lora_parameters.rank", int(width) if width == int(width) else width, rank[0])
    is_stabilized = found.switch(rslora, "lora_parameters.scale")
    if width > 0:
        found.put("lora_parameters.scale", strength / (math.sqrt(width) if is_stabilized else width), alpha[0])


def read_targets(found: ForeignFile, key: str, names: list[str]) -> None:
    """Names of modules as PEFT takes them; ``all`` and ``all-linear`` are every linear matrix but the head."""
    if names in (["all"], ["all-linear"]):
        found.put("targets", "linear", key)
    elif odd := [name for name in names if any(sign in name for sign in "\\()[]|^$*+?")]:
        said = tr("`{key}`: {odd} is a regular expression, which targets are not here.", key=key, odd=odd[0])
        found.miss(key, "targets", said, Severity.ERROR, tr("Name the modules, such as q_proj, v_proj."))
    elif names:
        found.put("targets", ", ".join(names), key)
    else:
        said = tr(
            "The file names no `{key}`; {trainer} then asks PEFT, which knows each model's own.",
            key=key,
            trainer=found.trainer,
        )
        found.miss(key, "targets", said, Severity.ERROR, tr("Name them, such as q_proj, v_proj."))


def read_packing(found: ForeignFile, key: str, *, alone: bool) -> None:
    """Packed rows; ``alone`` says that each example in one sees only itself there, as it does here."""
    if not found.switch(key, "batching"):
        return
    found.put("batching", "pack", key)
    others = (
        ""
        if alone
        else tr(" In a row each example sees only itself, which it does not in {trainer}.", trainer=found.trainer)
    )
    said = tr(
        "`{key}` is read as packed batches. The batch size counts examples here, and packed rows there.{others}",
        key=key,
        others=others,
    )
    found.miss(key, "batching", said)


def read_reports(found: ForeignFile, names: list[str], key: str) -> None:
    """Where a run's figures are sent besides."""
    names = [name for name in names if name not in ("none", "[]")]
    if odd := [name for name in names if name not in _TRACKERS]:
        found.miss(key, "report_to", tr("`{key}`: {odd} cannot be reported to.", key=key, odd=", ".join(odd)))
    if known := [name for name in names if name in _TRACKERS]:
        found.put("report_to", ",".join(known), key)


def read_best(found: ForeignFile, patience_key: str, best_key: str) -> None:
    """Early stopping and the weights that are kept. After the distance of evaluations, by which patience counts."""
    patience, best = found.number(patience_key, "early_stopping.patience"), found.switch(best_key, "final_adapter")
    metric, key = found.take("metric_for_best_model"), "metric_for_best_model"
    if patience is not None and patience > 0:
        found.put("early_stopping", {"enabled": True, "patience": int(patience)}, patience_key)
        if "steps_per_eval" not in found.tree:
            said = tr("`{key}` counts evaluations, and how far apart they are is not taken over.", key=patience_key)
            hint = tr("Set the iterations between evaluations (`steps_per_eval`).")
            found.miss(patience_key, "early_stopping.patience", said, hint=hint)
    if best:
        found.put("final_adapter", "best", best_key)
    if metric in (None, "", "loss", "eval_loss"):
        return
    if best or patience:
        said = tr(
            "`{key}: {metric}` is not used: the validation loss says which weights are best.",
            key=key,
            metric=metric,
        )
        found.miss(key, "final_adapter", said)
    else:
        found.without_effect.append(key)


def read_quantized(found: ForeignFile, keys: tuple[str, ...]) -> None:
    """A base that is quantized while it is loaded (QLoRA)."""
    asked = [key for key in keys if (value := found.take(key)) and value is not False]
    if asked:
        said = tr(
            "`{asked}` quantizes the model while it is loaded; here it is trained as the folder holds it.",
            asked=asked[0],
        )
        hint = tr("For a base of few bits convert it once (`luthier models convert`), and name that under `model`.")
        found.miss(asked[0], "model", said, hint=hint)


def read_share(found: ForeignFile, key: str, default: float) -> None:
    """The validation share; a whole number of rows cannot be said here."""
    share = found.number(key, "valid_fraction", default)
    if share is None:
        return
    if share >= 1:
        said = tr(
            "`{key}: {share:g}` is a number of rows; here it is a share of them, and stays at 0.1.",
            key=key,
            share=share,
        )
        found.miss(key, "valid_fraction", said)
        found.put("valid_fraction", 0.1)
        return
    found.put("valid_fraction", share, key)
