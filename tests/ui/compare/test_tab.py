"""The Compare tab: choosing, asking, streaming, stopping, and one loaded base for both answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from app.core.compare.candidate import run_title
from app.core.model.adapter_base import base_of
from app.core.protocol import event
from app.core.protocol.command import Ask, AskAll, LoadAdapters, Stop
from app.core.protocol.question import Question
from app.core.protocol.wire import PROTOCOL_VERSION
from app.core.run.folder import RunDir
from app.core.run.note import RunNote, save_note
from app.ui.compare.answer_grid import AnswerGrid
from app.ui.compare.answerer import Answerer
from app.ui.compare.tab import CompareTab
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.comparing import adapter_folder, asked, base_folder
from tests.ui.fake_worker import FakeWorker

QUESTION = Question(prompt="What is a lute?")


@pytest.fixture
def answerer(workers: list[FakeWorker]) -> Iterator[Answerer]:
    assert workers == []
    found = Answerer()
    yield found
    found.shutdown()


@pytest.fixture
def tab(qtbot: QtBot, answerer: Answerer) -> CompareTab:
    found = CompareTab(answerer)
    qtbot.addWidget(found)
    found.resize(700, 620)
    found.show()
    return found


@pytest.fixture
def run(home: Path, tmp_path: Path) -> RunDir:
    """A run with an adapter, a base that is there, and held-out questions."""
    base = tmp_path / "base"
    base.mkdir()
    (base / "config.json").write_text(json.dumps({"model_type": "llama"}))
    (base / "model.safetensors").write_bytes(b"")
    found = synthetic_run.run_folder(home / "data" / "runs")
    found.adapters.mkdir()
    (found.adapters / "adapters.safetensors").write_bytes(b"")
    (found.adapters / "adapter_config.json").write_text(json.dumps({"model": str(base)}))
    found.data.mkdir()
    rows = [
        {"messages": [{"role": "system", "content": "Sing."}, {"role": "user", "content": f"Question {n}?"}]}
        for n in (1, 2)
    ]
    (found.data / "test.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return found


def press(tab: CompareTab, name: str) -> None:
    QTest.mouseClick(child(tab, QPushButton, name), Qt.MouseButton.LeftButton)


def note(tab: CompareTab) -> str:
    return child(tab, QLabel, "compare.note").text()


def last(request: int, column: int, **figures: object) -> event.Answered:
    known = {"generation_tokens": 42, "tokens_per_second": 85.3, "first_token_s": 0.12, "finish_reason": "stop"}
    return event.Answered(request=request, column=column, done=True, **(known | figures))  # type: ignore[arg-type]


def test_it_says_what_is_missing_one_thing_after_the_other(tab: CompareTab, run: RunDir) -> None:
    assert note(tab) == "Choose an adapter: a run of yours, or a folder."
    assert not child(tab, QPushButton, "compare.ask").isEnabled()
    tab.choose_run(run)
    tab.prompt.clear()
    assert note(tab) == "Write a prompt."
    tab.prompt.setPlainText("What is a lute?")
    assert note(tab) == ""
    assert child(tab, QPushButton, "compare.ask").isEnabled()
    tab._base.choose("")
    assert note(tab) == "Choose the base model that the adapter was trained on."
    tab.compare()
    assert not tab.session.is_busy


def test_a_run_brings_its_base_and_questions_it_was_not_trained_on(tab: CompareTab, run: RunDir) -> None:
    tab.choose_run(run)
    assert tab.base.endswith("base")
    assert (tab.prompt.toPlainText(), tab.system.text()) == ("Question 1?", "Sing.")
    press(tab, "compare.held_out")
    assert tab.prompt.toPlainText() == "Question 2?"
    press(tab, "compare.held_out")
    assert tab.prompt.toPlainText() == "Question 1?"


def test_several_runs_stand_beside_their_base(tab: CompareTab, run: RunDir, tmp_path: Path) -> None:
    base = base_of(run.adapters)
    other = adapter_folder(tmp_path / "other", base)
    tab.choose_adapter(run.adapters, other)
    assert [found.adapter for found in tab.candidates] == [None, run.adapters, other]
    assert (tab.base, tab.prompt.toPlainText()) == (base, "Question 1?")
    tab.choose_adapter(other)
    assert [found.adapter for found in tab.candidates] == [None, other]
    (run.path / "config.yaml").write_text("[")
    tab.prompt.clear()
    tab.choose_run(run)
    assert (tab.adapter, tab.prompt.toPlainText()) == (run.adapters, ""), "its questions cannot be read"
    assert not child(tab, QPushButton, "compare.held_out").isVisible()


def test_undo_brings_back_the_question_that_a_held_out_one_replaced(tab: CompareTab, run: RunDir) -> None:
    tab.choose_run(run)
    tab.prompt.selectAll()
    QTest.keyClicks(tab.prompt, "What is the capital of Sweden?")
    tab.system.setText("Be brief.")
    press(tab, "compare.held_out")
    assert (tab.prompt.toPlainText(), tab.system.text()) == ("Question 2?", "Sing.")
    assert tab.prompt.hasFocus(), "Ctrl+Z is the box's then"
    QTest.keyClick(tab.prompt, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert (tab.prompt.toPlainText(), tab.system.text()) == ("What is the capital of Sweden?", "Be brief.")
    tab.prompt.redo()
    assert (tab.prompt.toPlainText(), tab.system.text()) == ("Question 2?", "Sing.")
    tab.system.setText("Mine.")
    tab.prompt.undo()
    assert tab.system.text() == "Mine.", "it was edited since"
    tab.prompt.redo()
    tab.question.begin_anew()
    assert tab.prompt.toPlainText() == ""
    tab.prompt.undo()
    assert tab.prompt.toPlainText() == "Question 2?"


def test_a_question_is_filled_in_only_where_a_run_is_chosen_and_nothing_was_written(
    tab: CompareTab, run: RunDir
) -> None:
    tab.columns[1].chooser.choose_path(run.adapters)
    assert tab.prompt.toPlainText() == "Question 1?"
    tab.prompt.replace_text("")
    tab.add_column()
    tab.columns[1].chooser.choose_path(adapter_folder(run.path / "adapters" / "best", tab.base))
    assert tab.prompt.toPlainText() == ""
    press(tab, "compare.held_out")
    assert tab.prompt.toPlainText() == "Question 2?", "the next one, whichever columns there are"


def test_both_answers_stream_side_by_side(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.choose_run(run)
    tab.system.clear()
    press(tab, "compare.ask")
    (worker,) = workers
    job = json.loads((worker.job_dir / "job.json").read_text())
    assert job == {
        "task": "generate",
        "protocol": PROTOCOL_VERSION,
        "model": tab.base,
        "adapters": [None, str(run.adapters)],
        "strengths": [1.0, 1.0],
    }
    assert len(worker.commands) == 1
    found = asked(worker)
    assert found["messages"] == ({"role": "user", "content": "Question 1?"},)
    assert (found["columns"], found["max_tokens"], found["temp"], found["seed"]) == ([0, 1], 256, 0.0, 0)
    assert [column.status for column in tab.columns] == ["Starting the worker…", "Waiting…"]
    worker.say(event.Progressed(phase="Loading the model"))
    assert [column.status for column in tab.columns] == ["Loading the model…", "Waiting…"]
    worker.say(event.Ready())
    assert [column.status for column in tab.columns] == ["Reading the prompt…", "Waiting…"]
    worker.say(
        event.Answered(request=1, column=0, text="A string "),
        event.Answered(request=1, column=0, text="instrument."),
        last(1, 0),
        event.Answered(request=1, column=1, text="♪ Hey ho!"),
    )
    assert [column.answer for column in tab.columns] == ["A string instrument.", "♪ Hey ho!"]
    worker.say(event.Progressed(phase="Drawing tokens"))
    assert tab.columns[1].status == "Answering…"
    assert tab.columns[0].status == "42 tokens · 85.3 tokens/s · first after 0.12 s"
    assert child(tab, QPushButton, "compare.stop").isVisible()
    worker.say(last(1, 1, finish_reason="length"))
    assert tab.columns[1].status.endswith("cut at the maximum")
    assert not child(tab, QPushButton, "compare.stop").isVisible()


def test_the_same_base_answers_again_and_another_adapter_is_loaded_into_it(
    answerer: Answerer, workers: list[FakeWorker]
) -> None:
    answerer.ask("/base", [None, "/a"], [QUESTION])
    workers[0].say(event.Ready(), last(1, 0), last(1, 1))
    answerer.ask("/base", [None, "/a"], [QUESTION])
    workers[0].say(last(2, 0), last(2, 1))
    answerer.ask("/base", [None, "/b"], [QUESTION])
    assert len(workers) == 1
    assert [type(command) for command in workers[0].commands] == [Ask, Ask, LoadAdapters, Ask]
    workers[0].say(last(3, 0), last(3, 1))
    answerer.ask("/other", [None, "/b"], [QUESTION])
    assert len(workers) == 2
    assert workers[0].killed
    answerer.stop()
    assert (workers[1].killed, answerer.is_busy) == (True, False), "it was loading still"
    answerer.stop()
    answerer.ask("/other", [None], [QUESTION])
    assert (len(workers), workers[2].killed, answerer.is_busy) == (3, False, True)


def test_a_base_with_other_files_is_loaded_anew(
    answerer: Answerer, workers: list[FakeWorker], tmp_path: Path
) -> None:
    """As of an export that was made again in its place: the worker has the one of before in its memory."""
    base = base_folder(tmp_path / "base")
    for _ in range(2):
        answerer.ask(str(base), [None], [QUESTION])
        workers[-1].say(event.Ready(), last(len(workers[-1].commands), 0))
    assert len(workers) == 1
    (base / "model.safetensors").write_bytes(b"others")
    answerer.ask(str(base), [None], [QUESTION])
    assert (len(workers), workers[0].killed) == (2, True)


def test_a_question_gives_up_the_one_before_it_and_what_that_still_says_is_not_told(
    qtbot: QtBot, answerer: Answerer, workers: list[FakeWorker]
) -> None:
    told: list[tuple[int, str]] = []
    answerer.answered.connect(lambda number, piece: told.append((number, piece.text)))
    answerer.ask("/base", [None], [QUESTION])
    workers[0].say(event.Ready())
    answerer.ask("/base", [None], [QUESTION, QUESTION])
    assert [type(command) for command in workers[0].commands] == [Ask, Stop, AskAll]
    for request in (1, 3, 2):
        workers[0].say(event.Answered(request=request, column=0, text=f"{request}"), last(request, 0))
    assert told == [(1, "3"), (1, ""), (0, "2"), (0, "")]
    assert not answerer.is_busy
    with qtbot.assertNotEmitted(answerer.failed):
        workers[0].end()
    answerer.ask("/base", [None], [QUESTION])
    with qtbot.waitSignal(answerer.failed) as said:
        workers[1].end(None, -9)
    assert said.args is not None
    assert said.args[0]
    assert not answerer.is_busy


def test_stop_ends_the_answer_and_while_loading_the_worker(
    tab: CompareTab, run: RunDir, answerer: Answerer, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    press(tab, "compare.stop")
    assert workers[0].killed
    assert not answerer.is_busy
    press(tab, "compare.ask")
    workers[1].say(event.Ready(), event.Answered(request=2, column=0, text="A str"))
    press(tab, "compare.stop")
    assert workers[1].commands[-1] == Stop()
    workers[1].say(last(2, 0, finish_reason="stopped"), last(2, 1, finish_reason="stopped", generation_tokens=0))
    assert tab.columns[0].status.endswith("stopped")
    assert answerer.is_loaded


def test_equal_answers_are_called_equal(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker], tmp_path: Path
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    for column in (0, 1):
        workers[0].say(event.Answered(request=1, column=column, text="The same."), last(1, column))
    assert note(tab) == "Both answers are the same, word for word."
    tab.add_column()
    tab.columns[2].chooser.choose_path(adapter_folder(tmp_path / "other", tab.base))
    press(tab, "compare.ask")
    for column in (0, 1, 2):
        workers[0].say(event.Answered(request=2, column=column, text="The same."), last(2, column))
    assert note(tab) == "All answers are the same, word for word."
    press(tab, "compare.ask")
    for column in (0, 1, 2):
        workers[0].say(event.Answered(request=3, column=column, text="The same."[: 3 + column]), last(3, column))
    assert note(tab) == ""


def test_an_adapter_that_does_not_fit_costs_only_its_column(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    workers[0].say(event.Ready(), event.Answered(request=1, column=0, text="Yes."), last(1, 0))
    workers[0].say(last(1, 1, finish_reason="unusable", message="The adapter has other shapes."))
    assert tab.columns[0].answer == "Yes."
    assert tab.columns[1].status == "The adapter has other shapes."
    figures = [child(tab, QLabel, f"answer.{at}.figures") for at in (0, 1)]
    assert [one.property("role") for one in figures] == ["small", "error"]


def test_a_worker_that_dies_is_told(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    workers[0].end(event.Failed(message="The model cannot be loaded."), 2)
    assert note(tab) == "The model cannot be loaded."
    assert child(tab, QPushButton, "compare.ask").isVisible()
    press(tab, "compare.ask")
    assert len(workers) == 2


def test_a_warning_of_the_worker_is_passed_on_while_it_answers(
    qtbot: QtBot, tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    tab.compare()
    long = event.Warned(message="The prompt has 70 tokens.", hint="Ask for less.")
    with qtbot.waitSignal(tab.warned) as said:
        workers[0].say(event.Ready(), long)
    assert said.args == ["The prompt has 70 tokens. Ask for less."]
    workers[0].say(last(1, 0), last(1, 1))
    with qtbot.assertNotEmitted(tab.warned):
        workers[0].say(long)


@pytest.mark.parametrize("begun, other", [("_benchmarks", "_figures"), ("_figures", "_benchmarks")])
def test_of_answers_figures_and_benchmarks_only_the_last_one_asked_for_has_the_memory(
    qtbot: QtBot, tab: CompareTab, run: RunDir, monkeypatch: pytest.MonkeyPatch, begun: str, other: str
) -> None:
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    monkeypatch.setattr("app.ui.benchmark.card.harness_problem", lambda: None)
    made = FakeWorker.made
    tab.choose_run(run)
    tab._benchmarks.tasks.setText("arc_easy")
    first, second = getattr(tab, begun), getattr(tab, other)
    tab.compare()
    assert (made[0].task, made[0].is_running) == ("generate", True)
    second.measure()
    assert (made[0].killed, tab.session.is_busy) == (True, False)
    qtbot.waitUntil(lambda: len(made) == 2)
    first.measure()
    assert (made[1].killed, second.is_busy, first.is_busy) == (True, False, True)
    assert note(tab) == "The figures are being measured. Compare when that has ended."
    assert tab._refusal() == "Wait for the figures, or stop them, to open another"
    tab.compare()
    assert not tab.session.is_busy
    first.stop()
    assert tab._refusal() == ""
    tab.set_training(True)
    first.measure()
    tab.set_training(True)
    assert first.is_busy, "what is measured beside the run is not ended by it"
    tab.set_training(False)
    tab.set_training(True)
    assert not first.is_busy
    assert note(tab) == ""


def test_a_base_that_is_gone_is_told_before_anything_starts(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    (run.adapters / "adapter_config.json").write_text(json.dumps({"model": "/gone"}))
    tab.choose_run(run)
    press(tab, "compare.ask")
    assert workers == []
    assert "/gone" in note(tab)


def test_training_takes_the_memory_back(
    tab: CompareTab, run: RunDir, answerer: Answerer, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    workers[0].say(event.Ready(), last(1, 0), last(1, 1))
    tab.set_training(True)
    assert not answerer.is_loaded
    assert workers[0].killed
    assert [column.status for column in tab.columns] == ["42 tokens · 85.3 tokens/s · first after 0.12 s"] * 2
    press(tab, "compare.ask")
    tab.set_training(True)  # as at every word of the run
    assert answerer.is_busy, "what is asked beside the run is not ended by it"
    workers[1].say(event.Ready(), last(2, 0), last(2, 1))
    tab.set_training(False)
    tab.set_training(True)
    assert not answerer.is_loaded


def test_an_idle_model_is_freed(qtbot: QtBot, workers: list[FakeWorker]) -> None:
    usual, answerer = Answerer(), Answerer(idle_ms=20)
    assert (usual._idle.interval(), answerer._idle.interval()) == (300_000, 20), "five minutes for people"
    answerer.ask("/base", [None], [QUESTION])
    qtbot.wait(40)
    assert answerer.is_loaded
    workers[0].say(event.Ready(), last(1, 0))
    answerer.ask("/base", [None], [QUESTION])
    qtbot.wait(40)
    assert answerer.is_loaded, "it is asked again"
    workers[0].say(last(2, 0))
    qtbot.waitUntil(lambda: not answerer.is_loaded)


def test_runs_are_named_as_people_remember_them() -> None:
    assert run_title("2026-11-21_14-05-09_friendly") == "friendly · 2026-11-21 14:05"
    assert run_title("my-folder") == "my-folder"


def test_a_run_of_another_base_brings_that_one(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker], tmp_path: Path
) -> None:
    tab.choose_run(run)
    base = base_folder(tmp_path / "another")
    tab.choose_adapter(adapter_folder(tmp_path / "adapter", base))
    assert (tab.base, note(tab), workers) == (str(base), "", [])
    tab.add_column()
    tab.columns[2].chooser.choose_path(run.adapters)
    assert tab.base == str(base), "beside another adapter the base stays"
    assert tab.columns[2].status.startswith("Trained on base")


def test_asking_moves_nothing(qtbot: QtBot, tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.resize(1000, 700)
    tab.choose_run(run)
    grid = child(tab, AnswerGrid)
    qtbot.waitUntil(lambda: grid.y() > 0)
    place = grid.mapTo(tab, grid.rect().topLeft())
    press(tab, "compare.ask")
    QTest.qWait(1)
    assert grid.mapTo(tab, grid.rect().topLeft()) == place
    workers[0].say(event.Ready(), last(1, 0), last(1, 1))
    QTest.qWait(1)
    assert grid.mapTo(tab, grid.rect().topLeft()) == place


def test_a_run_with_another_name_keeps_its_answers_and_votes(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    for column, text in enumerate(("One.", "Two.")):
        workers[0].say(event.Answered(request=1, column=column, text=text), last(1, column))
    press(tab, "judging.0")
    save_note(run, RunNote(name="The polite one"))
    tab.take_names()
    shown = tab.conversation
    assert shown is not None
    assert [one.label for one in shown.candidates if one is not None] == ["Base model", "The polite one"]
    assert [column.title for column in tab.columns] == ["Base model", "The polite one"]
    assert ([column.answer for column in tab.columns], shown.last.judged) == (["One.", "Two."], True)
    assert child(tab, QLabel, "judging.note").text().startswith("Kept: A is better.")
    assert [one.title for one in tab._figures._candidates] == ["Base model", "The polite one"]
