"""Configs of mlx-lm and mlx-lm-lora: their defaults, their names, and what is refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from app.core.problem import Problem, Severity, UnusableError
from app.core.setup.config_file import UNUSED, LoadedConfig, dump_config, load_config, parse_config

BASE = "model: m\ndata: d\n"


def told(loaded: LoadedConfig, path: str) -> Problem:
    [found] = [problem for problem in loaded.problems if problem.path == path]
    return found


def refusals(text: str) -> dict[str, str]:
    with pytest.raises(UnusableError) as caught:
        parse_config(text, name="c.yaml")
    return {problem.path: problem.sentence() for problem in caught.value.problems}


def test_a_file_without_luthiers_keys_has_the_defaults_of_mlx_lm() -> None:
    loaded = parse_config(BASE + "fine_tune_type: lora\n", name="c.yaml")
    config = loaded.config
    # The values of `mlx_lm.lora --help`, written by hand.
    assert (config.batch_size, config.learning_rate, config.iters, config.epochs) == (4, 1e-5, 1000, None)
    assert (config.max_seq_length, config.num_layers, config.val_batches) == (2048, 16, 25)
    assert (config.steps_per_report, config.steps_per_eval, config.save_every) == (10, 200, 100)
    assert (config.lora_parameters.rank, config.lora_parameters.scale) == (8, 20.0)
    assert (config.early_stopping.enabled, config.final_adapter, config.targets) == (False, "last", "linear")
    said = told(loaded, "").message
    for part in ("mlx-lm", "batch_size 4", "learning_rate 1e-05", "rank 8", "scale 20.0", "num_layers 16"):
        assert part in said


@pytest.mark.parametrize(
    ("config", "layers"),
    [('{"num_hidden_layers": 4}', -1), ('{"text_config": {"n_layer": 15}}', -1), ('{"num_hidden_layers": 16}', 16),
     ('{"num_hidden_layers": 40}', 16), ("{", 16), ("[]", 16)],
)  # fmt: skip
def test_a_model_with_fewer_layers_than_the_default_is_trained_whole(
    tmp_path: Path, config: str, layers: int
) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text(config)
    (tmp_path / "c.yaml").write_text(BASE)
    loaded = load_config(tmp_path / "c.yaml")
    assert loaded.config.num_layers == layers
    assert any("all are trained" in one.message for one in loaded.problems) is (layers == -1)
    (tmp_path / "c.yaml").write_text(f"{BASE}num_layers: 30\n")
    assert load_config(tmp_path / "c.yaml").config.num_layers == 30  # what the file names is checked, not changed


def test_what_the_file_names_is_kept_and_not_listed() -> None:
    text = BASE + "batch_size: 2\nlora_parameters: {keys: [self_attn.q_proj], rank: 4, scale: 10.0, dropout: 0.0}\n"
    loaded = parse_config(text)
    assert (loaded.config.batch_size, loaded.config.lora_parameters.rank) == (2, 4)
    assert (loaded.config.targets, loaded.config.lora_parameters.keys) == ("keys", ("self_attn.q_proj",))
    assert "batch_size" not in told(loaded, "").message
    assert "rank" not in told(loaded, "").message


@pytest.mark.parametrize("line", ["targets: full", "valid_fraction: 0.2", "config_version: 1", "epochs: 2"])
def test_one_key_of_luthiers_makes_the_file_luthiers(line: str) -> None:
    loaded = parse_config(f"{BASE}{line}\n")
    assert (loaded.config.batch_size, loaded.config.lora_parameters.rank) == (1, 32)
    assert loaded.config.early_stopping.enabled
    assert not loaded.problems


def test_a_file_of_mlx_lm_lora_has_its_names_and_defaults() -> None:
    text = (
        "model: m\ntrain: true\ntrain_type: dora\ntrain_mode: dpo\ndpo_loss_type: ipo\n"
        "gradient_accumulation_steps: 4\nreward_functions: '[a, b]'\n"
    )
    loaded = parse_config(text, name="c.yaml")
    config = loaded.config
    assert (config.fine_tune_type, config.train_mode, config.dpo_cpo_loss_type) == ("dora", "dpo", "ipo")
    assert (config.grad_accumulation_steps, config.reward_functions) == (4, ("a", "b"))
    assert (config.num_layers, config.batch_size, config.iters) == (-1, 1, 100)
    assert (config.lora_parameters.rank, config.lora_parameters.scale) == (8, 10.0)
    assert told(loaded, "dpo_loss_type").line == 5
    assert "mlx-lm-lora" in told(loaded, "").message


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("lr_schedule: {name: cosine_decay, warmup: 10, warmup_init: 1e-7, arguments: [1e-5, 1000, 1e-7]}",
         {"lr_schedule": {"name": "cosine_decay", "warmup": 10, "warmup_init": 1e-7,
                          "arguments": [1e-5, 1000, 1e-7]}, "schedule": "custom"}),
        ("optimizer: adamw\noptimizer_config: {adamw: {eps: 1e-6, weight_decay: 1e-2, betas: [.9, 9e-1]}}",
         {"optimizer_config": {"adamw": {"eps": 1e-6, "weight_decay": 1e-2, "betas": [0.9, 0.9]}}}),
        ("learning_rate: 2E-5", {"learning_rate": 2e-5}),
        ("learning_rate: +1e-5", {"learning_rate": 1e-5}),
        ("lora_layers: 6", {"num_layers": 6}),
        ("num_layers: 0", {"num_layers": -1}),
        ("num_layers: -2", {"num_layers": -1}),
        ("lora_parameters: {keys: [], rank: 8, scale: 1.0, dropout: 0.0}",
         {"targets": "keys", "lora_parameters.keys": ()}),
        ("lora_parameters: {rank: 16, alpha: 32, dropout: 0.0}", {"lora_parameters.scale": 2.0}),
        ("lora_parameters: {rank: 16, alpha: 32, scale: 5, dropout: 0}", {"lora_parameters.scale": 5.0}),
        ("lora_parameters: {alpha: 16}", {"lora_parameters.scale": 2.0, "lora_parameters.rank": 8}),
        ("targets: full\nlora_parameters: {alpha: 16}", {"lora_parameters.scale": 0.5, "lora_parameters.rank": 32}),
        ("targets: full\nlora_parameters: {rank: 8}", {"lora_parameters.scale": 4.0}),
        ("train_type: lora\nlora_parameters: {alpha: 16}", {"lora_parameters.scale": 2.0}),
        ("use_dora: true", {"fine_tune_type": "dora"}),
        ("train: false", {"train": True}),
        ("optimizer: AdamW", {"optimizer": "adamw"}),
        ("optimizer: adamw\noptimizer_config:\n  adamw:", {"optimizer": "adamw", "optimizer_config": {}}),
        ("train_mode: dpo\nbeta: 0.1\ndpo_cpo_loss_type: sigmoid\nbatch_size: 2\nlearning_rate: 5e-6\niters: 500",
         {"learning_rate": 5e-6, "lora_parameters.rank": 8, "lora_parameters.scale": 10.0, "num_layers": -1,
          "iters": 500, "targets": "linear"}),
        ("train_mode: grpo\ntemperature: 0.8\nreward_functions: \"a,b\"\nreward_weights: [0.7, 0.3]",
         {"reward_functions": ("a", "b"), "reward_weights": (0.7, 0.3), "group_size": 4, "iters": 100}),
    ],
)  # fmt: skip
def test_values_arrive_as_mlx_lm_reads_them(text: str, values: dict[str, Any]) -> None:
    config = parse_config(f"{BASE}{text}\n").config
    assert {path: config.value(path) for path in values} == values


@pytest.mark.parametrize(
    ("text", "path", "said"),
    [
        ("train: false\ntest: true", "train",
         "`train: false` with `test: true` asks for a measurement, not for training. "
         "Measure with `luthier evaluate --model … --adapter-path … --data …`."),
        ("hf_dataset: {path: a/b}", "hf_dataset",
         "Luthier does not download data sets. Save it as JSONL or Parquet, and name the file under `data`."),
        ("load_in_4bits: true", "load_in_4bits",
         "`load_in_4bits` asks for a model that is quantized while it is loaded. "
         "Quantize it once (`luthier models convert`), and name that under `model`."),
        ("qat_enable: true", "qat_enable", "Quantization-aware training is not there. Leave `qat_enable` out."),
        ("sft_loss_type: dft", "sft_loss_type", "The loss 'dft' is not there; Luthier's is nll."),
        ("lora_parameters: {rank: 8, alpha: -3}", "lora_parameters.alpha",
         "`lora_parameters.alpha`: -3 is not a number above 0."),
        ("lora_parameters: {rank: 8, alpha: 0}", "lora_parameters.alpha",
         "`lora_parameters.alpha`: 0 is not a number above 0."),
        ("lora_parameters: {rank: 8, alpha: true}", "lora_parameters.alpha",
         "`lora_parameters.alpha`: True is not a number above 0."),
        ("lora_parameters: {rank: 8, alpha: many}", "lora_parameters.alpha",
         "`lora_parameters.alpha`: 'many' is not a number above 0."),
        ("lora_parameters: {rank: 0, alpha: 16}", "lora_parameters.rank",
         "`lora_parameters.rank`: 0 is not usable: it is less than 1. "
         "LoRA rank takes 1 to 512."),
    ],
)  # fmt: skip
def test_what_luthier_cannot_do_is_refused_by_name(text: str, path: str, said: str) -> None:
    assert refusals(f"{BASE}{text}\n") == {path: f"c.yaml:3: {said}"}


def test_a_loss_that_is_not_there_is_refused_by_the_name_that_luthier_has_for_it() -> None:
    assert "sigmoid" in refusals(f"{BASE}dpo_loss_type: dpop\n")["dpo_cpo_loss_type"]


def test_refusals_and_faults_are_told_at_once() -> None:
    assert set(refusals(f"{BASE}hf_dataset: {{path: x}}\nbatch_size: 0\n")) == {"hf_dataset", "batch_size"}


@pytest.mark.parametrize(
    ("text", "path", "severity", "said"),
    [
        ("train: true\ntest: true", "test", Severity.WARNING,
         "A run does not measure the test data by itself. Measure afterwards with `luthier evaluate`, or in "
         "Compare."),
        ("train: false", "train", Severity.WARNING,
         "`train: false` is set aside: this is a config to train with."),
        ("reward_scaling: 2.0\ntrain_type: lora", "reward_scaling", Severity.WARNING,
         "`reward_scaling: 2.0` has no effect here: no method of Luthier reads it."),
        ("delta: 3\ntrain_type: lora", "delta", Severity.WARNING,
         "`delta: 3` has no effect here: no method of Luthier reads it."),
        ("trust_remote_code: true", "trust_remote_code", Severity.WARNING,
         "Luthier never runs code that comes with a model."),
        ("adapter_path: adapters", "adapter_path", Severity.NOTE,
         "The adapter is written into the run's own folder, not there."),
        ("train: true\nwandb: my-project", "wandb", Severity.NOTE,
         "`wandb` is read as `report_to: wandb`, with the project's name."),
        ("use_dora: true", "use_dora", Severity.NOTE, "`use_dora` is read as `fine_tune_type: dora`."),
        ("lora_layers: 6", "lora_layers", Severity.NOTE, "`lora_layers` is read as `num_layers`."),
        ("lora_rank: 8", "lora_rank", Severity.WARNING,
         "Luthier has no key `lora_rank`; it is kept, and trains nothing. Is `lora_parameters.rank` meant?"),
        ("lora_parameters: {target_modules: [q_proj]}", "lora_parameters.target_modules", Severity.WARNING,
         "Luthier has no key `lora_parameters.target_modules`; it is kept, and trains nothing. "
         "Is `lora_parameters.keys` meant?"),
        ("training_mode: normal", "training_mode", Severity.WARNING,
         "Luthier has no key `training_mode`; it is kept, and trains nothing. Is `train_mode` meant?"),
        ("grad_accumulation: 2", "grad_accumulation", Severity.WARNING,
         "Luthier has no key `grad_accumulation`; it is kept, and trains nothing. "
         "Is `grad_accumulation_steps` meant?"),
        ("epochs: 3\niters: 30", "iters", Severity.WARNING,
         "`epochs: 3` says how long the run is: `iters: 30` does not count. Leave one of them out."),
        ("lora_parameters: {rank: 16, alpha: 32}", "lora_parameters.alpha", Severity.NOTE,
         "`alpha: 32` is read as PEFT's: alpha ÷ rank is a scale of 2."),
        ("lora_parameters: {rank: 16, alpha: 32, scale: 5}", "lora_parameters.alpha", Severity.NOTE,
         "`alpha: 32` is not used: the file names a scale, which is what multiplies."),
    ],
)  # fmt: skip
def test_what_has_no_effect_is_told(text: str, path: str, severity: Severity, said: str) -> None:
    found = told(parse_config(f"{BASE}{text}\n", name="c.yaml"), path)
    line = next(number for number, one in enumerate(f"{BASE}{text}".splitlines(), 1) if path.split(".")[0] in one)
    assert (found.severity, found.text, found.file, found.line) == (severity, said, "c.yaml", line)


@pytest.mark.parametrize(
    "text",
    [
        "train: true\ntest: false", "train_type: lora\nreward_scaling: 1.0\ndelta: null",
        "train_type: lora\ndelta: 50",
        "trust_remote_code: false", "adapter_path: null", "load_in_4bits: false\nqat_enable: false",
        "sft_loss_type: nll", "train: true\nhf_dataset: null", "use_dora: false", "epochs: null\niters: 30",
        "lora_parameters: {rank: 8, alpha: null}",
    ],
)  # fmt: skip
def test_what_is_off_is_not_told(text: str) -> None:
    problems = parse_config(f"{BASE}{text}\n").problems
    assert {one.severity for one in problems} <= {Severity.NOTE}
    assert {one.path for one in problems if one.message != UNUSED} <= {"", "train_type"}


def test_what_a_file_leaves_out_is_listed_with_its_value() -> None:
    rest = "every linear matrix of those layers, no early stopping, the last weights are kept."
    common = (
        "learning_rate 1e-05, max_seq_length 2048, steps_per_report 10, steps_per_eval 200, save_every 100, "
        "val_batches 25"
    )
    begun = "This file has none of Luthier's keys, so what it leaves out is as in"
    assert told(parse_config(BASE, name="c.yaml"), "") == Problem(
        "",
        f"{begun} mlx-lm: batch_size 4, iters 1000, num_layers 16, {common}, rank 8, scale 20.0, "
        f"dropout 0.0, {rest}",
        Severity.NOTE,
        file="c.yaml",
    )
    theirs = f"{BASE}train_mode: dpo\ntrain_type: lora\n"
    assert told(parse_config(theirs), "").message == (
        f"{begun} mlx-lm-lora: batch_size 1, num_layers -1, beta 0.1, group_size 4, temperature 0.8, "
        f"max_completion_length 512, {common}, iters 100, rank 8, scale 10.0, dropout 0.0, {rest}"
    )
    long = parse_config(f"{theirs}epochs: 2\n")
    assert ("iters" in told(long, "").message, long.config.epochs) == (False, 2.0)
    of_two = parse_config(f"{BASE}train_mode: online_dpo\ntrain_type: lora\nmax_completion_length: 64\n")
    assert "group_size" not in told(of_two, "").message
    assert of_two.config.group_size == 2
    named = parse_config(f"{BASE}lora_parameters: {{keys: [self_attn.q_proj]}}\n")
    assert "every linear matrix" not in told(named, "").message


def test_an_older_name_gives_way_to_the_newer_one_in_the_same_file() -> None:
    loaded = parse_config(f"{BASE}lora_layers: 6\nnum_layers: 4\n")
    assert loaded.config.num_layers == 4
    assert told(loaded, "lora_layers").message == UNUSED
    chosen = parse_config(f"{BASE}use_dora: true\nfine_tune_type: lora\n")
    assert chosen.config.fine_tune_type == "lora"


def test_the_project_of_weights_and_biases_is_the_one_that_is_named() -> None:
    def read(text: str) -> tuple[str, str]:
        config = parse_config(f"{BASE}{text}\n").config
        return config.report_to, config.project_name

    assert read("wandb: mine") == ("wandb", "mine")
    assert read("wandb: mine\nproject_name: other") == ("wandb", "other")
    assert read("wandb: mine\nreport_to: tensorboard") == ("tensorboard", "")


def test_what_another_trainers_key_means_is_named() -> None:
    assert "`lora_parameters.rank`" in told(parse_config(f"{BASE}lora_rank: 8\n"), "lora_rank").hint
    assert "`epochs: 3`" in told(parse_config(f"{BASE}epochs: 3\niters: 30\n"), "iters").message


def test_keys_that_nobody_reads_are_told_beside_what_is_refused() -> None:
    with pytest.raises(UnusableError) as caught:
        parse_config(f"{BASE}batch_size: 0\nlearning_rat: 3\nlora_rank: 8\nhf_key: 1\n", name="c.yaml")
    assert {(one.path, one.severity, one.line) for one in caught.value.problems} == {
        ("batch_size", Severity.ERROR, 3),
        ("learning_rat", Severity.WARNING, 4),
        ("lora_rank", Severity.WARNING, 5),
    }  # fmt: skip


def test_opened_and_written_again_it_is_luthiers_with_the_same_values() -> None:
    first = parse_config(
        f"{BASE}lora_parameters: {{rank: 4, alpha: 8}}\nlr_schedule: {{name: x, arguments: [1e-7]}}\n"
    )
    again = parse_config(dump_config(first.config))
    assert again.config == first.config
    assert not [one for one in again.problems if one.severity is not Severity.NOTE]
    assert yaml.safe_load(dump_config(first.config))["lora_parameters"]["scale"] == 2.0


@pytest.mark.parametrize(
    "lines, decay",
    [
        ("optimizer: adamw", 0.01), ("optimizer: AdamW", 0.01), ("optimizer: muon", 0.01), ("optimizer: lion", 0.0),
        ("optimizer: adam", 0.0), ("optimizer: adamw\noptimizer_config: {adamw: {eps: 1e-6}}", 0.01),
        ("optimizer: adamw\nconfig_version: 1", 0.0),
    ],
)  # fmt: skip
def test_an_optimizer_decays_as_it_does_in_mlx_where_the_file_is_mlx_lm_s(lines: str, decay: float) -> None:
    read = parse_config(f"model: m\ndata: d\niters: 10\n{lines}\n")
    assert read.config.weight_decay == decay
    assert any("weight_decay 0.01" in one.message for one in read.problems) == (decay > 0)


def test_a_decay_that_the_file_names_is_the_one_that_counts() -> None:
    read = parse_config("model: m\noptimizer: adamw\noptimizer_config: {adamw: {weight_decay: 0.2}}\n")
    assert read.config.optimizer_arguments()["weight_decay"] == 0.2
    assert not any("weight_decay" in one.message for one in read.problems)
