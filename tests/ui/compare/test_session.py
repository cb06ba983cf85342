"""The session of a comparison: its pages, which is shown, and what stays of a question that came to nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.compare.candidate import BASE, Candidate
from app.core.compare.prompt_set import Prompt
from app.core.protocol import event
from app.core.protocol.job import GenerateJob, read_job
from app.ui.compare.answerer import Answerer
from app.ui.compare.session import CompareSession
from tests.ui.comparing import answer, answer_together, asked, asked_together
from tests.ui.fake_worker import FakeWorker

TUNED = Candidate("friendly", Path("/a"), strength=0.5)
SETTINGS = {"max_tokens": 9}


@pytest.fixture
def session(qtbot: QtBot, workers: list[FakeWorker]) -> Iterator[CompareSession]:
    del qtbot, workers
    answerer = Answerer()
    yield CompareSession(answerer)
    answerer.shutdown()


def ask(session: CompareSession, *prompts: str) -> None:
    session.ask("/base", [BASE, TUNED], [Prompt(text) for text in prompts], SETTINGS, "Sing.")


def test_pages_are_turned_within_their_number_and_told_once(
    session: CompareSession, workers: list[FakeWorker]
) -> None:
    turns: list[int] = []
    session.turned.connect(lambda: turns.append(session.place))
    assert (session.shown, session.is_answering(None), session.progress) == (None, False, (0, 0))
    ask(session, "a?", "b?", "c?")
    job = read_job(workers[0].job_dir)
    assert job == GenerateJob(model="/base", adapters=(None, "/a"), strengths=(1.0, 0.5))
    assert [one["max_tokens"] for one in asked_together(workers[0])] == [9, 9, 9]
    for place in (0, 3, -1, 2, 2, 0):
        session.turn_to(place)
    assert turns == [2, 0]
    workers[0].say(event.Ready(), event.Answered(request=1, column=0, text="A"))
    workers[0].say(event.Answered(request=1, column=0, done=True, finish_reason="stop"))
    first, second, _ = session.pages
    assert (session.progress, session.is_answering(first), session.is_answering(second)) == ((1, 6), True, True)
    workers[0].say(event.Answered(request=1, column=1, done=True, finish_reason="error", message="No."))
    assert (session.is_answering(first), session.is_busy) == (False, True)
    for request in (2, 3):
        for column in (0, 1):
            workers[0].say(event.Answered(request=request, column=column, text=f"{request}{column}"))
            workers[0].say(event.Answered(request=request, column=column, done=True, finish_reason="stop"))
    assert (session.is_busy, session.progress) == (False, (0, 0))
    assert [page.answers for page in session.pages] == [["A", ""], ["20", "21"], ["30", "31"]]
    pages = session.pages
    for asked_for, place in ((-5, 0), (1, 1), (99, 2)):
        session.restore(pages, asked_for)
        assert (session.place, session.shown) == (place, pages[place])
    session.restore([], 4)
    assert (session.place, session.shown) == (-1, None)
    session.restore(pages, 1)
    session.clear()
    assert (session.pages, session.place, turns[-1]) == ([], -1, -1)


def test_what_is_asked_again_takes_the_place_of_its_answers(
    session: CompareSession, workers: list[FakeWorker]
) -> None:
    ask(session, "a?")
    answer(workers[0], "one", "two")
    ask(session, "b?")
    answer(workers[0], "three", "four")
    session.turn_to(0)
    session.follow_up("/base", "and?", SETTINGS)
    sent = asked(workers[0])["conversations"]
    assert [[one["content"] for one in turns] for turns in sent] == [
        ["Sing.", "a?", "one", "and?"], ["Sing.", "a?", "two", "and?"],
    ]  # fmt: skip
    answer(workers[0], "five", "six")
    assert ([page.answers for page in session.pages], session.place) == ([["three", "four"], ["five", "six"]], 1)
    session.ask_again("/base", SETTINGS)
    assert session.pages[1].answers == ["", ""]
    assert [turns[-1]["content"] for turns in asked(workers[0])["conversations"]] == ["and?", "and?"]
    answer(workers[0], "seven", "eight")
    assert [turn.prompt for turn in session.pages[1].turns] == ["a?", "and?"]
    assert session.has_answer_of(1)
    assert [session.is_other(column, TUNED) for column in (0, 1, 2)] == [True, False, False]
    session.set_candidate(1, BASE)
    assert [session.has_answer_of(column) for column in (0, 1)] == [True, False]
    session.set_candidate(2, TUNED)
    session.remove_column(0)
    assert [page.candidates for page in session.pages] == [[BASE, TUNED]] * 2
    session.turn_to(0)
    session.ask_again("/base", SETTINGS)
    workers[0].end(event.Failed(message="It died."), 1)
    assert ([page.last.prompt for page in session.pages], session.place) == (["and?"], 0)


def test_answers_stay_until_what_is_asked_anew_has_others(
    session: CompareSession, workers: list[FakeWorker]
) -> None:
    ask(session, "a?")
    answer(workers[0], "one", "two")
    session.ask_again("/base", SETTINGS)
    assert session.pages[0].answers == ["", ""]
    workers[0].end(event.Failed(message="It died."), 1)
    (page,) = session.pages
    assert (session.place, page.answers, page.last.has_ended) == (0, ["one", "two"], True)


def test_what_was_asked_anew_of_another_candidate_has_no_answers_to_come_back(
    session: CompareSession, workers: list[FakeWorker]
) -> None:
    ask(session, "a?")
    answer(workers[0], "one", "two")
    session.ask_again("/base", SETTINGS)
    session.set_candidate(0, TUNED)
    workers[0].end(event.Failed(message="It died."), 1)
    assert (session.pages, session.place) == ([], -1)


def test_of_a_question_that_was_stopped_what_was_said_stays(
    session: CompareSession, workers: list[FakeWorker]
) -> None:
    told: list[tuple[int, str]] = []
    settled: list[bool] = []
    session.replied.connect(lambda _page, column, piece: told.append((column, piece.finish_reason)))
    session.settled.connect(lambda: settled.append(session.is_busy))
    session.began.connect(lambda: setattr(session, "order", (1, 0)))
    ask(session, "a?", "b?")
    assert [one["columns"] for one in asked_together(workers[0])] == [[1, 0]] * 2
    workers[0].say(event.Ready(), event.Answered(request=2, column=1, text="half"))
    workers[0].end(event.Failed(message="It died."), 1)
    assert (told, settled) == ([(1, ""), (1, "stopped")], [False])
    assert ([page.last.prompt for page in session.pages], session.place) == (["b?"], 0)
    last = session.pages[0].last.replies[1].last
    assert last is not None
    assert last.finish_reason == "stopped"
    ask(session, "c?", "d?")
    answer_together(workers[1], ("1", "2"), ("3", "4"))
    assert ([page.answers for page in session.pages][1:], session.place) == ([["1", "2"], ["3", "4"]], 1)
    session.stop()
    assert len(workers[1].commands) == 1, "nothing is asked"


def test_what_was_stopped_is_not_counted_as_answered(session: CompareSession, workers: list[FakeWorker]) -> None:
    ask(session, "a?", "b?")
    counts: list[tuple[int, int]] = []
    session.replied.connect(lambda *_: counts.append(session.progress))
    workers[0].say(event.Ready())
    reasons = {(1, 0): "stop", (1, 1): "length", (2, 0): "stopped", (2, 1): "stopped"}
    for (request, column), reason in reasons.items():
        workers[0].say(event.Answered(request=request, column=column, text="x", done=True, finish_reason=reason))
    assert counts == [(1, 4), (2, 4), (2, 4), (2, 4)]
