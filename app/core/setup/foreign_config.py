"""Config files of mlx-lm and mlx-lm-lora: their names and defaults put in Luthier's words, and each change told.

A file that carries none of Luthier's keys is theirs, and what it leaves out has their defaults (mlx-lm 0.32,
`mlx_lm.lora.CONFIG_DEFAULTS`; mlx-lm-lora 5, `mlx_lm_lora.train.CONFIG_DEFAULTS`): the same file trains the same
parameters here and there. What they can do and Luthier cannot is refused by name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.core.config.train_config import DEFAULT_ALPHA, LoraParameters, TrainConfig
from app.core.language import tr
from app.core.problem import Problem, Severity

ConfigTree = dict[str, Any]

MLX_LM_KEYS = frozenset((
    "model", "train", "fine_tune_type", "optimizer", "optimizer_config", "data", "seed", "num_layers", "batch_size",
    "iters", "val_batches", "learning_rate", "steps_per_report", "steps_per_eval", "resume_adapter_file",
    "adapter_path", "save_every", "test", "test_batches", "max_seq_length", "config", "grad_checkpoint",
    "grad_accumulation_steps", "clear_cache_threshold", "lr_schedule", "lora_parameters", "mask_prompt",
    "report_to", "project_name", "trust_remote_code", "hf_dataset", "prompt_feature", "completion_feature",
    "chat_feature", "text_feature", "lora_layers", "use_dora", "wandb",
))  # fmt: skip
# What mlx-lm-lora and Luthier both have. A method beside nothing of Luthier's own is in a file of mlx-lm-lora.
SHARED_KEYS = frozenset((
    "train_mode", "epochs", "beta", "dpo_cpo_loss_type", "reference_model_path", "judge", "judge_config",
    "group_size", "epsilon", "epsilon_high", "max_completion_length", "temperature", "reward_weights",
    "reward_functions", "reward_functions_file", "grpo_loss_type", "importance_sampling_level",
))  # fmt: skip
# Values of shared keys that only Luthier has.
OWN_VALUES = {"train_mode": "kto", "dpo_cpo_loss_type": "simpo"}
# Keys that only mlx-lm-lora has.
MLX_LM_LORA_KEYS = frozenset((
    "train_type", "gradient_accumulation_steps", "micro_batch_size", "load_in_4bits", "load_in_6bits",
    "load_in_8bits", "load_in_mxfp4", "sft_loss_type", "fuse", "reward_scaling", "dpo_loss_type", "delta",
    "efficient_long_context", "qat_enable", "lm_studio_name",
))  # fmt: skip
# What both leave to their defaults, but Luthier decides otherwise: nothing is stopped early, the last weights stay.
_AS_THEY_TRAIN: ConfigTree = {
    "learning_rate": 1e-5, "max_seq_length": 2048, "steps_per_report": 10, "steps_per_eval": 200, "save_every": 100,
    "val_batches": 25, "final_adapter": "last",
}  # fmt: skip
MLX_LM_DEFAULTS: ConfigTree = {"batch_size": 4, "iters": 1000, "num_layers": 16} | _AS_THEY_TRAIN
MLX_LM_LORA_DEFAULTS: ConfigTree = {
    "batch_size": 1, "num_layers": -1, "beta": 0.1, "group_size": 4, "temperature": 0.8,
    "max_completion_length": 512,
} | _AS_THEY_TRAIN  # fmt: skip
MLX_LM_LORA_ITERATIONS = 100  # where a file names neither iterations nor epochs
# mlx's own, where an optimizer's settings name none.
MLX_WEIGHT_DECAY = {"adamw": 0.01, "muon": 0.01}
MLX_LM_ADAPTER = {"rank": 8, "scale": 20.0, "dropout": 0.0}
MLX_LM_LORA_ADAPTER = {"rank": 8, "scale": 10.0, "dropout": 0.0}
NEW_NAMES = {
    "train_type": "fine_tune_type",
    "gradient_accumulation_steps": "grad_accumulation_steps",
    "lora_layers": "num_layers",
    "dpo_loss_type": "dpo_cpo_loss_type",
}
# Keys of other trainers, and of no version of mlx-lm that still reads them, with what is meant.
MEANT = {
    "lora_rank": "lora_parameters.rank", "lora_r": "lora_parameters.rank",
    "rank": "lora_parameters.rank", "r": "lora_parameters.rank",
    "lora_alpha": "lora_parameters.alpha", "alpha": "lora_parameters.alpha",
    "lora_scale": "lora_parameters.scale", "scale": "lora_parameters.scale",
    "lora_dropout": "lora_parameters.dropout", "dropout": "lora_parameters.dropout",
    "lora": "lora_parameters", "lora_config": "lora_parameters", "lora_keys": "lora_parameters.keys",
    "lora_parameters.target_modules": "lora_parameters.keys", "target_modules": "targets",
    "lora_target_modules": "targets", "lora_target": "targets",
    "lora_parameters.r": "lora_parameters.rank", "lora_parameters.lora_alpha": "lora_parameters.alpha",
    "lora_parameters.lora_dropout": "lora_parameters.dropout",
    "num_epochs": "epochs", "num_train_epochs": "epochs", "max_steps": "iters", "lr": "learning_rate",
    "lr_scheduler_type": "schedule", "warmup_steps": "warmup", "warmup_ratio": "warmup",
    "max_length": "max_seq_length",
    "gradient_checkpointing": "grad_checkpoint", "per_device_train_batch_size": "batch_size",
    "steps_per_save": "save_every", "save_steps": "save_every", "eval_steps": "steps_per_eval",
    "logging_steps": "steps_per_report", "adapter_file": "resume_adapter_file", "dpo_beta": "beta",
    "dpo_loss": "dpo_cpo_loss_type", "num_generations": "group_size", "train_data": "data",
}  # fmt: skip
# Keys whose other values train something else, with the one value that changes nothing.
WITHOUT_EFFECT: ConfigTree = {"reward_scaling": 1.0, "delta": 50.0}


@dataclass(slots=True)
class Translation:
    """A file's tree in Luthier's words, with what was changed (notes, warnings) and what is refused (errors)."""

    tree: ConfigTree
    file: str
    lines: Mapping[str, int]
    problems: list[Problem] = field(default_factory=list)
    left_layers: bool = False  # the number of layers is a default, which a small model may not have

    def tell(self, key: str, message: str, severity: Severity = Severity.NOTE, hint: str = "") -> None:
        """Adds a problem at a key of the file."""
        self.problems.append(Problem(key, message, severity, hint, self.file, self.lines.get(key)))


def translate(tree: ConfigTree, *, file: str, lines: Mapping[str, int]) -> Translation:
    """Puts a file without ``config_version`` in Luthier's words; the tree that is given stays as it was."""
    found = Translation(dict(tree), file, lines)
    origin = origin_of(tree)
    for step in (_refuse, _rename, _read_keys, _read_lists):
        step(found)
    _take_alpha(found)
    if origin is not None:
        _fill(found, *origin)
    if isinstance(judge := found.tree.get("judge_config"), dict):
        found.tree["judge_config"] = {key: value for key, value in judge.items() if value is not None}
    return found


def origin_of(tree: ConfigTree) -> tuple[str, ConfigTree, ConfigTree] | None:
    """Whose file it is (name, defaults, the adapter's defaults); None for one of Luthier's own."""
    if tree.keys() & (TrainConfig.model_fields.keys() - MLX_LM_KEYS - SHARED_KEYS):
        return None
    if any(tree.get(key) == value for key, value in OWN_VALUES.items()):
        return None
    if tree.keys() & MLX_LM_LORA_KEYS or "train_mode" in tree:
        return "mlx-lm-lora", MLX_LM_LORA_DEFAULTS, MLX_LM_LORA_ADAPTER
    return None if tree.keys() & SHARED_KEYS else ("mlx-lm", MLX_LM_DEFAULTS, MLX_LM_ADAPTER)


def take_alpha(tree: ConfigTree, *, file: str, lines: Mapping[str, int]) -> Translation:
    """Reads ``lora_parameters.alpha`` in a file of Luthier's own, where it stands instead of a scale."""
    found = Translation(dict(tree), file, lines)
    _take_alpha(found)
    return found


# --- what is refused ----------------------------------------------------------------------------------------------


def _refuse(found: Translation) -> None:
    tree, error = found.tree, Severity.ERROR
    if tree.get("train") is False:
        if tree.get("test") is True:
            found.tell(
                "train",
                tr("`train: false` with `test: true` asks for a measurement, not for training."),
                error,
                tr("Measure with `luthier evaluate --model … --adapter-path … --data …`."),
            )
        else:
            found.tell(
                "train", tr("`train: false` is set aside: this is a config to train with."), Severity.WARNING
            )
            tree["train"] = True
    elif tree.get("test") is True:
        found.tell("test", tr("A run does not measure the test data by itself."), Severity.WARNING,
                   tr("Measure afterwards with `luthier evaluate`, or in Compare."))  # fmt: skip
    if tree.get("hf_dataset"):
        found.tell("hf_dataset", tr("Luthier does not download data sets."), error,
                   tr("Save it as JSONL or Parquet, and name the file under `data`."))  # fmt: skip
    for key in ("load_in_4bits", "load_in_6bits", "load_in_8bits", "load_in_mxfp4"):
        if tree.get(key) is True:
            found.tell(key, tr("`{key}` asks for a model that is quantized while it is loaded.", key=key), error,
                       tr("Quantize it once (`luthier models convert`), and name that under `model`."))  # fmt: skip
    if tree.get("qat_enable") is True:
        found.tell(
            "qat_enable", tr("Quantization-aware training is not there."), error, tr("Leave `qat_enable` out.")
        )
    if tree.get("sft_loss_type", "nll") != "nll":
        found.tell(
            "sft_loss_type",
            tr("The loss {sft_loss_type!r} is not there; Luthier's is nll.", sft_loss_type=tree["sft_loss_type"]),
            error,
        )
    for key, plain in WITHOUT_EFFECT.items():
        if tree.get(key, plain) not in (plain, None):
            found.tell(
                key,
                tr("`{key}: {tree}` has no effect here: no method of Luthier reads it.", key=key, tree=tree[key]),
                Severity.WARNING,
            )
    if tree.get("trust_remote_code") is True:
        found.tell("trust_remote_code", tr("Luthier never runs code that comes with a model."), Severity.WARNING)
    if tree.get("adapter_path"):
        found.tell("adapter_path", tr("The adapter is written into the run's own folder, not there."))


# --- what is put in other words -----------------------------------------------------------------------------------


def _rename(found: Translation) -> None:
    for foreign, own in NEW_NAMES.items():
        if foreign in found.tree and own not in found.tree:
            found.tree[own] = found.tree.pop(foreign)
            found.tell(foreign, tr("`{foreign}` is read as `{own}`.", foreign=foreign, own=own))
    if isinstance(project := found.tree.get("wandb"), str) and "report_to" not in found.tree:
        del found.tree["wandb"]  # mlx-lm's older name for both
        found.tree |= {"report_to": "wandb", "project_name": found.tree.get("project_name") or project}
        found.tell("wandb", tr("`wandb` is read as `report_to: wandb`, with the project's name."))
    if found.tree.get("use_dora") is True and "fine_tune_type" not in found.tree:
        found.tree["fine_tune_type"] = "dora"
        found.tell("use_dora", tr("`use_dora` is read as `fine_tune_type: dora`."))


def _read_keys(found: Translation) -> None:
    """A count of iterations, exact keys or a schedule in the file win over Luthier's own defaults."""
    tree = found.tree
    if "iters" in tree and "epochs" not in tree:
        tree["epochs"] = None
    parameters = tree.get("lora_parameters")
    if "targets" not in tree and isinstance(parameters, dict) and parameters.get("keys") is not None:
        tree["targets"] = "keys"
    layers = tree.get("num_layers")
    if isinstance(layers, int) and not isinstance(layers, bool) and layers <= 0:  # all of them, as mlx-lm slices
        tree["num_layers"] = -1
    if "schedule" not in tree and tree.get("lr_schedule"):
        tree["schedule"] = "custom"
    if isinstance(optimizer := tree.get("optimizer"), str):  # mlx-lm takes AdamW for adamw
        tree["optimizer"] = optimizer.lower()
    if tree.get("epochs") is not None and tree.get("iters") is not None:
        said = tr(
            "`epochs: {epochs}` says how long the run is: `iters: {iters}` does not count.",
            epochs=tree["epochs"],
            iters=tree["iters"],
        )
        found.tell("iters", said, Severity.WARNING, tr("Leave one of them out."))


def _read_lists(found: Translation) -> None:
    """mlx-lm-lora takes rewards and their weights as one text as well."""
    for key in ("reward_functions", "reward_weights"):
        if isinstance(text := found.tree.get(key), str):
            found.tree[key] = [part.strip() for part in text.strip("[] ").split(",")]


def _take_alpha(found: Translation) -> None:
    parameters = found.tree.get("lora_parameters")
    if not isinstance(parameters, dict):
        return
    if parameters.get("alpha") is None:
        _default_alpha(found, parameters)
        return
    key, alpha = "lora_parameters.alpha", parameters["alpha"]
    if parameters.get("scale") is not None:
        found.tell(
            key, tr("`alpha: {alpha}` is not used: the file names a scale, which is what multiplies.", alpha=alpha)
        )
        return
    origin = origin_of(found.tree)
    rank = parameters.get("rank", origin[2]["rank"] if origin else LoraParameters().rank)
    if not _is_positive(alpha):
        found.tell(key, tr("`{key}`: {alpha!r} is not a number above 0.", key=key, alpha=alpha), Severity.ERROR)
    if not _is_positive(alpha) or not _is_positive(rank):
        return  # what is wrong with the rank is told where all values are checked
    scale = alpha / rank
    others = {name: value for name, value in parameters.items() if name != "alpha"}
    found.tree["lora_parameters"] = others | {"scale": scale}
    found.tell(
        key,
        tr("`alpha: {alpha}` is read as PEFT's: alpha ÷ rank is a scale of {scale:g}.", alpha=alpha, scale=scale),
    )


def _default_alpha(found: Translation, parameters: ConfigTree) -> None:
    """Where a file of Luthier's names a rank and nothing else, alpha is what it is in a new setup."""
    rank = parameters.get("rank")
    if parameters.get("scale") is None and _is_positive(rank) and origin_of(found.tree) is None:
        found.tree["lora_parameters"] = parameters | {"scale": DEFAULT_ALPHA / float(str(rank))}


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")


# --- what is left out ---------------------------------------------------------------------------------------------


def _decay(tree: ConfigTree) -> ConfigTree:
    """The weight decay that mlx's optimizer has where the file names none."""
    optimizer, settings = tree.get("optimizer"), tree.get("optimizer_config")
    given = settings.get(optimizer) if isinstance(settings, dict) else None
    if not isinstance(optimizer, str) or (isinstance(given, dict) and "weight_decay" in given):
        return {}
    decay = MLX_WEIGHT_DECAY.get(optimizer)
    return {} if decay is None else {"weight_decay": decay}


def _fill(found: Translation, name: str, defaults: ConfigTree, adapter: ConfigTree) -> None:
    tree = found.tree
    if tree.get("train_mode") == "online_dpo":  # two answers are sampled there, whatever the size of a group
        defaults = {key: value for key, value in defaults.items() if key != "group_size"}
    defaults = defaults | _decay(tree)
    new = {key: value for key, value in defaults.items() if tree.get(key) is None}
    if name == "mlx-lm-lora" and tree.get("iters") is None and tree.get("epochs") is None:
        new["iters"] = MLX_LM_LORA_ITERATIONS
    tree |= new
    found.left_layers = new.get("num_layers", 0) > 0
    if tree.get("iters") is not None and tree.get("epochs") is None:
        tree["epochs"] = None
    given = tree.get("lora_parameters")
    parameters = given if isinstance(given, dict) else {}
    shape = {key: value for key, value in adapter.items() if parameters.get(key) is None}
    if given is None or isinstance(given, dict):
        tree["lora_parameters"] = parameters | shape
    tree.setdefault("early_stopping", {"enabled": False})
    # Without keys both adapt every linear matrix inside the blocks, routers too.
    tree.setdefault("targets", "linear")
    shown = [f"{key} {value}" for key, value in (new | shape).items() if key != "final_adapter"]
    shown += [tr("every linear matrix of those layers")] if tree["targets"] == "linear" else []
    shown += [tr("no early stopping"), tr("the last weights are kept")]
    said = tr(
        "This file has none of Luthier's keys, so what it leaves out is as in {name}: {shown}.",
        name=name,
        shown=", ".join(shown),
    )
    found.problems.append(Problem("", said, Severity.NOTE, file=found.file))
