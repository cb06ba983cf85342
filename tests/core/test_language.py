"""Texts in the language of the process: English as it stands, German by its catalogue, numbers without doubt."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from app.core import language as module
from app.core.language import LANGUAGES, PSEUDO, choose_language, grouped, inside, language, tr, trn
from app.core.quantity import epochs_text, plural
from tests import ROOT


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(module.VARIABLE, "de")
    monkeypatch.setattr(module, "_catalogue", module._load("de"))


def test_english_is_what_stands_there() -> None:
    assert language() == "en"
    assert tr("{rows:,} of {name!r}", rows=12345, name="a") == "12,345 of 'a'"
    assert tr("a brace {without} a value") == "a brace {without} a value"
    assert (trn(1, "row", "rows"), trn(0, "row", "rows")) == ("row", "rows")
    assert (plural(1, "row"), plural(1234, "row")) == ("1 row", "1,234 rows")
    assert (grouped(12345), inside("LoRA rank")) == ("12,345", "loRA rank")


@pytest.mark.usefixtures("german")
def test_german_is_what_the_catalogue_says() -> None:
    assert language() == "de"
    assert tr("Learning rate") == "Lernrate"
    assert tr("no text of the catalogue") == "no text of the catalogue"
    assert (plural(1, "row"), plural(2, "row")) == ("1 Zeile", "2 Zeilen")
    assert inside("Lernrate") == "Lernrate"
    assert tr("") == ""  # which is a catalogue's header


@pytest.mark.usefixtures("german")
def test_thousands_are_apart_by_a_space_where_a_comma_would_be_read_as_a_point() -> None:
    assert plural(12345, "row") == "12\u202f345 Zeilen"
    assert tr("{seen:,} of {examples:,}", seen=1234, examples=5) == "1\u202f234 von 5"
    assert tr("{loss:.4f} against {base:.4f}", loss=0.5, base=1.25) == "0.5000 against 1.2500"


def test_a_language_that_nobody_translated_is_english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_catalogue", None)
    monkeypatch.setenv(module.VARIABLE, "fr")
    choose_language("fr")
    assert language() == "en"
    choose_language(PSEUDO)
    assert tr("Start") == "⟦Start·⟧"
    assert plural(2, "row") == "2 ⟦rows·⟧"
    choose_language("en")
    assert tr("Start") == "Start"


@pytest.mark.parametrize("chosen, rank", [("en", "LoRA rank"), ("de", "LoRA-Rang")])
def test_a_process_speaks_the_language_it_was_started_in(chosen: str, rank: str) -> None:
    """Labels are made when their module is imported; workers inherit the variable."""
    code = "from app.core.config.spec import field_specs; print(field_specs()['lora_parameters.rank'].label)"
    environment = os.environ | {module.VARIABLE: chosen, "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, encoding="utf-8", check=True
    )
    assert done.stdout.strip() == rank


def test_each_language_has_a_catalogue() -> None:
    for name in LANGUAGES:
        assert (module._load(name) is None) == (name == "en")


def test_many_epochs_are_written_in_full() -> None:
    assert [epochs_text(one) for one in (0.4167, 1, 3.0, 33.333, 99.96, 1000, 1234.5)] == [
        "0.417",
        "1",
        "3",
        "33.3",
        "100",
        "1,000",
        "1,234",
    ]
