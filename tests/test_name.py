"""One word, one thing: no public name stands twice in the program, and no private one is used by another module."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

APP = Path(__file__).resolve().parents[1] / "app"
MODULES = sorted(APP.rglob("*.py"))
# Names that something else demands wherever they stand, and what does.
DEMANDED = {
    "application": "a verb's module gives its Typer under the name that app.command.main asks for",
}


@pytest.fixture(scope="module")
def trees() -> dict[Path, ast.Module]:
    return {path: ast.parse(path.read_text(encoding="utf-8")) for path in MODULES}


def declared(tree: ast.Module) -> Iterator[str]:
    """The names that a module makes, not those that it imports; a verb is named by what people type."""
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            if not is_verb(node):
                yield node.name
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


def is_verb(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> bool:
    """Whether the command line calls it: ``luthier check`` and the task that it asks for are one thing."""
    return any(ast.unparse(decorator).startswith("application.") for decorator in node.decorator_list)


def twice(found: dict[str, ast.Module]) -> dict[str, list[str]]:
    """Public names that stand in several of the modules ``found``, and in which."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    for place, tree in found.items():
        for name in set(declared(tree)):
            if not name.startswith("_") and name not in DEMANDED:
                places[name].append(place)
    return {name: sorted(where) for name, where in places.items() if len(where) > 1}


def test_no_public_name_stands_twice(trees: dict[Path, ast.Module]) -> None:
    assert twice({str(path.relative_to(APP)): tree for path, tree in trees.items()}) == {}


def test_a_name_that_stands_twice_is_found() -> None:
    one = "class Verdict: ...\nWIDTH, HEIGHT = 1, 2\n_own: int = 3\n"
    two = "def Verdict(): ...\nHEIGHT: int = 3\n_own = 4\n@application.command()\ndef WIDTH(): ...\n"
    assert twice({"one": ast.parse(one), "two": ast.parse(two)}) == {
        "Verdict": ["one", "two"],
        "HEIGHT": ["one", "two"],
    }


def test_what_is_exempt_is_there(trees: dict[Path, ast.Module]) -> None:
    known = [name for tree in trees.values() for name in declared(tree)]
    assert {name for name in DEMANDED if known.count(name) == 0} == set()


def test_nothing_private_of_a_module_is_used_by_another(trees: dict[Path, ast.Module]) -> None:
    taken = [
        f"{path.relative_to(APP)}: {node.module}.{name.name}"
        for path, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("app")
        for name in node.names
        if name.name.startswith("_") and not name.name.startswith("__")
    ]
    assert taken == []
