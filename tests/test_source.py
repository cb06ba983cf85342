"""What the sources themselves show: a text is given what it has places for, a file's encoding is named, and so on.

Most of these lines run only when something has gone wrong, and then it is too late to learn of it.
"""

from __future__ import annotations

import ast
import string
from functools import cache

from tests import ROOT

# Texts that are filled later, each by the one function that uses it.
FILLED_LATER = (
    "This is only a pointer to the data ({kind})",
    "Which answer is better? Press {keys}",
    "{label}, attention only",
)


@cache
def calls() -> tuple[tuple[str, ast.Call], ...]:
    """Every call in the program, with the file and line that it stands at."""
    return tuple(
        (f"{path.relative_to(ROOT)}:{node.lineno}", node)
        for path in sorted((ROOT / "app").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call)
    )


def called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def given(node: ast.Call) -> set[str]:
    return {keyword.arg or "**" for keyword in node.keywords}


def places(text: str) -> set[str]:
    return {name.partition(".")[0].partition("[")[0] for _, name, _, _ in string.Formatter().parse(text) if name}


def test_every_text_is_given_what_it_has_places_for() -> None:
    wrong = []
    for where, node in calls():
        if called(node) == "tr" and node.args and isinstance(text := node.args[0], ast.Constant):
            names = given(node)
            if "**" not in names and names and places(str(text.value)) != names:
                wrong.append(f"{where}: {places(str(text.value)) ^ names}")
    assert wrong == []


def bare(text: str) -> bool:
    """Whether a text looks as if something was to be put in: ``{name}`` in words, not JSON or a template."""
    try:
        names = places(text)
    except ValueError:
        return False
    return bool(names) and all(name.isidentifier() for name in names)


def test_a_text_with_places_is_given_something() -> None:
    found = [
        f"{where}: {node.args[0].value!r}"
        for where, node in calls()
        if called(node) == "tr" and node.args and isinstance(node.args[0], ast.Constant) and not node.keywords
        and bare(str(node.args[0].value)) and not str(node.args[0].value).startswith(FILLED_LATER)
    ]  # fmt: skip
    assert found == []


def test_a_file_of_text_is_read_and_written_in_an_encoding_that_is_named() -> None:
    unnamed = [
        where
        for where, node in calls()
        if called(node) in ("read_text", "write_text") and isinstance(node.func, ast.Attribute)
        and "encoding" not in given(node)
    ]  # fmt: skip
    assert unnamed == []


def test_a_loop_over_several_says_whether_they_are_as_long() -> None:
    unsaid = [
        where
        for where, node in calls()
        if called(node) == "zip" and isinstance(node.func, ast.Name) and len(node.args) > 1
        and "strict" not in given(node)
    ]  # fmt: skip
    assert unsaid == []
