"""What macOS writes beside files on exFAT drives is no file of anybody's: no weights, no data, nothing to drop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from app.core.model.safetensors_header import weight_faults, weight_files
from app.core.setup.path_kind import PathKind, sort_path
from app.core.source.data_file import find_sources
from app.core.source.finding import Findings
from app.core.system.disk import is_companion

APPLE_DOUBLE = bytes.fromhex("0005160700020000") + b"Mac OS X        " + bytes(4072)
CARD = "---\nconfigs:\n- config_name: default\n  data_files: '*.jsonl'\n---\n"


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A folder as Finder copies it: each file with its companion."""
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llama"}))
    save_file({"w": np.zeros(4, np.float32)}, tmp_path / "weights.safetensors")
    (tmp_path / "train.jsonl").write_text(json.dumps({"text": "a b"}) + "\n")
    for path in list(tmp_path.iterdir()):
        (tmp_path / f"._{path.name}").write_bytes(APPLE_DOUBLE)
    return tmp_path


def test_a_companion_is_known_by_its_name() -> None:
    assert is_companion("._a.jsonl")
    assert not is_companion(".a.jsonl")
    assert not is_companion("a._b")


def test_they_are_no_weights(stick: Path) -> None:
    assert weight_files(stick) == [stick / "weights.safetensors"]
    assert weight_faults(stick) == []
    assert sort_path(stick).kind is PathKind.MODEL


@pytest.mark.parametrize("card", ["", CARD])
def test_they_are_no_data(stick: Path, card: str) -> None:
    if card:
        (stick / "README.md").write_text(card)
    findings = Findings()
    assert [source.path for source in find_sources([stick], findings)] == [stick / "train.jsonl"]
    assert "unreadable_file" not in findings.counts


def test_one_that_is_dropped_names_its_file(stick: Path) -> None:
    found = sort_path(stick / "._train.jsonl")
    assert found.kind is PathKind.UNUSABLE
    assert found.reason == "._train.jsonl only keeps what macOS knows of train.jsonl: drop that one."
