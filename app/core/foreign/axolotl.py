"""axolotl's configs: its keys and their defaults (0.17, `axolotl.utils.schemas`, transformers' and TRL's below)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.core.foreign import training_argument as argument
from app.core.foreign.file import ForeignFile, Lost
from app.core.language import tr
from app.core.problem import Severity

_MARKS = frozenset(
    ("adapter", "datasets", "micro_batch_size", "sequence_len", "lora_r", "num_epochs", "val_set_size")
)
_ERROR = Severity.ERROR
_FASTER = ("liger", "cut_cross_entropy")  # plugins that compute the same in less time or memory
_OTHER_WEIGHTS = tr("it trains or changes other weights than an adapter's.")
_OWN_TEMPLATE = tr("prompts are written by the model's own chat template.")
_OTHER_LOSS = tr("it is another loss.")
_LOST: Mapping[str, Lost] = {
    "lora_modules_to_save": Lost("targets", tr("it trains whole modules beside the adapter."), _ERROR),
    "lora_target_parameters": Lost("targets", tr("targets are modules here."), _ERROR),
    "lora_rank_pattern": Lost("lora_parameters.rank", tr("all targets have one rank."), _ERROR),
    "lora_alpha_pattern": Lost("lora_parameters.scale", tr("all targets have one scale."), _ERROR),
    "peft_layers_to_transform": Lost("num_layers", tr("layers are counted from the top."), _ERROR),
    "peft_layer_replication": Lost("fine_tune_type", _OTHER_WEIGHTS, _ERROR),
    "peft_trainable_token_indices": Lost("fine_tune_type", _OTHER_WEIGHTS, _ERROR),
    "peft_init_lora_weights": Lost("lora_parameters", tr("its matrices begin as mlx-lm's."), _ERROR, (None, True)),
    "peft": Lost("lora_parameters", tr("it begins from changed weights of the base."), _ERROR),
    "lora_model_dir": Lost("resume_adapter_file", tr("PEFT's adapters cannot be trained on."), _ERROR),
    "relora": Lost("fine_tune_type", _OTHER_WEIGHTS, _ERROR),
    "unfrozen_parameters": Lost("fine_tune_type", _OTHER_WEIGHTS, _ERROR),
    "special_tokens": Lost("model", tr("special tokens are those of the model's tokenizer.")),
    "tokens": Lost("model", tr("the vocabulary stays as it is."), _ERROR),
    "added_tokens_overrides": Lost("model", tr("the vocabulary stays as it is."), _ERROR),
    "reinit_weights": Lost("model", tr("a base is trained on, not made."), _ERROR),
    "reward_model": Lost("train_mode", tr("it trains no such thing."), _ERROR),
    "process_reward_model": Lost("train_mode", tr("it trains no such thing."), _ERROR),
    "pretraining_dataset": Lost("data", tr("it streams text of any length."), _ERROR),
    "lisa_n_layers": Lost("fine_tune_type", _OTHER_WEIGHTS, _ERROR),
    "llmcompressor": Lost("fine_tune_type", _OTHER_WEIGHTS, _ERROR),
    "use_onebitllms": Lost("fine_tune_type", _OTHER_WEIGHTS, _ERROR),
    "optim_target_modules": Lost("optimizer", _OTHER_WEIGHTS, _ERROR),
    "peft_layers_pattern": Lost("num_layers", tr("layers are counted from the top."), _ERROR),
    "diffusion": Lost("train_mode", _OTHER_LOSS, _ERROR),
    "dpo_norm_loss": Lost("dpo_cpo_loss_type", _OTHER_LOSS, _ERROR),
    "qat": Lost("fine_tune_type", tr("there is no quantization-aware training."), _ERROR),
    "use_eaft": Lost("train_mode", _OTHER_LOSS, _ERROR),
    "dpo_label_smoothing": Lost("dpo_cpo_loss_type", _OTHER_LOSS, _ERROR),
    "rpo_alpha": Lost("dpo_cpo_loss_type", _OTHER_LOSS, _ERROR),
    "dpo_use_weighting": Lost("dpo_cpo_loss_type", _OTHER_LOSS, _ERROR),
    "dpo_loss_weights": Lost("dpo_cpo_loss_type", _OTHER_LOSS, _ERROR),
    "curriculum_sampling": Lost("batching", tr("rows are drawn in a random order of the seed.")),
    "loraplus_lr_ratio": Lost("learning_rate", tr("both matrices of an adapter have one rate (LoRA+).")),
    "embedding_lr": Lost("learning_rate", tr("all that is trained has one rate.")),
    "lr_groups": Lost("learning_rate", tr("all that is trained has one rate.")),
    "cosine_min_lr_ratio": Lost("schedule", tr("the rate falls to zero.")),
    "cosine_constant_lr_ratio": Lost("schedule", tr("the rate falls to the end.")),
    "lr_scheduler_kwargs": Lost("schedule", tr("the schedule has no settings.")),
    "lr_quadratic_warmup": Lost("warmup", tr("the rate rises in a straight line.")),
    "jagged_restart_steps": Lost("schedule", tr("the schedule does not begin anew.")),
    "optim_args": Lost("optimizer_config", tr("its settings are others.")),
    "neftune_noise_alpha": Lost("lora_parameters.dropout", tr("no noise is added to the embeddings.")),
    "use_pose": Lost("max_seq_length", tr("positions are counted one by one.")),
    "min_sample_len": Lost("data", tr("short rows are trained too.")),
    "max_prompt_len": Lost("max_seq_length", tr("a row is cut as a whole.")),
    "chat_template_jinja": Lost("model", _OWN_TEMPLATE, _ERROR),
    "chat_template_kwargs": Lost("model", _OWN_TEMPLATE),
    "eot_tokens": Lost("model", _OWN_TEMPLATE),
    "default_system_message": Lost("system_feature", tr("put it into the rows.")),
    "dataset_shard_num": Lost("data", tr("all rows are used.")),
    "dataset_exact_deduplication": Lost("data", tr("repeats are told by the data's check, and stay.")),
    "resume_from_checkpoint": Lost("resume_adapter_file", tr("a run of another trainer cannot go on here.")),
    "tokenizer_config": Lost("model", tr("the tokenizer is the model's own."), _ERROR),
    "scaling_softmax": Lost("model", tr("attention is the model's own.")),
    "plugins": Lost("train_mode", tr("there are no plugins."), off=(None, [])),
    "trust_remote_code": Lost("model", tr("code that comes with a model is never run."), Severity.NOTE),
    "loss_watchdog_threshold": Lost(
        "early_stopping", tr("a loss that runs away is noticed by a rule of Luthier's."), Severity.NOTE
    ),
    "trl": Lost("train_mode", tr("its settings are those of a method that is not taken over.")),
    "vllm": Lost("train_mode", tr("answers are sampled with MLX."), Severity.NOTE),
}
_HARMLESS = frozenset((
    "accelerator_config", "activation_offloading", "attn_implementation", "auto_find_batch_size",
    "axolotl_config_path", "base_model_config", "base_model_ignore_patterns", "bf16", "bfloat16",
    "chunked_cross_entropy", "context_parallel_size", "cut_cross_entropy", "dataloader_num_workers",
    "dataloader_pin_memory", "dataloader_prefetch_factor", "dataset_keep_in_memory", "dataset_num_proc",
    "dataset_prepared_path", "dataset_processes", "ddp", "ddp_find_unused_parameters", "debug", "deepspeed",
    "device_map", "dp_replicate_size", "dp_shard_size", "eager_attention", "embeddings_skip_upcast",
    "eval_batch_size", "eval_sample_packing", "eval_strategy", "eval_table_size",
    "experimental_skip_move_to_device", "experts_implementation", "flash_attention",
    "flash_attn_cross_entropy", "flash_attn_fuse_mlp", "flash_attn_rms_norm", "flex_attention",
    "flex_attn_compile_kwargs", "float16", "fp16", "fp32_norms", "fsdp", "fsdp_config", "fsdp_version",
    "fused_attn_kernel", "gc_steps", "gpu_memory_limit", "gradient_checkpointing_kwargs", "group_by_length",
    "hf_use_auth_token", "hub_model_id", "hub_revision", "hub_strategy", "include_tkps",
    "include_tokens_per_second", "is_llama_derived_model", "is_mistral_derived_model",
    "is_qwen_derived_model", "liger_cross_entropy", "liger_fused_linear_cross_entropy",
    "liger_glu_activation", "liger_layer_norm", "liger_rms_norm", "liger_rms_norm_gated", "liger_rope",
    "load_best_model_at_end", "local_rank", "lora_fan_in_fan_out", "lora_mlp_kernel", "lora_o_kernel",
    "lora_on_cpu", "lora_qkv_kernel", "loss_watchdog", "loss_watchdog_patience", "low_cpu_mem_usage",
    "max_memory", "mlflow_experiment_name", "mlflow_tracking_uri", "model_type",
    "output_dir", "pad_to_sequence_len", "peft_autocast_adapter_dtype", "processor_type",
    "push_dataset_to_hub", "remove_unused_columns", "sample_packing_bin_size", "sample_packing_eff_est",
    "sample_packing_group_size", "save_first_step", "save_only_model", "save_safetensors", "save_strategy",
    "save_total_limit", "sdp_attention", "shuffle_merged_datasets", "skip_prepare_dataset",
    "special_tokens_file", "strict", "swanlab_mode", "swanlab_project", "tensor_parallel_size", "tf32",
    "tiled_mlp", "tokenizer_legacy", "tokenizer_type", "tokenizer_use_fast", "torch_compile",
    "torch_compile_backend", "torch_compile_mode", "total_num_tokens", "unsloth_cross_entropy_loss",
    "unsloth_lora_mlp", "unsloth_lora_o", "unsloth_lora_qkv", "use_kernels", "use_mlflow", "use_ray",
    "use_scattermoe", "wandb_entity", "wandb_log_model", "wandb_name", "wandb_run_id", "wandb_watch",
    "world_size", "xformers_attention",
))  # fmt: skip

# What a data set says of where its rows lie, and nothing of how they are read.
_PLACES = frozenset((
    "path", "data_files", "split", "name", "shards", "shards_idx", "preprocess_shards", "ds_type", "revision",
    "trust_remote_code",
))  # fmt: skip
# What is taken, or told with the type.
_READ = frozenset((
    "type", "field", "field_messages", "field_instruction", "field_output", "field_system", "roles_to_train",
    "format", "no_input_format", "system_prompt", "system_format",
))  # fmt: skip
# What is as rows are read here, by themselves.
_WORDS = {"role": ("role", "from"), "content": ("content", "value")}
_AS_HERE: Mapping[str, tuple[Any, ...]] = {
    "train_on_eos": ("turn",), "train_on_eot": ("turn",), "chat_template": ("tokenizer_default",),
    "field_tools": ("tools",), "field_input": ("input",), "field_chosen": ("chosen",), "field_prompt": ("prompt",),
    "field_rejected": ("rejected",), "field_completion": ("completion",), "message_field_role": _WORDS["role"],
    "message_field_content": _WORDS["content"],
}  # fmt: skip


def is_axolotl(tree: Mapping[str, Any]) -> bool:
    """Whether a file's keys are axolotl's."""
    return "base_model" in tree and bool(tree.keys() & _MARKS)


def read_axolotl(found: ForeignFile) -> None:
    """Puts every key of the file where it belongs, or tells of it."""
    found.put("model", str(found.take("base_model") or ""), "base_model")
    _read_adapter(found)
    _read_method(found)
    _read_data(found)
    _read_total(found)
    per_step = argument.read_batches(found, "micro_batch_size", 1, "gradient_accumulation_steps", 1)
    argument.read_rate(found, "learning_rate", None)
    argument.read_length(found, per_step, "num_epochs", 1.0, "max_steps")
    argument.read_schedule(found, "lr_scheduler", "cosine")
    argument.read_warmup(found, per_step, "warmup_steps", "warmup_ratio", 0.03)
    argument.read_optimizer(found, "optimizer", "adamw_torch_fused")
    found.put_number("weight_decay", "weight_decay", 0.0)
    found.put_number("max_grad_norm", "max_grad_norm", 1.0)
    argument.read_every(found, "steps_per_report", "logging_steps", per_step)
    argument.read_every(found, "steps_per_eval", "eval_steps", per_step)
    argument.read_every(found, "save_every", "save_steps", per_step)
    for key, path in (("evals_per_epoch", "steps_per_eval"), ("saves_per_epoch", "save_every")):
        if (times := found.take(key)) is not None:
            said = tr(
                "`{key}: {times}` is a number of times an epoch; here it is a number of iterations.",
                key=key,
                times=times,
            )
            found.miss(key, path, said, Severity.NOTE)
    found.put_number("seed", "seed", 42)
    found.put("grad_checkpoint", bool(found.take("gradient_checkpointing")), "gradient_checkpointing")
    argument.read_best(found, "early_stopping_patience", "load_best_model_at_end")
    trackers = ["wandb"] if found.keys.get("wandb_project") else []
    trackers += ["tensorboard"] if found.take("use_tensorboard") else []
    argument.read_reports(found, trackers, "wandb_project" if "wandb" in trackers else "use_tensorboard")
    if project := found.take("wandb_project"):
        found.put("project_name", str(project), "wandb_project")
    if "plugins" in found.keys:
        names = found.words("plugins")
        found.keys["plugins"] = [name for name in names if not any(part in name for part in _FASTER)]
    found.lose(_LOST)
    argument.complete(found)
    found.finish(_HARMLESS)


def _read_total(found: ForeignFile) -> None:
    """``batch_size`` is all rows of a step: by the micro batch it gives the accumulation that a file leaves out."""
    total = found.number("batch_size", "batch_size")
    if total is None:
        return
    rows, steps = (found.keys.get(key) for key in ("micro_batch_size", "gradient_accumulation_steps"))
    rows = 1 if rows is None else rows
    if not steps and isinstance(rows, int) and rows > 0:
        found.keys["gradient_accumulation_steps"] = int(total // rows)
    elif not (isinstance(rows, int) and isinstance(steps, int)) or rows * steps != total:
        said = tr(
            "`batch_size: {total:g}` is the total there; here the micro batch size and the accumulation count.",
            total=total,
        )
        found.miss("batch_size", "batch_size", said)


def _read_adapter(found: ForeignFile) -> None:
    kind = found.take("adapter")
    if kind not in (None, "", "lora", "qlora"):
        found.miss("adapter", "fine_tune_type", tr("`adapter: {kind}` is not there.", kind=kind), _ERROR,
                   tr("Luthier trains lora, and all weights where no adapter is named."))  # fmt: skip
    is_dora = found.switch("peft_use_dora", "fine_tune_type")
    found.put("fine_tune_type", "dora" if kind and is_dora else "lora" if kind else "full", "adapter")
    argument.read_quantized(found, ("load_in_4bit", "load_in_8bit", "gptq", "bnb_config_kwargs"))
    if not kind:
        for key in [key for key in found.keys if key.startswith("lora_") and key not in _LOST]:
            found.take(key)
            found.without_effect.append(key)
        return
    for key in ("lora_r", "lora_alpha"):
        if found.keys.get(key) is None:
            found.miss(
                key,
                "lora_parameters.rank",
                tr("The file names no `{key}`, which axolotl asks for.", key=key),
                _ERROR,
            )
    argument.read_adapter(
        found, rank=("lora_r", 8), alpha=("lora_alpha", 8), dropout=("lora_dropout", 0.0),
        rslora="peft_use_rslora",
    )  # fmt: skip
    names, all_linear = found.words("lora_target_modules"), found.switch("lora_target_linear", "targets")
    # Both together are the union, which is all of them.
    argument.read_targets(found, "lora_target_modules", ["all-linear"] if all_linear else names)


def _read_method(found: ForeignFile) -> None:
    method = found.take("rl")
    losses = found.take("dpo_loss_type")
    beta = found.number("rl_beta", "beta")
    odds = found.number("orpo_alpha", "beta")
    gamma, alpha = found.number("simpo_gamma", "simpo_gamma"), found.number("cpo_alpha", "cpo_alpha")
    weights = [found.number(f"kto_{kind}_weight", f"{kind}_weight") for kind in ("desirable", "undesirable")]
    if not method:
        return
    modes = {"dpo": "dpo", "ipo": "dpo", "orpo": "orpo", "kto": "kto", "simpo": "cpo"}
    if not isinstance(method, str) or method not in modes:
        hint = tr("Set it up here: rewards are functions in a file of their own.") if method == "grpo" else ""
        found.miss("rl", "train_mode", tr("`rl: {method}` is not taken over.", method=method), _ERROR, hint)
        return
    found.put("train_mode", modes[method], "rl")
    given = [one for one in (beta, odds if method == "orpo" else None) if one is not None]
    found.put("beta", given[0] if given else 0.1, "rl_beta")
    if method == "simpo":
        found.put("simpo_gamma", 0.5 if gamma is None else gamma, "simpo_gamma")
        found.put("cpo_alpha", 1.0 if alpha is None else alpha, "cpo_alpha")
    if method == "kto":
        for path, weight in zip(("desirable_weight", "undesirable_weight"), weights, strict=True):
            found.put(path, 1.0 if weight is None else weight, f"kto_{path}")
    if modes[method] in ("dpo", "cpo"):
        loss = {"ipo": "ipo", "simpo": "simpo"}.get(method, "sigmoid")
        named = losses if isinstance(losses, list) else [losses] if losses else [loss]
        if len(named) > 1 or named[0] not in ("sigmoid", "hinge", "ipo", "simpo"):
            found.miss(
                "dpo_loss_type",
                "dpo_cpo_loss_type",
                tr("`dpo_loss_type: {named}` is not there.", named=named),
                _ERROR,
            )
        else:
            found.put("dpo_cpo_loss_type", named[0], "dpo_loss_type")


# --- data -----------------------------------------------------------------------------------------------------


def _read_data(found: ForeignFile) -> None:
    found.put_number("max_seq_length", "sequence_len", 512)
    longer = found.take("excess_length_strategy", "drop")
    if longer != "truncate":
        said = tr("Rows that are longer are cut here; axolotl leaves them out, or stops at them.")
        found.miss("sequence_len", "max_seq_length", said, Severity.NOTE)
    on_inputs = found.switch("train_on_inputs", "mask_prompt", False)
    found.put("mask_prompt", not on_inputs, "train_on_inputs")
    found.put("mask_turns", "all")
    argument.read_packing(found, "sample_packing", alone=True)
    template = found.take("chat_template")
    if template not in (None, "tokenizer_default") and not str(template).startswith("tokenizer_default_fallback"):
        found.miss(
            "chat_template",
            "model",
            tr(
                "`chat_template: {template}` is not used: {own_template}",
                template=template,
                own_template=_OWN_TEMPLATE,
            ),
        )
    chosen = _dataset(found, "datasets", "data")
    if chosen is not None:
        _read_type(found, chosen)
    if "test_datasets" in found.keys:
        _dataset(found, "test_datasets", "valid_data")
    argument.read_share(found, "val_set_size", 0.0)


def _dataset(found: ForeignFile, key: str, path: str) -> dict[str, Any] | None:
    """The one data set of a list, with its file put at ``path``."""
    value = found.take(key)
    listed = value if isinstance(value, list) else [] if value is None else [value]
    sets = [one if isinstance(one, dict) else {"path": one} for one in listed]
    if not sets:
        return None
    if len(sets) > 1:
        names = ", ".join(str(one.get("path")) for one in sets)
        said = tr(
            "`{key}` mixes {sets} data sets ({names}); here it is one file or folder.",
            key=key,
            sets=len(sets),
            names=names,
        )
        found.miss(key, path, said, hint=tr("Put the files into one folder, and name that."))
        return _alike(found, key, sets)
    _put_place(found, key, path, sets[0])
    for part in ("split", "shards", "name"):
        if sets[0].get(part) not in (None, "train"):
            found.miss(
                key,
                path,
                tr(
                    "`{key}`: `{part}: {sets}` is not used; all rows of the file are.",
                    key=key,
                    part=part,
                    sets=sets[0][part],
                ),
            )
    return sets[0]


def _alike(found: ForeignFile, key: str, sets: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The first of several data sets, for how all of them are read; None where each is read in a way of its own."""
    ways = [{name: value for name, value in one.items() if name not in _PLACES} for one in sets]
    if all(way == ways[0] for way in ways):
        return sets[0]
    said = tr("The data sets of `{key}` are read in different ways there: none of it is taken over.", key=key)
    found.miss(key, "data_format", said, hint=tr("See in the data's examples what is read."))
    return None


def _put_place(found: ForeignFile, key: str, path: str, chosen: Mapping[str, Any]) -> None:
    """The file of a data set, which may be one of a folder's."""
    files, folder = chosen.get("data_files"), str(chosen.get("path") or "")
    names = [str(one) for one in (files if isinstance(files, list) else [files] if files else [])]
    if len(names) > 1:
        said = tr("`{key}` names {names} files; here it is one file or folder.", key=key, names=len(names))
        found.miss(key, path, said, hint=tr("Put the files into one folder, and name that."))
        return
    name = names[0] if names else folder
    place = (found.place(f"{folder}/{name}") if names and folder else None) or found.place(name)
    if place is None:
        said = tr("`{key}`: {name} is no file that lies on this machine.", key=key, name=name or tr("it"))
        found.miss(key, path, said, hint=tr("Save it as JSONL or Parquet, and name the file here."))
    else:
        found.put(path, str(place), key)


def _read_type(found: ForeignFile, chosen: Mapping[str, Any]) -> None:
    """How its rows are read; a type that writes a prompt of its own is told."""
    key, kind = "datasets", chosen.get("type")
    columns = {"field_messages": "chat_feature", "field_instruction": "prompt_feature",
               "field_output": "completion_feature", "field_system": "system_feature"}  # fmt: skip
    given = dict(chosen) | (kind if isinstance(kind, dict) else {})
    for name, path in columns.items():
        if given.get(name):
            found.put(path, str(given[name]), key)
    if kind == "completion":
        found.put("data_format", "text", key)
        found.put("text_feature", str(chosen.get("field") or "text"), key)
        found.put("mask_prompt", False, key)
    elif kind not in ("chat_template", "chat_template.default") and kind is not None:
        shown = tr("a type of its own") if isinstance(kind, dict) else str(kind)
        said = tr(
            "`type: {shown}` writes prompts in words of its own. Here {own_template}",
            shown=shown,
            own_template=_OWN_TEMPLATE,
        )
        found.miss(key, "data_format", said)
    roles = chosen.get("roles_to_train")
    if roles not in (None, ["assistant"], ["gpt"], ["assistant", "gpt"], ["gpt", "assistant"]):
        found.miss(
            key,
            "mask_turns",
            tr("`roles_to_train: {roles}`: only the assistant's turns are learned.", roles=roles),
            _ERROR,
        )
    _tell_unread(found, key, given)


def _tell_unread(found: ForeignFile, key: str, given: Mapping[str, Any]) -> None:
    """What a data set says besides of its rows, each by its name, unless it is as rows are read anyway."""
    words = given.get("message_property_mappings")
    usual = isinstance(words, dict) and all(word in _WORDS.get(part, ()) for part, word in words.items())
    for name, value in given.items():
        is_told = name in _READ or name in _PLACES or (name == "message_property_mappings" and usual)
        if not is_told and value not in (None, False, "", [], {}, *_AS_HERE.get(name, ())):
            said = tr("`{name}: {given}` of `datasets` is not used.", name=name, given=value)
            found.miss(key, "data", said)
