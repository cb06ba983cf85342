"""``luthier export``: what it takes, what it refuses, and what a script reads of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.command.main import run_command
from app.core.export.format import EXPORT_FORMATS
from tests.worker.answering_model import make_adapter, make_model


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("export")
    return make_adapter(make_model(root / "base"), root / "adapter")


def test_an_adapter_is_exported_with_its_options(
    adapter: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "deep" / "out"
    code = run_command(["export", str(adapter), "--to", "adapter", "--out", str(out), "--scale", "0.5", "--json"])
    told = json.loads(capfd.readouterr().out)
    assert (code, told["path"], told["format"]) == (0, str(out), "adapter")
    assert json.loads((out / "adapter_config.json").read_text())["lora_parameters"]["scale"] == 5.0


def test_the_list_names_every_format_with_its_options(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["export", "--list", "--json"]) == 0
    told = {one["name"]: one for one in json.loads(capfd.readouterr().out)["formats"]}
    assert told.keys() == EXPORT_FORMATS.keys()
    assert told["adapter"]["options"][0]["default"] == 1.0
    assert run_command(["export", "--list"]) == 0
    assert "opened by mlx-lm" in capfd.readouterr().out


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "--to FORMAT are needed"),
        (["--to", "floppy"], "no format"),
        (["--to", "adapter", "--set", "mood"], "name=value"),
        (["--to", "adapter", "--set", "mood=good"], "no option “mood”"),
        (["--to", "adapter", "--set", "scale=much"], "no number"),
        (["--to", "adapter", "--bits", "4bit"], "no option “bits”"),
        (["--to", "adapter", "--checkpoint", "best"], "no checkpoint “best”"),
    ],
)
def test_what_cannot_be_done_is_said_before_a_worker_starts(
    adapter: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run_command(["export", str(adapter), *arguments]) == 2
    assert said in capfd.readouterr().err


def test_an_unknown_run_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["export", "nothing-of-the-kind", "--to", "adapter"]) == 2
    assert "There is no run" in capfd.readouterr().err
