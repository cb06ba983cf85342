"""The catalogues hold all texts, whole; and the check finds what would fail only where it is shown."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from types import ModuleType

import pytest
from babel.messages.catalog import Message

from tests import ROOT


@pytest.fixture(scope="module")
def words() -> ModuleType:
    spec = importlib.util.spec_from_file_location("words", ROOT / "packaging" / "words.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_all_is_translated_and_compiled() -> None:
    command = [sys.executable, str(ROOT / "packaging" / "words.py"), "--check"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout
    assert "all translated" in done.stdout


def test_texts_are_found_where_they_are_called_for(words: ModuleType) -> None:
    source = (
        'tr("one")\ntr("two {a}", a=1)\nplural(n, "row")\nplural(n, "matrix", "matrices")\ntrn(2, "is", "are")\n'
        'tr(text)\n@_built_in()\ndef exact(a):\n    """1 if\n    right."""\n'
    )
    found = {text for text, _ in words.texts_of(source)}
    assert found == {"one", "two {a}", ("row", "rows"), ("matrix", "matrices"), ("is", "are"), "1 if right."}


@pytest.mark.parametrize(
    "text, translation, fault",
    [
        ("Start", "", "is not translated"),
        ("{rows} read", "{zeilen} gelesen", "other places"),
        ("{rows:,} read", "{rows} gelesen", "other places"),
        ("<b>Full</b> tune", "Voll", "other marks"),
        (" and more", "und mehr", "other spaces"),
    ],
)
def test_a_faulty_translation_is_told(words: ModuleType, text: str, translation: str, fault: str) -> None:
    (said,) = words.faults(Message(text, translation))
    assert fault in said


@pytest.mark.parametrize(
    "text, translation",
    [("{a} of {b}", "{b} von {a}"), ("A row: { … }", "Eine Zeile: { … }"), (("row", "rows"), ("Zeile", "Zeilen"))],
)
def test_a_whole_translation_is_not(words: ModuleType, text: str, translation: str) -> None:
    assert list(words.faults(Message(text, translation))) == []
