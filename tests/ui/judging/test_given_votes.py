"""Votes that were given: shown again, changed, taken back, counted in words, and what could not be written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLabel, QMessageBox, QPushButton, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.core.compare.candidate import Candidate
from app.core.compare.judgement import VoteBook
from app.ui.judging.judging_card import JudgingCard
from app.ui.judging.rate_bar import RateBar
from app.ui.judging.tally_view import TallyView
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.icon_button import IconButton
from tests.ui.child import child

BASE, TUNED = Candidate("Base model"), Candidate("friendly", Path("/a"), Path("/run"))
HALF = Candidate("half", Path("/b"), None, 0.5)
WAITING = "Ask a question; when all answers have ended, say which one is better."
CHANGES = "Another button or key changes that."


def question(text: str = "Q?") -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], "seed": 3}


@pytest.fixture
def book(tmp_path: Path) -> VoteBook:
    return VoteBook(tmp_path / "votes.jsonl")


@pytest.fixture
def card(qtbot: QtBot, book: VoteBook) -> Iterator[JudgingCard]:
    page = QWidget()
    qtbot.addWidget(page)
    found = JudgingCard(page, book=book)
    QVBoxLayout(page).addWidget(found)
    page.resize(640, 300)
    page.show()
    yield found
    page.close()


def heard(card: JudgingCard) -> list[str]:
    found: list[str] = []
    card.revealed.connect(lambda: found.append("revealed"))
    card.voted.connect(lambda _vote: found.append("voted"))
    card.forgotten.connect(lambda: found.append("forgotten"))
    card.blind_changed.connect(lambda blind: found.append(f"blind {blind}"))
    card.warned.connect(found.append)
    return found


def note(card: JudgingCard) -> str:
    return child(card, QLabel, "judging.note").text()


def marked(card: JudgingCard, columns: int = 2) -> list[str]:
    names = [*map(str, range(columns)), "tie", "all_bad"]
    return [name for name in names if child(card, QPushButton, f"judging.{name}").isChecked()]


def test_each_outcome_is_said_and_marked(card: JudgingCard, book: VoteBook) -> None:
    told = heard(card)
    assert (note(card), card.kept_sentence, card.is_open) == (WAITING, "", False)
    card.set_hint("Then ask the next.")
    card.begin(question(), (BASE, TUNED))
    assert note(card) == WAITING
    card.offer(["a", "b"], "Both are short.")
    ask = "Which answer is better? Press 1 for A, 2 for B, 0 for a tie, or − if all are bad."
    assert note(card) == f"Both are short. {ask} Then ask the next."
    said = []
    for column, outcome in ((0, "win"), (1, "win"), (None, "tie"), (None, "all_bad"), (None, "all_bad")):
        card.vote(column, outcome)  # type: ignore[arg-type]
        said.append((card.kept_sentence, marked(card), note(card)))
    assert said == [
        (kept, [name], f"{kept} {CHANGES} Then ask the next.")
        for kept, name in (
            ("Kept: A is better.", "0"),
            ("Kept: B is better.", "1"),
            ("Kept as a tie.", "tie"),
            ("Kept: all bad.", "all_bad"),
            ("Kept: all bad.", "all_bad"),
        )
    ]
    assert told == ["voted"], "the others change it"
    assert len(book.read().votes) == len(card.votes_now()) == 1
    card.withdraw("They were stopped.")
    assert (note(card), marked(card), card.kept_sentence, card.is_open) == ("They were stopped.", [], "", False)
    assert told == ["voted"], "no name was hidden"
    card.begin(question(), (BASE,))
    assert note(card) == "Judging takes two columns or more."
    card.offer(["a"])
    assert note(card) == WAITING


def test_a_click_on_the_vote_that_was_given_leaves_it_marked(card: JudgingCard) -> None:
    card.begin(question(), (BASE, TUNED))
    card.offer(["a", "b"])
    button = child(card, QPushButton, "judging.1")
    for _ in range(2):
        QTest.mouseClick(button, Qt.MouseButton.LeftButton)
        assert marked(card) == ["1"]
    presses: list[int] = []
    button.clicked.connect(lambda: presses.append(1))
    for act in (QTest.mouseClick, QTest.mouseDClick, QTest.mouseRelease):
        act(button, Qt.MouseButton.LeftButton)
    assert len(presses) == 1, "the second press would be a vote on what follows"


def test_an_earlier_vote_on_the_same_answers_is_replaced(card: JudgingCard, book: VoteBook) -> None:
    for column, replaced in ((1, ""), (0, "It takes the place of the earlier vote on these answers. ")):
        card.begin(question(), (BASE, TUNED))
        card.offer(["a", "b"])
        card.vote(column)
        kept = f"Kept: {'AB'[column]} is better."
        assert note(card) == f"{kept} {replaced}{CHANGES}"
    assert [vote.winner for vote in book.read().votes] == [0]


def test_a_blind_vote_that_is_changed_is_blind_no_longer(card: JudgingCard, book: VoteBook) -> None:
    told = heard(card)
    card.blind.click()
    assert (card.is_blind, told) == (True, ["blind True"])
    order = card.begin(question(), (BASE, HALF))
    card.offer(["a", "b"])
    assert card.is_hidden
    card.vote(0)
    titles = ("Base model", "half × 0.5")
    names = f"A was {titles[order[0]]}, B was {titles[order[1]]}."
    assert note(card) == f"Kept: A is better. {names} {CHANGES}"
    assert told == ["blind True", "revealed", "voted"]
    card.vote(1)
    seen = "The names were seen before that, so it counts as blind no longer."
    assert note(card) == f"Kept: B is better. {seen} {CHANGES}"
    [vote] = book.read().votes
    assert (vote.blind, vote.winner, vote.shown) == (False, order[1], order)
    assert told[3:] == []
    card.blind.click()
    assert told[3:] == ["blind False"], "nothing was hidden any more"
    card.blind.setChecked(True)
    card.begin(question(), (BASE, HALF))
    card.blind.click()
    assert (card.is_hidden, told[4:]) == (False, ["blind True", "revealed", "blind False"])


def test_answers_that_are_there_are_offered_at_once_in_the_order_that_they_had(
    card: JudgingCard, book: VoteBook
) -> None:
    assert card.reopen(question(), (BASE, TUNED), ["a", "b"], (1, 0), "Once more.") == (1, 0)
    assert (card.is_hidden, card.is_open, note(card).startswith("Once more. Which answer")) == (True, True, True)
    card.vote(0)
    [vote] = book.read().votes
    assert (vote.winner, vote.answers, vote.blind) == (1, ("a", "b"), True)
    card.blind.setChecked(True)
    assert card.reopen(question(), (BASE, TUNED), ["a", "b"], ()) == (0, 1)
    assert not card.is_hidden, "as it was then"
    card.reopen(question(), (BASE, TUNED), ["a", "b"])
    assert card.is_hidden
    assert card.begin(question(), (BASE, TUNED), (1, 0)) == (1, 0)


def test_a_vote_is_recalled_with_the_columns_as_they_stood(card: JudgingCard, book: VoteBook) -> None:
    assert card.recall(question(), (BASE,), ["a"]) is None
    assert card.recall(question(), (BASE, TUNED), ["a", "b"]) is None
    assert note(card) == WAITING
    card.reopen(question(), (BASE, TUNED), ["a", "b"], (1, 0))
    card.vote(0)
    again = JudgingCard(card.parentWidget(), book=VoteBook(book.path))
    told = heard(again)
    assert again.recall(question(), (BASE, TUNED), ["a", "other"]) is None
    assert again.recall(question("What?"), (BASE, TUNED), ["a", "b"]) is None
    assert again.recall(question(), (BASE, TUNED), ["a", "b"]) == (1, 0)
    assert note(again) == f"Kept: A is better. A was friendly, B was Base model. {CHANGES}"
    assert (marked(again), again.is_open, again.is_hidden) == (["0"], True, False)
    again.vote(1)
    assert [vote.winner for vote in book.read().votes] == [0]
    assert told == [], "it was voted on before"


def test_other_candidates_end_a_question(card: JudgingCard) -> None:
    card.begin(question(), (BASE, TUNED))
    card.offer(["a", "b"])
    card.set_candidates((BASE, TUNED), "m")
    assert card.is_open
    card.set_candidates((BASE, TUNED), "n")
    assert (card.is_open, note(card)) == (False, WAITING)
    card.begin(question(), (BASE, TUNED))
    card.offer(["a", "b"])
    card.set_candidates((BASE, TUNED, HALF), "m")
    assert not card.is_open
    assert child(card, QPushButton, "judging.2").text() == "C is better"
    card.set_candidates((BASE,), "m")
    assert not child(card, TallyView, "judging.tally").isVisible()
    assert [button.text() for button in card.findChildren(QPushButton)] == ["Tie", "All bad", "A is better"]


def tips(card: JudgingCard) -> list[tuple[bool, str]]:
    tools = [child(card, IconButton, f"judging.{name}") for name in ("export", "forget")]
    return [(tool.isEnabled(), tool.toolTip()) for tool in tools]


def test_tools_say_why_they_cannot_be_used(card: JudgingCard) -> None:
    assert tips(card) == [
        (False, "Export votes…: choose what is compared first"),
        (False, "Forget votes…: choose what is compared first"),
    ]
    card.set_candidates((BASE, TUNED), "m")
    none = (False, "Export votes: there are none on these candidates")
    assert tips(card) == [none, (False, "Forget votes: there are none")]
    card.reopen(question(), (BASE, TUNED), ["a", "b"])
    card.vote(0)
    assert tips(card) == [(True, "Export votes…"), (True, "Forget votes…")]
    card.set_candidates((BASE, HALF), "m")
    assert tips(card) == [none, (True, "Forget votes…")]
    card.set_candidates((BASE,), "m")
    assert tips(card)[0] == none


def test_how_many_would_be_forgotten_is_said_before(
    card: JudgingCard, book: VoteBook, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, candidates in enumerate(((BASE, TUNED), (BASE, HALF), (BASE, TUNED))):
        card.reopen(question(str(number)), candidates, ["a", "b"])
        card.vote(1)
    asked: list[tuple[str, str, list[str], str]] = []

    def look(box: QMessageBox) -> None:
        default = box.defaultButton()
        assert isinstance(default, QPushButton)
        names = sorted(button.text() for button in box.buttons())
        asked.append((box.text(), box.informativeText(), names, default.text()))
        next(button for button in box.buttons() if button.text() == press).click()

    monkeypatch.setattr(QMessageBox, "exec", look)
    told = heard(card)
    forget = child(card, IconButton, "judging.forget")
    press = "Cancel"
    forget.click()
    card.set_candidates((TUNED, HALF), "m")
    forget.click()
    assert told == []
    card.set_candidates((BASE, TUNED), "m")
    press = "Forget these"
    forget.click()
    assert (told, len(book.read().votes)) == (["forgotten"], 1)
    card.set_candidates((BASE, HALF), "m")
    forget.click()
    assert (told, len(book.read().votes)) == (["forgotten"] * 2, 0)

    def undone(whole: str) -> str:
        return f"This cannot be undone. There are {whole} on all candidates."

    these, whole = "Forget these", "Forget all"
    assert asked == [
        ("Forget 2 votes on these candidates?", undone("3 votes"), ["Cancel", whole, these], "Cancel"),
        ("Forget 0 votes on these candidates?", undone("3 votes"), ["Cancel", whole], "Cancel"),
        ("Forget 2 votes on these candidates?", undone("3 votes"), ["Cancel", whole, these], "Cancel"),
        ("Forget 1 vote on these candidates?", undone("1 vote"), ["Cancel", these], "Cancel"),
    ]


@pytest.mark.parametrize(
    "typed, kind, written",
    [
        ("out", "Markdown (*.md)", "out.md"),
        ("out", "", "out.csv"),
        ("out.json", "CSV (*.csv)", "out.json"),
        ("out.MD", "CSV (*.csv)", "out.MD"),
        ("out.v2", "JSON (*.json)", "out.v2.json"),
        ("", "CSV (*.csv)", ""),
    ],
)
def test_votes_are_exported_under_the_name_that_was_chosen(
    card: JudgingCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, kind: str, written: str
) -> None:
    card.reopen(question(), (BASE, TUNED), ["a", "b"])
    card.vote(0)
    folder = tmp_path / "votes"
    folder.mkdir()
    chosen = str(folder / typed) if typed else ""
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (chosen, kind))
    child(card, IconButton, "judging.export").click()
    assert [file.name for file in folder.iterdir()] == ([written] if written else [])


def test_what_cannot_be_written_or_forgotten_is_told(
    card: JudgingCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card.reopen(question(), (BASE, TUNED), ["a", "b"])
    card.vote(0)
    told = heard(card)
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "out.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), ""))
    child(card, IconButton, "judging.export").click()
    assert [one.startswith(f"The votes could not be written to {target}: ") for one in told] == [True]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(VoteBook, "forget", full)
    card.forget()
    assert told[1].startswith("The votes could not be taken away: ")
    assert (told[2:], len(card.votes_now())) == (["forgotten"], 1)


def tally(card: JudgingCard) -> tuple[list[tuple[str, str]], str, str]:
    """The lines, what may be concluded, and what was counted."""
    view = child(card, TallyView, "judging.tally")
    lines = [
        (label.text(), figures.text())
        for label, bar, figures in view._lines
        if isinstance(label, ElidedLabel) and isinstance(bar, RateBar)
    ]
    return lines, view.verdict.text() if view.verdict.isVisible() else "", view.counts.text()


def test_votes_are_counted_in_words(card: JudgingCard) -> None:
    card.set_candidates((BASE, TUNED), "m")
    assert tally(card) == ([], "", "No votes yet on these candidates.")
    for number, (column, outcome) in enumerate(
        ((1, "win"), (1, "win"), (0, "win"), (None, "tie"), (None, "all_bad"))
    ):
        card.reopen(question(str(number)), (BASE, TUNED), ["a", "b"], (0, 1) if number == 2 else ())
        card.vote(column, outcome)  # type: ignore[arg-type]
    whole = ". A share counts all votes; its range is the 95 % interval."
    assert tally(card) == (
        [
            ("Base model", "1 of 5 · 20\u00a0% (4\u00a0% to 62\u00a0%)"),
            ("friendly", "2 of 5 · 40\u00a0% (12\u00a0% to 77\u00a0%)"),
        ],
        "friendly won 2 of 5 votes; could be chance (sign test, p = 1).",
        f"5 votes · 1 blind · 1 tie · 1 all bad{whole}",
    )
    bars = [bar.accessibleName() for bar in card.findChildren(RateBar)]
    assert bars == [f"{share}\u00a0%, likely between {low}\u00a0% and {high}\u00a0%"
                    for share, low, high in ((20, 4, 62), (40, 12, 77))]  # fmt: skip
    card.set_candidates((BASE, HALF), "m")
    assert tally(card) == ([], "", "No votes yet on these candidates.")
    card.reopen(question(), (BASE, TUNED, HALF), ["a", "b", "c"])
    card.vote(2)
    assert [line[0] for line in tally(card)[0]] == ["Base model", "friendly", "half × 0.5"]
    assert tally(card)[2] == f"1 vote · 0 blind{whole}"
    card.set_candidates((BASE, TUNED), "m")
    assert len(tally(card)[0]) == 2


def test_names_have_room_as_long_as_the_bars_keep_most(card: JudgingCard) -> None:
    view, long = child(card, TallyView, "judging.tally"), Candidate("a very long name " * 9, Path("/a"))
    card.reopen(question(), (BASE, TUNED), ["a", "b"])
    card.vote(0)
    least = view._grid.columnMinimumWidth(0)
    card.reopen(question(), (BASE, long), ["a", "b"])
    card.vote(0)
    card.window().resize(1400, 300)
    QTest.qWait(1)
    assert view._grid.columnMinimumWidth(0) == round(0.4 * view.width()) > least
