"""The answers before and after a run: asked of base and tuned model, kept in its folder, told if they fail."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.core.compare.before_after import BeforeAfter, load_before_after
from app.core.protocol import event
from app.core.run.folder import RunDir
from app.ui.chat.held_out_answer import IS_ASKED, NO_QUESTION, HeldOutAnswer
from app.ui.compare.answerer import Answerer
from tests.ui.comparing import answer_together, asked_together, base_folder, run_with_checkpoints
from tests.ui.fake_worker import FakeWorker


class Asking:
    """A `HeldOutAnswer` with what it said."""

    def __init__(self, answerer: Answerer) -> None:
        self.answerer = answerer
        self.asks = HeldOutAnswer(answerer)
        self.answers: list[BeforeAfter] = []
        self.faults: list[str] = []
        self.asks.answered.connect(self.answers.append)
        self.asks.failed.connect(self.faults.append)


@pytest.fixture
def asking(qtbot: QtBot, workers: list[FakeWorker]) -> Iterator[Asking]:
    del qtbot, workers
    answerer = Answerer()
    yield Asking(answerer)
    answerer.shutdown()


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return run_with_checkpoints(tmp_path / "runs", base_folder(tmp_path / "base"), 3)


def test_a_few_questions_are_answered_by_both_and_the_first_is_kept(
    asking: Asking, workers: list[FakeWorker], run: RunDir
) -> None:
    asking.asks.ask(run)
    sent = asked_together(workers[0])
    assert [one["messages"][-1]["content"] for one in sent] == ["Question 1?", "Question 2?", "Question 3?"]
    assert {(one["temp"], tuple(one["columns"])) for one in sent} == {(0.0, (0, 1))}
    answer_together(workers[0], ("No.", "Yes."), ("No.", "Yes!"), ("No.", "No."))
    (found,) = asking.answers
    assert (found.prompt, found.before, found.after, found.passed) == ("Question 1?", "No.", "Yes.", 0)
    assert load_before_after(run) == found


def test_each_question_has_its_own_system_prompt(asking: Asking, workers: list[FakeWorker], run: RunDir) -> None:
    rows = [
        {"messages": [{"role": "system", "content": "Sing."}, *chat("a")]},
        {"messages": chat("b")},
    ]
    (run.data / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    asking.asks.ask(run)
    openings = [[message["role"] for message in one["messages"]] for one in asked_together(workers[0])]
    assert openings == [["system", "user"], ["user"]]
    answer_together(workers[0], ("Yes.", "Yes."), ("No.", "Yes."))
    assert [(found.prompt, found.system) for found in asking.answers] == [("b", "")]


def chat(prompt: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": "Yes."}]


def test_questions_that_both_answer_alike_are_passed(
    asking: Asking, workers: list[FakeWorker], run: RunDir
) -> None:
    asking.asks.ask(run)
    answer_together(workers[0], ("Yes.", "Yes."), ("No.", "Yes."), ("No.", "Yes."))
    assert [(found.prompt, found.passed) for found in asking.answers] == [("Question 2?", 1)]


def test_if_all_are_alike_the_last_says_so(asking: Asking, workers: list[FakeWorker], run: RunDir) -> None:
    asking.asks.ask(run)
    answer_together(workers[0], *[("Yes.", "Yes.")] * 3)
    assert [(found.prompt, found.before) for found in asking.answers] == [("Question 3?", "Yes.")]


def test_a_question_without_an_answer_is_passed(asking: Asking, workers: list[FakeWorker], run: RunDir) -> None:
    asking.asks.ask(run)
    answer_together(workers[0], ("", "Yes."), ("Yes.", "Yes."), ("No.", ""))
    assert [(found.prompt, found.passed) for found in asking.answers] == [("Question 2?", 1)]


def test_what_cannot_be_asked_is_told(asking: Asking, workers: list[FakeWorker], run: RunDir) -> None:
    (run.data / "test.jsonl").unlink()
    asking.asks.ask(run)
    assert asking.faults == [NO_QUESTION]
    assert workers == []


def test_an_adapter_that_does_not_fit_is_told(asking: Asking, workers: list[FakeWorker], run: RunDir) -> None:
    asking.asks.ask(run)
    workers[0].say(event.Ready())
    for sent in asked_together(workers[0]):
        number = sent["request"]
        unfit: dict[str, Any] = {"finish_reason": "unusable", "message": "It does not fit."}
        workers[0].say(
            event.Answered(request=number, column=0, text="No."),
            event.Answered(request=number, column=0, done=True, finish_reason="stop"),
            event.Answered(request=number, column=1, done=True, **unfit),
        )
    assert asking.faults == ["It does not fit."]
    assert load_before_after(run) is None


def test_a_worker_that_fails_is_told(asking: Asking, workers: list[FakeWorker], run: RunDir) -> None:
    asking.asks.ask(run)
    workers[0].end(event.Failed(message="The memory is not enough for this."), 1)
    assert asking.faults == ["The memory is not enough for this."]


def test_what_was_given_up_says_nothing_more(asking: Asking, workers: list[FakeWorker], run: RunDir) -> None:
    assert asking.asks.run is None
    asking.asks.ask(run)
    assert asking.asks.run == run
    asking.asks.stop()
    assert asking.asks.run is None
    assert (asking.answers, asking.faults) == ([], [])
    assert not asking.answerer.is_busy
    asking.asks.ask(run)
    asking.asks.ask(run)
    assert asking.faults == [IS_ASKED]
    del workers


def test_a_base_that_is_gone_is_told(
    asking: Asking, workers: list[FakeWorker], run: RunDir, tmp_path: Path
) -> None:
    (tmp_path / "base").rename(tmp_path / "elsewhere")
    asking.asks.ask(run)
    assert "There is no folder" in asking.faults[0]
    assert workers == []


def test_what_was_asked_with_which_weights_is_kept(
    asking: Asking, workers: list[FakeWorker], run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"prompt": f"Question {number}?", "completion": "Yes."} for number in range(1, 6)]
    (run.data / "test.jsonl").write_text("\n".join(map(json.dumps, rows)))
    said: list[str] = []
    asking.asks.progressed.connect(said.append)
    asking.asks.ask(run)
    sent = asked_together(workers[0])
    assert [(one["max_tokens"], one["messages"][-1]["content"]) for one in sent] == [
        (160, f"Question {number}?") for number in range(1, 5)
    ]
    workers[0].say(event.Progressed(phase="Loading the model"))
    assert said == ["Starting the worker", "Loading the model"]
    monkeypatch.setattr("app.ui.chat.held_out_answer.save_before_after", unwritten)
    answer_together(workers[0], (" Yes.", "Yes. "), ("No.", "Yes."), ("Yes.", "Yes."), ("No.", "Yes."))
    weights = (run.adapters / "adapters.safetensors").stat().st_mtime_ns
    assert asking.answers == [BeforeAfter("Question 2?", "", "No.", "Yes.", "adapters", weights, 1)]
    asking.answerer.progressed.emit("of somebody else")
    assert (len(said), asking.asks.run) == (3, None)
    monkeypatch.setattr("app.ui.chat.held_out_answer.held_out_questions", unreadable)
    asking.asks.ask(run)
    assert asking.faults == ["The held-out examples cannot be read: Input/output error."]


def unwritten(*_: object) -> None:
    raise OSError(30, "Read-only file system")


def unreadable(*_: object) -> None:
    raise OSError(5, "Input/output error")


def test_an_answer_that_nobody_gave_is_told(asking: Asking, workers: list[FakeWorker], run: RunDir) -> None:
    asking.asks.ask(run)
    answer_together(workers[0], *[("", "")] * 3)
    assert (asking.faults, asking.answers) == (["There was no answer."], [])
    asking.asks.ask(run)
    answer_together(workers[0], *[("No.", "Yes.")] * 3)
    assert len(asking.answers) == 1, "what was wrong before is forgotten"
