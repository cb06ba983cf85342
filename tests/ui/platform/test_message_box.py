"""Message boxes are Qt's own on every system, panels for files the system's: found in the code, all of them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from PySide6.QtWidgets import QMessageBox
from pytestqt.qtbot import QtBot

from app.ui.platform.message_box import message_box
from tests import ROOT

PANELS = {"getOpenFileName", "getOpenFileNames", "getSaveFileName", "getExistingDirectory"}  # native by default
MAKER = "app/ui/platform/message_box.py"


def nodes(name: str) -> Iterator[tuple[str, ast.AST]]:
    """Every piece of the program's modules that have a name somewhere, each with its file."""
    for path in sorted((ROOT / "app").rglob("*.py")):
        if name in (text := path.read_text(encoding="utf-8")):
            yield from ((path.relative_to(ROOT).as_posix(), node) for node in ast.walk(ast.parse(text)))


def calls(name: str) -> list[tuple[str, str]]:
    """Every call of a class, or of what it has: its file, and what is called as it is written."""
    found = [(place, ast.unparse(node.func)) for place, node in nodes(name) if isinstance(node, ast.Call)]
    return [(place, called) for place, called in found if called.split(".")[0] == name]


def test_a_message_box_is_never_the_system_s(qtbot: QtBot) -> None:
    box = message_box(None)
    qtbot.addWidget(box)
    assert box.testOption(QMessageBox.Option.DontUseNativeDialog)


def test_every_message_box_is_made_there() -> None:
    assert calls("QMessageBox") == [(MAKER, "QMessageBox")]
    classes = [
        (place, node.name)
        for place, node in nodes("QMessageBox")
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "QMessageBox" for base in node.bases)
    ]
    assert classes == []


def test_every_panel_for_files_is_the_system_s() -> None:
    found = calls("QFileDialog")
    assert {place for place, _ in found} == {"app/ui/platform/file_panel.py"}  # which remembers the folder
    asked = [called for _, called in found]
    assert len(asked) == 3
    assert {called.partition(".")[2] for called in asked} <= PANELS
    options = [
        path.name
        for path in (ROOT / "app").rglob("*.py")
        if path.as_posix().removeprefix(f"{ROOT.as_posix()}/") != MAKER
        and "DontUseNativeDialog" in path.read_text(encoding="utf-8")
    ]
    assert options == []
