"""Unsloth's configs: the sections of ``unsloth train -c`` (`unsloth_cli.config`), and the flat names of its script.

The defaults of the sections are `unsloth_cli.config.Config`'s, those of flat files `unsloth-cli.py`'s (2026.8).
Both train with AdamW in 8 bits and a linear schedule.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.foreign import training_argument as argument
from app.core.foreign.file import ForeignFile, Lost
from app.core.language import tr
from app.core.problem import Severity

SECTIONS = frozenset(("data", "training", "lora", "logging", "inference"))
_ERROR = Severity.ERROR
# The script's names, as the sections have them.
_SECTIONED = {
    "model_name": "model", "dataset": "data.dataset", "r": "lora.lora_r", "lora_alpha": "lora.lora_alpha",
    "lora_dropout": "lora.lora_dropout", "target_modules": "lora.target_modules", "use_rslora": "lora.use_rslora",
    "use_dora": "lora.use_dora", "bias": "lora.bias", "loftq_config": "lora.use_loftq",
    "modules_to_save": "lora.modules_to_save", "layers_to_transform": "lora.layers_to_transform",
    "max_seq_length": "training.max_seq_length", "load_in_4bit": "training.load_in_4bit",
    "load_in_8bit": "training.load_in_8bit", "full_finetuning": "training.full_finetuning",
    "use_gradient_checkpointing": "training.gradient_checkpointing", "random_state": "lora.random_state",
    "seed": "training.random_seed", "per_device_train_batch_size": "training.batch_size",
    "gradient_accumulation_steps": "training.gradient_accumulation_steps", "warmup_steps": "training.warmup_steps",
    "warmup_ratio": "training.warmup_ratio", "max_steps": "training.max_steps",
    "num_train_epochs": "training.num_epochs", "learning_rate": "training.learning_rate", "optim": "training.optim",
    "weight_decay": "training.weight_decay", "lr_scheduler_type": "training.lr_scheduler_type",
    "packing": "training.packing", "logging_steps": "logging.log_frequency", "save_steps": "training.save_steps",
    "output_dir": "training.output_dir", "report_to": "logging.report_to", "dtype": "training.dtype",
    "per_device_eval_batch_size": "training.eval_batch_size", "dataset_text_field": "data.text_field",
}  # fmt: skip
_MARKS = frozenset(
    ("r", "load_in_4bit", "use_gradient_checkpointing", "random_state", "per_device_train_batch_size")
)
_LOST: Mapping[str, Lost] = {
    "training.full_finetuning": Lost("fine_tune_type", tr("name it under `training_type`.")),
    "lora.bias": Lost("targets", tr("biases are not trained."), _ERROR),
    "lora.use_loftq": Lost("lora_parameters", tr("it begins from changed weights of the base."), _ERROR),
    "lora.modules_to_save": Lost("targets", tr("it trains whole modules beside the adapter."), _ERROR),
    "lora.layers_to_transform": Lost("num_layers", tr("layers are counted from the top."), _ERROR),
    "lora.init_lora_weights": Lost("lora_parameters", tr("its matrices begin as mlx-lm's."), _ERROR, (None, True)),
    "lora.vision_all_linear": Lost("targets", tr("the language model is trained.")),
    "training.neftune_noise_alpha": Lost("lora_parameters.dropout", tr("no noise is added to the embeddings.")),
    "training.embedding_learning_rate": Lost("learning_rate", tr("all that is trained has one rate.")),
    "training.resume_from_checkpoint": Lost(
        "resume_adapter_file", tr("a run of another trainer cannot go on here.")
    ),
}
_HARMLESS = frozenset((
    "bf16", "dataset_num_proc", "fp16", "hub_path", "hub_token", "inference.min_p", "inference.temperature",
    "inference.top_k", "inference.top_p", "inference.trust_remote_code", "logging.hf_token",
    "logging.tensorboard_dir", "logging.wandb_token", "lora.finetune_vision_layers", "lora.random_state",
    "push_gguf", "push_model", "quantization", "save_gguf", "save_method", "save_model", "save_path",
    "training.dtype", "training.eval_batch_size", "training.output_dir", "training.trust_remote_code",
))  # fmt: skip


def is_unsloth(tree: Mapping[str, Any]) -> bool:
    """Whether a file's keys are Unsloth's: sections, or its script's flat names."""
    parts = [tree.get(name) for name in ("training", "lora")]
    known = {"training_type", "load_in_4bit", "max_seq_length", "lora_r", "random_seed", "num_epochs"}
    if any(isinstance(part, dict) and part.keys() & known for part in parts):
        return True
    return "model_name" in tree and bool(tree.keys() & _MARKS)


def read_unsloth(found: ForeignFile) -> None:
    """Puts every key of the file where it belongs, or tells of it."""
    is_flat = "model_name" in found.keys
    for name in [name for name in found.keys if name in _SECTIONED] if is_flat else []:
        found.keys[_SECTIONED[name]] = found.keys.pop(name)
        found.lines = {**found.lines, _SECTIONED[name]: found.lines.get(name, 1)}
    model = found.take("model")
    found.put("model", str(model or ""), "model")
    _read_adapter(found, 16 if is_flat else 64)
    _read_data(found)
    per_step = argument.read_batches(found, "training.batch_size", 2, "training.gradient_accumulation_steps", 4)
    argument.read_rate(found, "training.learning_rate", 2e-4)
    if is_flat and found.keys.get("training.num_epochs") is None:
        found.keys.setdefault("training.max_steps", 400)
    argument.read_length(found, per_step, "training.num_epochs", 3.0, "training.max_steps")
    argument.read_schedule(found, "training.lr_scheduler_type", "linear")
    argument.read_warmup(found, per_step, "training.warmup_steps", "training.warmup_ratio", 5)
    argument.read_optimizer(found, "training.optim", "adamw_8bit")
    found.put_number("weight_decay", "training.weight_decay", 0.01)
    found.put_number("max_grad_norm", "training.max_grad_norm", 1.0)
    argument.read_every(found, "steps_per_report", "logging.log_frequency", per_step)
    argument.read_every(found, "save_every", "training.save_steps", per_step)
    argument.read_every(found, "steps_per_eval", "training.eval_steps", per_step)
    found.put_number("seed", "training.random_seed", 3407)
    checkpointing = str(found.take("training.gradient_checkpointing", "unsloth")).lower()
    found.put("grad_checkpoint", checkpointing not in ("none", "false"), "training.gradient_checkpointing")
    trackers = [name for name in ("wandb", "tensorboard") if found.take(f"logging.enable_{name}")]
    argument.read_reports(found, trackers or found.words("logging.report_to"), "logging.enable_wandb")
    if project := found.take("logging.wandb_project"):
        found.put("project_name", str(project), "logging.wandb_project")
    found.lose(_LOST)
    argument.complete(found)
    found.finish(_HARMLESS)


def _read_adapter(found: ForeignFile, rank: int) -> None:
    is_whole = found.keys.get("training.training_type") is None and bool(
        found.keys.get("training.full_finetuning") and found.switch("training.full_finetuning", "fine_tune_type")
    )
    kind = "full" if is_whole else str(found.take("training.training_type", "lora")).lower()
    is_full = kind in ("full", "full finetuning")
    if not is_full and kind not in ("lora", "qlora", "lora/qlora"):
        found.miss(
            "training.training_type",
            "fine_tune_type",
            tr("`training_type: {kind}` is not there.", kind=kind),
            _ERROR,
        )
    is_dora = found.switch("lora.use_dora", "fine_tune_type")
    found.put("fine_tune_type", "full" if is_full else "dora" if is_dora else "lora", "training.training_type")
    if not is_full:
        found.keys.setdefault("training.load_in_4bit", True)
    argument.read_quantized(found, ("training.load_in_4bit", "training.load_in_8bit"))
    names = found.words("lora.target_modules")
    parts = {name: found.take(f"lora.finetune_{name}") for name in
             ("attention_modules", "mlp_modules", "language_layers")}  # fmt: skip
    if is_full:
        for key in [key for key in found.keys if key.startswith("lora.")]:
            found.take(key)
            found.without_effect.append(key)
        return
    argument.read_adapter(
        found, rank=("lora.lora_r", rank), alpha=("lora.lora_alpha", 16), dropout=("lora.lora_dropout", 0.0),
        rslora="lora.use_rslora",
    )  # fmt: skip
    usual = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    argument.read_targets(found, "lora.target_modules", names or usual)
    for name, value in parts.items():
        if value is False:
            said = tr("`finetune_{name}: false` is not used: the targets are those that are named.", name=name)
            found.miss(f"lora.finetune_{name}", "targets", said)


def _read_data(found: ForeignFile) -> None:
    found.put_number("max_seq_length", "training.max_seq_length", 2048)
    local, remote = found.words("data.local_dataset"), found.take("data.dataset")
    if len(local) > 1:
        said = tr("`local_dataset` names {local} files; here it is one file or folder.", local=len(local))
        found.miss("data.local_dataset", "data", said, hint=tr("Put the files into one folder, and name that."))
    elif local or remote:
        name = local[0] if local else str(remote)
        place = found.place(name)
        key = "data.local_dataset" if local else "data.dataset"
        if place is None:
            hint = tr("Save it as JSONL or Parquet, and name the file here.")
            found.miss(key, "data", tr("{name} is no file that lies on this machine.", name=name), hint=hint)
        else:
            found.put("data", str(place), key)
    shape = found.take("data.format_type")
    if shape == "alpaca":
        said = tr("`format_type: alpaca` writes Alpaca's prompt; here the model's chat template does.")
        found.miss("data.format_type", "data_format", said)
    if column := found.take("data.text_field"):
        found.put("text_feature", str(column), "data.text_field")
    answers = found.switch("training.train_on_completions", "mask_prompt", False)
    found.put("mask_prompt", answers, "training.train_on_completions")
    found.put("mask_turns", "all")
    found.put("valid_fraction", 0.0)
    argument.read_packing(found, "training.packing", alone=True)
