"""What every verb says: tables for people and pipes, complaints with their places, guesses of what was meant."""

from __future__ import annotations

import re
import sys

import pytest

from app.command import output
from app.core.problem import Problem, Severity


def test_figures_stand_at_the_right_and_words_at_the_left(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [["a", "1,200", "9.5%", "", "x"], ["longer", "–", "10%", "1.5", "2"]]
    output.table(["name", "n", "%", "loss", "mixed"], rows)
    assert capsys.readouterr().out == (
        "name        n     %  loss  mixed\na       1,200  9.5%        x\nlonger      –   10%   1.5  2\n"
    )
    output.table(["of no rows", "n"], [])
    assert capsys.readouterr().out == "of no rows  n\n"


def test_a_person_gets_the_same_table_drawn(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    output.table(["name", "n"], [["[bold]a[/]", "1"], ["b" * 20, "1,200"]])
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines == [f"name{'':22}n", f"[bold]a[/]{'':16}1", f"{'b' * 20}  1,200"]


def test_in_a_narrow_terminal_nothing_is_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")  # a dumb one has 80 columns, whatever COLUMNS says
    monkeypatch.setenv("COLUMNS", "26")
    monkeypatch.setenv("LINES", "40")
    output.table(["name", "n"], [["a" * 12 + " " + "b" * 20, "1,200"]])
    plain = re.sub("\x1b\\[[0-9;]*m", "", capsys.readouterr().out)
    lines = [line.rstrip() for line in plain.splitlines()]
    assert lines == [f"name{'':21}n", f"{'a' * 12}{'':9}1,200", "b" * 19, "b"]


def test_a_problem_is_told_with_its_place_its_field_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    output.complain([
        Problem("", "It is so."),
        Problem("seed", "It is odd.", Severity.WARNING, hint="Choose another."),
        Problem("seed", "It is kept.", Severity.NOTE, file="my.yaml", line=3),
        Problem("seed", "`seed`: It is odd.", file="my.yaml", line=3),
        Problem("seed", "`seed`: It is odd.", file="my.yaml"),
    ])  # fmt: skip
    assert capsys.readouterr() == ("", (
        "error: It is so.\n"
        "warning: seed: It is odd.\n  Choose another.\n"
        "note: my.yaml:3: `seed`: It is kept.\n"
        "error: my.yaml:3: `seed`: It is odd.\n"
        "error: my.yaml: `seed`: It is odd.\n"
    ))  # fmt: skip


def test_a_script_gets_all_of_a_problem() -> None:
    problem = Problem("seed", "It is odd.", Severity.WARNING, hint="Choose another.", file="my.yaml", line=3)
    assert output.problem_tree(problem) == {
        "path": "seed", "file": "my.yaml", "line": 3, "severity": "warning", "message": "It is odd.",
        "hint": "Choose another.",
    }  # fmt: skip


def test_what_was_meant_is_guessed_among_what_is_alike() -> None:
    assert output.near_misses("trian", ["train", "queue"]) == "Did you mean train?"
    alike = ["seed", "seeds", "seedy", "seed-"]
    assert output.near_misses("seed", alike) == "Did you mean seed or seedy or seeds?"
    assert output.near_misses("zzz", alike) == ""


@pytest.mark.parametrize(("name", "text"), [("stdout", "say"), ("stderr", "remark")])
def test_letters_that_the_terminal_lacks_are_replaced(
    name: str, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Ascii:
        encoding: str | None = "ascii"

        def write(self, said: str) -> None:
            written.append(said)

        def flush(self) -> None:
            written.append("flushed")

        def isatty(self) -> bool:
            return False

    written: list[str] = []
    stream = Ascii()
    with monkeypatch.context() as patched:
        patched.setattr(sys, name, stream)
        getattr(output, text)("1 · é")
        stream.encoding = None
        getattr(output, text)("é\x1b[2J")
    assert written[:2] == ["1 ? ?\n", "flushed"]
    assert written[2].startswith("é")
    assert "\x1b" not in written[2]
    assert capsys.readouterr() == ("", "")
