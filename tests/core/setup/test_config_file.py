"""Config files: mlx-lm's keys, faults with their lines, unknown keys kept, paths, migrations."""

import dataclasses
import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.core.config.spec import field_specs
from app.core.config.train_config import CONFIG_VERSION, TrainConfig
from app.core.method.table import PATHS
from app.core.problem import Problem, Severity, UnusableError
from app.core.setup import config_file
from app.core.setup.config_file import (
    LoadedConfig,
    dump_config,
    load_config,
    parse_config,
    save_config,
    validation_problems,
)


def faults(text: str) -> list[tuple[str, int | None, str]]:
    with pytest.raises(UnusableError) as caught:
        parse_config(text, name="c.yaml")
    return [(p.path, p.line, p.message) for p in caught.value.problems]


def test_a_written_config_reads_back_the_same(tmp_path: Path) -> None:
    config = TrainConfig().with_values({"model": "m", "learning_rate": 3e-5, "lora_parameters.keys": ("a.b",)})
    save_config(config, tmp_path / "c.yaml")
    assert load_config(tmp_path / "c.yaml").config == config


def test_the_file_has_the_keys_of_mlx_lm_at_the_top() -> None:
    tree = yaml.safe_load(dump_config(TrainConfig().with_value("adapter_path", "x")))
    stock = {
        "model", "train", "fine_tune_type", "optimizer", "data", "seed", "num_layers", "batch_size", "iters",
        "val_batches", "learning_rate", "steps_per_report", "steps_per_eval", "adapter_path", "save_every",
        "max_seq_length", "grad_checkpoint", "grad_accumulation_steps", "lora_parameters", "mask_prompt",
    }  # fmt: skip
    assert stock <= set(tree)
    assert tree["train"] is True
    assert tree["lora_parameters"] == {"rank": 32, "scale": 1.0, "dropout": 0.0}


def test_a_file_has_no_line_of_what_nobody_set() -> None:
    empty = (
        "valid_data", "test_data", "group_feature", "system_feature", "sheet", "answers_by", "encoding",
        "adapter_path", "report_to", "project_name",
    )  # fmt: skip
    left_out = {*empty, "resume_adapter_file", "lr_schedule", "optimizer_config"}
    plain = yaml.safe_load(dump_config(TrainConfig(bias_correction=False)))
    assert left_out & plain.keys() == set()
    assert set(TrainConfig.model_fields) - plain.keys() - left_out == {path.partition(".")[0] for path in PATHS}
    filled = TrainConfig().with_values(
        dict.fromkeys(empty, "x") | {"resume_adapter_file": "a", "lr_schedule": {"name": "y"}}
    )
    assert left_out <= yaml.safe_load(dump_config(filled)).keys()
    assert "seed" not in yaml.safe_load(dump_config(filled, ["seed"]))
    assert "keys" not in yaml.safe_load(dump_config(filled))["lora_parameters"]


def test_every_fault_is_told_at_once_with_its_line() -> None:
    found = faults("batch_size: 0\nseed: 1\nlora_parameters:\n  rank: many\n  scale: 1\noptimizer: adamx\n")
    assert {(path, line) for path, line, _ in found} == {
        ("batch_size", 1),
        ("lora_parameters.rank", 4),
        ("optimizer", 6),
    }


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        ("a: [1\nb: 2\n", 2, "YAML"),
        ("- 1\n- 2\n", 1, "A config is a list of `key: value` lines; this file is something else."),
        ("a: 1\n? [1, 2]\n: 3\n", 2, "This is not valid YAML: a key must be a plain word."),
        ("seed: 1\nseed: 2\n", 2, "twice"),
        ("x: !!python/object:os.system {}\n", 1, "YAML"),
        ("a: 1\n1: 2\n", 2, "`1` is not a word"),
        ("a: 1\nyes: 2\n", 2, "`yes` is not a word"),
        ("a: 1\n<<: {x: 1, 2020-01-01: 2}\n", 2, "`2020-01-01` is not a word"),
        ("a: 1\nconfig_version: 99\n", 2, "The file is of version 99, this Luthier knows up to 1."),
        ("a: 1\nconfig_version: true\n", 2, "true is no version of a config"),
        ("a: 1\nconfig_version: -1\n", 2, "-1 is no version of a config"),
        ("\tseed: 1\n", 1, "YAML"),
        ('a: 1\nadapter_name: "a\\0b"\n', 2, "no NUL"),
        ('a: 1\n"a\\0b": 2\n', 2, "no NUL"),
    ],
)
def test_files_that_are_no_config_say_so(text: str, line: int | None, word: str) -> None:
    [(_, found_line, message)] = faults(text)
    assert found_line == line
    assert word in message


def test_a_version_that_is_newer_says_what_to_do() -> None:
    with pytest.raises(UnusableError) as caught:
        parse_config("config_version: 2\n", name="c.yaml")
    assert caught.value.problems[0].hint == "Update Luthier to open it."
    assert parse_config("config_version: 0\ntargets: full\n").config == parse_config("targets: full\n").config


def test_each_fault_says_what_the_field_takes() -> None:
    with pytest.raises(UnusableError) as caught:
        parse_config(
            "config_version: 1\nbatch_size: 0\noptimizer: adamx\nlora_parameters: {rank: null}\n"
            f"train: {{a: {'b' * 80}}}\nmask_prompt: 7\nearly_stopping: {{patience: [1, true]}}\n",
            name="c.yaml",
        )
    found = {one.path: (one.line, one.message, one.hint) for one in caught.value.problems}
    shown = "{'a': '" + "b" * 50
    assert found == {
        "batch_size": (2, "`batch_size`: 0 is not usable: it is less than 1.",
                       "Batch size takes 1 to 64."),
        "optimizer": (3, "`optimizer`: 'adamx' is not usable: it is none of the choices.",
                      "Optimizer is one of adam, adamw, muon, sgd, adafactor, lion."),
        "lora_parameters.rank": (4, "`lora_parameters.rank`: null is not usable: it is no whole number.",
                                 "LoRA rank takes 1 to 512."),
        "train": (5, f"`train`: {shown}… is not usable: it is neither true nor false.", ""),
        "mask_prompt": (6, "`mask_prompt`: 7 is not usable: it is neither true nor false.", ""),
        "early_stopping.patience": (7, "`early_stopping.patience`: [1, true] is not usable: it is no whole "
                                    "number.", "Patience takes 1 to 1,000."),
    }  # fmt: skip
    with pytest.raises(ValidationError) as refused:
        TrainConfig().with_value("batch_size", True)
    [problem] = validation_problems(refused.value)
    assert (problem.message, problem.file, problem.line) == (
        "true is not usable: it is no whole number.", "", None,
    )  # fmt: skip


def test_what_a_file_brings_is_told_in_a_few_sentences() -> None:
    text = "config_version: 1\nlerning_rate: 1\nodd: 2\nstrange: 3\n"
    assert parse_config(text).told() == (
        "Luthier has no key `lerning_rate`; it is kept, and trains nothing. Is `learning_rate` meant? "
        "Keys that Luthier does not use are kept: odd, strange."
    )
    assert parse_config("config_version: 1\n").told() == ""
    foreign = LoadedConfig(TrainConfig(), trainer="Axolotl")
    at = [Problem("seed", "One.", Severity.WARNING), Problem("iters", "Two.", Severity.WARNING)]
    noted = [Problem("data", "Three.", Severity.NOTE), Problem("", "This came from Axolotl.", Severity.NOTE)]
    for count, said in (
        (0, "This came from Axolotl."),
        (1, "1 of its settings is not taken over as it stands: see beside the fields. This came from Axolotl."),
        (2, "2 of its settings are not taken over as they stand: see beside the fields. This came from Axolotl."),
    ):
        assert dataclasses.replace(foreign, problems=(*at[:count], *noted)).told() == said


def test_a_file_of_which_nothing_means_anything_is_known_as_such() -> None:
    assert parse_config("odd: 1\nstrange: 2\n").says_nothing
    assert parse_config("").says_nothing
    for text in ("odd: 1\nseed: 2\n", "odd: 1\nlerning_rate: 2\n"):
        assert not parse_config(text).says_nothing
    assert parse_config("config_version: 1\nseed: 2\n").named == {"config_version", "seed", "bias_correction"}


def test_unknown_keys_are_kept_shown_and_written_back() -> None:
    loaded = parse_config(
        "targets: full\nwandb_thing: {a: [1, 2]}\nlora_parameters: {rank: 4, odd: 1}\n", name="c.yaml"
    )
    assert loaded.config.unknown_keys == {"wandb_thing": {"a": [1, 2]}, "lora_parameters.odd": 1}
    assert [(p.path, p.severity, p.line) for p in loaded.problems] == [
        ("wandb_thing", Severity.NOTE, 2),
        ("lora_parameters.odd", Severity.NOTE, 3),
    ]
    tree = yaml.safe_load(dump_config(loaded.config.with_value("seed", 4)))
    assert tree["wandb_thing"] == {"a": [1, 2]}
    assert tree["lora_parameters"]["odd"] == 1


def test_a_config_of_mlx_lm_keeps_its_iterations_keys_and_null_values() -> None:
    text = (
        "model: m\nlora_parameters:\n  keys: [self_attn.q_proj]\n  rank: 8\n  scale: 20.0\n  dropout: 0\n"
        "iters: 600\nnum_layers: 0\nlearning_rate: 1e-5\nresume_adapter_file: null\ndata: null\n"
        "lr_schedule: {name: cosine_decay, warmup: 10, arguments: [1e-5, 1000]}\n"
    )
    config = parse_config(text).config
    assert (config.iters, config.epochs, config.num_layers) == (600, None, -1)
    assert (config.targets, config.lora_parameters.keys) == ("keys", ("self_attn.q_proj",))
    assert (config.schedule, config.learning_rate, config.config_version) == ("custom", 1e-5, CONFIG_VERSION)


def test_without_iterations_the_default_is_three_epochs() -> None:
    assert parse_config("model: m\ntargets: full\n").config.epochs == 3.0


@pytest.mark.parametrize(
    ("line", "meant"),
    [("lerning_rate: 1e-5", "learning_rate"), ("target: attention", "targets"),
     ("max_seq_len: 8", "max_seq_length"),
     ("lora_parameters: {rnk: 4}", "lora_parameters.rank"), ("colour: red", "")],
)  # fmt: skip
def test_a_mistyped_key_is_a_warning_with_the_one_that_is_meant(line: str, meant: str) -> None:
    [problem] = parse_config(f"epochs: 3\n{line}\n", name="c.yaml").problems
    assert problem.severity is (Severity.WARNING if meant else Severity.NOTE)
    assert problem.hint == (f"Is `{meant}` meant?" if meant else "")


def test_relative_paths_start_at_the_file_where_something_is_there(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "c.yaml").write_text("model: model\ndata: org/name\n")
    config = load_config(tmp_path / "c.yaml").config
    assert (config.model, config.data) == (str(tmp_path / "model"), "org/name")


def test_a_name_that_is_too_long_is_where_nothing_is(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(f"model: {'m' * 300}\n")
    assert load_config(tmp_path / "c.yaml").config.model == "m" * 300


# All but the one that each run sets anew.
PATHS_OF_FILES = [path for path, spec in field_specs().items() if spec.kind == "path" and path != "adapter_path"]


@pytest.mark.parametrize("path", PATHS_OF_FILES)
def test_every_path_of_a_file_starts_there(path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "setups"
    folder.mkdir()
    (folder / "beside").mkdir()
    (folder / "c.yaml").write_text(yaml.safe_dump({path: "beside"}))
    assert load_config(folder / "c.yaml").config.value(path) == str(folder / "beside")


def test_unreadable_files_are_told_in_words(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_bytes(b"\xff\xfe\x00seed")
    for path, said in (
        (tmp_path / "none.yaml", "The file cannot be read: No such file or directory."),
        (tmp_path / "b.yaml", "This is not a text file in UTF-8."),
        (tmp_path, "This is no file: a folder, a pipe or a device."),
    ):
        with pytest.raises(UnusableError) as caught:
            load_config(path)
        assert caught.value.problems == [Problem("", said, file=str(path))]


@pytest.mark.parametrize(
    ("name", "files", "said", "hint"),
    [
        ("rows.jsonl", {"rows.jsonl": '{"a": 1}\n{"a": 2}\n'}, "data", "A config names it as its `data`."),
        (
            "row.jsonl",
            {"row.jsonl": '{"prompt": "a", "completion": "b"}'},
            "data",
            "A config names it as its `data`.",
        ),
        ("rows.parquet", {"rows.parquet": "PAR1\udcff"}, "data", "A config names it as its `data`."),
        ("rows", {"rows/train.csv": "a,b\n"}, "data", "A config names it as its `data`."),
        (
            "lamp/config.json",
            {"lamp/config.json": '{"model_type": "llama"}'},
            "a model",
            "A config names it as its `model`.",
        ),
        ("lamp", {"lamp/config.json": "{}"}, "a model", "A config names it as its `model`."),
        (
            "lamp/model.safetensors",
            {"lamp/config.json": "{}", "lamp/model.safetensors": "\udcff"},
            "a model",
            "A config names it as its `model`.",
        ),
        ("one", {"one/config.yaml": "", "one/job.json": "{}"}, "a run", "Its config is config.yaml in it."),
    ],
)
def test_what_is_given_in_place_of_a_config(
    name: str, files: dict[str, str], said: str, hint: str, tmp_path: Path
) -> None:
    for place, text in files.items():
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UnusableError) as caught:
        load_config(tmp_path / name)
    problem = Problem("", f"This is {said}, not a config.", hint=hint, file=str(tmp_path / name))
    assert caught.value.problems == [problem]


@pytest.mark.parametrize("name", ["c.json", "c.txt", "c", "config.json"])
def test_a_configs_faults_are_told_whatever_its_name(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text('{"model": "lamp", "seed": "many"}')
    with pytest.raises(UnusableError) as caught:
        load_config(tmp_path / name)
    assert [(one.path, one.line) for one in caught.value.problems] == [("seed", 1)]


def test_saving_never_leaves_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.yaml"
    save_config(TrainConfig(), path)
    before = path.read_text()

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full_disk)
    with pytest.raises(OSError, match="No space"):
        save_config(TrainConfig().with_value("seed", 5), path)
    monkeypatch.undo()
    assert path.read_text() == before
    assert [p.name for p in tmp_path.iterdir()] == ["c.yaml"]


@given(st.text(max_size=200) | st.binary(max_size=100).map(lambda b: b.decode("latin-1")))
def test_no_text_whatever_ends_in_anything_but_a_config_or_problems(text: str) -> None:
    with suppress(UnusableError):
        parse_config(text)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*TrainConfig.model_fields, "other"]), VALUES, max_size=5))
def test_no_tree_whatever_ends_in_anything_but_a_config_or_problems(tree: dict[str, object]) -> None:
    with suppress(UnusableError):
        config = parse_config(yaml.safe_dump(tree)).config
        if config.train_mode == "sft":  # whose file leaves out what only other methods read
            config = config.with_values({path: TrainConfig().value(path) for path in PATHS})
        assert parse_config(dump_config(config)).config == config


@pytest.mark.parametrize(
    ("written", "read"),
    [("['']", "''"), ("''", "''"), ("[q_proj, v_proj]", "q_proj, v_proj"), ("mlp", "mlp"), ("\"['']\"", "['']")],
)
def test_targets_may_be_a_list_and_an_empty_one_is_the_empty_pattern(written: str, read: str) -> None:
    assert parse_config(f"config_version: 1\ntargets: {written}\n").config.targets == read


@pytest.mark.parametrize(
    ("text", "corrected"),
    [
        ("", False),  # a file without any key is mlx-lm's
        ("optimizer: adam", False),
        ("optimizer: adamw\noptimizer_config: {adamw: {bias_correction: true}}", True),
        ("targets: full", True),
        ("targets: full\noptimizer: adam", False),
        ("targets: full\noptimizer: adam\nbias_correction: true", True),
        ("targets: full\noptimizer_config: {adam: {bias_correction: false}}", False),
        ("config_version: 1\ntargets: full", False),  # as earlier versions wrote it
        ("train_mode: grpo", False),
    ],
)
def test_adam_is_corrected_where_a_file_leaves_it_to_luthier(text: str, corrected: bool) -> None:
    assert parse_config(f"model: m\n{text}\n").config.bias_correction is corrected


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("corrected", [True, False])
def test_mlx_lm_reads_from_a_written_file_whether_adam_is_corrected(optimizer: str, corrected: bool) -> None:
    config = TrainConfig.model_validate({"optimizer": optimizer, "bias_correction": corrected})
    tree = yaml.safe_load(dump_config(config))
    asked = tree.get("optimizer_config", {}).get(optimizer, {}).get("bias_correction", False)
    assert asked is (corrected and optimizer != "sgd")
    assert parse_config(dump_config(config)).config == config


PIECES = [
    *"ab{}[],:?#|>%@`=~-\n", "  ", "- ", "b: ", '"', "'", "&x ", "*x", "<<: *x", "1", "1e-4", ".5", "0x1f", "0o7",
    "yes", "null", "2020-01-01", "!!str ", "!t ", "---", "...", "\u2028", "\x85", "\ufeff", "\x07", "\\", "\r",
    "\t", "1_000", "1:30", ".nan", "|-", ">1", "!", "!!bool ",
]  # fmt: skip


@given(st.lists(st.sampled_from(PIECES), max_size=10).map("".join), st.booleans())
def test_the_faster_parser_reads_no_text_otherwise(text: str, inside: bool) -> None:
    """Than PyYAML's own does, that every trainer reads configs with."""
    text = f"model: a\n{text}\niters: 3\n" if inside else text

    def said(read: Callable[[str], tuple[yaml.Node | None, Any]]) -> str:
        try:
            node, tree = read(text)
        except (yaml.YAMLError, ValueError, TypeError, OverflowError):
            return "refused"
        return repr((tree, config_file._lines(node)))

    assert said(config_file._read_yaml) == said(lambda text: config_file._read_with(config_file._Loader, text))


def test_the_faster_parser_reads_what_is_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config_file, "_Loader", None)
    assert parse_config(dump_config(TrainConfig(model="/a folder/model", iters=7))).config.iters == 7


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("schedule: !!bool maybe", "this cannot be read as bool"),
        ("seed: !!int", "this cannot be read as int"),
        ("note: !!timestamp x", "this cannot be read as timestamp"),
        ("day: 2024-13-45", "this cannot be read as timestamp"),
        (f"seed: 0x{'f' * 6000}", "this cannot be read as int"),
        (f"mine: [0b{'1' * 20_000}]", "this cannot be read as int"),
        ("word: !!binary /w==", "a config has no binary values"),
        ("lora_parameters: {<<: {rank: 4, rank: 5}}", "the key 'rank' is given twice"),
        ("lora_parameters: {<<: [{rank: 4}, {scale: 1, scale: 2}]}", "the key 'scale' is given twice"),
    ],
)
def test_what_cannot_be_built_is_refused_at_its_line(line: str, said: str) -> None:
    with pytest.raises(UnusableError) as caught:
        parse_config(f"model: a\n{line}\niters: 3\n", name="mine.yaml")
    (problem,) = caught.value.problems
    assert (problem.message, problem.file, problem.line) == (f"This is not valid YAML: {said}.", "mine.yaml", 2)


def test_a_path_that_is_no_key_is_told_where_it_stands() -> None:
    loaded = parse_config("model: a\nlora_parameters.rank: 8\n")
    (problem,) = [problem for problem in loaded.problems if problem.path == "lora_parameters.rank"]
    assert (problem.severity, problem.line) == (Severity.WARNING, 2)
    assert problem.hint == "Write it as `rank` within `lora_parameters`."


@pytest.mark.parametrize("shown", ["2026-01-01", "2026-01-01 10:30:00", "123", "true", "1.5"])
def test_a_text_that_yaml_takes_for_something_else_is_told_to_be_quoted(shown: str) -> None:
    with pytest.raises(UnusableError) as caught:
        parse_config(f"model: a\nadapter_name: {shown}\n")
    (problem,) = caught.value.problems
    assert f"{shown} is not usable" in problem.message
    assert problem.hint == "In quotes it is a text."
    assert parse_config(f"model: a\nadapter_name: '{shown}'\n").config.adapter_name == shown


def test_iterations_that_a_file_asks_for_are_not_worked_out_from_epochs_that_it_does_not_name() -> None:
    def read(text: str) -> tuple[int, float | None]:
        config = parse_config(f"config_version: 1\nmodel: a\n{text}").config
        return config.iters, config.epochs

    assert read("iters: 50\n") == (50, None)
    assert read("iters: 50\nepochs: 2\n") == (50, 2.0)
    assert read("seed: 1\n")[1] == TrainConfig().epochs
    assert read("epochs: 2\n")[1] == 2.0


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("[a, true, null]", "['a', true, null]"),
        ("{a: false, 1: [1.5]}", "{'a': false, 1: [1.5]}"),
        ("true", "true"),
        ("[]", "[]"),
    ],
)
def test_what_is_not_usable_is_shown_as_yaml_has_it(value: str, shown: str) -> None:
    with pytest.raises(UnusableError) as caught:
        parse_config(f"data: {value}\n", name="c.yaml")
    assert [p.message for p in caught.value.problems] == [f"`data`: {shown} is not usable: it is no text."]


@example("&\ud800")
@given(st.text(st.characters(exclude_categories=(), exclude_characters="\0"), min_size=1))
def test_texts_of_json_are_read_as_json_has_them(words: str) -> None:
    said = json.loads(json.dumps(words))  # two halves that stand side by side are one character
    assert parse_config(json.dumps({"test_data": words})).config.test_data == said


@pytest.mark.parametrize(
    ("text", "is_told"),
    [
        ("schedule: cosine\nlr_schedule: {name: linear_schedule, arguments: [1e-3, 0, 10]}", True),
        ("schedule: constant\nlr_schedule: {name: cosine_decay, arguments: [1e-4, 10]}", True),
        ("schedule: linear\nlr_schedule: {name: linear_schedule, arguments: [1e-3, 0, 10]}", True),
        ("schedule: cosine\nlr_schedule: {name: cosine_decay, arguments: [1e-4, 10, 0.0], warmup: 3}", False),
        ("schedule: custom\nlr_schedule: {name: cosine_decay, arguments: [1e-3, 10]}", False),
        ("lr_schedule: {name: cosine_decay, arguments: [1e-3, 10]}", False),
    ],
)
def test_a_schedule_that_another_one_overrules_is_told(text: str, is_told: bool) -> None:
    loaded = parse_config(f"targets: full\nlearning_rate: 1e-4\n{text}\n", name="c.yaml")
    told = [one.line for one in loaded.problems if one.path == "lr_schedule"]
    assert told == ([4] if is_told else [])


@pytest.mark.parametrize(
    ("mode", "keys"),
    [
        ("simpo", "SimPO is `train_mode: cpo`, `dpo_cpo_loss_type: simpo`."),
        ("GSPO", "GSPO is `train_mode: grpo`, `importance_sampling_level: sequence`."),
        ("dapo", "DAPO is `train_mode: grpo`, `grpo_loss_type: dapo`, `importance_sampling_level: token`."),
        ("rloo", "Method is one of sft, dpo, cpo, orpo, kto, grpo, online_dpo."),
    ],
)
def test_a_method_of_another_mode_is_told_with_the_keys_that_mean_it(mode: str, keys: str) -> None:
    with pytest.raises(UnusableError) as refused:
        parse_config(f"train_mode: {mode}\n")
    [problem] = refused.value.problems
    assert (problem.path, problem.hint) == ("train_mode", keys)


def test_settings_of_an_optimizer_that_there_is_not_are_told() -> None:
    text = "model: m\noptimizer: AdamW\noptimizer_config:\n  AdamW: {weight_decay: 0.3}\n  sgd: {momentum: 0.9}\n"
    [told] = [one for one in parse_config(text, name="c.yaml").problems if one.path.startswith("optimizer_config")]
    assert (told.path, told.line, told.hint) == ("optimizer_config.AdamW", 4, "Is `adamw` meant?")
    assert "train nothing" in told.message
