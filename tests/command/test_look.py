"""``inspect``, ``check`` and ``doctor``: what can be known before anything is trained."""

from __future__ import annotations

import json
import shutil
from importlib import metadata
from pathlib import Path

import pytest
from mlx.utils import tree_flatten
from mlx_lm.tuner.utils import linear_to_lora_layers
from mlx_lm.utils import load, load_model
from PySide6.QtWidgets import QApplication, QWidget

from app.command.health import doctor
from app.core.protocol import program
from app.core.protocol.program import mlx_build
from tests.command.conftest import CONFIG, Luthier
from tests.worker.architectures import config_of

PROMISED = {
    "model_type", "num_layers", "total_parameters", "trainable_parameters", "trainable_percent",
    "adapted_modules", "modules", "unmatched",
}  # fmt: skip


def test_inspect_counts_what_mlx_lm_would_train_from_the_config_alone(
    luthier: Luthier, place: Path, tmp_path: Path
) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    shutil.copy(place / "model" / "config.json", bare)
    arguments = ("--targets", "attention", "--num-layers", "2", "--rank", "8")
    found = json.loads(luthier("inspect", bare, *arguments, "--json").stdout)
    assert set(found) >= PROMISED
    model, _ = load_model(place / "model")
    model.freeze()
    parameters = {"rank": 8, "scale": 1.0, "dropout": 0.0, "keys": found["keys"]}
    linear_to_lora_layers(model, 2, parameters)
    stock = dict(tree_flatten(model.trainable_parameters()))
    assert found["trainable_parameters"] == sum(array.size for array in stock.values())
    assert found["adapted_modules"] == len(stock) // 2 == 8
    assert {module["path"] for module in found["modules"]} == {name.rsplit(".", 1)[0] for name in stock}
    assert found["modules"][0] == {
        "path": "model.layers.1.self_attn.q_proj",
        "group": "attention",
        "shape": [64, 64],
    }
    assert (found["model_type"], found["num_layers"], found["unmatched"]) == ("qwen2", 3, [])


def test_inspect_for_people(luthier: Luthier, place: Path) -> None:
    said = luthier("inspect", place / "model", "--fine-tune-type", "dora").stdout
    assert "DoRA of rank 32" in said
    assert "self_attn.q_proj" in said


def test_inspect_says_what_cannot_be_adapted_and_why(luthier: Luthier, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config_of("qwen3_next")))
    said = luthier("inspect", tmp_path).stdout
    assert "What cannot be adapted:" in said
    assert "linear_attn.conv1d" in said
    assert "A convolution" in said
    found = json.loads(luthier("inspect", tmp_path, "--json").stdout)["refused"]
    assert any(one["path"].endswith("dt_bias") and "vector" in one["reason"] for one in found)


def test_inspect_of_targets_that_match_nothing(luthier: Luthier, place: Path) -> None:
    said = luthier("inspect", place / "model", "--targets", "nonsense", code=2)
    assert "nonsense" in said.stderr
    assert "self_attn.q_proj" in said.stderr, "what there is instead"
    found = json.loads(luthier("inspect", place / "model", "--targets", "q_proj,nonsense", "--json", code=2).stdout)
    assert found["unmatched"] == ["nonsense"]
    assert found["adapted_modules"] == 3


def test_inspect_refuses_what_train_refuses(luthier: Luthier, place: Path, tmp_path: Path) -> None:
    deep = CONFIG | {"model": str(place / "model"), "data": str(place / "data"), "num_layers": 100}
    (tmp_path / "deep.yaml").write_text(json.dumps(deep))
    trained = luthier("train", tmp_path / "deep.yaml", "--run-dir", tmp_path / "run", code=2)
    inspected = luthier("inspect", place / "model", "--num-layers", "100", code=2)
    for said in (trained.stderr, inspected.stderr):
        assert "The model has 3 layers, but 100 are asked for." in said


def test_inspect_of_a_model_that_mlx_lm_cannot_train(luthier: Luthier, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(config_of("recurrent_gemma")))
    found = json.loads(luthier("inspect", tmp_path, "--json", code=2).stdout)
    assert "cannot train it" in found["problems"][0]["message"]
    assert found["modules"], "and yet it can be looked at"


def test_inspect_of_a_weight_file_that_is_cut_off(luthier: Luthier, place: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(place / "model", tmp_path / "cut"))
    whole = (model / "model.safetensors").read_bytes()
    (model / "model.safetensors").write_bytes(whole[:-1])
    said = luthier("inspect", model, code=2).stderr
    assert f"model.safetensors is cut off: it has {len(whole) - 1:,} of the {len(whole):,} bytes" in said
    generated = luthier("generate", "--model", model, "--prompt", "a", code=2)
    assert "is cut off" in generated.stderr


def test_a_model_folder_with_wildcards_in_its_path(luthier: Luthier, place: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(place / "model", tmp_path / "a [b]*?"))
    found = json.loads(luthier("inspect", model, "--targets", "", "--json").stdout)
    assert found["target_modules"][-1] == "embed_tokens", "no pattern at all is everything"
    asked = ("--prompt", "a", "--max-tokens", "4", "--json")
    answers = [json.loads(luthier("generate", "--model", m, *asked).stdout) for m in (model, place / "model")]
    assert answers[0]["text"] == answers[1]["text"]


def test_inspect_of_no_model(luthier: Luthier, tmp_path: Path) -> None:
    found = json.loads(luthier("inspect", tmp_path / "gone", "--json", code=2).stdout)
    assert found["problems"][0]["path"] == "model"
    assert "gone" in found["error"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    good = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b" * 90}]}
    file = tmp_path / "some.jsonl"
    file.write_text(f'{json.dumps(good)}\n{{"messages": 3}}\n{{broken\n')
    return file


def test_check_tells_every_bad_line(luthier: Luthier, data: Path) -> None:
    found = json.loads(luthier("check", data, "--json", code=2).stdout)
    assert (found["usable"], found["format"], found["examples"]) == (False, "chat", 1)
    assert [(error["file"], error["line"]) for error in found["errors"]] == [(str(data), 2), (str(data), 3)]
    assert all(error["reason"] for error in found["errors"])
    said = luthier("check", data, code=2).stdout
    assert "not usable" in said
    assert f"{data}:3" in said
    assert json.loads(luthier("check", data, "--skip-bad-rows", "--json").stdout)["usable"]


def test_check_with_a_model_sees_what_its_tokenizer_sees(luthier: Luthier, data: Path, place: Path) -> None:
    arguments = ("--model", place / "model", "--max-seq-length", "50", "--skip-bad-rows", "--json")
    found = json.loads(luthier("check", data, *arguments).stdout)
    assert any("50" in warning["reason"] for warning in found["warnings"])


def test_check_shows_examples_as_the_template_renders_them(luthier: Luthier, tmp_path: Path, place: Path) -> None:
    turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    file = tmp_path / "talks.jsonl"
    file.write_text(f"{json.dumps({'messages': turns})}\n{{broken\n")
    arguments = ("check", file, "--model", place / "model", "--mask-prompt", "--show", "3", "--json")
    (shown,) = json.loads(luthier(*arguments, code=2).stdout)["preview"]
    _, tokenizer = load(place / "model")
    assert shown["text"] == tokenizer.apply_chat_template(turns, tokenize=False)
    (trained,) = shown["trained"]
    assert trained.startswith("b")
    assert shown["text"].endswith(trained)
    file.write_text(json.dumps({"prompt": "a", "chosen": "[1]", "rejected": "c"}) + "\n")
    (pair,) = json.loads(luthier(*arguments, "--train-mode", "dpo").stdout)["preview"]
    assert (pair["prompt"], pair["chosen"], pair["rejected"]) == ("a", "[1]", "c")
    assert [span[:3] for span in pair["trained"]] == ["[1]", "c" + trained[1:3]]


def test_check_of_nothing(luthier: Luthier, tmp_path: Path) -> None:
    assert not json.loads(luthier("check", tmp_path / "gone", "--json", code=2).stdout)["usable"]


def test_doctor_leaves_an_application_that_is_there(qapp: QApplication) -> None:
    assert {found.name for found in doctor._qt()} == {"Qt", "fonts"}
    assert QApplication.instance() is qapp
    QWidget().deleteLater()  # ends the process where there is none


@pytest.mark.parametrize("families", [[], ["Inter"]])
def test_doctor_tells_where_there_is_no_font(
    families: list[str], qapp: QApplication, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert qapp is not None
    monkeypatch.setattr("PySide6.QtGui.QFontDatabase.families", lambda: families)
    (fonts,) = [found for found in doctor._qt() if found.name == "fonts"]
    assert (fonts.ok, fonts.found) == (bool(families), f"{len(families)} families")


def test_doctor_finds_device_and_window_system(luthier: Luthier) -> None:
    found = json.loads(luthier("doctor", "--json").stdout)
    names = {finding["name"]: finding for finding in found["findings"]}
    assert found["ok"]
    assert {"Python", "mlx", "mlx-lm", "device", "Qt", "fonts", "disk", "runs"} <= set(names)
    assert "GB memory" in names["device"]["found"]
    assert names["MLX runs on"]["found"] in [
        f"{what} {metadata.version(build)})"
        for what, build in (("the CPU (mlx-cpu", "mlx-cpu"), ("the GPU, by Metal (mlx-metal", "mlx-metal"))
        if mlx_build() == build
    ]


def test_doctor_tells_of_a_gpu_that_lies_idle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = tmp_path / "version"
    driver.touch()
    monkeypatch.setattr(doctor, "NVIDIA_DRIVER", driver)
    monkeypatch.setattr(program, "mlx_build", lambda: "mlx-cpu")
    monkeypatch.setattr(metadata, "version", lambda _name: "0.32.4")
    runs_on, gpu = doctor.what_mlx_runs_on()
    assert runs_on.found == "the CPU (mlx-cpu 0.32.4)"
    assert (gpu.ok, gpu.needed) == (False, False)
    assert "dev.py setup" in gpu.hint
