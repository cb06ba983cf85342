"""``luthier import``: another trainer's config written as Luthier's, and what has no place in it listed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.command.main import run_command
from app.core.setup.config_file import load_config

AXOLOTL = (
    "base_model: m\nadapter: lora\nlora_r: 8\nlora_alpha: 16\nlora_target_linear: true\nlearning_rate: 2e-4\n"
    "neftune_noise_alpha: 5\n"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "axolotl.yml"
    path.write_text(AXOLOTL)
    return path


def test_it_is_written_once_and_what_has_no_place_is_listed(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "mine.yaml"
    assert run_command(["import", str(file), "--out", str(out)]) == 0
    config = load_config(out).config
    assert (config.lora_parameters.rank, config.lora_parameters.scale, config.max_seq_length) == (8, 2.0, 512)
    said = capsys.readouterr()
    assert str(out) in said.out
    assert f"{file}:7: `lora_parameters.dropout`: `neftune_noise_alpha: 5`" in said.err
    assert run_command(["import", str(file), "--out", str(out)]) == 2
    assert "is there already" in capsys.readouterr().err


def test_as_json_it_is_one_object(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["import", str(file), "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert (tree["trainer"], tree["config"]["batch_size"]) == ("axolotl", 1)
    assert "lora_parameters.dropout" in [problem["path"] for problem in tree["problems"]]


def test_what_would_train_something_else_is_refused(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(f"{AXOLOTL}rl: grpo\n")
    assert run_command(["import", str(file)]) == 2
    assert "rl: grpo" in capsys.readouterr().err
    assert run_command(["train", str(file)]) == 2


@pytest.mark.parametrize("text", ["", "# nothing\n", "recipe: full_finetune\nepochs: 3\n"])
def test_what_is_of_no_trainer_is_no_config(text: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "odd.yaml").write_text(text)
    assert run_command(["import", str(tmp_path / "odd.yaml"), "--out", str(tmp_path / "mine.yaml")]) == 2
    assert "names neither a model nor data" in capfd.readouterr().err
    assert not (tmp_path / "mine.yaml").exists()
