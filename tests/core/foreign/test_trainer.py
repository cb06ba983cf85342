"""Configs of LLaMA-Factory, axolotl and Unsloth: their values and defaults arrive, and nothing is passed over."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from app.core.foreign.trainer import TRAINERS, trainer_of
from app.core.problem import Problem, Severity, UnusableError
from app.core.setup.config_file import LoadedConfig, dump_config, load_config, parse_config

FACTORY = "model_name_or_path: m\nfinetuning_type: lora\n"
AXOLOTL = "base_model: m\nadapter: lora\nlora_r: 8\nlora_alpha: 16\nlora_target_linear: true\nlearning_rate: 2e-4\n"
UNSLOTH = "model: m\ntraining: {training_type: lora}\n"


def problems(loaded: LoadedConfig, path: str) -> list[Problem]:
    return [problem for problem in loaded.problems if problem.path == path]


def refusals(text: str) -> dict[str, str]:
    with pytest.raises(UnusableError) as caught:
        parse_config(text, name="c.yaml")
    return {one.path: one.sentence() for one in caught.value.problems if one.severity is Severity.ERROR}


def values(text: str, *paths: str) -> dict[str, Any]:
    config = parse_config(text, name="c.yaml").config
    return {path: config.value(path) for path in paths}


# Written by hand from their documentation: what each trains when a file says almost nothing.
@pytest.mark.parametrize(
    ("text", "trainer", "expected"),
    [
        (FACTORY, "LLaMA-Factory", {
            "learning_rate": 5e-5, "epochs": 3.0, "batch_size": 8, "grad_accumulation_steps": 1,
            "schedule": "linear",
            "warmup": 0.0, "max_seq_length": 2048, "lora_parameters.rank": 8, "lora_parameters.scale": 2.0,
            "targets": "linear", "optimizer": "adamw", "weight_decay": 0.0, "max_grad_norm": 1.0, "seed": 42,
            "mask_prompt": True, "mask_turns": "all", "steps_per_report": 500, "save_every": 500,
            "valid_fraction": 0.0, "train_mode": "sft", "grad_checkpoint": True,
        }),
        (AXOLOTL, "axolotl", {
            "learning_rate": 2e-4, "epochs": 1.0, "batch_size": 1, "grad_accumulation_steps": 1,
            "schedule": "cosine",
            "warmup": 0.03, "max_seq_length": 512, "lora_parameters.rank": 8, "lora_parameters.scale": 2.0,
            "targets": "linear", "optimizer": "adamw", "weight_decay": 0.0, "max_grad_norm": 1.0, "seed": 42,
            "mask_prompt": True, "mask_turns": "all", "valid_fraction": 0.0, "grad_checkpoint": False,
        }),
        (UNSLOTH, "Unsloth", {
            "learning_rate": 2e-4, "epochs": 3.0, "batch_size": 2, "grad_accumulation_steps": 4,
            "schedule": "linear",
            "warmup": 20.0, "max_seq_length": 2048, "lora_parameters.rank": 64, "lora_parameters.scale": 0.25,
            "targets": "q_proj, k_proj, v_proj, o_proj, gate_proj, up_proj, down_proj", "optimizer": "adamw",
            "weight_decay": 0.01, "max_grad_norm": 1.0, "seed": 3407, "mask_prompt": False,
        }),
    ],
)  # fmt: skip
def test_what_a_file_leaves_out_is_as_its_trainer_has_it(text: str, trainer: str, expected: dict[str, Any]) -> None:
    loaded = parse_config(text, name="c.yaml")
    assert loaded.trainer == trainer
    assert {path: loaded.config.value(path) for path in expected} == expected
    always = {"early_stopping.enabled": False, "final_adapter": "last", "test_fraction": 0.0, "num_layers": -1,
              "bias_correction": True, "fine_tune_type": "lora", "model": "m"}  # fmt: skip
    assert {path: loaded.config.value(path) for path in always} == always
    [told] = [one.message for one in loaded.problems if "leaves out" in one.message]
    assert "seed" in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (FACTORY + "lora_rank: 16\nlora_alpha: 8\nuse_rslora: true", {"lora_parameters.scale": 2.0}),
        (FACTORY + "lora_target: q_proj,v_proj\nlora_dropout: 0.05",
         {"targets": "q_proj, v_proj", "lora_parameters.dropout": 0.05}),
        (FACTORY + "use_dora: true", {"fine_tune_type": "dora"}),
        ("model_name_or_path: m\nfinetuning_type: full\nlearning_rate: 1e-5", {"fine_tune_type": "full"}),
        (FACTORY + "train_on_prompt: true", {"mask_prompt": False}),
        (FACTORY + "mask_history: true", {"mask_prompt": True, "mask_turns": "last"}),
        (FACTORY + "stage: pt", {"data_format": "text", "batching": "pack", "mask_prompt": False}),
        (FACTORY + "neat_packing: true", {"batching": "pack"}),
        (FACTORY + "gradient_accumulation_steps: 8\nmax_steps: 100\nwarmup_steps: 5\nlogging_steps: 10",
         {"iters": 800, "epochs": None, "warmup": 40.0, "steps_per_report": 80}),
        (FACTORY + "lr_scheduler_type: constant\nwarmup_steps: 5", {"schedule": "constant", "warmup": 0.0}),
        (FACTORY + "lr_scheduler_type: constant_with_warmup\nwarmup_ratio: 0.1",
         {"schedule": "constant", "warmup": 0.1}),
        (FACTORY + "adam_beta2: 0.95\nadam_epsilon: 1e-6",
         {"optimizer_config": {"adamw": {"eps": 1e-6, "betas": [0.9, 0.95]}}}),
        (FACTORY + "stage: dpo\npref_beta: 0.2\npref_loss: ipo",
         {"train_mode": "dpo", "dpo_cpo_loss_type": "ipo", "beta": 0.2}),
        (FACTORY + "stage: dpo\npref_loss: simpo\npref_beta: 2.0\nsimpo_gamma: 1.0",
         {"train_mode": "cpo", "dpo_cpo_loss_type": "simpo", "beta": 2.0, "simpo_gamma": 1.0, "cpo_alpha": 0.0}),
        (FACTORY + "stage: dpo\npref_loss: orpo", {"train_mode": "orpo", "beta": 0.1}),
        (FACTORY + "stage: kto\nkto_rejected_weight: 2", {"train_mode": "kto", "undesirable_weight": 2.0,
                                                          "desirable_weight": 1.0}),
        (FACTORY + "val_size: 0.2\nreport_to: [wandb, tensorboard]",
         {"valid_fraction": 0.2, "report_to": "wandb,tensorboard"}),
        (AXOLOTL + "train_on_inputs: true\nsample_packing: true\nwarmup_ratio: 0.1",
         {"mask_prompt": False, "batching": "pack", "warmup": 0.1}),
        (AXOLOTL + "peft_use_rslora: true", {"lora_parameters.scale": 16 / math.sqrt(8)}),
        (AXOLOTL + "early_stopping_patience: 4\nload_best_model_at_end: true",
         {"early_stopping.enabled": True, "early_stopping.patience": 4, "final_adapter": "best"}),
        (AXOLOTL + "rl: simpo", {"train_mode": "cpo", "dpo_cpo_loss_type": "simpo", "simpo_gamma": 0.5,
                                 "cpo_alpha": 1.0, "beta": 0.1}),
        (AXOLOTL + "rl: orpo\norpo_alpha: 0.3", {"train_mode": "orpo", "beta": 0.3}),
        (AXOLOTL + "rl: dpo\nrl_beta: 0", {"beta": 0.0}),
        (AXOLOTL + "rl: orpo\norpo_alpha: 0", {"beta": 0.0}),
        (AXOLOTL + "micro_batch_size: 2\nbatch_size: 16", {"batch_size": 2, "grad_accumulation_steps": 8}),
        (AXOLOTL + "optimizer: adafactor\nadam_beta1: 0.8",
         {"optimizer_config": {"adafactor": {"relative_step": False, "scale_parameter": False}}}),
        (FACTORY + "optim: lion_32bit", {"optimizer_config": {"lion": {"betas": [0.9, 0.999]}}}),
        (FACTORY + "optim: lion_32bit\nadam_beta2: 0.95", {"optimizer_config": {"lion": {"betas": [0.9, 0.95]}}}),
        ("model_name: m\nr: 16\nfull_finetuning: true", {"fine_tune_type": "full"}),
        (AXOLOTL + "use_tensorboard: true", {"report_to": "tensorboard"}),
        ("base_model: m\ndatasets: []\nlearning_rate: '1e-5'", {"fine_tune_type": "full", "learning_rate": 1e-5}),
        ("model_name: m\nr: 16\nlora_alpha: 32\nmax_steps: 60\nrandom_state: 1",
         {"lora_parameters.rank": 16, "lora_parameters.scale": 2.0, "iters": 240}),
        ("model_name: m\nr: 16", {"iters": 1600, "lora_parameters.scale": 1.0}),
        (UNSLOTH.replace("lora}", "full, train_on_completions: true}"),
         {"fine_tune_type": "full", "mask_prompt": True}),
    ],
)  # fmt: skip
def test_values_arrive_where_they_belong(text: str, expected: dict[str, Any]) -> None:
    assert values(text, *expected) == expected


@pytest.mark.parametrize(
    ("text", "path", "word"),
    [
        (FACTORY + "stage: ppo", "train_mode", "ppo"),
        (FACTORY.replace("lora", "oft"), "fine_tune_type", "oft"),
        (FACTORY + "additional_target: embed_tokens", "targets", "additional_target"),
        (FACTORY + "stage: dpo\ndpo_label_smoothing: 0.1", "dpo_cpo_loss_type", "label_smoothing"),
        (FACTORY + "pissa_init: true", "lora_parameters", "pissa_init"),
        (FACTORY + "learning_rate: fast", "learning_rate", "fast"),
        (FACTORY + "per_device_train_batch_size: 1000", "batch_size", "64"),
        (FACTORY + "gradient_accumulation_steps: 0", "grad_accumulation_steps", "0"),
        ("model: m\npeft_config: {name: lora, r: 16}\ntrain_dataset: d", "", "LLaMA-Factory 1"),
        (AXOLOTL + "lisa_n_layers: 4", "fine_tune_type", "lisa_n_layers"),
        (AXOLOTL + "diffusion: {noise_schedule: cosine}", "train_mode", "diffusion"),
        (AXOLOTL + "rl: dpo\nrpo_alpha: 1.0", "dpo_cpo_loss_type", "rpo_alpha"),
        (AXOLOTL + "rl: grpo", "train_mode", "rewards"),
        (AXOLOTL + "lora_modules_to_save: [lm_head]", "targets", "lora_modules_to_save"),
        (AXOLOTL + "peft_layers_to_transform: [0, 1]", "num_layers", "layers_to_transform"),
        (AXOLOTL + "lora_rank_pattern: {q_proj: 4}", "lora_parameters.rank", "lora_rank_pattern"),
        (AXOLOTL + "datasets: [{path: x, type: chat_template, roles_to_train: [user]}]", "mask_turns", "user"),
        (AXOLOTL.replace("adapter: lora", "adapter: oft"), "fine_tune_type", "oft"),
        (AXOLOTL.replace("lora_target_linear: true", "lora_target_modules: '.*(q|v)_proj'"), "targets", "regular"),
        (AXOLOTL.replace("lora_alpha: 16\n", ""), "lora_parameters.rank", "lora_alpha"),
        (UNSLOTH + "lora: {use_loftq: true}", "lora_parameters", "use_loftq"),
    ],
)  # fmt: skip
def test_what_would_train_something_else_is_refused_by_name(text: str, path: str, word: str) -> None:
    assert word in refusals(f"{text}\n")[path]


@pytest.mark.parametrize(
    ("text", "path", "word"),
    [
        (FACTORY + "dataset: a,b", "data", "mixes 2 data sets"),
        (FACTORY + "template: qwen3", "model", "chat template"),
        (FACTORY + "quantization_bit: 4", "model", "luthier models convert"),
        (FACTORY + "packing: true", "batching", "sees only itself"),
        (FACTORY + "neftune_noise_alpha: 5", "lora_parameters.dropout", "neftune_noise_alpha"),
        (FACTORY + "optim: dion", "optimizer", "dion"),
        (FACTORY + "val_size: 100", "valid_fraction", "number of rows"),
        (FACTORY + "val_size: 1", "valid_fraction", "`val_size: 1` is a number of rows"),
        (FACTORY + "lr_scheduler_type: polynomial", "schedule", "polynomial"),
        (FACTORY + "report_to: swanlab", "report_to", "swanlab"),
        (FACTORY + "something_new: 3", "something_new", "something_new"),
        (AXOLOTL + "sample_packing: true", "batching", "packed rows there"),
        (AXOLOTL + "datasets: [{path: a/b, type: alpaca}]", "data_format", "alpaca"),
        (AXOLOTL + "datasets: [{path: a, type: alpaca}, {path: b, type: completion}]", "data", "a, b"),
        (AXOLOTL + "chat_template: chatml", "model", "chatml"),
        (AXOLOTL + "evals_per_epoch: 4", "steps_per_eval", "evals_per_epoch"),
        (AXOLOTL + "cosine_min_lr_ratio: 0.1", "schedule", "cosine_min_lr_ratio"),
        (AXOLOTL + "load_in_4bit: true", "model", "load_in_4bit"),
        (UNSLOTH + "data: {dataset: tatsu-lab/alpaca}", "data", "tatsu-lab/alpaca"),
        (UNSLOTH, "model", "load_in_4bit"),
    ],
)  # fmt: skip
def test_what_has_no_place_here_stands_beside_the_field_that_it_would_have_set(
    text: str, path: str, word: str
) -> None:
    assert any(word in one.message + one.hint for one in problems(parse_config(f"{text}\n", name="c.yaml"), path))


def test_no_key_of_a_file_is_passed_over() -> None:
    """Each key is set, told at a field, or named in the note of those without effect."""
    text = (FACTORY + "bf16: true\noutput_dir: out\ndeepspeed: z3.json\nlora_rank: 4\nbrand_new: 1\n"
            "neftune_noise_alpha: 5\nresume_from_checkpoint: null\n")  # fmt: skip
    loaded = parse_config(text, name="c.yaml")
    told = " ".join(one.message for one in loaded.problems)
    for key in ("bf16", "output_dir", "deepspeed", "brand_new", "neftune_noise_alpha", "resume_from_checkpoint"):
        assert key in told
    assert loaded.config.lora_parameters.rank == 4
    assert not loaded.config.unknown_keys
    assert [one.line for one in problems(loaded, "brand_new")] == [7]


def test_an_adapters_keys_change_nothing_of_a_full_fine_tune_and_are_told_once() -> None:
    text = "model: m\ntraining: {training_type: full}\nlora: {lora_r: 8, lora_alpha: 16}\n"
    loaded = parse_config(text, name="c.yaml")
    assert loaded.config.fine_tune_type == "full"
    told = [one.message for one in loaded.problems if "lora.lora_r" in one.message]
    assert told == [one for one in told if one.startswith("Not taken over")]
    assert len(told) == 1
    assert told[0].count("lora.lora_alpha") == 1
    assert not problems(loaded, "lora.lora_r")


def test_plugins_that_only_save_time_are_not_told_of() -> None:
    def told(*names: str) -> list[str]:
        problems = parse_config(f"{AXOLOTL}plugins: [{', '.join(names)}]\n").problems
        return [one.message for one in problems if "plugins:" in one.message]

    liger, other = "axolotl.integrations.liger.LigerPlugin", "axolotl.integrations.spectrum.SpectrumPlugin"
    assert told(liger) == []
    (said,) = told(liger, other)
    assert other in said
    assert liger not in said


def test_a_local_data_set_is_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.json").write_text("[]")
    columns = {"prompt": "question", "response": "output", "query": "context"}
    info = {"mine": {"file_name": "rows.json", "columns": columns}}
    (tmp_path / "data" / "dataset_info.json").write_text(json.dumps(info))
    (tmp_path / "c.yaml").write_text(f"{FACTORY}dataset: mine\n")
    loaded = load_config(tmp_path / "c.yaml")
    assert loaded.config.data == str(tmp_path / "data" / "rows.json")
    assert loaded.config.prompt_feature == "question"
    assert "context" in problems(loaded, "data")[0].message


def test_axolotls_local_file_and_its_columns_are_found(tmp_path: Path) -> None:
    (tmp_path / "chats.jsonl").write_text("{}\n")
    rows = "datasets:\n  - {path: chats.jsonl, ds_type: json, type: chat_template, field_messages: turns}\n"
    (tmp_path / "c.yml").write_text(AXOLOTL + rows)
    config = load_config(tmp_path / "c.yml").config
    assert (config.data, config.chat_feature) == (str(tmp_path / "chats.jsonl"), "turns")


def test_a_json_file_is_read_as_well(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(
        json.dumps({"model": "m", "lora": {"lora_r": 8}, "training": {"max_steps": 5}})
    )
    loaded = load_config(tmp_path / "c.json")
    assert (loaded.trainer, loaded.config.iters, loaded.config.lora_parameters.scale) == ("Unsloth", 20, 2.0)


def test_written_it_is_luthiers_with_the_same_values() -> None:
    for text in (FACTORY, AXOLOTL, UNSLOTH, f"{FACTORY}stage: dpo\n"):
        first = parse_config(text)
        again = parse_config(dump_config(first.config))
        assert again.config == first.config
        assert not again.trainer
        assert not again.problems


@pytest.mark.parametrize("text", ["model: m\ndata: d", "model: m\ntrain: true\nlora_parameters: {rank: 8}",
                                  "config_version: 1\nmodel_name_or_path: m\nstage: sft"])  # fmt: skip
def test_files_of_mlx_lm_and_luthier_are_nobodys(text: str) -> None:
    assert not parse_config(text).trainer


def test_each_trainer_is_known_by_its_keys() -> None:
    found = [
        trainer_of({"model_name_or_path": "m", "stage": "sft"}),
        trainer_of({"model": "m", "train_dataset": "d", "model_class": "llm"}),
        trainer_of({"base_model": "m", "adapter": None}),
        trainer_of({"lora": {"lora_r": 1}}),
    ]
    assert found == list(TRAINERS)


def test_what_is_named_but_unusable_is_not_called_missing() -> None:
    with pytest.raises(UnusableError) as caught:
        parse_config(
            FACTORY + "learning_rate: true\nper_device_train_batch_size: two\nlora_target: {q: 1}\n", name="c.yaml"
        )
    said = [one.sentence() for one in caught.value.problems]
    assert sum("learning_rate" in one for one in said) == 1
    assert sum("batch_size" in one for one in said) == 1
    assert any("`lora_target`: {'q': 1} is not a list of names" in one for one in said)


@pytest.mark.parametrize(
    "text, path, key",
    [
        (f"{AXOLOTL}train_on_inputs", "mask_prompt", "train_on_inputs"),
        (f"{AXOLOTL}peft_use_dora", "fine_tune_type", "peft_use_dora"),
        (f"{AXOLOTL}sample_packing", "batching", "sample_packing"),
        (f"{FACTORY}train_on_prompt", "mask_prompt", "train_on_prompt"),
        (f"{FACTORY}mask_history", "mask_turns", "mask_history"),
        (f"{FACTORY}use_rslora", "lora_parameters.scale", "use_rslora"),
        (f"{FACTORY}use_muon", "optimizer", "use_muon"),
        (f"{FACTORY}disable_gradient_checkpointing", "grad_checkpoint", "disable_gradient_checkpointing"),
        ("model: m\ntraining:\n  training_type: lora\n  train_on_completions", "mask_prompt",
         "training.train_on_completions"),
        ("model: m\ntraining: {training_type: lora}\nlora:\n  use_dora", "fine_tune_type", "lora.use_dora"),
    ],
)  # fmt: skip
def test_a_switch_is_true_or_false(text: str, path: str, key: str) -> None:
    """A quoted "false" was read as true."""
    said = refusals(f"{text}: 'false'\n")
    assert list(said) == [path]
    assert f"`{key}`: false is neither true nor false." in said[path]
    for value in ("false", "no", "null", "true"):
        assert parse_config(f"{text}: {value}\n").trainer


def test_a_method_that_is_no_word_is_refused() -> None:
    assert "`rl: ['dpo']` is not taken over." in refusals(f"{AXOLOTL}rl: [dpo]\n")["train_mode"]


def test_a_name_that_is_too_long_names_nothing(tmp_path: Path) -> None:
    text = f"{UNSLOTH}data: {{dataset: {'d' * 300}}}\n"
    assert not parse_config(text, base=tmp_path).config.data


# Of `axolotl.utils.schemas.datasets.SFTDataset`: what is of the rows, and what is of where they lie.
OF_THE_ROWS = {
    "message_property_mappings": {"role": "who", "content": "value"}, "message_field_role": "who",
    "message_field_content": "words", "field_tools": "functions", "field_thinking": "thoughts",
    "template_thinking_key": "think", "split_thinking": True, "conversation": "vicuna", "input_format": "x",
    "input_transform": "y", "field_human": "h", "field_model": "m", "message_field_training": "t",
    "message_field_training_detail": "d", "logprobs_field": "l", "temperature": 0.5,
    "roles": {"assistant": ["bot"]}, "train_on_eos": "all", "drop_system_message": True,
    "chat_template_jinja": "{{ x }}", "never_heard_of": 1,
}  # fmt: skip
OF_THE_PLACE = {
    "ds_type": "json", "revision": "abc", "trust_remote_code": True, "preprocess_shards": 2,
    "message_property_mappings": {"role": "from", "content": "value"}, "field_tools": "tools",
    "train_on_eos": "turn",
}  # fmt: skip


def told_of_rows(tmp_path: Path, *sets: dict[str, Any] | str) -> str:
    file = tmp_path / "c.json"
    tree = {"base_model": "m", "adapter": "lora", "lora_r": 8, "lora_alpha": 16, "lora_target_linear": True}
    file.write_text(json.dumps(tree | {"datasets": list(sets)}))
    return " ".join(one.sentence() for one in load_config(file).problems if one.path in ("data", "data_format"))


def test_each_word_of_a_data_set_about_its_rows_is_told(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").touch()
    rows = {"path": "rows.jsonl", "type": "chat_template"}
    said = told_of_rows(tmp_path, rows | OF_THE_ROWS)
    assert [name for name in OF_THE_ROWS if f"`{name}: " not in said] == []
    assert told_of_rows(tmp_path, rows | OF_THE_PLACE) == ""


def test_of_several_data_sets_the_ways_of_each_are_told(tmp_path: Path) -> None:
    rows = [{"path": name, "type": "chat_template"} for name in ("a.jsonl", "b.jsonl")]
    assert "in different ways" not in told_of_rows(tmp_path, *rows)
    assert "in different ways" in told_of_rows(tmp_path, rows[0], rows[1] | {"roles_to_train": ["user"]})
    assert "mixes 2 data sets (a.jsonl, tatsu/alpaca)" in told_of_rows(tmp_path, rows[0], "tatsu/alpaca")


def test_a_file_of_a_folder_is_found_and_not_its_folder_taken(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    for name in ("a.jsonl", "b.jsonl"):
        (folder / name).touch()
    file = tmp_path / "c.yaml"
    file.write_text(AXOLOTL + "datasets: [{path: set, data_files: [a.jsonl], type: chat_template}]\n")
    assert load_config(file).config.data == str(folder / "a.jsonl")
    file.write_text(AXOLOTL + "datasets: [{path: set, data_files: [a.jsonl, b.jsonl], type: chat_template}]\n")
    loaded = load_config(file)
    assert loaded.config.data == ""
    assert "names 2 files" in problems(loaded, "data")[0].message


def test_what_says_which_weights_are_kept_is_told_where_some_are() -> None:
    best = "load_best_model_at_end: true\nmetric_for_best_model: rouge\n"
    [told] = problems(parse_config(AXOLOTL + best, name="c.yaml"), "final_adapter")
    assert "`metric_for_best_model: rouge`" in told.message
    for harmless in (best.replace("rouge", "eval_loss"), best.replace("true", "false")):
        assert not problems(parse_config(AXOLOTL + harmless, name="c.yaml"), "final_adapter")


def test_patience_without_the_distance_of_evaluations_is_told() -> None:
    patience = AXOLOTL + "early_stopping_patience: 3\n"
    assert problems(parse_config(patience, name="c.yaml"), "early_stopping.patience")
    assert not problems(parse_config(patience + "eval_steps: 50\n", name="c.yaml"), "early_stopping.patience")


def test_words_of_its_own_in_dataset_info_are_told(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").touch()
    tags = {"role_tag": "from", "user_tag": "human", "assistant_tag": "bot"}
    info = {"x": {"file_name": "rows.jsonl", "formatting": "sharegpt", "tags": tags, "split": "test"}}
    (tmp_path / "dataset_info.json").write_text(json.dumps(info))
    (tmp_path / "c.yaml").write_text(f"{FACTORY}dataset_dir: .\ndataset: x\n")
    said = " ".join(one.message for one in problems(load_config(tmp_path / "c.yaml"), "data"))
    assert "assistant_tag bot, split test" in said
    assert "role_tag" not in said
