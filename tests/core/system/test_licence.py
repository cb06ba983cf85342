"""The licences of what Luthier is made of are those that the packages themselves bring."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

import pytest

from app.core.system import licence as module
from app.core.system.licence import distributions_inside, licences
from tests import ROOT


def test_luthier_comes_first_then_all_that_it_needs_by_name() -> None:
    first, *others = licences()
    assert first.part == "luthier"
    assert first.terms == "MIT"
    assert first.text == (ROOT / "LICENSE").read_text(encoding="utf-8").strip()
    names = [one.part.lower() for one in others]
    assert names == sorted(names)
    assert {"mlx", "mlx-lm", "pyside6_essentials", "transformers", "rich", "markdown-it-py", "python"} <= set(names)
    assert not {"pytest", "ruff", "torch"} & set(names)


def test_each_part_says_under_which_licence_it_is() -> None:
    assert [one.title for one in licences() if not one.terms and not one.text] == []


def test_qt_brings_the_words_of_the_licence_that_it_only_names() -> None:
    (qt,) = (one for one in licences() if one.part == "PySide6_Essentials")
    assert qt.version == metadata.version("PySide6_Essentials")
    assert "GNU LESSER GENERAL PUBLIC LICENSE" in qt.text
    assert "GNU GENERAL PUBLIC LICENSE" in qt.text


def test_extras_and_markers_of_this_machine_count() -> None:
    found = distributions_inside()
    assert ("mlx-cpu" in found) is (sys.platform == "linux")
    assert ("mlx-metal" in found) is (sys.platform == "darwin")
    assert not any(name.startswith("mlx-cuda") for name in found)


def test_without_the_package_itself_all_that_are_there_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_OWN", "a-package-that-is-not-there")
    assert {"pytest", "mlx"} <= set(distributions_inside())


def test_the_frozen_app_adds_what_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "licences").mkdir()
    (tmp_path / "licences" / "Python 3.12.9.txt").write_text("PYTHON SOFTWARE FOUNDATION", encoding="utf-8")
    (tmp_path / "licences" / "libxkbcommon0.txt").write_text("Copyright 1985", encoding="utf-8")
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    found = {one.part: one for one in licences.__wrapped__()}
    assert found["Python"].version == "3.12.9"
    assert found["Python"].text == "PYTHON SOFTWARE FOUNDATION"
    assert found["libxkbcommon0"].title == "libxkbcommon0"
