"""LLaMA-Factory's configs: its arguments and their defaults (0.9.4, `llamafactory.hparams`, transformers' below).

Its data sets are names in ``dataset_info.json`` of ``dataset_dir``; one that is a local file is found there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.foreign import training_argument as argument
from app.core.foreign.file import ForeignFile, Lost
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.problem import Severity

_MARKS = frozenset(
    ("finetuning_type", "stage", "lora_target", "cutoff_len", "dataset_dir", "template", "lora_rank")
)
_MARKS_OF_1 = frozenset(("model_class", "peft_config", "dist_config", "kernel_config", "optim_config"))
_ERROR = Severity.ERROR
_OTHER_WEIGHTS = tr("it trains or changes other weights than an adapter's.")
_OTHER_LOSS = tr("it is another loss.")
_LOST: Mapping[str, Lost] = {
    "additional_target": Lost("targets", tr("it trains whole modules beside the adapter."), _ERROR),
    "adapter_name_or_path": Lost("resume_adapter_file", tr("PEFT's adapters cannot be trained on."), _ERROR),
    "pissa_init": Lost("lora_parameters", tr("it begins from changed weights of the base."), _ERROR),
    "use_llama_pro": Lost("fine_tune_type", _OTHER_WEIGHTS, _ERROR),
    "mixture_of_depths": Lost("fine_tune_type", _OTHER_WEIGHTS, _ERROR),
    "resize_vocab": Lost("model", tr("the vocabulary stays as it is."), _ERROR),
    "add_tokens": Lost("model", tr("the vocabulary stays as it is."), _ERROR),
    "add_special_tokens": Lost("model", tr("the vocabulary stays as it is."), _ERROR),
    "new_special_tokens_config": Lost("model", tr("the vocabulary stays as it is."), _ERROR),
    "train_from_scratch": Lost("model", tr("a base is trained on, not made."), _ERROR),
    "use_dft_loss": Lost("train_mode", _OTHER_LOSS, _ERROR),
    "use_asft_loss": Lost("train_mode", _OTHER_LOSS, _ERROR),
    "use_eaft_loss": Lost("train_mode", _OTHER_LOSS, _ERROR),
    "pref_ftx": Lost("beta", _OTHER_LOSS, _ERROR),
    "pref_bco_weight": Lost("beta", _OTHER_LOSS, _ERROR),
    "dpo_label_smoothing": Lost("dpo_cpo_loss_type", _OTHER_LOSS, _ERROR),
    "ld_alpha": Lost("dpo_cpo_loss_type", _OTHER_LOSS, _ERROR),
    "loraplus_lr_ratio": Lost("learning_rate", tr("both matrices of an adapter have one rate (LoRA+).")),
    "neftune_noise_alpha": Lost("lora_parameters.dropout", tr("no noise is added to the embeddings.")),
    "moe_aux_loss_coef": Lost("train_mode", tr("the balance of experts has no loss of its own.")),
    "rope_scaling": Lost("model", tr("positions stay as in the model's config.json.")),
    "shift_attn": Lost("model", tr("attention is the model's own.")),
    "use_adam_mini": Lost("optimizer", tr("AdamW is used instead.")),
    "use_galore": Lost("optimizer", _OTHER_WEIGHTS, _ERROR),
    "use_apollo": Lost("optimizer", _OTHER_WEIGHTS, _ERROR),
    "use_badam": Lost("optimizer", _OTHER_WEIGHTS, _ERROR),
    "max_samples": Lost("data", tr("all rows are used. Keep those that you want in a file of their own.")),
    "max_steps_per_epoch": Lost("epochs", tr("an epoch is all rows.")),
    "streaming": Lost("data", tr("files are read as they are.")),
    "interleave_probs": Lost("data", tr("files are read one after the other.")),
    "tokenized_path": Lost("data", tr("tokens are made from the rows.")),
    "media_dir": Lost("data", tr("images, videos and sound are not read."), off=(None, "")),
    "tool_format": Lost("chat_feature", tr("tools are written as the model's own chat template has them.")),
    "default_system": Lost("system_feature", tr("put it into the rows.")),
    "preserve_thinking": Lost(
        "chat_feature", tr("thoughts are written as the model's own chat template has them.")
    ),
    "disable_shuffling": Lost("batching", tr("rows are drawn in a random order of the seed.")),
    "ref_model_adapters": Lost("reference_model_path", tr("the reference is a model, without an adapter."), _ERROR),
    "resume_from_checkpoint": Lost("resume_adapter_file", tr("a run of another trainer cannot go on here.")),
    "early_stopping_steps": Lost("early_stopping.patience", tr("evaluations are counted, not steps.")),
    "trust_remote_code": Lost("model", tr("code that comes with a model is never run."), Severity.NOTE),
}
_HARMLESS = frozenset((
    "adam_beta1", "bf16", "cache_dir", "compute_accuracy", "data_seed", "dataloader_num_workers",
    "dataset_dir", "ddp_timeout", "deepspeed", "do_eval", "do_predict", "do_train", "double_quantization",
    "enable_liger_kernel", "eval_strategy", "evaluation_strategy", "flash_attn", "fp16",
    "freeze_language_model", "freeze_multi_modal_projector", "freeze_vision_tower", "fsdp", "fsdp_config",
    "gradient_checkpointing_kwargs", "greater_is_better", "group_by_length", "hf_hub_token", "hub_model_id",
    "ignore_pad_token_for_loss", "image_max_pixels", "include_num_input_tokens_seen", "infer_backend",
    "load_best_model_at_end", "logging_dir", "logging_first_step", "low_cpu_mem_usage",
    "mix_strategy", "model_revision", "ms_hub_token", "output_dir",
    "overwrite_cache", "overwrite_output_dir", "per_device_eval_batch_size", "plot_loss", "ppo_epochs",
    "predict_with_generate", "preprocessing_batch_size", "preprocessing_num_workers", "print_param_status",
    "pure_bf16", "push_to_hub", "quantization_method", "quantization_type", "ray_num_workers", "ray_run_name",
    "ray_storage_path", "save_only_model", "save_safetensors", "save_strategy", "save_total_limit",
    "split_special_tokens", "swanlab_project", "tf32", "upcast_layernorm", "upcast_lmhead_output",
    "use_fast_tokenizer", "use_reentrant_gc", "use_unsloth", "use_unsloth_gc", "video_max_pixels",
))  # fmt: skip
_PAIRS = {"sigmoid": ("dpo", "sigmoid"), "hinge": ("dpo", "hinge"), "ipo": ("dpo", "ipo"), "orpo": ("orpo", None),
         "simpo": ("cpo", "simpo")}  # fmt: skip

# Who speaks and what is said, in words that are recognised by themselves.
_TAGS = frozenset((
    "from", "value", "role", "content", "human", "gpt", "user", "assistant", "system", "tool", "observation",
    "function_call", "tools", "",
))  # fmt: skip


def is_llama_factory(tree: Mapping[str, Any]) -> bool:
    """Whether a file's keys are LLaMA-Factory's."""
    return "model_name_or_path" in tree and bool(tree.keys() & _MARKS)


def is_llama_factory_1(tree: Mapping[str, Any]) -> bool:
    """Whether a file's keys are those of its first version, which shares some with mlx-lm and means others."""
    return "train_dataset" in tree and bool(tree.keys() & _MARKS_OF_1)


def read_llama_factory_1(found: ForeignFile) -> None:
    """Refuses the file: read as mlx-lm's it would train with other ranks, lengths and batches."""
    said = tr("This is a config of LLaMA-Factory 1 (`{key}`), which is not read here.", key="train_dataset")
    hint = tr("Luthier reads those of LLaMA-Factory 0.9, with `model_name_or_path`.")
    found.miss("train_dataset", "", said, _ERROR, hint)


def read_llama_factory(found: ForeignFile) -> None:
    """Puts every key of the file where it belongs, or tells of it."""
    found.put("model", str(found.take("model_name_or_path") or ""), "model_name_or_path")
    _read_method(found)
    _read_data(found)
    per_step = argument.read_batches(found, "per_device_train_batch_size", 8, "gradient_accumulation_steps", 1)
    argument.read_rate(found, "learning_rate", 5e-5)
    argument.read_length(found, per_step, "num_train_epochs", 3.0, "max_steps")
    argument.read_schedule(found, "lr_scheduler_type", "linear")
    argument.read_warmup(found, per_step, "warmup_steps", "warmup_ratio")
    argument.read_optimizer(found, "optim", "adamw_torch")
    if found.switch("use_muon", "optimizer"):
        found.put("optimizer", "muon", "use_muon")
    found.put_number("weight_decay", "weight_decay", 0.0)
    found.put_number("max_grad_norm", "max_grad_norm", 1.0)
    argument.read_every(found, "steps_per_report", "logging_steps", per_step, 500)
    argument.read_every(found, "steps_per_eval", "eval_steps", per_step)
    argument.read_every(found, "save_every", "save_steps", per_step, 500)
    found.put_number("seed", "seed", 42)
    argument.read_best(found, "early_stopping_patience", "load_best_model_at_end")
    found.put("grad_checkpoint", not found.switch("disable_gradient_checkpointing", "grad_checkpoint", False))
    if name := found.take("run_name"):
        found.put("adapter_name", str(name), "run_name")
    argument.read_reports(found, found.words("report_to"), "report_to")
    argument.read_quantized(found, ("quantization_bit",))
    found.lose(_LOST)
    argument.complete(found)
    found.finish(_HARMLESS)


def _read_method(found: ForeignFile) -> None:
    stage, kind = str(found.take("stage", "sft")), str(found.take("finetuning_type", "lora"))
    if kind not in ("lora", "full"):
        found.miss(
            "finetuning_type",
            "fine_tune_type",
            tr("`finetuning_type: {kind}` is not there.", kind=kind),
            _ERROR,
            tr("Luthier trains lora and full."),
        )
    is_dora = found.switch("use_dora", "fine_tune_type")
    found.put("fine_tune_type", "full" if kind == "full" else "dora" if is_dora else "lora", "finetuning_type")
    if kind != "full":
        argument.read_adapter(
            found, rank=("lora_rank", 8), alpha=("lora_alpha", None), dropout=("lora_dropout", 0.0),
            rslora="use_rslora",
        )  # fmt: skip
        argument.read_targets(found, "lora_target", found.words("lora_target") or ["all"])
    for key in [key for key in found.keys if key.startswith("lora_")] if kind == "full" else []:
        found.take(key)
        found.without_effect.append(key)
    if stage in ("rm", "ppo"):
        found.miss(
            "stage",
            "train_mode",
            tr("`stage: {stage}` is not there: Luthier trains no such thing.", stage=stage),
            _ERROR,
        )
    if stage == "pt":
        found.put("data_format", "text", "stage")
    if stage == "dpo":
        _read_pairs(found)
    if stage == "kto":
        found.put("train_mode", "kto", "stage")
        found.put_number("beta", "pref_beta", 0.1)
        for key, path in (("kto_chosen_weight", "desirable_weight"), ("kto_rejected_weight", "undesirable_weight")):
            found.put_number(path, key, 1.0)
    if (model := found.take("ref_model")) is not None:
        found.put("reference_model_path", str(model), "ref_model")
    on_prompt = stage != "pt" and found.switch("train_on_prompt", "mask_prompt", False)
    found.put("mask_prompt", stage != "pt" and not on_prompt, "train_on_prompt")
    is_last = found.switch("mask_history", "mask_turns", False)
    found.put("mask_turns", "last" if is_last else "all", "mask_history")
    is_alone = bool(found.keys.get("neat_packing"))
    key = "neat_packing" if is_alone else "packing"
    if stage == "pt" and found.keys.get("packing") is None:
        found.keys["packing"] = True  # its own rule for raw text
    argument.read_packing(found, key, alone=is_alone)
    found.take("packing" if is_alone else "neat_packing")


def _read_pairs(found: ForeignFile) -> None:
    loss = str(found.take("pref_loss", "sigmoid"))
    if loss not in _PAIRS:
        found.miss("pref_loss", "dpo_cpo_loss_type", tr("`pref_loss: {loss}` is not there.", loss=loss), _ERROR)
        return
    mode, kind = _PAIRS[loss]
    found.put("train_mode", mode, "pref_loss")
    found.put_number("beta", "pref_beta", 0.1)
    if kind is not None:
        found.put("dpo_cpo_loss_type", kind, "pref_loss")
    gamma = found.number("simpo_gamma", "simpo_gamma", 0.5 if loss == "simpo" else None)
    if loss == "simpo":
        found.put("simpo_gamma", gamma, "simpo_gamma")
        found.put("cpo_alpha", 0.0)


# --- data -----------------------------------------------------------------------------------------------------


def _read_data(found: ForeignFile) -> None:
    found.put_number("max_seq_length", "cutoff_len", 2048)
    info = _dataset_info(found, str(found.take("dataset_dir", "data")))
    if (chosen := _data_file(found, "dataset", "data", info)) is not None:
        _read_columns(found, chosen)
        _tell_tags(found, chosen)
    if "eval_dataset" in found.keys:
        _data_file(found, "eval_dataset", "valid_data", info)
    argument.read_share(found, "val_size", 0.0)
    if (template := found.take("template")) not in (None, "", "default", "empty"):
        said = tr(
            "`template: {template}` is not used: prompts are written by the model's own chat template.",
            template=template,
        )
        found.miss("template", "model", said)
    if found.take("enable_thinking") is False:
        said = tr("`enable_thinking: false` is not used: the model's own chat template decides.")
        found.miss("enable_thinking", "model", said)


def _dataset_info(found: ForeignFile, folder: str) -> dict[str, Any]:
    place = found.place(folder)
    try:
        info = parsed_json((place / "dataset_info.json").read_text(encoding="utf-8")) if place is not None else {}
    except (OSError, ValueError):
        return {}
    entries = info.items() if isinstance(info, dict) else ()
    return {name: {**entry, "folder": str(place)} for name, entry in entries if isinstance(entry, dict)}


def _data_file(found: ForeignFile, key: str, path: str, info: Mapping[str, Any]) -> dict[str, Any] | None:
    """Puts the file of a data set by its name; gives what ``dataset_info.json`` says of it."""
    names = found.words(key)
    if not names:
        return None
    if len(names) > 1:
        said = tr(
            "`{key}` mixes {names} data sets ({names2}); here it is one file or folder.",
            key=key,
            names=len(names),
            names2=", ".join(names),
        )
        found.miss(key, path, said, hint=tr("Put the files into one folder, and name that."))
        return None
    entry = info.get(names[0], {})
    file = found.place(f"{entry.get('folder')}/{entry['file_name']}") if entry.get("file_name") else None
    if file is None:
        said = tr("`{key}: {names}` is no file that lies on this machine.", key=key, names=names[0])
        found.miss(key, path, said, hint=tr("Save it as JSONL or Parquet, and name the file here."))
        return None
    found.put(path, str(file), key)
    if entry.get("num_samples"):
        found.miss(
            key,
            path,
            tr("All rows of {name} are used, not {num_samples}.", name=file.name, num_samples=entry["num_samples"]),
        )
    return dict(entry)


def _read_columns(found: ForeignFile, entry: Mapping[str, Any]) -> None:
    """Columns by their names where they are not those that are recognised anyway."""
    columns = entry.get("columns")
    if not isinstance(columns, dict):
        return
    own = {"prompt": "prompt_feature", "response": "completion_feature", "messages": "chat_feature",
           "system": "system_feature"}  # fmt: skip
    usual = {"prompt": "instruction", "response": "output", "messages": "conversations", "system": "system",
             "query": "input", "chosen": "chosen", "rejected": "rejected", "history": "history"}  # fmt: skip
    for name, column in columns.items():
        if column == usual.get(name):
            continue
        if name in own:
            found.put(own[name], column, "dataset")
        else:
            said = tr(
                "The column {column} ({name} in dataset_info.json) is read only if it is recognised by itself.",
                column=column,
                name=name,
            )
            found.miss("dataset", "data", said, hint=tr("See in the data's examples what is read."))


def _tell_tags(found: ForeignFile, entry: Mapping[str, Any]) -> None:
    """Names of its own for who speaks and what is said, and a part of a file that is asked for."""
    tags = entry.get("tags")
    named = tags.items() if isinstance(tags, dict) else ()
    odd = [f"{name} {value}" for name, value in named if value not in _TAGS]
    odd += [f"{part} {entry[part]}" for part in ("subset", "split") if entry.get(part) not in (None, "train")]
    if odd:
        said = tr("Of dataset_info.json this is not used: {odd}.", odd=", ".join(odd))
        found.miss("dataset", "data", said, hint=tr("See in the data's examples what is read."))
