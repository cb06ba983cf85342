"""A file of another trainer as a whole: every field that it sets, the line of each, and all that is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.foreign.file import ForeignFile, flattened
from app.core.foreign.trainer import trainer_of

# What each trains where a file says almost nothing.
USUAL: dict[str, dict[str, Any]] = {
    "LLaMA-Factory": {
        "model": "m", "fine_tune_type": "lora", "lora_parameters": {"dropout": 0.0, "rank": 8, "scale": 2.0},
        "targets": "linear", "mask_prompt": True, "mask_turns": "all", "max_seq_length": 2048,
        "valid_fraction": 0.0, "batch_size": 8, "grad_accumulation_steps": 1, "learning_rate": 5e-05,
        "epochs": 3.0, "schedule": "linear", "warmup": 0.0, "optimizer": "adamw", "weight_decay": 0.0,
        "max_grad_norm": 1.0, "steps_per_report": 500, "save_every": 500, "seed": 42, "grad_checkpoint": True,
        "train": True, "test_fraction": 0.0, "bias_correction": True, "early_stopping": {"enabled": False},
        "final_adapter": "last", "num_layers": -1,
    },
    "axolotl": {
        "model": "m", "fine_tune_type": "lora", "lora_parameters": {"dropout": 0.0, "rank": 8, "scale": 2.0},
        "targets": "linear", "max_seq_length": 512, "mask_prompt": True, "mask_turns": "all",
        "valid_fraction": 0.0, "batch_size": 1, "grad_accumulation_steps": 1, "epochs": 1.0,
        "schedule": "cosine", "warmup": 0.03, "optimizer": "adamw", "weight_decay": 0.0, "max_grad_norm": 1.0,
        "seed": 42, "grad_checkpoint": False, "train": True, "test_fraction": 0.0, "bias_correction": True,
        "early_stopping": {"enabled": False}, "final_adapter": "last", "num_layers": -1,
    },
    "Unsloth": {
        "model": "m", "fine_tune_type": "lora", "lora_parameters": {"dropout": 0.0, "rank": 64, "scale": 0.25},
        "targets": "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj", "max_seq_length": 2048,
        "mask_prompt": False, "mask_turns": "all", "valid_fraction": 0.0, "batch_size": 2,
        "grad_accumulation_steps": 4, "learning_rate": 0.0002, "epochs": 3.0, "schedule": "linear", "warmup": 20,
        "optimizer": "adamw", "weight_decay": 0.01, "max_grad_norm": 1.0, "seed": 3407, "grad_checkpoint": True,
        "train": True, "test_fraction": 0.0, "bias_correction": True, "early_stopping": {"enabled": False},
        "final_adapter": "last", "num_layers": -1,
    },
}  # fmt: skip

# Of files that name nearly all: the line of the key that each field comes from.
LINES: dict[str, dict[str, int]] = {
    "axolotl": {
        "model": 1, "fine_tune_type": 2, "lora_parameters.dropout": 5, "lora_parameters.rank": 3,
        "lora_parameters.scale": 4, "targets": 6, "train_mode": 39, "beta": 40, "desirable_weight": 41,
        "max_seq_length": 31, "mask_prompt": 33, "batching": 34, "data": 36, "chat_feature": 36,
        "valid_data": 37, "valid_fraction": 38, "batch_size": 7, "grad_accumulation_steps": 8,
        "learning_rate": 10, "epochs": 11, "schedule": 12, "warmup": 13, "optimizer": 14, "weight_decay": 17,
        "max_grad_norm": 18, "steps_per_report": 19, "save_every": 21, "seed": 24, "grad_checkpoint": 25,
        "early_stopping": 26, "final_adapter": 27, "report_to": 28, "project_name": 28,
    },
    "LLaMA-Factory": {
        "model": 1, "fine_tune_type": 3, "lora_parameters.dropout": 6, "lora_parameters.rank": 4,
        "lora_parameters.scale": 5, "targets": 7, "reference_model_path": 42, "mask_prompt": 38,
        "mask_turns": 39, "batching": 40, "max_seq_length": 12, "data": 9, "prompt_feature": 9,
        "chat_feature": 9, "system_feature": 9, "valid_data": 11, "valid_fraction": 13, "batch_size": 16,
        "grad_accumulation_steps": 17, "learning_rate": 18, "epochs": 19, "schedule": 21, "warmup": 22,
        "optimizer": 25, "weight_decay": 26, "max_grad_norm": 27, "steps_per_report": 28, "steps_per_eval": 29,
        "seed": 31, "early_stopping": 32, "final_adapter": 33, "adapter_name": 35, "report_to": 36,
    },
    "Unsloth": {
        "model": 1, "fine_tune_type": 5, "lora_parameters.dropout": 26, "lora_parameters.rank": 24,
        "lora_parameters.scale": 25, "targets": 29, "max_seq_length": 6, "data": 2, "text_feature": 4,
        "mask_prompt": 21, "batching": 22, "batch_size": 7, "grad_accumulation_steps": 8, "learning_rate": 9,
        "iters": 11, "schedule": 12, "warmup": 13, "optimizer": 14, "weight_decay": 15, "max_grad_norm": 16,
        "steps_per_report": 37, "save_every": 17, "steps_per_eval": 18, "seed": 19, "grad_checkpoint": 20,
        "report_to": 34, "project_name": 36,
    },
}  # fmt: skip


def read(tree: dict[str, Any], folder: Path) -> ForeignFile:
    """A file in a folder with data, each key of it on a line of its own."""
    for name in ("rows.jsonl", "valid.jsonl"):
        (folder / name).write_text("{}")
    (folder / "data").mkdir()
    for name in ("a.json", "b.json"):
        (folder / "data" / name).write_text("{}")
    columns = {"prompt": "ask", "response": "output", "messages": "turns", "system": "sys", "query": "more",
               "chosen": "chosen"}  # fmt: skip
    info = {"a": {"file_name": "a.json", "num_samples": 5, "columns": columns}, "b": {"file_name": "b.json"},
            "hub": {"hf_hub_url": "x"}, "odd": 5}  # fmt: skip
    (folder / "data" / "dataset_info.json").write_text(json.dumps(info))
    trainer = trainer_of(tree)
    assert trainer is not None
    lines = {key: number for number, key in enumerate(flattened(tree, trainer.sections), 1)}
    return trainer.reading(tree, "c.yaml", lines, folder)


@pytest.mark.parametrize(
    "tree, expected, gone, told",
    [
        (
            {
                "base_model": "m", "adapter": "lora", "lora_r": 8, "lora_alpha": 16, "lora_dropout": 0.05,
                "lora_target_modules": ["q_proj", "v_proj"], "micro_batch_size": 2,
                "gradient_accumulation_steps": 4, "batch_size": 9, "learning_rate": "2e-4", "num_epochs": 2,
                "lr_scheduler": "rex", "warmup_steps": 10, "optimizer": "paged_adamw_8bit", "adam_beta1": 0.8,
                "adam_epsilon": 1e-06, "weight_decay": 0.1, "max_grad_norm": 0.5, "logging_steps": 5,
                "eval_steps": 0.25, "save_steps": 20, "evals_per_epoch": 2, "saves_per_epoch": 0, "seed": 7,
                "gradient_checkpointing": True, "early_stopping_patience": 3, "load_best_model_at_end": True,
                "wandb_project": "boats", "use_tensorboard": True,
                "plugins": ["axolotl.integrations.liger.LigerPlugin", "x.Other"], "sequence_len": 1024,
                "excess_length_strategy": "truncate", "train_on_inputs": True, "sample_packing": True,
                "chat_template": "chatml",
                "datasets": [{
                    "path": "rows.jsonl", "type": "chat_template", "field_messages": "turns",
                    "roles_to_train": ["user"], "split": "test", "shards": 2, "name": "x", "train_on_eos": "all",
                    "field_input": "in", "roles": {"a": 1}, "drop_system_message": True,
                }],
                "test_datasets": [{"path": "x", "data_files": ["valid.jsonl"], "split": "train"}],
                "val_set_size": 0.1, "rl": "kto", "rl_beta": 0.3, "kto_desirable_weight": 0.5, "bf16": True,
                "strange": 1, "dataset_exact_deduplication": True, "peft_use_dora": True,
            },
            {
                "fine_tune_type": "dora", "lora_parameters": {"dropout": 0.05, "rank": 8, "scale": 2.0},
                "targets": "q_proj, v_proj", "train_mode": "kto", "beta": 0.3, "desirable_weight": 0.5,
                "undesirable_weight": 1.0, "max_seq_length": 1024, "mask_prompt": False, "batching": "pack",
                "data": "rows.jsonl", "chat_feature": "turns", "valid_data": "valid.jsonl",
                "valid_fraction": 0.1, "batch_size": 2, "grad_accumulation_steps": 4, "learning_rate": 0.0002,
                "epochs": 2, "schedule": "linear", "warmup": 40,
                "optimizer_config": {"adamw": {"eps": 1e-06, "betas": [0.8, 0.999]}}, "weight_decay": 0.1,
                "max_grad_norm": 0.5, "steps_per_report": 20, "save_every": 80, "seed": 7,
                "grad_checkpoint": True, "early_stopping": {"enabled": True, "patience": 3},
                "final_adapter": "best", "report_to": "wandb,tensorboard", "project_name": "boats",
            },
            "",
            [
                "batching warning 34: `sample_packing` is read as packed batches. The batch size counts "
                "examples here, and packed rows there.",
                "model warning 35: `chat_template: chatml` is not used: prompts are written by the model's "
                "own chat template.",
                "data warning 36: `datasets`: `split: test` is not used; all rows of the file are.",
                "data warning 36: `datasets`: `shards: 2` is not used; all rows of the file are.",
                "data warning 36: `datasets`: `name: x` is not used; all rows of the file are.",
                "mask_turns error 36: `roles_to_train: ['user']`: only the assistant's turns are learned.",
                "data warning 36: `train_on_eos: all` of `datasets` is not used.",
                "data warning 36: `field_input: in` of `datasets` is not used.",
                "data warning 36: `roles: {'a': 1}` of `datasets` is not used.",
                "data warning 36: `drop_system_message: True` of `datasets` is not used.",
                "batch_size warning 9: `batch_size: 9` is the total there; here the micro batch size and the "
                "accumulation count.",
                "schedule warning 12: `lr_scheduler: rex` is not there; linear is used instead.",
                "optimizer note 14: `optimizer: paged_adamw_8bit` keeps its figures in few bits to save "
                "memory; here they are float32.",
                "steps_per_eval note 20: `eval_steps: 0.25` is a share of the run; here it is a number of "
                "iterations, and stays as it is.",
                "steps_per_eval note 22: `evals_per_epoch: 2` is a number of times an epoch; here it is a "
                "number of iterations.",
                "save_every note 23: `saves_per_epoch: 0` is a number of times an epoch; here it is a number "
                "of iterations.",
                "early_stopping.patience warning 26: `early_stopping_patience` counts evaluations, and how far "
                "apart they are is not taken over. Set the iterations between evaluations (`steps_per_eval`).",
                "data warning 44: `dataset_exact_deduplication: True` has no counterpart here: repeats are "
                "told by the data's check, and stay.",
                "train_mode warning 30: `plugins: ['x.Other']` has no counterpart here: there are no plugins.",
                "strange warning 43: `strange: 1` is not read here. See what axolotl means by it.",
                " note -: Not taken over, as they do not change what is learned here: bf16.",
            ],
        ),
        (
            {
                "base_model": "m", "adapter": None, "lora_r": 8, "lora_alpha": 3,
                "datasets": [{"path": "rows.jsonl", "type": "completion", "field": "body"}],
                "chat_template": "tokenizer_default_fallback_chatml", "load_in_8bit": True,
            },
            {
                "fine_tune_type": "full", "mask_prompt": False, "data": "rows.jsonl", "data_format": "text",
                "text_feature": "body",
            },
            "lora_parameters targets",
            [
                "model warning 7: `load_in_8bit` quantizes the model while it is loaded; here it is trained "
                "as the folder holds it. For a base of few bits convert it once (`luthier models convert`), "
                "and name that under `model`.",
                "max_seq_length note -: Rows that are longer are cut here; axolotl leaves them out, or stops "
                "at them.",
                "learning_rate warning -: The file names no `learning_rate`, which axolotl asks for.",
                " note -: Not taken over, as they do not change what is learned here: lora_alpha, lora_r.",
            ],
        ),
        (
            {
                "base_model": "m", "adapter": "qlora", "lora_r": 8, "lora_alpha": 16, "lora_target_linear": True,
                "lora_target_modules": ["q"],
                "datasets": [{"path": "a", "type": "x"}, {"path": "b", "type": "x"}], "rl": "ipo",
                "dpo_loss_type": ["hinge"], "peft_use_rslora": True,
            },
            {
                "lora_parameters": {"dropout": 0.0, "rank": 8, "scale": 5.65685424949238}, "train_mode": "dpo",
                "beta": 0.1, "dpo_cpo_loss_type": "hinge",
            },
            "",
            [
                "max_seq_length note -: Rows that are longer are cut here; axolotl leaves them out, or stops "
                "at them.",
                "data warning 7: `datasets` mixes 2 data sets (a, b); here it is one file or folder. Put the "
                "files into one folder, and name that.",
                "data_format warning 7: `type: x` writes prompts in words of its own. Here prompts are "
                "written by the model's own chat template.",
                "learning_rate warning -: The file names no `learning_rate`, which axolotl asks for.",
            ],
        ),
        (
            {
                "base_model": "m", "adapter": "lora", "lora_r": 8, "lora_alpha": 16, "lora_target_modules": "",
                "datasets": [{
                    "path": "rows.jsonl",
                    "type": {"field_system": "s", "field_instruction": "i", "field_output": "o"},
                }],
                "rl": "dpo", "dpo_loss_type": ["ipo", "hinge"],
            },
            {
                "train_mode": "dpo", "beta": 0.1, "data": "rows.jsonl", "prompt_feature": "i",
                "completion_feature": "o", "system_feature": "s",
            },
            "targets",
            [
                "targets error 5: The file names no `lora_target_modules`; axolotl then asks PEFT, which "
                "knows each model's own. Name them, such as q_proj, v_proj.",
                "dpo_cpo_loss_type error 8: `dpo_loss_type: ['ipo', 'hinge']` is not there.",
                "max_seq_length note -: Rows that are longer are cut here; axolotl leaves them out, or stops "
                "at them.",
                "data_format warning 6: `type: a type of its own` writes prompts in words of its own. Here "
                "prompts are written by the model's own chat template.",
                "learning_rate warning -: The file names no `learning_rate`, which axolotl asks for.",
            ],
        ),
        (
            {
                "base_model": "m", "adapter": "lora", "lora_r": 8, "lora_alpha": 16,
                "datasets": [{"data_files": ["a", "b"], "path": ""}], "rl": "simpo", "simpo_gamma": 0,
                "cpo_alpha": 0.2, "dpo_loss_type": "sigmoid",
            },
            {
                "train_mode": "cpo", "beta": 0.1, "simpo_gamma": 0, "cpo_alpha": 0.2,
                "dpo_cpo_loss_type": "sigmoid",
            },
            "targets",
            [
                "targets error -: The file names no `lora_target_modules`; axolotl then asks PEFT, which "
                "knows each model's own. Name them, such as q_proj, v_proj.",
                "max_seq_length note -: Rows that are longer are cut here; axolotl leaves them out, or stops "
                "at them.",
                "data warning 5: `datasets` names 2 files; here it is one file or folder. Put the files into one "
                "folder, and name that.",
                "learning_rate warning -: The file names no `learning_rate`, which axolotl asks for.",
            ],
        ),
        (
            {
                "model_name_or_path": "m", "stage": "sft", "finetuning_type": "lora", "lora_rank": 4.0,
                "lora_alpha": 10, "lora_dropout": 0.1, "lora_target": "q_proj, v_proj", "use_dora": True,
                "dataset": "a", "dataset_dir": "data", "eval_dataset": "b", "cutoff_len": 512, "val_size": 0.2,
                "template": "qwen", "enable_thinking": False, "per_device_train_batch_size": 2,
                "gradient_accumulation_steps": 3, "learning_rate": 1e-05, "num_train_epochs": 2, "max_steps": 0,
                "lr_scheduler_type": "cosine_with_min_lr", "warmup_ratio": 0.1, "optim": "sgd",
                "adam_beta2": 0.9, "use_muon": True, "weight_decay": 0.1, "max_grad_norm": 0.5,
                "logging_steps": 7, "eval_steps": 9, "save_steps": 0.5, "seed": 1, "early_stopping_patience": 2,
                "load_best_model_at_end": True, "disable_gradient_checkpointing": True, "run_name": 5,
                "report_to": ["none", "wandb", "mlflow"], "quantization_bit": 4, "train_on_prompt": True,
                "mask_history": True, "neat_packing": True, "packing": False, "ref_model": "r",
                "pissa_init": False, "additional_target": [], "bf16": True, "odd": None,
            },
            {
                "fine_tune_type": "dora", "lora_parameters": {"dropout": 0.1, "rank": 4, "scale": 2.5},
                "targets": "q_proj, v_proj", "reference_model_path": "r", "mask_prompt": False,
                "mask_turns": "last", "batching": "pack", "max_seq_length": 512, "data": "data/a.json",
                "prompt_feature": "ask", "chat_feature": "turns", "system_feature": "sys",
                "valid_data": "data/b.json", "valid_fraction": 0.2, "batch_size": 2,
                "grad_accumulation_steps": 3, "learning_rate": 1e-05, "epochs": 2, "schedule": "cosine",
                "warmup": 0.1, "optimizer": "muon", "weight_decay": 0.1, "max_grad_norm": 0.5,
                "steps_per_report": 21, "steps_per_eval": 27, "seed": 1,
                "early_stopping": {"enabled": True, "patience": 2}, "final_adapter": "best",
                "grad_checkpoint": False, "adapter_name": "5", "report_to": "wandb",
            },
            "save_every",
            [
                "batching warning 40: `neat_packing` is read as packed batches. The batch size counts "
                "examples here, and packed rows there.",
                "data warning 9: All rows of a.json are used, not 5.",
                "data warning 9: The column more (query in dataset_info.json) is read only if it is "
                "recognised by itself. See in the data's examples what is read.",
                "model warning 14: `template: qwen` is not used: prompts are written by the model's own chat "
                "template.",
                "model warning 15: `enable_thinking: false` is not used: the model's own chat template "
                "decides.",
                "schedule warning 21: `lr_scheduler_type: cosine_with_min_lr` is not there; cosine is used "
                "instead.",
                "optimizer_config note 23: Adam's betas and epsilon do nothing with sgd.",
                "save_every note 30: `save_steps: 0.5` is a share of the run; here it is a number of "
                "iterations, and stays as it is.",
                "report_to warning 36: `report_to`: mlflow cannot be reported to.",
                "model warning 37: `quantization_bit` quantizes the model while it is loaded; here it is "
                "trained as the folder holds it. For a base of few bits convert it once (`luthier models "
                "convert`), and name that under `model`.",
                " note -: Not taken over, as they do not change what is learned here: additional_target, "
                "bf16, odd, pissa_init.",
            ],
        ),
        (
            {
                "model_name_or_path": "m", "stage": "pt", "finetuning_type": "full", "dataset": "hub",
                "eval_dataset": "a,b", "template": "default", "warmup_steps": 0.2, "optim": "dion",
                "lora_rank": 8,
            },
            {
                "fine_tune_type": "full", "data_format": "text", "mask_prompt": False, "batching": "pack",
                "warmup": 0.2,
            },
            "lora_parameters targets",
            [
                "batching warning -: `packing` is read as packed batches. The batch size counts examples "
                "here, and packed rows there. In a row each example sees only itself, which it does not in "
                "LLaMA-Factory.",
                "data warning 4: `dataset: hub` is no file that lies on this machine. Save it as JSONL or "
                "Parquet, and name the file here.",
                "valid_data warning 5: `eval_dataset` mixes 2 data sets (a, b); here it is one file or "
                "folder. Put the files into one folder, and name that.",
                "optimizer warning 8: The optimizer dion is not there; AdamW is used instead.",
                " note -: Not taken over, as they do not change what is learned here: lora_rank.",
            ],
        ),
        (
            {
                "model_name_or_path": "m", "stage": "kto", "finetuning_type": "freeze", "pref_beta": 0.3,
                "kto_chosen_weight": 0.5, "packing": True, "report_to": "all", "warmup_steps": 0,
            },
            {
                "train_mode": "kto", "beta": 0.3, "desirable_weight": 0.5, "undesirable_weight": 1.0,
                "batching": "pack",
            },
            "",
            [
                "fine_tune_type error 3: `finetuning_type: freeze` is not there. Luthier trains lora and full.",
                "batching warning 6: `packing` is read as packed batches. The batch size counts examples "
                "here, and packed rows there. In a row each example sees only itself, which it does not in "
                "LLaMA-Factory.",
                "report_to warning 7: `report_to`: all cannot be reported to.",
            ],
        ),
        (
            {
                "model_name_or_path": "m", "stage": "rm", "dataset_dir": "none", "dataset": "rows",
                "lora_target": "all", "lora_rank": "x", "max_steps": 2.0,
            },
            {
                "lora_parameters": {"dropout": 0.0}, "iters": 2, "epochs": None,
            },
            "",
            [
                "lora_parameters.rank error 6: `lora_rank`: x is not a number.",
                "train_mode error 2: `stage: rm` is not there: Luthier trains no such thing.",
                "data warning 4: `dataset: rows` is no file that lies on this machine. Save it as JSONL or "
                "Parquet, and name the file here.",
            ],
        ),
        (
            {
                "model_name_or_path": "m", "stage": "dpo", "pref_loss": "kto_pair",
            },
            {},
            "",
            [
                "dpo_cpo_loss_type error 3: `pref_loss: kto_pair` is not there.",
            ],
        ),
        (
            {
                "model_name_or_path": "m", "stage": "dpo", "pref_loss": "hinge", "simpo_gamma": 0.7,
                "lora_target": ["a.*"],
            },
            {
                "train_mode": "dpo", "beta": 0.1, "dpo_cpo_loss_type": "hinge",
            },
            "targets",
            [
                "targets error 5: `lora_target`: a.* is a regular expression, which targets are not here. "
                "Name the modules, such as q_proj, v_proj.",
            ],
        ),
        (
            {
                "model_name_or_path": "m", "stage": "dpo", "pref_loss": "simpo",
            },
            {
                "train_mode": "cpo", "beta": 0.1, "dpo_cpo_loss_type": "simpo", "simpo_gamma": 0.5,
                "cpo_alpha": 0.0,
            },
            "",
            [
            ],
        ),
        (
            {
                "model": "m",
                "data": {"local_dataset": ["rows.jsonl"], "format_type": "alpaca", "text_field": "body"},
                "training": {
                    "training_type": "QLoRA", "max_seq_length": 1024, "batch_size": 3,
                    "gradient_accumulation_steps": 2, "learning_rate": 0.0001, "num_epochs": 1, "max_steps": 10,
                    "lr_scheduler_type": "cosine", "warmup_ratio": 0.2, "optim": "adamw_torch",
                    "weight_decay": 0.0, "max_grad_norm": 2.0, "save_steps": 4, "eval_steps": 5,
                    "random_seed": 9, "gradient_checkpointing": "none", "train_on_completions": True,
                    "packing": True, "full_finetuning": True,
                },
                "lora": {
                    "lora_r": 32, "lora_alpha": 16, "lora_dropout": 0.2, "use_rslora": True, "use_dora": True,
                    "target_modules": "all-linear", "finetune_mlp_modules": False,
                    "finetune_attention_modules": True, "bias": "none", "vision_all_linear": True,
                },
                "logging": {
                    "enable_wandb": True, "enable_tensorboard": True, "wandb_project": "boats",
                    "log_frequency": 3,
                },
                "inference": {"top_p": 0.9},
            },
            {
                "fine_tune_type": "dora",
                "lora_parameters": {"dropout": 0.2, "rank": 32, "scale": 2.82842712474619}, "targets": "linear",
                "max_seq_length": 1024, "data": "rows.jsonl", "text_feature": "body", "mask_prompt": True,
                "batching": "pack", "batch_size": 3, "grad_accumulation_steps": 2, "learning_rate": 0.0001,
                "iters": 20, "epochs": None, "schedule": "cosine", "warmup": 0.2, "weight_decay": 0.0,
                "max_grad_norm": 2.0, "steps_per_report": 6, "save_every": 8, "steps_per_eval": 10, "seed": 9,
                "grad_checkpoint": False, "report_to": "wandb,tensorboard", "project_name": "boats",
            },
            "",
            [
                "model warning -: `training.load_in_4bit` quantizes the model while it is loaded; here it is "
                "trained as the folder holds it. For a base of few bits convert it once (`luthier models "
                "convert`), and name that under `model`.",
                "targets warning 30: `finetune_mlp_modules: false` is not used: the targets are those that "
                "are named.",
                "data_format warning 3: `format_type: alpaca` writes Alpaca's prompt; here the model's chat "
                "template does.",
                "batching warning 22: `training.packing` is read as packed batches. The batch size counts "
                "examples here, and packed rows there.",
                "fine_tune_type warning 23: `training.full_finetuning: True` has no counterpart here: name "
                "it under `training_type`.",
                "targets warning 33: `lora.vision_all_linear: True` has no counterpart here: the language "
                "model is trained.",
                " note -: Not taken over, as they do not change what is learned here: inference.top_p, "
                "lora.bias.",
            ],
        ),
        (
            {
                "model": "m", "training": {"training_type": "full", "load_in_4bit": True}, "lora": {"lora_r": 8},
                "data": {"local_dataset": ["a", "b"]},
            },
            {
                "fine_tune_type": "full",
            },
            "lora_parameters targets",
            [
                "model warning 3: `training.load_in_4bit` quantizes the model while it is loaded; here it is "
                "trained as the folder holds it. For a base of few bits convert it once (`luthier models "
                "convert`), and name that under `model`.",
                "data warning 5: `local_dataset` names 2 files; here it is one file or folder. Put the files "
                "into one folder, and name that.",
                "optimizer note -: `training.optim: adamw_8bit` keeps its figures in few bits to save "
                "memory; here they are float32.",
                " note -: Not taken over, as they do not change what is learned here: lora.lora_r.",
            ],
        ),
        (
            {
                "model": "m", "training": {"training_type": "other", "load_in_4bit": False},
                "data": {"dataset": "x/y"}, "logging": {"report_to": "wandb"},
            },
            {
                "report_to": "wandb",
            },
            "",
            [
                "fine_tune_type error 2: `training_type: other` is not there.",
                "data warning 4: x/y is no file that lies on this machine. Save it as JSONL or Parquet, and "
                "name the file here.",
                "optimizer note -: `training.optim: adamw_8bit` keeps its figures in few bits to save "
                "memory; here they are float32.",
            ],
        ),
        (
            {
                "model_name": "m", "r": 8, "dataset": "rows.jsonl", "num_train_epochs": 2, "warmup_steps": 3,
                "max_steps": None, "seed": 4, "use_gradient_checkpointing": "unsloth",
            },
            {
                "lora_parameters": {"dropout": 0.0, "rank": 8, "scale": 2.0}, "data": "rows.jsonl", "epochs": 2,
                "warmup": 12, "seed": 4,
            },
            "",
            [
                "model warning -: `training.load_in_4bit` quantizes the model while it is loaded; here it is "
                "trained as the folder holds it. For a base of few bits convert it once (`luthier models "
                "convert`), and name that under `model`.",
                "optimizer note -: `training.optim: adamw_8bit` keeps its figures in few bits to save "
                "memory; here they are float32.",
            ],
        ),
    ],
)  # fmt: skip
def test_what_a_file_sets_and_what_is_told(
    tree: dict[str, Any], expected: dict[str, Any], gone: str, told: list[str], tmp_path: Path
) -> None:
    """``expected`` is what differs from the usual, ``gone`` what is not set at all."""
    found = read(tree, tmp_path)
    usual = {key: value for key, value in USUAL[found.trainer].items() if key not in gone.split()}
    for key in ("data", "valid_data"):
        if key in expected:
            expected = {**expected, key: str(tmp_path.resolve() / expected[key])}
    assert found.tree == usual | expected
    assert [
        f"{one.path} {one.severity.name.lower()} {one.line or '-'}: {one.message}{one.hint and ' ' + one.hint}"
        for one in found.problems
        if not one.message.startswith("What this file leaves out is as in")
    ] == told
    assert {one.file for one in found.problems} <= {"c.yaml"}
    if len(tree) > 30 or "inference" in tree:
        assert found.own_lines == LINES[found.trainer]


def left_out(found: ForeignFile) -> str:
    return found.problems[-1].message


def test_what_a_file_leaves_out_is_told_with_what_it_then_is(tmp_path: Path) -> None:
    asked = {"base_model": "m", "adapter": "lora", "lora_r": 8, "lora_alpha": 16, "learning_rate": 1}
    assert left_out(read(asked, tmp_path)) == (
        "What this file leaves out is as in axolotl: lora_dropout 0.0, sequence_len 512, excess_length_strategy "
        "drop, train_on_inputs False, val_set_size 0.0, micro_batch_size 1, gradient_accumulation_steps 1, "
        "num_epochs 1.0, lr_scheduler cosine, warmup_ratio 0.03, optimizer adamw_torch_fused, weight_decay 0.0, "
        "max_grad_norm 1.0, seed 42."
    )
    (tmp_path / "b").mkdir()
    assert left_out(read({"model": "m", "training": {"training_type": "full"}}, tmp_path / "b")) == (
        "What this file leaves out is as in Unsloth: training.max_seq_length 2048, training.train_on_completions "
        "False, training.batch_size 2, training.gradient_accumulation_steps 4, training.learning_rate 0.0002, "
        "training.num_epochs 3.0, training.lr_scheduler_type linear, training.warmup_steps 5, training.optim "
        "adamw_8bit, training.weight_decay 0.01, training.max_grad_norm 1.0, training.random_seed 3407, "
        "training.gradient_checkpointing unsloth."
    )


@pytest.mark.parametrize(
    "keys, field, value",
    [
        ({"eval_steps": 1}, "steps_per_eval", 4),
        ({"eval_steps": 0}, "steps_per_eval", None),
        ({"eval_steps": -1}, "steps_per_eval", None),
        ({"early_stopping_patience": 0}, "early_stopping", {"enabled": False}),
        ({"warmup_steps": 1}, "warmup", 4),
        ({"warmup_steps": 0}, "warmup", 0.0),
        ({"warmup_steps": 0, "warmup_ratio": 0.2}, "warmup", 0.2),
        ({"max_steps": -1}, "iters", None),
        ({"gradient_accumulation_steps": 0}, "grad_accumulation_steps", 0),
        ({"optim": "adam"}, "optimizer", "adamw"),
        ({"optim": "Paged_Lion_8bit"}, "optimizer", "lion"),
        ({"adam_beta1": 0.8, "adam_epsilon": 1}, "optimizer_config", {"adamw": {"eps": 1, "betas": [0.8, 0.999]}}),
        ({"lora_rank": 0}, "lora_parameters", {"dropout": 0.0, "rank": 0}),
        ({"lora_rank": 2.5}, "lora_parameters", {"dropout": 0.0, "rank": 2.5, "scale": 2.0}),
        ({"lora_rank": 4, "use_rslora": True}, "lora_parameters", {"dropout": 0.0, "rank": 4, "scale": 4.0}),
        ({"lora_target": "all-linear"}, "targets", "linear"),
        ({"lora_target": [" a ", "", 5]}, "targets", "a, 5"),
        ({"val_size": 1}, "valid_fraction", 0.1),
        ({"val_size": 0.99}, "valid_fraction", 0.99),
        ({"learning_rate": True}, "learning_rate", None),
        ({"learning_rate": "1e999"}, "learning_rate", None),
        ({"learning_rate": "1e-3"}, "learning_rate", 0.001),
        ({"seed": 10**400}, "seed", None),
        ({"report_to": "trackio, [],none"}, "report_to", "trackio"),
        ({"report_to": "none"}, "report_to", None),
        ({"load_best_model_at_end": False}, "final_adapter", "last"),
        ({"stage": "pt", "packing": False}, "batching", None),
    ],
)  # fmt: skip
def test_values_at_their_limits(keys: dict[str, Any], field: str, value: Any, tmp_path: Path) -> None:
    tree = {"model_name_or_path": "m", "stage": "sft", "gradient_accumulation_steps": 4} | keys
    assert read(tree, tmp_path).tree.get(field) == value


@pytest.mark.parametrize(
    "keys, beta",
    [
        ({"rl": "orpo"}, 0.1), ({"rl": "orpo", "orpo_alpha": 0.3}, 0.3), ({"rl": "orpo", "rl_beta": 0.2}, 0.2),
        ({"rl": "orpo", "rl_beta": 0.2, "orpo_alpha": 0.3}, 0.2), ({"rl": "dpo", "orpo_alpha": 0.3}, 0.1),
        ({"rl": "dpo", "rl_beta": 0.2}, 0.2), ({"orpo_alpha": 0.3}, None),
    ],
)  # fmt: skip
def test_how_strongly_answers_are_preferred(keys: dict[str, Any], beta: float | None, tmp_path: Path) -> None:
    tree = {"base_model": "m", "adapter": "lora", "lora_r": 8, "lora_alpha": 16, "lora_target_linear": True} | keys
    assert read(tree, tmp_path).tree.get("beta") == beta


def test_names_of_unsloths_script_keep_their_lines(tmp_path: Path) -> None:
    tree = {"model_name": "m", "r": 8, "dataset": "rows.jsonl", "num_train_epochs": 2, "seed": 4, "odd": 1}
    found = read(tree, tmp_path)
    assert found.own_lines == {
        "model": 1, "lora_parameters.rank": 2, "data": 3, "epochs": 4, "seed": 5
    }  # fmt: skip
    assert [one.line for one in found.problems if one.path == "odd"] == [6]


@pytest.mark.parametrize(
    "tree, trainer",
    [
        ({"model_name_or_path": "m", "stage": "sft"}, "LLaMA-Factory"),
        ({"model_name_or_path": "m"}, ""),
        ({"stage": "sft", "finetuning_type": "lora"}, ""),
        ({"base_model": "m", "lora_r": 8}, "axolotl"),
        ({"base_model": "m", "train": True}, ""),
        ({"adapter": "lora", "lora_r": 8}, ""),
        ({"model_name": "m", "r": 8}, "Unsloth"),
        ({"model_name": "m", "other": 8}, ""),
        ({"r": 8, "load_in_4bit": True}, ""),
        ({"lora": {"lora_r": 8}}, "Unsloth"),
        ({"training": {"num_epochs": 8}}, "Unsloth"),
        ({"training": {"other": 8}, "lora": 5}, ""),
        ({"lora_r": 8, "training_type": "lora"}, ""),
    ],
)
def test_whose_a_file_is(tree: dict[str, Any], trainer: str) -> None:
    found = trainer_of(tree)
    assert (found.name if found is not None else "") == trainer


def test_what_a_file_names_is_found_beside_it_above_it_or_as_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    for name in ("a/b/x", "a/x", "a/y", "z"):
        (tmp_path / name).touch()
    found = ForeignFile("axolotl", {}, "c.yaml", {}, tmp_path / "a" / "b")
    here = tmp_path.resolve()
    assert [found.place(name) for name in ("x", "y", "z", str(tmp_path / "z"), "")] == [
        here / "a" / "b" / "x", here / "a" / "y", None, here / "z", None
    ]  # fmt: skip
    assert ForeignFile("axolotl", {}, "c.yaml", {}).place("x") is None


def test_what_is_told_of_a_key_is_short_and_of_many_each_is_named() -> None:
    keys = {f"k{number:02}": False for number in range(14)} | {"odd": "x" * 61, "fits": "x" * 60}
    found = ForeignFile("axolotl", keys, "c.yaml", {})
    found.finish(frozenset())
    assert [one.message for one in found.problems] == [
        f"`odd: {'x' * 57}…` is not read here.",
        f"`fits: {'x' * 60}` is not read here.",
        f"Not taken over, as they do not change what is learned here: {', '.join(list(keys)[:14])}.",
    ]
    assert not found.keys
    twelve = ForeignFile("axolotl", dict(list(keys.items())[:12]), "c.yaml", {})
    twelve.finish(frozenset())
    assert [one.message for one in twelve.problems] == [
        f"Not taken over, as they do not change what is learned here: {', '.join(list(keys)[:12])}."
    ]
