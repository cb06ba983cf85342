"""Texts in the language of the process: English as it stands, German by its catalogue, numbers without doubt."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from typing import Any

import pytest

from app.core import language as module
from app.core.language import (
    LANGUAGES,
    PSEUDO,
    Told,
    capital,
    choose_language,
    grouped,
    inside,
    joined,
    language,
    retold,
    tr,
    trn,
)
from app.core.problem import Problem, TaskError, UnusableError
from app.core.quantity import epochs_text, plural
from tests import ROOT


@pytest.fixture
def german(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(module.VARIABLE, "de")
    monkeypatch.setattr(module, "_catalogue", module._load("de"))
    monkeypatch.setattr(module, "_strict", None)


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
    assert tr("row") == "Zeile"  # of which there is one, and many: one entry
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


# -- texts that are kept, and told in another language -----------------------------------------------------------


def kept_text(text: str) -> Any:
    """What a file keeps of it."""
    assert isinstance(text, Told)
    return json.loads(json.dumps(text.made_of))


@pytest.fixture
def kept() -> dict[str, tuple[str, Any]]:
    """Texts as an English process says and keeps them, of every way to make one."""
    shorter = tr("{max_seq_length:,} tokens", max_seq_length=2048)
    texts = {
        "plain": tr("Learning rate"),
        "filled": tr("The adapter holds the best weights, of iteration {best:,}.", best=12),
        "nested": tr("{said} and are cut.", said=tr("{truncated:,} of {train:,} examples are longer than {longest}",
                     truncated=1, train=12345, longest=shorter)),
        "plural": plural(12345, "row"),
        "joined": joined((tr("No weights had been saved."), "", tr("Resume the run."))),
        "named": joined(("x.jsonl:3: ", tr("Learning rate")), ""),
        "capital": capital(tr("note")),
        "error": tr("Paused: {error}", error=TaskError(tr("No weights had been saved."), tr("Resume the run."))),
    }  # fmt: skip
    return {name: (str(text), kept_text(text)) for name, text in texts.items()}


def test_a_kept_text_is_told_in_its_own_language_as_it_was_said(kept: dict[str, tuple[str, Any]]) -> None:
    for said, made_of in kept.values():
        assert retold(made_of, "lost") == said


def test_a_kept_text_is_told_in_the_language_of_who_reads(
    kept: dict[str, tuple[str, Any]], request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue("german")
    assert {name: retold(made_of, said) for name, (said, made_of) in kept.items()} == {
        "plain": "Lernrate",
        "filled": "Der Adapter enthält die besten Gewichte, von Iteration 12.",
        "nested": "1 von 12\u202f345 Beispielen sind länger als 2\u202f048 Tokens und werden abgeschnitten.",
        "plural": "12\u202f345 Zeilen",
        "joined": "Es waren keine Gewichte gesichert. Setzen Sie den Lauf fort.",
        "named": "x.jsonl:3: Lernrate",
        "capital": "Anmerkung",
        "error": "Pausiert: Es waren keine Gewichte gesichert. Setzen Sie den Lauf fort.",
    }


@pytest.mark.usefixtures("german")
@pytest.mark.parametrize(
    "made_of",
    [
        {"text": "a text that no catalogue has"},
        {"text": "Learning rate", "with": 3},
        {"text": "{said} and are cut.", "with": {"other": 1}},
        {"one": "a word", "many": "that no catalogue has", "number": 2},
        {"parts": "?"},
        {},
        {"figure": "many", "spec": ","},
    ],
)
def test_a_kept_text_that_is_not_understood_stands_as_it_was_said(made_of: Any) -> None:
    assert retold(made_of, "as it was said") == "as it was said"


@pytest.mark.parametrize(
    "made_of",
    [
        {"text": "{a.__class__}", "with": {"a": "x"}},
        {"text": "{a[0]}", "with": {"a": "x"}},
        {"text": "{a:>999999999}", "with": {"a": "x"}},
        {"text": "{a:{a}}", "with": {"a": "999999999"}},
        {"figure": 1, "spec": "999999999"},
    ],
)
def test_a_file_cannot_ask_for_more_than_its_values(made_of: Any) -> None:
    assert retold(made_of, "as it was said") == "as it was said"


def test_errors_keep_of_what_they_were_made() -> None:
    problems = [Problem("data", tr("No example has a token to learn."), hint=tr("Resume the run."))]
    for error in (UnusableError(problems), TaskError(problems[0].message, problems[0].hint)):
        assert kept_text(str(error))
        assert "No example has a token to learn. Resume the run." in str(error)


def test_a_text_crosses_processes_as_plain_text() -> None:
    there = pickle.loads(pickle.dumps(tr("Learning rate")))
    assert (there, type(there)) == ("Learning rate", str)


@pytest.mark.parametrize(
    "chosen, told, names",
    [
        ("en", "There is no event “x`y”.", "“a b”, “x`y”"),
        ("de", "Das Ereignis „x`y“ gibt es nicht.", "„a b“, „x`y“"),
    ],
)
def test_a_window_shows_code_in_quotes(chosen: str, told: str, names: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what a worker said in another language; what stands in a value is left as it is."""
    kept = kept_text(tr("There is no event `{kind}`.", kind="x`y"))
    listed = joined((module.code("a b"), module.code("x`y")), ", ")
    assert listed == "`a b`, `x`y`"
    monkeypatch.setenv(module.VARIABLE, chosen)
    monkeypatch.setattr(module, "_catalogue", module._load(chosen))
    monkeypatch.setattr(module, "_strict", None)
    assert "`" in tr("There is no event `{kind}`.", kind="a")
    module.quote_code()
    assert tr("There is no event `{kind}`.", kind="x`y") == retold(kept, "lost") == told
    assert retold(kept_text(listed), "lost") == names
    assert joined((module.code("a b"), module.code("x`y")), ", ") == names
    module.quote_code(False)
    assert retold(kept_text(listed), "lost") == listed


def test_a_key_has_one_name_in_the_keychain_whatever_is_spoken() -> None:
    """What the window keeps in German is found by the command line, which speaks English."""
    program = "from app.core.place.table import all_places; print([p.key.account for p in all_places() if p.key])"
    told = [
        subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT,
            env=os.environ | {module.VARIABLE: spoken, "PYTHONUTF8": "1"},
            capture_output=True, encoding="utf-8", check=True,
        ).stdout
        for spoken in LANGUAGES
    ]  # fmt: skip
    assert "RunPod API key" in told[0]
    assert told == [told[0]] * len(LANGUAGES)


@pytest.mark.parametrize("wanted, shown", [(True, "“a”"), (False, "`a`")])
def test_the_workers_of_a_window_quote_as_it_does(wanted: bool, shown: str) -> None:
    """So that also those of their sentences are alike of which nothing is kept but the words."""
    module.quote_code(wanted)
    program = "from app.core.language import code, tr; print(code('a'), tr('`{x}`', x='a'))"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=os.environ | {"PYTHONUTF8": "1"},
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert done.stdout.split() == [shown, shown]
