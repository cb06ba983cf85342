"""Judging in the Compare tab: names hidden until the vote, votes on what was asked, prompt by prompt."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QWidget
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
    assert not child(tab, QWidget, "compare.add").isEnabled()
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
    assert not child(tab, QWidget, "judging.0").isEnabled()
    answer(workers[0], "one", "two")
    press(tab, "judging.1")
    (vote,) = votes()
    assert (vote.winner, vote.blind) == (1, False)
    assert not child(tab, QWidget, "judging.0").isEnabled()


def test_a_prompt_set_is_judged_page_by_page_and_each_page_once(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "judging.blind")
    ask_held_out(tab)
    assert not child(tab, QWidget, "compare.page.on").isEnabled(), "who is asked first would tell who it is"
    assert len({tuple(one["columns"]) for one in asked_together(workers[0])}) == 1
    answer_together(workers[0], ("three", "four"), ("one", "two"))
    press(tab, "judging.tie")
    press(tab, "compare.page.on")
    assert tab.columns[0].title.startswith("Answer ")
    press(tab, "judging.all_bad")
    press(tab, "compare.page.back")
    assert not child(tab, QWidget, "judging.0").isEnabled()
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
    assert votes() == ()


def test_a_new_conversation_ends_an_open_vote(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.choose_run(run)
    press(tab, "judging.blind")
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    press(tab, "compare.new")
    assert tab.columns[0].title == "Base model"
    assert child(tab, QWidget, "compare.add").isEnabled()
    assert votes() == ()


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
