"""Files that ship with Luthier are found wherever it runs from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from app.core import resource as module
from app.core.resource import resource
from tests import ROOT


def _ship(folder: Path) -> Path:
    file = folder / "themes" / "luthier.qss"
    file.parent.mkdir(parents=True)
    file.write_text("")
    return file


def test_a_checkout_has_its_own() -> None:
    assert resource("themes", "luthier.qss") == ROOT / "resources" / "themes" / "luthier.qss"


def test_a_frozen_bundle_brings_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    file = _ship(tmp_path / "resources")
    assert resource("themes", "luthier.qss") == file


def test_a_wheel_has_them_in_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "__file__", str(tmp_path / "app" / "core" / "resource.py"))
    file = _ship(tmp_path / "app" / "_resources")
    assert resource("themes", "luthier.qss") == file


def test_what_did_not_ship_is_named() -> None:
    with pytest.raises(FileNotFoundError, match=r"resources/themes/none\.qss is missing"):
        resource("themes", "none.qss")
