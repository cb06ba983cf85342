"""Judging in the Compare tab: names hidden until the vote, votes on what was asked, prompt by prompt."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel, QPushButton, QSlider, QWidget
from pytestqt.qtbot import QtBot

from app.core.compare.judgement import Vote, VoteBook
from app.core.protocol import event
from app.core.run.folder import RunDir
from app.ui.compare.answerer import Answerer
from app.ui.compare.tab import CompareTab
from tests.ui.child import child
from tests.ui.comparing import (
    answer,
    answer_together,
    ask_held_out,
    asked,
    asked_together,
    base_folder,
    press,
    run_with_checkpoints,
)
from tests.ui.fake_worker import FakeWorker


@pytest.fixture
def tab(qtbot: QtBot, home: Path, workers: list[FakeWorker]) -> Iterator[CompareTab]:
    assert home.is_dir()
    assert workers == []
    answerer = Answerer()
    found = CompareTab(answerer)
    qtbot.addWidget(found)
    found.resize(1000, 1200)
    found.show()
    yield found
    answerer.shutdown()


@pytest.fixture
def run(home: Path, tmp_path: Path) -> RunDir:
    return run_with_checkpoints(home / "data" / "runs", base_folder(tmp_path / "base"), questions=2)


@pytest.fixture
def swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A shuffle that always changes the order."""
    monkeypatch.setattr(random, "shuffle", lambda order: order.reverse())


ASKS = "Which answer is better? Press 1 for A, 2 for B, 0 for a tie, or − if all are bad."
LEADS = "A vote leads to the next question without one; ← and → turn the pages."


def said(tab: CompareTab) -> str:
    """What stands above the choices."""
    return child(tab, QLabel, "judging.note").text()


def place(tab: CompareTab) -> str:
    return child(tab, QLabel, "compare.page").text()


def chosen(tab: CompareTab) -> list[str]:
    """Which choices are marked; all of them can be made."""
    buttons = {name: child(tab, QPushButton, f"judging.{name}") for name in ("0", "1", "tie", "all_bad")}
    assert all(button.isEnabled() for button in buttons.values())
    return [name for name, button in buttons.items() if button.isChecked()]


def three_answered(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    """Two questions of a set and one more, which is shown."""
    tab.choose_run(run)
    ask_held_out(tab)
    answer_together(workers[0], ("a", "b"), ("c", "d"))
    tab.question.clear_set()
    tab.prompt.setPlainText("Why?")
    press(tab, "compare.ask")
    answer(workers[0], "e", "f")


def votes() -> tuple[Vote, ...]:
    return VoteBook().read().votes


@pytest.mark.usefixtures("swapped")
def test_a_blind_vote_hides_who_answers_until_it_is_given(
    qtbot: QtBot, tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "judging.blind")
    press(tab, "compare.ask")
    assert asked(workers[0])["columns"] == [1, 0], "who is asked first would tell who it is"
    answer(workers[0], "base says", "tuned says", tokens_per_second=9.0)
    left, right = tab.columns[1], tab.columns[0]
    qtbot.waitUntil(lambda: left.x() < right.x())
    assert [column.title for column in (left, right)] == ["Answer A", "Answer B"]
    assert not left.chooser.isVisible()
    assert [column.status for column in tab.columns] == ["", ""], "speed would tell who it is"
    assert [child(tab, QLabel, f"answer.{at}.figures").property("role") for at in (0, 1)] == ["small"] * 2
    assert not child(tab, QWidget, "compare.add").isEnabled()
    tab.columns[0].take(event.Answered(request=1, column=0))
    tab.session.pages[0].last.replies[0].take(
        event.Answered(request=1, column=0, done=True, finish_reason="length")
    )
    tab.columns[0].take(event.Answered(request=1, column=0))
    assert tab.columns[0].status == "Cut at the maximum"
    press(tab, "judging.0")
    assert left.chooser.isVisible()
    assert left.title.startswith("friendly")
    assert "9.0 tokens/s" in left.status
    (vote,) = votes()
    assert (vote.outcome, vote.winner, vote.blind) == ("win", 1, True)
    assert vote.answers == ("base says", "tuned says")
    assert vote.question["messages"] == [{"role": "user", "content": "Question 1?"}]
    assert (vote.question["temp"], vote.question["seed"], vote.question["model"]) == (0.0, 0, tab.base)


@pytest.mark.usefixtures("swapped")
def test_the_words_marked_are_those_that_the_left_answer_has_not(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.add")
    press(tab, "judging.blind")
    press(tab, "compare.differences")
    press(tab, "compare.ask")
    answer(workers[0], "A lute.", "A fine lute.", "A lute.")
    assert tab.columns[2].title == "Answer A"
    assert [column.view.marked for column in tab.columns] == [[], ["fine"], []]


def test_an_open_vote_names_the_columns_by_their_letters(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    waits = "Ask a question; when all answers have ended, say which one is better."
    assert (child(tab, QWidget, "judging.0").isEnabled(), said(tab)) == (False, waits)
    answer(workers[0], "one", "two")
    assert said(tab) == ASKS, "there is no page to turn"
    press(tab, "judging.1")
    (vote,) = votes()
    assert (vote.winner, vote.blind) == (1, False)


def test_a_blind_prompt_set_is_judged_page_by_page_and_each_vote_leads_to_the_next(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "judging.blind")
    ask_held_out(tab)
    assert not child(tab, QWidget, "compare.page.on").isEnabled(), "who is asked first would tell who it is"
    assert len({tuple(one["columns"]) for one in asked_together(workers[0])}) == 1
    answer_together(workers[0], ("three", "four"), ("one", "two"))
    assert said(tab) == f"{ASKS} {LEADS}"
    press(tab, "judging.tie")
    assert (place(tab), tab.columns[0].title[:7]) == ("Question 2 of 2", "Answer ")
    add = child(tab, QWidget, "compare.add")
    assert (add.isEnabled(), add.toolTip()) == (False, "Vote first: the names are hidden")
    assert said(tab) == f"Question 1: Kept as a tie. {ASKS} ← and → turn the pages.", "there is none behind it"
    press(tab, "judging.all_bad")
    assert place(tab) == "Question 2 of 2", "there is none behind it"
    press(tab, "compare.page.back")
    assert chosen(tab) == ["tie"]
    assert tab.columns[0].title == "Base model"
    assert [(vote.outcome, vote.answers) for vote in votes()] == [
        ("tie", ("three", "four")),
        ("all_bad", ("one", "two")),
    ]


def test_there_is_no_vote_where_a_column_has_no_answer(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "judging.blind")
    press(tab, "compare.ask")
    request = asked(workers[0])["request"]
    workers[0].say(event.Ready(), event.Answered(request=request, column=0, text="one"))
    press(tab, "compare.stop")
    for column in (0, 1):
        workers[0].say(event.Answered(request=request, column=column, done=True, finish_reason="stopped"))
    assert tab.columns[0].title == "Base model"
    assert not child(tab, QWidget, "judging.tie").isEnabled()
    none = "There is no vote here: not every column has answered this question."
    assert (votes(), said(tab)) == ((), none)


def test_a_new_conversation_ends_an_open_vote(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.choose_run(run)
    press(tab, "judging.blind")
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    press(tab, "compare.new")
    assert tab.columns[0].title == "Base model"
    assert child(tab, QWidget, "compare.add").isEnabled()
    assert (votes(), said(tab)[:15]) == ((), "Ask a question;")


def test_a_vote_after_a_question_that_came_to_nothing_is_on_the_page_that_is_shown(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    tab.prompt.setPlainText("Why?")
    press(tab, "compare.ask")
    workers[0].end(event.Failed(message="It died."), 2)
    assert [column.answer for column in tab.columns] == ["one", "two"]
    press(tab, "judging.0")
    (vote,) = votes()
    assert (vote.prompt, vote.answers, vote.winner) == ("Question 1?", ("one", "two"), 0)


def test_a_vote_stays_marked_and_can_be_changed_also_after_other_pages(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    three_answered(tab, run, workers)
    press(tab, "compare.page.back")
    press(tab, "judging.0")
    assert place(tab) == "Question 3 of 3", "the next one without a vote"
    assert "leads to the next" not in said(tab), "there is none behind it"
    press(tab, "judging.1")
    press(tab, "compare.page.back")
    assert chosen(tab) == ["0"]
    assert said(tab).startswith("Kept: A is better. Another button or key changes")
    press(tab, "judging.all_bad")
    assert (place(tab), chosen(tab)) == ("Question 2 of 3", ["all_bad"]), "who changes a vote stays where he is"
    assert [(vote.outcome, vote.answers) for vote in votes()] == [("win", ("e", "f")), ("all_bad", ("c", "d"))]
    press(tab, "judging.all_bad")
    assert (chosen(tab), len(votes())) == (["all_bad"], 2)
    press(tab, "compare.page.back")
    assert chosen(tab) == []


@pytest.mark.usefixtures("swapped")
def test_a_blind_vote_is_seen_again_as_it_was_given_and_changed_it_is_blind_no_longer(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "judging.blind")
    ask_held_out(tab)
    answer_together(workers[0], ("a", "b"), ("c", "d"))
    press(tab, "judging.0")
    assert tab._votes.hides_names, "of the next page, until a vote is given there"
    assert chosen(tab) == []
    press(tab, "compare.page.back")
    assert (tab._grid.order, tab._votes.hides_names, chosen(tab)) == ((1, 0), False, ["0"])
    assert "Kept: A is better. A was friendly" in said(tab)
    press(tab, "judging.1")
    assert "counts as blind no longer" in said(tab)
    assert [(vote.winner, vote.blind, vote.shown) for vote in votes()] == [(0, False, (1, 0))]


def test_keys_turn_the_pages_where_nothing_else_needs_them(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    three_answered(tab, run, workers)
    press(tab, "judging.0")
    QTest.keyClick(tab.window(), Qt.Key.Key_Left)
    assert place(tab) == "Question 2 of 3"
    QTest.keyClick(tab.window(), Qt.Key.Key_Right)
    assert place(tab) == "Question 3 of 3"
    turns = [child(tab, QAbstractButton, f"compare.page.{name}") for name in ("back", "on")]
    assert [one.toolTip() for one in turns] == ["The question before (Alt+Left)", "The next question (Alt+Right)"]
    usable = []
    for key in (Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Left, Qt.Key.Key_Left):
        usable.append((place(tab)[9], *(one.isEnabled() for one in turns)))
        QTest.keyClick(tab.window(), key)
    assert usable == [("3", True, False), ("3", True, False), ("2", True, True), ("1", False, True)]
    for focused in (child(tab, QAbstractButton, "compare.plain"), tab.columns[0].view):
        focused.setFocus()
        QTest.keyClick(focused, Qt.Key.Key_Right)
    assert place(tab) == "Question 3 of 3", "neither a button nor an answer has a use for arrows"
    for field in (tab.prompt, tab.columns[1].strength.findChild(QSlider)):
        assert field is not None
        field.setFocus()
        QTest.keyClick(field, Qt.Key.Key_Left)
        assert place(tab) == "Question 3 of 3"
    QTest.keyClick(tab.prompt, Qt.Key.Key_Left, Qt.KeyboardModifier.AltModifier)
    assert place(tab) == "Question 2 of 3"


def test_a_double_click_is_one_vote(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.choose_run(run)
    ask_held_out(tab)
    answer_together(workers[0], ("a", "b"), ("c", "d"))
    button = child(tab, QPushButton, "judging.0")
    for act in (QTest.mouseClick, QTest.mouseDClick):
        act(button, Qt.MouseButton.LeftButton)
    assert (place(tab), len(votes())) == ("Question 2 of 2", 1)


def test_a_page_can_be_judged_anew_when_its_vote_was_forgotten(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    press(tab, "judging.0")
    tab._judging.forget()
    assert chosen(tab) == []
    assert said(tab).startswith("Which answer is better?")
    press(tab, "judging.1")
    assert [vote.winner for vote in votes()] == [1]


def test_votes_that_are_forgotten_are_asked_for_on_each_of_their_pages(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    three_answered(tab, run, workers)
    press(tab, "judging.0")
    press(tab, "compare.page.back")
    press(tab, "judging.tie")
    judged = [page.last.judged for page in tab.session.pages]
    tab._judging.forget()
    assert (judged, [page.last.judged for page in tab.session.pages]) == ([False, True, True], [False] * 3)
    assert (chosen(tab), votes()) == ([], ())
    press(tab, "compare.page.on")
    assert chosen(tab) == []
    assert said(tab) == f"{ASKS} ← and → turn the pages."


def test_a_question_asked_again_with_the_same_answers_is_one_question(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    for press_then in ("judging.0", "judging.1"):
        press(tab, "compare.ask")
        answer(workers[0], "one", "two")
        assert chosen(tab) == [], "it is asked for anew"
        press(tab, press_then)
    assert "takes the place of the earlier vote" in said(tab)
    assert [vote.winner for vote in votes()] == [1]
    press(tab, "compare.page.back")
    assert chosen(tab) == ["1"]


def test_a_page_that_a_column_has_not_answered_says_so_and_without_that_column_it_can_be_judged(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    three_answered(tab, run, workers)
    press(tab, "compare.add")
    press(tab, "compare.page.back")
    assert said(tab).startswith("There is no vote here: not every column")
    tab.columns[2].remove.click()
    assert chosen(tab) == []


def test_a_vote_has_the_settings_of_its_answers_whatever_stands_in_the_fields_by_then(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    tab.question.sampler.show_settings({"temp": 0.7, "seed": 3, "max_tokens": 64})
    ask_held_out(tab)
    answer_together(workers[0], ("a", "b"), ("c", "d"))
    tab.question.sampler.show_settings({"temp": 0.0, "seed": 9})
    tab.question.edited.emit()
    assert child(tab, QLabel, "compare.note").text() == "These answers were given with Temperature 0.7, Seed 3."
    for _ in range(2):
        QTest.keyClick(tab.window(), Qt.Key.Key_1)
    votes = VoteBook().read().votes
    assert [(v.question["temp"], v.question["seed"], v.question["max_tokens"]) for v in votes] == [(0.7, 3, 64)] * 2
    tab.question.sampler.show_settings({"temp": 0.7, "seed": 3})
    tab.question.edited.emit()
    assert child(tab, QLabel, "compare.note").text() == ""


def test_answers_of_weights_that_made_room_for_others_say_so(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    tab.prompt.setPlainText("Why?")
    press(tab, "compare.ask")
    answer(workers[0], "a", "b")
    told = "3 tokens"
    assert [column.status for column in tab.columns] == [told, told]
    (run.adapters / "adapters.safetensors").write_bytes(b"others")
    tab.session.turned.emit()
    assert [column.status for column in tab.columns] == [
        told, "3 tokens · by earlier weights: there are others now",
    ]  # fmt: skip


def test_a_follow_up_is_asked_with_the_system_prompt_that_is_seen(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    tab.prompt.setPlainText("Why?")
    tab.system.setText("Sing.")
    press(tab, "compare.ask")
    answer(workers[0], "a", "b")
    tab.system.setText("Whisper.")
    press(tab, "compare.follow_up")
    tab.prompt.setPlainText("And?")
    press(tab, "compare.ask")
    assert [[one["content"] for one in chat] for chat in asked(workers[0])["conversations"]] == [
        ["Whisper.", "Why?", "a", "And?"], ["Whisper.", "Why?", "b", "And?"],
    ]  # fmt: skip
    tab.session.stop()
    workers[0].end(event.Failed(message="It died."), 1)
    assert [one["content"] for one in tab.session.pages[0].opening] == ["Sing."], (
        "with which its answers were given"
    )
