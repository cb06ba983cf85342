"""Options refuse in words what their kind of value cannot be, and ask before two things compute at once."""

from __future__ import annotations

import sys
from io import StringIO
from pathlib import Path

import pytest
import typer

from app.command.option import ask_beside, strength_of
from app.command.output import FailedError
from app.core.live.training_list import BESIDE
from app.core.run.folder import RunDir
from tests.command.conftest import Luthier


@pytest.mark.parametrize("text", ["nan", "inf", "-0.1", "10.5", "much"])
def test_a_strength_is_a_number_from_0_to_10(text: str) -> None:
    with pytest.raises(typer.BadParameter, match=f"“{text}” is no strength"):
        strength_of(text)
    assert [strength_of(good) for good in ("0", "0.5", "1e1")] == [0.0, 0.5, 10.0]


@pytest.mark.parametrize("verb", ["generate", "evaluate", "compare", "serve"])
def test_every_verb_with_a_strength_refuses_what_is_none(verb: str, luthier: Luthier) -> None:
    said = luthier(verb, "--strength", "nan", code=2).stderr
    assert "“nan” is no strength: a number from 0 to 10." in said


@pytest.fixture
def trains(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """A run that trains; what is said of it."""
    monkeypatch.setattr("app.core.live.training_list.training_runs", lambda: [RunDir(tmp_path / "a-run")])
    return f"a-run is training already. {BESIDE}"


@pytest.mark.parametrize(("typed", "goes"), [("y\n", True), ("Yes\n", True), ("\n", False), ("yes!\n", False)])
def test_a_person_is_asked_whether_to_do_it_beside_a_run(
    typed: str, goes: bool, trains: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr("app.command.output.is_live", lambda: True)
    if goes:
        ask_beside(False)
    else:
        with pytest.raises(FailedError, match=r"^Not done\.$"):
            ask_beside(False)
    assert capsys.readouterr().err == f"warning: {trains}\nDo it all the same? [y/N] \n"


def test_whoever_says_so_is_not_asked_and_nobody_is_where_nobody_looks(
    trains: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ask_beside(True)
    assert capsys.readouterr().err == f"warning: {trains}\n"
    ask_beside(False, own=tmp_path / "a-run")
    monkeypatch.setattr("app.command.output.is_live", lambda: True)
    for stdin in (None, StringIO("y\n")):
        monkeypatch.setattr(sys, "stdin", stdin)
        with pytest.raises(FailedError) as told:
            ask_beside(False)
        assert str(told.value) == f"{trains} Not done: `--beside` does it all the same."
    assert capsys.readouterr().err == ""
