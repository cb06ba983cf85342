"""``luthier bundle``: a setup into a folder or an archive, and what a script reads of it."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from app.command.main import run_command


def test_a_setup_is_sealed_into_an_archive(place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "setup.zip"
    asked = [
        "bundle",
        str(place / "config.yaml"),
        "--out",
        str(out),
        "--with-model",
        "--kaggle-user",
        "me",
        "--json",
    ]
    assert run_command(asked) == 0
    said = capfd.readouterr()
    assert said.err == "", "a script that asks for JSON gets nothing else"
    told = json.loads(said.out)
    assert (told["path"], told["iterations"], told["model"]["folder"]) == (str(out), 20, "model")
    assert told["bytes"] == out.stat().st_size
    with zipfile.ZipFile(out) as packed:
        names = set(packed.namelist())
        recipe = json.loads(packed.read("setup/recipe.json"))
        assert json.loads(packed.read("setup/kernel-metadata.json"))["id"].startswith("me/")
    assert {f"setup/{name}" for name in ("train.py", "notebook.ipynb", "skypilot.yaml", "fsdp2.yaml")} <= names
    assert recipe["modules"] == told["modules"]


def test_the_model_can_be_named_instead(place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "folder"
    asked = ["bundle", str(place / "config.yaml"), "--out", str(out), "--torch-model", "org/name", "--four-bit"]
    assert run_command(asked) == 0
    said = capfd.readouterr().out
    assert "org/name is downloaded there" in said
    assert "loaded in 4 bit" in said
    assert "Targets: q_proj, k_proj, v_proj" in said
    assert not (out / "model").exists()


def test_what_is_in_the_way_is_said(place: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run_command(["bundle", str(place / "config.yaml"), "--out", str(tmp_path)]) == 2
    assert "exists, and nothing is written over" in capfd.readouterr().err
