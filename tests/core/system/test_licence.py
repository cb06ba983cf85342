"""The licences of what Luthier is made of are those that the packages themselves bring."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

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


def test_what_is_needed_is_followed_down_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extras that are asked for and the markers that hold; a package of another system is not there."""
    needs = {
        "luthier": ["A_b[fast]>=1", "gone", "c; python_version < '2'"],
        "a-b": ["d", "e; extra == 'fast'", "f; extra == 'slow'", "luthier"],
        "d": None,
        "e": ["d"],
    }

    def distribution(name: str) -> SimpleNamespace:
        if name not in needs:
            raise metadata.PackageNotFoundError(name)
        return SimpleNamespace(requires=needs[name])

    monkeypatch.setattr(metadata, "distribution", distribution)
    assert distributions_inside() == ("luthier", "a-b", "d", "e")


class Package(metadata.Distribution):
    """A package that says of itself what a test gives it."""

    def __init__(self, folder: Path, about: str, **texts: str) -> None:
        self._folder, self._about, self._texts = folder, about, texts
        for name, text in texts.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    def read_text(self, filename: str) -> str | None:
        return f"Name: it\nVersion: 1\n{self._about}" if filename == "METADATA" else None

    def locate_file(self, path: object) -> Path:
        return self._folder / str(path)

    @property
    def files(self) -> list[metadata.PackagePath]:
        return [metadata.PackagePath(name) for name in self._texts]


@pytest.mark.parametrize(
    ("about", "terms"),
    [
        ("License-Expression: MIT\nLicense: other\n", "MIT"),
        ("Classifier: License :: OSI Approved :: BSD License\nClassifier: Topic :: X\nLicense: other\n",
         "BSD License"),
        ("Classifier: License :: OSI Approved\nLicense: Own\n", "Own"),
        (f"License: {'a' * 79}\n", "a" * 79),
        (f"License: {'a' * 80}\n", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_the_terms_are_told_in_a_few_words(tmp_path: Path, about: str, terms: str) -> None:
    found = module._of(Package(tmp_path, about))
    assert (found.part, found.version, found.terms) == ("it", "1", terms)


def test_the_words_of_a_licence_are_all_that_the_package_brings(tmp_path: Path) -> None:
    inside = "it-1.dist-info"
    texts = {
        f"{inside}/LICENSE": " one ", f"{inside}/licenses/NOTICE.txt": "two", f"{inside}/METADATA": "no",
        "it/LICENSE": "no", f"{inside}/AUTHORS": "",
    }  # fmt: skip
    assert module._of(Package(tmp_path, "License-Expression: Apache-2.0\n", **texts)).text == "one\n\ntwo"
    bare = module._of(Package(tmp_path, "License-Expression: Apache-2.0\n", **{f"{inside}/LICENSE": ""})).text
    assert "Apache License" in bare
    (tmp_path / "gone").mkdir()
    assert module._read(tmp_path / "gone") == ""


def test_without_a_frozen_app_python_itself_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = module.Licence("Python", sys.version.split()[0], "Python-2.0", "")
    assert module._others() == [python]
    monkeypatch.setattr(sys, "_MEIPASS", str(tmp_path), raising=False)
    assert module._others() == [python]
