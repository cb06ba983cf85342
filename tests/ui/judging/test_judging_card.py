"""The judging card: shuffled when blind, votes kept with what decided them, counted, exported and forgotten."""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QShortcut
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel, QLineEdit, QMessageBox, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.core.compare.candidate import Candidate
from app.core.compare.judgement import VoteBook
from app.ui.judging.judging_card import JudgingCard
from app.ui.widget.icon_button import IconButton
from tests.ui.child import child

BASE, TUNED, OTHER = (
    Candidate("Base model"),
    Candidate("friendly", Path("/a"), Path("/run")),
    Candidate("o", Path("/b")),
)
QUESTION: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Q?"}], "temp": 0.5, "seed": 3}


@pytest.fixture
def book(tmp_path: Path) -> VoteBook:
    return VoteBook(tmp_path / "votes.jsonl")


@pytest.fixture
def card(qtbot: QtBot, book: VoteBook) -> Iterator[JudgingCard]:
    random.seed(1)
    page = QWidget()
    qtbot.addWidget(page)
    found = JudgingCard(page, book=book)
    layout = QVBoxLayout(page)
    layout.addWidget(found)
    layout.addWidget(QLineEdit(page))
    page.resize(640, 300)
    page.show()
    yield found
    page.close()


def press(card: JudgingCard, name: str) -> None:
    QTest.mouseClick(child(card, QPushButton, f"judging.{name}"), Qt.MouseButton.LeftButton)


def text(card: JudgingCard, name: str) -> str:
    return child(card, QLabel, f"judging.{name}").text()


def enabled(card: JudgingCard) -> list[bool]:
    return [child(card, QPushButton, f"judging.{name}").isEnabled() for name in ("0", "1", "tie", "all_bad")]


def test_the_vote_opens_when_all_answers_have_ended_and_is_kept(card: JudgingCard, book: VoteBook) -> None:
    assert card.begin(QUESTION, (BASE, TUNED)) == (0, 1)
    assert enabled(card) == [False] * 4
    card.offer(["plain", "song"])
    assert enabled(card) == [True] * 4
    press(card, "1")
    (vote,) = book.read().votes
    assert (vote.question, vote.answers, vote.winner, vote.blind) == (QUESTION, ("plain", "song"), 1, False)
    assert (vote.candidates[1].label, vote.candidates[1].run) == ("friendly", "/run")
    assert text(card, "verdict") == "friendly won 1 of 1 vote; could be chance (sign test, p = 1)."
    press(card, "0")
    assert [vote.winner for vote in book.read().votes] == [0], "one vote an offer, the last"
    assert text(card, "verdict").startswith("Base model won 1 of 1 vote;")


def test_blind_columns_are_shuffled_and_named_after_the_vote(
    qtbot: QtBot, card: JudgingCard, book: VoteBook
) -> None:
    card.blind.click()
    orders = set()
    for _ in range(30):
        orders.add(order := card.begin(QUESTION, (BASE, TUNED, OTHER)))
        assert card.is_hidden
        card.offer([f"answer of {index}" for index in order])
        with qtbot.waitSignals([card.revealed, card.voted]):
            press(card, "0")
        assert not card.is_hidden
        vote = book.read().votes[-1]
        assert (vote.winner, vote.blind, vote.shown) == (order[0], True, order)
        assert vote.answers == tuple(f"answer of {index}" for index in range(3))
    assert len(orders) == 6, "every order comes up"
    labels = ("Base model", "friendly", "o")
    assert text(card, "note").startswith(f"Kept: A is better. A was {labels[order[0]]}, B was {labels[order[1]]}")


def test_leaving_blind_mode_shows_the_names_and_the_vote_is_not_a_blind_one(
    qtbot: QtBot, card: JudgingCard, book: VoteBook
) -> None:
    card.blind.setChecked(True)
    card.begin(QUESTION, (BASE, TUNED))
    card.offer(["a", "b"])
    with qtbot.waitSignal(card.revealed):
        card.blind.click()
    press(card, "tie")
    assert [(vote.blind, vote.outcome) for vote in book.read().votes] == [(False, "tie")]


def test_keys_vote_and_a_field_that_is_typed_into_keeps_them(card: JudgingCard, book: VoteBook) -> None:
    for key in ("2", "0", "-"):
        card.begin(QUESTION, (BASE, TUNED))
        card.offer(["a", f"b{key}"])
        card.blind.setFocus()
        QTest.keyClicks(card.window(), key)
    assert [(vote.outcome, vote.winner) for vote in book.read().votes] == [
        ("win", 1),
        ("tie", None),
        ("all_bad", None),
    ]
    card.begin(QUESTION, (BASE, TUNED))
    card.offer(["a", "b"])
    field = child(card.window(), QLineEdit)
    field.setFocus()
    QTest.keyClicks(field, "1")
    assert (field.text(), len(book.read().votes)) == ("1", 3)


def test_withdrawn_answers_cannot_be_judged(qtbot: QtBot, card: JudgingCard, book: VoteBook) -> None:
    card.blind.setChecked(True)
    card.begin(QUESTION, (BASE, TUNED))
    card.offer(["a", "b"])
    with qtbot.waitSignal(card.revealed):
        card.withdraw()
    assert enabled(card) == [False] * 4
    card.vote(0)
    assert book.read().votes == ()
    with pytest.raises(ValueError, match="answers for"):
        card.offer(["a"])


def test_the_tally_is_of_these_candidates_and_outlives_the_window(card: JudgingCard, book: VoteBook) -> None:
    for number, (candidates, column) in enumerate((((BASE, TUNED), 1), ((BASE, OTHER), 0), ((BASE, TUNED), 1))):
        card.begin(QUESTION, candidates)
        card.offer(["a", f"b{number}"])
        card.vote(column)
    again = JudgingCard(card.parentWidget(), book=VoteBook(book.path))
    again.set_candidates((TUNED, BASE), "m")
    assert [(one.candidate.label, one.wins) for one in again.tally().standings] == [
        ("friendly", 2),
        ("Base model", 0),
    ]
    again.set_candidates((BASE, TUNED), "other model")
    assert text(again, "counts") == "No votes yet on these candidates."


def test_export_and_forget_with_a_word_before(
    card: JudgingCard, book: VoteBook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export, forget = (child(card, IconButton, f"judging.{name}") for name in ("export", "forget"))
    assert not export.isEnabled()
    for number, candidates in enumerate(((BASE, TUNED), (BASE, OTHER), (BASE, TUNED))):
        card.begin(QUESTION, candidates)
        card.offer(["a", f"b{number}"])
        card.vote(1)
    target = tmp_path / "out"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), "CSV (*.csv)"))
    export.click()
    rows = list(csv.DictReader((tmp_path / "out.csv").read_text().splitlines()))
    assert [row["candidate"] for row in rows] == ["Base model", "friendly"] * 2

    pressed = ["Cancel", "Forget these", "Forget all"]
    monkeypatch.setattr(QMessageBox, "exec", lambda box: _press(box, pressed.pop(0)))
    for left in (3, 1, 0):
        forget.click()
        assert len(book.read().votes) == left
    assert not forget.isEnabled()


def _press(box: QMessageBox, name: str) -> None:
    next(button for button in box.buttons() if button.text() == name).click()


def test_a_vote_that_cannot_be_written_is_still_open(qtbot: QtBot, card: JudgingCard, book: VoteBook) -> None:
    book.path.mkdir()
    with qtbot.waitSignal(card.warned):
        card.begin(QUESTION, (BASE, TUNED))
    card.offer(["a", "b"])
    with qtbot.waitSignal(card.warned) as told:
        press(card, "0")
    assert str(book.path) in told.args[0]
    assert enabled(card) == [True] * 4
    assert not child(card, QPushButton, "judging.0").isChecked()


def test_broken_votes_are_told(qtbot: QtBot, card: JudgingCard, book: VoteBook) -> None:
    book.path.write_text("broken\n")
    with qtbot.waitSignal(card.warned) as told:
        card.set_candidates((BASE, TUNED), "m")
    assert "1 line" in told.args[0]


def test_the_ask_names_the_keys_by_the_letters_of_the_columns(card: JudgingCard) -> None:
    card.begin(QUESTION, (BASE, TUNED))
    card.offer(["one", "two"])
    assert "1 for A, 2 for B, 0 for a tie" in text(card, "note")


def test_one_column_cannot_be_judged_and_four_can(card: JudgingCard, book: VoteBook) -> None:
    card.begin(QUESTION, (TUNED,))
    card.offer(["a"])
    assert not card.is_open
    many = (BASE, TUNED, OTHER, Candidate("p", Path("/c")))
    card.begin(QUESTION, many)
    card.offer(list("abcd"))
    press(card, "3")
    assert book.read().votes[-1].winner == 3


def test_a_key_that_is_held_down_is_one_vote(card: JudgingCard) -> None:
    assert [key.autoRepeat() for key in card.findChildren(QShortcut)] == [False] * 4


def test_a_vote_that_cannot_be_changed_stays_as_it_was(
    qtbot: QtBot, card: JudgingCard, book: VoteBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    card.begin(QUESTION, (BASE, TUNED))
    card.offer(["a", "b"])
    press(card, "1")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with qtbot.waitSignal(card.warned):
        press(card, "0")
    assert [child(card, QPushButton, f"judging.{name}").isChecked() for name in ("0", "1")] == [False, True]
    assert [vote.winner for vote in book.read().votes] == [1]
