"""``check``, ``inspect``, ``demo``, ``export --list``, ``import`` and the program itself: what people read."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.command import check, check_output, demo, inspect, main, train
from app.command.demo import Answer, StyleMeasurement
from app.command.output import FailedError
from app.command.tuned.export import _option
from app.command.worker import absolute, checked, failure
from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.export.format import EXPORT_FORMATS
from app.core.model.inspection import Inspection
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.run.folder import RunDir, prepare_run
from app.core.system.setting import Settings
from app.core.system.starter import as_song
from tests.command.conftest import Luthier
from tests.core.inspections import llama

PAIR = {"prompt": "Fog?", "completion": "Yes."}


def rows(path: Path, *found: dict[str, Any] | str) -> Path:
    path.write_text("".join(f"{one if isinstance(one, str) else json.dumps(one)}\n" for one in found))
    return path


# -- check -------------------------------------------------------------------------------------------------------


def test_a_check_for_people(luthier: Luthier, tmp_path: Path) -> None:
    file = rows(tmp_path / "train.jsonl", *(PAIR | {"prompt": f"{n}?"} for n in range(9)), *["{"] * 21)
    lines = luthier("check", file, code=2).stdout.splitlines()
    assert lines[:2] == ["not usable: 9 examples of 30 rows · completion, trained as completion", "train 9"]
    errors = [line for line in lines if line.startswith("error: ")]
    assert [line.split(": ")[1] for line in errors[:20]] == [f"{file}:{n}" for n in range(10, 30)]
    assert errors[20:] == ["error: 1 more; --json lists up to 1,000."]
    (tmp_path / "empty").mkdir()
    said = luthier("check", tmp_path / "empty", code=2).stdout
    assert said.startswith("not usable: 0 examples of 0 rows")
    file = rows(tmp_path / "few.jsonl", PAIR, PAIR)
    fixed = tmp_path.resolve() / "fixed.jsonl"
    said = luthier("check", file, "--fix", "fixed.jsonl", "--show", 1).stdout
    assert f"\n── example 1, {file}:1\n" in said
    assert said.endswith(
        f"\nWrote 1 row to {fixed}: 0 left out as bad, 1 as repeats; roles were put right in 0 rows.\n"
    )


def test_labels_that_are_uneven_and_rewards_that_cannot_be_are_warned_of(tmp_path: Path) -> None:
    labelled = [{"prompt": f"{n}?", "completion": "a", "label": n > 0} for n in range(40)]
    file = rows(tmp_path / "labelled.jsonl", *labelled)
    config = TrainConfig(train_mode="kto")
    report = check._with_config(check_files([file], config=config), config)
    assert [(one.kind, one.file, one.line) for one in report.warnings if one.kind == "unbalanced_labels"] == [
        ("unbalanced_labels", str(file), None)
    ]
    even = rows(tmp_path / "even.jsonl", *(one | {"label": n % 2 == 0} for n, one in enumerate(labelled)))
    report = check_files([even], config=config)
    assert check._with_config(report, config) is report


def test_an_example_as_it_trains() -> None:
    turns = [
        {"role": "user", "content": "Fog?"},
        {"role": "assistant", "content": None, "tool_calls": [{"name": "look"}]},
        {"role": "assistant", "content": "Yes."},
    ]
    masked = TrainConfig(mask_prompt=True, mask_turns="all")
    shown = check_output.plain_example({"messages": turns}, masked)
    assert shown["text"] == "user: Fog?\nassistant: [{'name': 'look'}]\nassistant: Yes."
    assert shown["trained"] == ["[{'name': 'look'}]", "Yes."]
    last = check_output.plain_example({"messages": turns}, masked.with_value("mask_turns", "last"))
    assert last["trained"] == ["Yes."]
    assert check_output.plain_example({}, masked)["trained"] == [""]
    for odd in ([], "text", [1]):
        assert check_output.plain_example({"messages": odd, "text": "T"}, masked)["trained"] == ["T"]
    told = check_output.without_parts(shown)
    assert "parts" not in told
    assert "refused" not in told
    refused = shown | {"refused": "Too long.", "file": "a.jsonl", "line": 3}
    assert check_output.without_parts(refused)["refused"] == "Too long."
    assert check_output.marked_example(2, refused) == "\n── example 2, a.jsonl:3\nToo long."
    place: Any = {"file": "a.jsonl", "line": 3, "refused": "", "parts": [("a\n", False)], "answer": "b"}
    assert check_output.marked_example(2, place | {"trained": []}) == (
        "\n── example 2, a.jsonl:3\na\nreference answer: b"
    )
    assert check_output.marked_example(2, place | {"trained": ["a"]}) == "\n── example 2, a.jsonl:3\na"


def test_a_config_that_options_cannot_mean_names_each_fault() -> None:
    with pytest.raises(UnusableError) as told:
        check_output.config_of({"max_seq_length": 2, "lora_parameters.rank": 0})
    assert [one.path for one in told.value.problems] == ["max_seq_length", "lora_parameters.rank"]
    assert all(one.message.endswith(".") for one in told.value.problems)


# -- inspect -----------------------------------------------------------------------------------------------------


def test_what_would_be_trained_is_a_table_by_matrix(luthier: Luthier, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    looked = llama().model_copy(update={"notes": ("It is tied.",), "path": "/m"})

    def inspected(model: str) -> Inspection:
        asked.append(model)
        return looked

    monkeypatch.setattr("app.command.worker.inspected", inspected)
    words = ("inspect", "m", "--targets", "attention", "--rank", 8, "--num-layers", 2)
    done = luthier(*words)
    assert done.stdout == (
        "llama · 4 layers · 180,480 parameters · float32\n"
        "LoRA of rank 8 trains 7,168 parameters (3.97\u00a0%) in 8 modules · adapter 30.4\u00a0kB\n\n"
        "matrix            group      shape (out × in)  modules\n"
        "self_attn.q_proj  attention  64 × 64                 2\n"
        "self_attn.k_proj  attention  32 × 64                 2\n"
        "self_attn.v_proj  attention  32 × 64                 2\n"
        "self_attn.o_proj  attention  64 × 64                 2\n"
        "[LoRA] Target modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj']\n\n"
        "What cannot be adapted:\n  conv1d: A convolution.\n"
    )
    assert done.stderr == "note: It is tied.\n"
    tree = json.loads(luthier(*words, "--json").stdout)
    assert [len(tree.pop(name)) for name in ("modules", "keys")] == [8, 4]
    assert f"{tree.pop('trainable_percent'):.2f}" == "3.97"
    assert f"{tree.pop('adapter_bytes') / 1000:.1f}" == "30.4", "7,168 parameters of four bytes, and their names"
    assert tree == {
        "model": "/m", "model_type": "llama", "num_layers": 4, "total_parameters": 180_480,
        "trainable_parameters": 7168, "adapted_modules": 8, "fine_tune_type": "lora",
        "rank": 8, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"], "adapted_layers": 2, "unmatched": [],
        "refused": [{"path": "model.layers.0.conv1d", "shape": [64, 4, 1], "reason": "A convolution."}],
        "problems": [], "quantization": looked.quantization, "vocab_size": 256, "notes": ["It is tied."],
    }  # fmt: skip
    said = luthier("inspect", "m", "--fine-tune-type", "full").stdout
    assert "\nfull fine-tune trains 1" in said
    assert "Target modules" not in said
    assert "fine_tune_type" in luthier("inspect", "m", "--fine-tune-type", "half", code=2).stderr
    looked = looked.model_copy(update={"untrainable": "mlx-lm cannot train it."})
    assert luthier(*words, code=2).stderr.startswith("error: ")
    assert asked == ["m"] * 4


def test_what_is_not_asked_for_is_a_new_setups_own() -> None:
    usual = TrainConfig(model="m")
    assert inspect.inspected_config("m") == usual
    found = inspect.inspected_config("m", "", 3, 8, "dora")
    assert (found.num_layers, found.lora_parameters.rank, found.fine_tune_type) == (3, 8, "dora")
    assert found.targets != usual.targets


# -- demo --------------------------------------------------------------------------------------------------------


def test_the_demo_for_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = prepare_run(TrainConfig(model="/m", data="/d"), tmp_path / "run")
    song = as_song("It is red.")
    answers = tuple(Answer(f"{n}?", "It is red.", "It is red.", song if n else "It is red.") for n in range(4))
    measured = StyleMeasurement(2.0, 1.25, answers)
    demo._tell(run, measured, 61.4, 75.6)
    said = capsys.readouterr().out
    shown = song.strip().replace("\n", "\n           ")
    assert said.startswith(
        "\nThree of 4 prompts that it has never seen:\n\n"
        "  0?\n    base   It is red.\n    tuned  It is red.\n\n"
        f"  1?\n    base   It is red.\n    tuned  {shown}\n\n  2?\n"
    )
    assert said.endswith(
        "on held-out examples        base  tuned\n"
        "loss (nats a token)        2.000  1.250\n"
        "answers in the new style      0%    75%\n"
        "facts that the base knows      4      4\n"
        "\nIt kept 100% of what the base knows; none of these answers is in the training data.\n"
        "The style was not learned as it should be. 61 s of training, 76 s in all.\n"
        f"{train.next_steps(run)}\n"
    )
    figures = demo._figures(run, measured)
    assert (figures["run"], figures["adapter"], len(figures["samples"])) == (str(run.path), str(run.adapters), 3)
    assert (figures["base_facts"], figures["kept_facts"], figures["kept_share"]) == (4, 4, 1.0)
    wrong = as_song("It is blue.")
    lost = StyleMeasurement(2.0, 1.0, tuple(Answer("?", "It is red.", "It is red.", wrong) for _ in range(4)))
    good = StyleMeasurement(2.0, 1.0, tuple(Answer("?", "It is red.", "It is red.", song) for _ in range(4)))
    assert [demo._verdict(one) for one in (lost, good)] == [
        "The style was learned, but too many facts were lost.", "The style was learned, and the facts were kept.",
    ]  # fmt: skip
    assert StyleMeasurement(2.0, 1.0, ()).base_share == 0.0


def test_a_picture_of_the_demo_goes_where_it_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: list[tuple[Path, Path]] = []
    window = SimpleNamespace(screenshot=lambda run, to: taken.append((run, to)))
    monkeypatch.setitem(sys.modules, "app.ui.window.application", window)
    run = RunDir(tmp_path / "run")
    target = tmp_path.resolve() / "deep" / "picture.png"
    for as_json in (False, True):
        assert demo._take(run, tmp_path / "deep" / "picture.png", as_json) == str(target)
    assert (taken, target.parent.is_dir()) == ([(run.path, target)] * 2, True)
    assert capsys.readouterr().out == f"The window: {target}\n"


# -- export ------------------------------------------------------------------------------------------------------


def test_every_format_is_listed_with_its_options(luthier: Luthier) -> None:
    said = luthier("export", "--list").stdout
    parts = said.split("\n\n")
    assert len(parts) == len(EXPORT_FORMATS) + 1
    adapter = EXPORT_FORMATS["adapter"]
    assert parts[list(EXPORT_FORMATS).index("adapter")].splitlines() == [
        f"adapter: {adapter.title}. {adapter.what}", f"  opened by {', '.join(adapter.opens)}",
        f"  {adapter.refuses}",
        *(f"  {one.name}={one.default}  {one.what}" for one in adapter.options),
    ]  # fmt: skip
    told = {one["name"]: one for one in json.loads(luthier("export", "--list", "--json").stdout)["formats"]}
    for name, form in EXPORT_FORMATS.items():
        assert told[name] == {
            "name": name, "title": form.title, "what": form.what, "opens": list(form.opens),
            "refuses": form.refuses,
            "options": [
                {"name": one.name, "label": one.label, "what": one.what, "default": one.default,
                 "choices": [choice.value for choice in one.choices]} for one in form.options
            ],
        }  # fmt: skip
        for one in form.options:
            if one.choices:
                assert f"  {one.name}={one.default} ({', '.join(choice.value for choice in one.choices)})  " in said


def test_an_option_is_read_as_its_kind_of_value() -> None:
    kinds: dict[type, tuple[str, str]] = {}
    for name, form in EXPORT_FORMATS.items():
        for one in form.options:
            kinds.setdefault(type(one.default), (name, one.name))
    name, option = kinds[float]
    assert _option(f"{option}=2", EXPORT_FORMATS[name]) == (option, 2.0)
    assert _option(f"{option}=much", EXPORT_FORMATS[name]) == (option, "much")
    assert _option("other=1=2", EXPORT_FORMATS[name]) == ("other", "1=2")
    name, option = kinds[str]
    assert _option(f"{option}=2", EXPORT_FORMATS[name]) == (option, "2")
    name, option = kinds[bool]
    found = [_option(f"{option}={text}", EXPORT_FORMATS[name])[1] for text in ("yes", "TRUE", "no", "False", "2")]
    assert found == [True, True, False, False, "2"]


# -- import ------------------------------------------------------------------------------------------------------


def test_an_imported_config_is_printed_or_written(luthier: Luthier, tmp_path: Path) -> None:
    file = tmp_path / "axolotl.yml"
    file.write_text("base_model: m\nadapter: lora\nlora_r: 8\nlora_alpha: 16\nlora_target_linear: true\n")
    printed = luthier("import", file).stdout
    assert luthier("import", file, "--out", "mine.yaml").stdout == "Written to mine.yaml\n"
    assert (tmp_path / "mine.yaml").read_text() == printed
    assert printed.endswith("\n")
    assert not printed.endswith("\n\n")
    tree = json.loads(luthier("import", file, "--out", "other.yaml", "--json").stdout)
    assert (tree["out"], tree["trainer"], tree["config"]["model"]) == (
        "other.yaml",
        "axolotl",
        tree["config"]["model"],
    )
    assert json.loads(luthier("import", file, "--json").stdout)["out"] == ""
    assert luthier("import", file, "--out", "mine.yaml", code=2).stderr == (
        "error: mine.yaml is there already.\n  Choose another name.\n"
    )


# -- the program -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (OSError(28, "No space left on device", "/full"), 1, "No space left on device: /full."),
        (OSError(28, "No space left on device"), 1, "No space left on device."),
        (KeyboardInterrupt(), 1, "Interrupted."),
        (FailedError("It did not work."), 1, "It did not work."),
    ],
)
def test_how_a_verb_failed_is_told_to_people_and_scripts(
    error: BaseException, code: int, said: str, luthier: Luthier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> int:
        raise error

    monkeypatch.setattr(main, "_run_verb", fail)
    word = "" if isinstance(error, KeyboardInterrupt) else "error: "
    done = luthier("doctor", code=code)
    assert (done.stdout, done.stderr) == ("", f"{word}{said}\n")
    done = luthier("doctor", "--json", code=code)
    assert json.loads(done.stdout) == {"type": "failed", "error": said, "message": said}
    assert done.stderr == f"{word}{said}\n"


def test_what_is_no_verb_is_told_with_what_was_meant(luthier: Luthier) -> None:
    assert luthier("trian", code=2).stderr == (
        "error: “trian” is no verb, and no file of that name exists.\n  Did you mean train?\n"
    )
    assert luthier("--zzz", "yyy", code=2).stderr == (
        "error: “--zzz” is no option.\n  `luthier --help` lists what there is.\n"
        "error: “yyy” is no verb, and no file of that name exists.\n  `luthier --help` lists what there is.\n"
    )
    assert luthier("-h").stdout == luthier("--help").stdout == f"{main.help_text()}\n"
    assert luthier("runs", "show", code=2).stderr.endswith("\n  `luthier runs show --help` tells how it is used.\n")
    tree = json.loads(luthier("train", "nowhere.yaml", "--json", code=2).stdout)
    assert (tree["type"], tree["unusable"]) == ("failed", True)


def test_a_worker_is_quiet_of_what_scripts_do_not_read(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[event.Event] = [event.Warned(message="Odd.", hint="Look."), event.Warned(message="Odd.")]
    assert list(checked(said)) == said
    assert capsys.readouterr().err == "warning: Odd. Look.\nwarning: Odd.\n"
    assert list(checked(said, quiet=True)) == said
    assert capsys.readouterr().err == ""
    odd = event.Failed(
        message="seed: It is odd. Change it.", hint="Change it.", path="seed", where="seed", unusable=True
    )
    found = failure(odd)
    assert isinstance(found, UnusableError)
    assert [(one.path, one.message, one.hint, one.file) for one in found.problems] == [
        ("seed", "It is odd.", "Change it.", "")
    ]
    found = failure(event.Failed(message="a.yaml:3: It is odd.", path="seed", where="a.yaml:3", unusable=True))
    assert isinstance(found, UnusableError)
    assert [(one.path, one.message, one.file) for one in found.problems] == [("seed", "It is odd.", "a.yaml:3")]
    found = failure(event.Failed(message="One.\nTwo.", unusable=True, path="seed"))
    assert isinstance(found, UnusableError)
    assert [(one.path, one.message) for one in found.problems] == [("", "One."), ("", "Two.")]
    found = failure(event.Failed(message="It is full.", hint="Make room."))
    assert (type(found), str(found)) == (FailedError, "It is full. Make room.")


def test_a_folder_is_given_whole_and_a_name_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "base").mkdir()
    assert [absolute(name) for name in ("base", "~/base", "org/name")] == [
        str(tmp_path.resolve() / "base"), str(tmp_path / "base"), "org/name",
    ]  # fmt: skip


def test_a_silent_worker_is_told_of_once_for_each_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    told = threading.Event()

    def remark(text: str) -> None:
        said.append(text)
        told.set()

    monkeypatch.setattr("app.command.output.remark", remark)
    monkeypatch.setattr("app.core.system.setting.load_settings", lambda: Settings.model_construct(silence_s=0))
    with train.Silence() as silence:
        for count in (1, 2):
            silence.broken()
            assert told.wait(30)
            told.clear()
            assert said == [
                "warning: The worker has not said a word for 0\u00a0s: a long step, or it is stuck.\n"
                "  Ctrl-C asks it to save and end; pressed again, it ends it at once."
            ] * count  # fmt: skip
