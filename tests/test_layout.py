"""The plan of the folders holds, and the pages that describe the code name what there is."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests import ROOT

APP = ROOT / "app"
FOLDERS = sorted(path.parent for path in APP.rglob("__init__.py"))
MOST_MODULES = 19  # in a folder; a twentieth is the sign of two subjects
PAGES = [
    ROOT / "CONTRIBUTING.md", ROOT / "README.md", ROOT / "docs" / "architecture.md", ROOT / "docs" / "faults.md",
    ROOT / "tests" / "bench" / "README.md", ROOT / "tests" / "samples" / "README.md",
    *sorted((ROOT / "docs" / "decisions").glob("*.md")),
]  # fmt: skip
NAME = re.compile(r"`((?:core|worker|ui|command)\.[\w.]+)(?:\(\))?`")
# Paths from the root; what is in braces or has a star stands for several.
PATH = re.compile(r"`((?:app|tests|packaging|docs|resources|\.ci|\.github)/[\w./*{},-]*)`")
# A class or constant without the module that it is in.
WORD = re.compile(r"`([A-Z][A-Za-z]+[a-z][A-Z]?[A-Za-z]*|[A-Z]+_[A-Z_]+)(?:\.\w+)?`")
ELSEWHERE = {"QDoubleSpinBox", "LUTHIER_HOME", "LD_PRELOAD"}  # of others, or variables of the environment
LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(?:#[\w-]+)?\)")


def caption(folder: Path) -> str:
    return folder.joinpath("__init__.py").read_text(encoding="utf-8").splitlines()[0]


def named(folder: Path) -> str:
    return folder.relative_to(APP).as_posix()


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_no_folder_holds_too_many_modules(folder: Path) -> None:
    modules = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MOST_MODULES


@pytest.mark.parametrize("folder", FOLDERS, ids=named)
def test_a_folder_begins_with_its_caption(folder: Path) -> None:
    assert re.fullmatch(r'"""[A-Z][^"\n]+\."""', caption(folder))


def test_every_folder_with_modules_is_a_package() -> None:
    assert {path.parent for path in APP.rglob("*.py")} == set(FOLDERS)


def test_the_architecture_lists_the_folders_with_their_captions() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = text.split("## Folders")[1].split("\n\n## ")[0]
    rows = re.findall(r"^\| `([\w/]+)` \| (.+) \|$", table, flags=re.MULTILINE)
    assert rows == [(named(folder), caption(folder).strip('"')) for folder in FOLDERS if folder != APP]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_names_only_what_there_is(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    paths = {path for path in PATH.findall(text) if not _exists(path)}
    links = {link for link in LINK.findall(text) if not (page.parent / link).exists()}
    names = {name for name in NAME.findall(text) if not _is_defined(name)}
    assert (paths, links, names) == (set(), set(), set())
    assert {word for word in WORD.findall(text) if word not in _words()} <= ELSEWHERE


def test_a_name_that_is_gone_is_found() -> None:
    assert _is_defined("core.run.folder.create_run")
    assert _is_defined("core.run.folder.RunDir.lock")
    assert _is_defined("core.run")
    assert not _is_defined("core.run.folder.create_runs")
    assert not _is_defined("core.run.folder.RunDir.locks")
    assert not _is_defined("core.runs.folder")
    assert _exists("tests/{core,worker}/test_*.py")
    assert not _exists("tests/core/test_nothing.py")


@cache
def _words() -> frozenset[str]:
    """All names that are in the code."""
    sources = (path.read_text(encoding="utf-8") for top in (APP, ROOT / "tests", ROOT / "packaging")
               for path in top.rglob("*.py"))  # fmt: skip
    return frozenset(word for source in sources for word in re.findall(r"\w+", source))


def _exists(path: str) -> bool:
    """Whether there is such a path; of one with braces or a star, whether it stands for anything."""
    found = [path]
    if match := re.search(r"\{([\w,-]+)\}", path):
        found = [path.replace(match[0], part) for part in match[1].split(",")]
    return any(any(ROOT.glob(one)) if "*" in one else (ROOT / one).exists() for one in found)


def _is_defined(name: str) -> bool:
    """Whether a dotted name is a folder or module of the app, or is defined at the top of one, or in a class."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        path = APP.joinpath(*parts[:end])
        if path.is_dir():
            return end == len(parts)
        if path.with_suffix(".py").is_file():
            body: list[ast.stmt] = ast.parse(path.with_suffix(".py").read_text(encoding="utf-8")).body
            for part in parts[end:]:
                found = next((node for node in body if part in _names(node)), None)
                if found is None:
                    return False
                body = found.body if isinstance(found, ast.ClassDef) else []
            return True
    return False


def _names(node: ast.stmt) -> set[str]:
    match node:
        case ast.FunctionDef() | ast.ClassDef():
            return {node.name}
        case ast.Assign():
            return {target.id for target in node.targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
        case _:
            return set()
