"""Decks that Anki exports are rows of a front and a back, told by the lines that begin them."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.data.check import check_files
from app.core.data.edit import read_window
from app.core.document.deck import deck_rows
from app.core.source.source import inspect_file
from tests.core.data.written import told


def _deck(folder: Path, text: str, name: str = "deck.txt") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_cards_are_prompts_and_answers_without_marks(tmp_path: Path) -> None:
    path = _deck(
        tmp_path,
        "#separator:tab\n#html:true\n#tags column:3\n"
        "When is <b>high</b> water?\tAt six<br>sharp &amp; early.\ttides\n"
        '"Says ""ebb""\nwhat?"\t<div>The water</div><div>falls&nbsp;now.</div>\t\n'
        "Is 3 < 4?\tYes.\tsums\n",
    )
    assert read_window(path, 1, 9) == [
        (4, {"front": "When is high water?", "back": "At six\nsharp & early.", "tags": "tides"}),
        (5, {"front": 'Says "ebb"\nwhat?', "back": "The water\nfalls now.", "tags": ""}),
        (7, {"front": "Is 3 < 4?", "back": "Yes.", "tags": "sums"}),
    ]
    report = check_files([path])
    assert (report.usable, report.target, report.examples) == (True, "completion", 3)
    assert ("unused_text", "Not used: `tags` (2 rows).") in told(report)


def test_a_deck_says_how_it_is_written(tmp_path: Path) -> None:
    path = _deck(
        tmp_path,
        "#html:false\n#separator:Semicolon\n#columns:guid;Question;Answer\nx1;Is <b> a tag?;Yes.\n",
        "deck.csv",
    )
    assert read_window(path, 1, 9) == [(4, {"guid": "x1", "Question": "Is <b> a tag?", "Answer": "Yes."})]
    assert check_files([path]).examples == 1


@pytest.mark.parametrize(
    "separator, between",
    [("", "\t"), ("Tab", "\t"), ("comma", ","), ("Semicolon", ";"), ("space", " "), ("pipe", "|"), ("colon", ":"),
     (";;", ";"), ("#", "#")],
)  # fmt: skip
def test_cards_are_divided_by_what_the_deck_names(separator: str, between: str) -> None:
    lines = [
        f"#separator:{separator}\r\n",
        "#columns:Q\n",
        f"a{between}b\n",
        "\n",
        f'{between}"c\n',
        'd"\n',
        f"e{between}f",
    ]
    assert list(deck_rows(iter(lines))) == [
        (3, {"Q": "a", "front": "b"}), (5, {"Q": "", "front": "c\nd"}), (7, {"Q": "e", "front": "f"})
    ]  # fmt: skip
    assert list(deck_rows(iter(lines[:2]))) == []


def test_columns_that_are_no_sides_have_their_own_names(tmp_path: Path) -> None:
    path = _deck(tmp_path, "#separator:tab\n#guid column:1\n#deck column:2\nx1\tTides\tWhen?\tAt six.\tmore\n")
    ((_, row),) = read_window(path, 1, 9)
    assert row == {"guid": "x1", "deck": "Tides", "front": "When?", "back": "At six.", "column 5": "more"}


def test_a_side_without_text_is_told_with_its_line(tmp_path: Path) -> None:
    path = _deck(tmp_path, "#separator:tab\nWhen?\tAt six.\n\nWhere?\t \n")
    (error,) = check_files([path]).errors
    assert (error.line, error.reason) == (4, "`back` is empty.")


def test_a_text_that_begins_with_a_heading_is_no_deck(tmp_path: Path) -> None:
    assert inspect_file(_deck(tmp_path, "#tides: a story\nThe separator was lost.\n")).kind == "text"
