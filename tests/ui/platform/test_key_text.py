"""Keys are told as the system writes them, and in no other way."""

from __future__ import annotations

import ast
import re

import pytest
from PySide6.QtGui import QKeySequence

from app.ui.platform.key_text import MAIN_KEYS, native_keys, with_keys, zoom_key
from tests import ROOT

TYPED = re.compile(r"\((?:Ctrl|Cmd|Command|Alt|Shift|Esc|Return|Enter|[⌘⌥⇧⌃])[^)]*\)")


def test_keys_are_asked_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[QKeySequence.SequenceFormat] = []

    def text(_keys: QKeySequence, form: QKeySequence.SequenceFormat) -> str:
        asked.append(form)
        return "⌘A"

    monkeypatch.setattr(QKeySequence, "toString", text)
    assert native_keys(MAIN_KEYS) == "⌘A"
    assert with_keys("Start", MAIN_KEYS) == "Start (⌘A)"
    assert zoom_key() == "⌘"
    assert set(asked) == {QKeySequence.SequenceFormat.NativeText}


def test_no_text_has_the_keys_of_one_system() -> None:
    told = []
    for path in (ROOT / "app" / "ui").rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        words = {ast.get_docstring(node, clean=False) for node in ast.walk(tree)
                 if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))}  # fmt: skip
        texts = [n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)]
        told += [f"{path.name}: {text}" for text in texts if text not in words and TYPED.search(text)]
    assert told == []


def test_no_other_place_writes_keys() -> None:
    files = (path for path in (ROOT / "app").rglob("*.py") if "SequenceFormat" in path.read_text(encoding="utf-8"))
    assert [path.name for path in files] == ["key_text.py"]
