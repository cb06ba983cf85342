"""An adapter's own config names its base: another one is told, a copy and a folder that was moved are not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.core.model.adapter_base import other_base


def model(folder: Path, weights: bytes = b"w" * 100_000) -> Path:
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(weights)
    return folder


def adapter(folder: Path, **config: object) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


def test_the_same_base_by_whatever_way_is_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = model(tmp_path / "models" / "tide")
    (tmp_path / "link").symlink_to(base)
    shutil.copytree(base, tmp_path / "copy")
    monkeypatch.setenv("HOME", str(tmp_path))
    for number, named in enumerate((base, tmp_path / "link", tmp_path / "copy", "~/models/tide", "")):
        assert other_base(adapter(tmp_path / str(number), model=str(named)), base) == ""
    assert other_base(adapter(tmp_path / "peft", base_model_name_or_path=str(base)), base) == ""
    assert other_base(adapter(tmp_path / "none"), base) == ""


def test_one_with_other_weights_is_told(tmp_path: Path) -> None:
    base, other = model(tmp_path / "tide"), model(tmp_path / "ebb", b"v" + b"w" * 99_999)
    its = adapter(tmp_path / "its", model=str(other))
    assert other_base(its, base) == f"The adapter {its} was trained on {other}; here it is put on {base}."
    (base / "model-2.safetensors").write_bytes(b"")
    (other / "model.safetensors").write_bytes(b"w" * 100_000)
    assert other_base(its, base) != "", "a file more"


@pytest.mark.parametrize(
    "named, base, is_told",
    [
        ("/gone/tide", "tide", False),
        ("sea/tide", "hub/models--sea--tide/snapshots/0a1b", False),
        ("sea/tide", "tide", False),
        ("/gone/ebb", "tide", True),
        ("e" * 5000, "tide", True),
        ("~nobody-of-this-name/ebb", "tide", True),
        ("an\0ebb", "tide", True),
        ("sea/ebb", "hub/models--sea--tide/snapshots/0a1b", True),
    ],
)
def test_one_that_is_not_here_is_judged_by_its_name(named: str, base: str, is_told: bool, tmp_path: Path) -> None:
    assert bool(other_base(adapter(tmp_path / "its", model=named), model(tmp_path / base))) is is_told
