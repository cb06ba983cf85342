"""The columns of the Compare tab: choosing, adding, removing, dropping, marking; and what each is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics, QGuiApplication, QTextOption
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QAbstractButton,
    QCheckBox,
    QComboBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QSlider,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.core.compare.candidate import Candidate
from app.core.protocol import event
from app.core.protocol.command import LoadAdapters
from app.core.protocol.job import GenerateJob, read_job
from app.core.run.folder import RunDir
from app.ui.compare.answer_column import figures_text
from app.ui.compare.answerer import Answerer
from app.ui.compare.tab import CompareTab
from app.ui.widget import theme
from tests.ui.child import child
from tests.ui.comparing import (
    adapter_folder,
    answer,
    ask_held_out,
    asked,
    asked_together,
    base_folder,
    note,
    press,
    run_with_checkpoints,
)
from tests.ui.dragging import drag_away, drag_over, drop
from tests.ui.fake_worker import FakeWorker

HOSTILE = [
    'say "hi"',
    "{x} {{y}} {% z %}",
    "🎻🎶",
    "a\x00b",
    "'; import os",
    "non\u00a0breaking",
    "x" * 100_000,
    "a\nb\tc",
]


@pytest.fixture
def tab(qtbot: QtBot, home: Path, workers: list[FakeWorker]) -> Iterator[CompareTab]:
    assert home.is_dir()
    assert workers == []
    answerer = Answerer()
    found = CompareTab(answerer)
    qtbot.addWidget(found)
    found.resize(1000, 800)
    found.show()
    yield found
    answerer.shutdown()


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return base_folder(tmp_path / "base")


@pytest.fixture
def run(home: Path, base: Path) -> RunDir:
    return run_with_checkpoints(home / "data" / "runs", base, questions=3)


def pick(tab: CompareTab, column: int, part: str, text: str) -> None:
    """Chooses from a column's list as a person does."""
    box = child(tab, QComboBox, f"answer.{column}.{part}")
    index = box.findText(text)
    assert index >= 0, [box.itemText(i) for i in range(box.count())]
    box.setCurrentIndex(index)
    box.activated.emit(index)


def test_up_to_four_columns_each_with_a_checkpoint_of_its_own(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.add")
    press(tab, "compare.add")
    add = child(tab, QAbstractButton, "compare.add")
    assert (add.isEnabled(), add.toolTip()) == (False, "There are 4 columns, which is the most")
    tab.add_column()
    assert len(tab.columns) == 4
    pick(tab, 2, "checkpoint", "Best")
    pick(tab, 3, "checkpoint", "At 100")
    press(tab, "compare.ask")
    job = json.loads((workers[0].job_dir / "job.json").read_text())
    files = [run.adapters, run.best, run.adapters / "0000100_adapters.safetensors"]
    assert job["adapters"] == [None, *map(str, files)]
    assert [candidate.adapter for candidate in tab.candidates] == [None, *files]
    assert asked(workers[0])["columns"] == [0, 1, 2, 3]


def test_a_column_is_removed_and_the_others_keep_their_answers(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    assert not tab.columns[0].remove.isVisible()
    press(tab, "compare.add")
    press(tab, "compare.ask")
    answer(workers[0], "one", "two", "three")
    press(tab, "answer.1.remove")
    assert [column.answer for column in tab.columns] == ["one", "three"]
    assert [column.objectName() for column in tab.columns] == ["answer.0", "answer.1"]
    assert not tab.columns[0].remove.isVisible()


def test_another_choice_empties_its_own_column_only(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    pick(tab, 1, "checkpoint", "Best")
    assert [column.answer for column in tab.columns] == ["one", ""]
    assert tab.columns[1].status == ""


def test_every_run_is_listed_once_it_was_looked_for(qtbot: QtBot, tab: CompareTab, run: RunDir) -> None:
    tab.refresh_runs()
    box = child(tab, QComboBox, "answer.1.candidate")
    qtbot.waitUntil(lambda: box.count() == 3)
    names = [box.itemText(index).split(" · ")[0] for index in range(3)]
    assert names == ["Base model", "Browse for a folder…", "friendly"]
    tab.choose_run(run)
    tab.refresh_runs()
    qtbot.wait(20)
    assert (box.count(), box.currentIndex()) == (3, 2)


@pytest.mark.parametrize("weights", ["adapters.safetensors", "adapter_model.safetensors"])
def test_a_folder_dropped_on_a_column_answers_there(
    tab: CompareTab, base: Path, tmp_path: Path, weights: str
) -> None:
    folder = adapter_folder(tmp_path / "mine", base, weights)
    assert drop(tab.columns[1], folder)
    assert (tab.adapter, tab.base) == (folder, str(base))
    assert child(tab, QComboBox, "answer.1.candidate").currentText() == "mine"
    assert tab.columns[1].property("drop") == ""
    assert not drop(tab.columns[1], base), "a model is nothing for a column"
    assert not drop(tab.columns[0], folder, folder), "of several nobody said which"
    tab.columns[1].set_letter("B", hidden=True)
    assert not drop(tab.columns[1], folder), "who answers is hidden"


def test_a_folder_is_browsed_for(
    tab: CompareTab, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = adapter_folder(tmp_path / "mine", base)
    chosen, started = ["", str(folder), ""], list[tuple[str, str]]()

    def ask(_parent: QWidget, title: str, at: str) -> str:
        started.append((title, at))
        return chosen.pop(0)

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", ask)
    pick(tab, 1, "candidate", "Browse for a folder…")
    assert (tab.adapter, child(tab, QComboBox, "answer.1.candidate").currentIndex()) == (None, -1)
    pick(tab, 1, "candidate", "Browse for a folder…")
    assert tab.adapter == folder
    pick(tab, 1, "candidate", "Browse for a folder…")
    assert (tab.adapter, child(tab, QComboBox, "answer.1.candidate").currentText()) == (folder, "mine")
    assert started[0] == ("Adapter folder (mlx-lm or PEFT)", str(Path.home()))
    assert started[2][1] == str(tmp_path), "where it lies"


def test_opening_the_list_looks_for_runs_that_came_since(
    qtbot: QtBot, tab: CompareTab, home: Path, base: Path
) -> None:
    box = child(tab, QComboBox, "answer.1.candidate")
    qtbot.waitUntil(lambda: not tab.columns[1].chooser._list._work.is_busy)
    assert box.count() == 2
    run = run_with_checkpoints(home / "data" / "runs", base, questions=1)
    box.showPopup()
    qtbot.waitUntil(lambda: box.count() == 3)
    assert box.itemData(2).adapter == run.adapters
    view = box.view()
    assert view.isVisible()
    letters = QFontMetrics(theme.ui_font())
    assert view.sizeHintForColumn(0) > letters.horizontalAdvance("A run with a name of some length")
    assert view.visualRect(view.model().index(2, 0)).height() >= letters.height() + 8
    box.hidePopup()
    tab.choose_run(run)
    checkpoints = child(tab, QComboBox, "answer.1.checkpoint")
    before = [checkpoints.itemText(at) for at in range(checkpoints.count())]
    (run.adapters / "0000300_adapters.safetensors").write_bytes(b"")
    checkpoints.showPopup()
    now = [checkpoints.itemText(at) for at in range(checkpoints.count())]
    checkpoints.hidePopup()
    assert ("At 200" in before, "At 200" in now) == (False, True), "it is the last one no more"
    assert checkpoints.currentText() == "Kept: best"


def test_files_that_are_dragged_away_leave_no_mark(tab: CompareTab, base: Path, tmp_path: Path) -> None:
    folder = adapter_folder(tmp_path / "mine", base)
    column = tab.columns[1]
    carried = drag_over(column, folder)
    assert column.property("drop") == "true"
    drag_away(column)
    assert not column.property("drop")
    del carried


def test_an_answer_is_copied_by_its_button(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.choose_run(run)
    copy = child(tab, QAbstractButton, "answer.1.copy")
    assert not copy.isEnabled()
    tab.prompt.setPlainText("What is a lute?")
    press(tab, "compare.ask")
    answer(workers[0], "A **box**.", "A *lute* \n is.")
    QGuiApplication.clipboard().setText("before")
    press(tab, "answer.1.copy")
    assert QGuiApplication.clipboard().text() == "A *lute* \n is."
    press(tab, "answer.0.copy")
    assert QGuiApplication.clipboard().text() == "A **box**."


def test_a_second_adapter_of_another_base_says_so_and_leaves_the_base(
    tab: CompareTab, run: RunDir, base: Path, tmp_path: Path
) -> None:
    tab.choose_run(run)
    press(tab, "compare.add")
    assert drop(tab.columns[2], adapter_folder(tmp_path / "other", "/models/strange"))
    assert tab.base == str(base)
    assert tab.columns[2].status == "Trained on strange; the base here is base."


def test_a_follow_up_gives_each_column_its_own_answers(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    tab.system.setText("Sing.")
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    press(tab, "compare.follow_up")
    tab.prompt.setPlainText("Why?")
    press(tab, "compare.ask")
    sent = asked(workers[0])
    assert [[turn["content"] for turn in turns] for turns in sent["conversations"]] == [
        ["Sing.", "Question 1?", "one", "Why?"],
        ["Sing.", "Question 1?", "two", "Why?"],
    ]
    answer(workers[0], "three", "four")
    assert tab.prompt.toPlainText() == ""
    text = tab.columns[0].view.toPlainText()
    assert [text.index(words) for words in ("Question 1?", "one", "Why?", "three")] == sorted(
        text.index(words) for words in ("Question 1?", "one", "Why?", "three")
    )
    tab.prompt.setPlainText("And now?")
    press(tab, "compare.ask")
    answer(workers[0], "five", "")
    assert tab.prompt.toPlainText() == "And now?", "to be asked again"
    press(tab, "compare.ask")
    second = [turn["content"] for turn in asked(workers[0])["conversations"][1]]
    asked_before = ["Sing.", "Question 1?", "two", "Why?", "four"]
    assert second == [*asked_before, "And now?"], "a turn without an answer is left out"


def test_a_prompt_that_nobody_heard_is_not_kept(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    press(tab, "compare.stop")
    assert tab.conversation is None
    press(tab, "compare.ask")
    answer(workers[1], "one", "two")
    press(tab, "compare.follow_up")
    tab.prompt.setPlainText("Why?")
    press(tab, "compare.ask")
    workers[1].end(event.Failed(message="It died."), 1)
    assert tab.conversation is not None
    assert [turn.prompt for turn in tab.conversation.turns] == ["Question 1?"]
    assert [column.answer for column in tab.columns] == ["one", "two"]
    assert tab.prompt.toPlainText() == "Why?"


def test_without_follow_up_every_prompt_is_asked_on_its_own_and_can_be_looked_at_again(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    tab.prompt.setPlainText("Why?")
    press(tab, "compare.ask")
    assert (asked(workers[0])["messages"], asked(workers[0])["conversations"]) == (
        ({"role": "user", "content": "Why?"},),
        (),
    )
    answer(workers[0], "three", "four")
    assert child(tab, QLabel, "compare.page").text() == "Question 2 of 2"
    press(tab, "compare.page.back")
    assert [column.answer for column in tab.columns] == ["one", "two"]
    press(tab, "compare.new")
    assert [column.answer for column in tab.columns] == ["", ""]
    assert tab.conversation is None


def test_a_file_of_prompts_is_asked_together_and_every_page_is_there(
    qtbot: QtBot, tab: CompareTab, run: RunDir, workers: list[FakeWorker], tmp_path: Path
) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"prompt": "a"}\n{"prompt": "b"}\n{"prompt": "c"}\n')
    tab.choose_run(run)
    assert drop(tab.question, path)
    ask = child(tab, QAbstractButton, "compare.ask")
    qtbot.waitUntil(lambda: ask.text() == "Compare 3 prompts")
    press(tab, "compare.ask")
    sent = asked_together(workers[0])
    assert [one["messages"][-1]["content"] for one in sent] == ["a", "b", "c"]
    assert child(tab, QLabel, "compare.page").text() == "Question 1 of 3"
    assert note(tab) == "0 of 6 answers"
    workers[0].say(event.Ready())
    for one in reversed(sent):
        workers[0].say(event.Answered(request=one["request"], column=0, text=f"{one['request']}"))
    assert [column.answer for column in tab.columns] == ["1", ""]
    workers[0].say(event.Answered(request=1, column=0, done=True, finish_reason="stop", together=3))
    assert note(tab) == "1 of 6 answers"
    press(tab, "compare.page.on")
    assert [column.answer for column in tab.columns] == ["2", ""]
    assert [column.status for column in tab.columns] == ["Answering…", "Waiting…"]
    workers[0].say(event.Answered(request=2, column=0, text=" and more"))
    workers[0].say(event.Answered(request=3, column=0, text=" of another page"))
    qtbot.waitUntil(lambda: tab.columns[0].view.toPlainText() == "2 and more")
    for request, column in ((2, 0), (3, 0), (1, 1), (2, 1)):
        workers[0].say(event.Answered(request=request, column=column, text="!"))
        workers[0].say(event.Answered(request=request, column=column, done=True, finish_reason="stop"))
    assert tab.session.is_busy
    assert child(tab, QLabel, "compare.page").text() == "Question 2 of 3", "nobody but the reader turns the page"
    workers[0].say(event.Answered(request=3, column=1, text="c2"))
    workers[0].say(event.Answered(request=3, column=1, done=True, finish_reason="stop"))
    assert not tab.session.is_busy
    press(tab, "compare.page.on")
    assert [column.answer for column in tab.columns] == ["3 of another page!", "c2"]
    assert child(tab, QLabel, "compare.page.prompt").text() == "c"
    press(tab, "compare.set.clear")
    assert ask.text() == "Compare"


def test_a_page_of_a_set_is_whole_before_the_set_is(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.differences")
    ask_held_out(tab)
    workers[0].say(event.Ready())
    for column, text in enumerate(("A lute.", "A fine lute.")):
        workers[0].say(event.Answered(request=1, column=column, text=text))
        workers[0].say(event.Answered(request=1, column=column, done=True, finish_reason="stop"))
    assert tab.columns[1].view.marked == ["fine"]
    assert tab.session.is_busy


def test_stop_ends_the_whole_set(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.choose_run(run)
    ask_held_out(tab)
    workers[0].say(event.Ready(), event.Answered(request=2, column=0, text="one"))
    press(tab, "compare.stop")
    for request in (1, 2, 3):
        for column in (0, 1):
            workers[0].say(event.Answered(request=request, column=column, done=True, finish_reason="stopped"))
    assert not tab.session.is_busy
    assert [page.last.prompt for page in tab.session.pages] == ["Question 2?"]
    assert tab.columns[0].answer == "one"
    assert tab.columns[0].status.endswith("stopped")


def test_a_worker_that_dies_ends_the_whole_set(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.choose_run(run)
    ask_held_out(tab)
    workers[0].end(event.Failed(message="The model cannot be loaded."), 2)
    assert not tab.session.is_busy
    assert len(workers) == 1
    assert note(tab) == "The model cannot be loaded."


def test_a_set_that_cannot_be_read_is_told_with_its_line(
    qtbot: QtBot, tab: CompareTab, run: RunDir, tmp_path: Path
) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"prompt": "a"}\n{"text": "b"}\n')
    tab.choose_run(run)
    assert drop(tab.question, path)
    qtbot.waitUntil(lambda: "no prompt" in note(tab))
    assert "set.jsonl:2" in note(tab)
    assert tab.prompt.isVisible()


def test_the_set_is_chosen_from_the_menu_of_its_button(
    qtbot: QtBot, tab: CompareTab, run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text('{"prompt": "a"}\n{"prompt": "b"}\n')
    chosen = ["", str(path)]
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (chosen.pop(0), ""))
    button, menu = child(tab, QAbstractButton, "compare.set"), tab.question.menu

    def opened() -> list[tuple[str, bool]]:
        press(tab, "compare.set")
        assert menu.isVisible()
        assert menu.y() == button.mapToGlobal(button.rect().bottomLeft()).y()
        return [(action.text(), action.isEnabled()) for action in menu.actions()]

    def pick(at: int) -> None:
        menu.setActiveAction(menu.actions()[at])
        QTest.keyClick(menu, Qt.Key.Key_Return)
        assert not menu.isVisible()

    assert opened() == [("The run's held-out questions: none", False), ("A file of prompts…", True)]
    pick(1)
    assert tab.question.prompt_set == []
    opened()
    pick(1)
    qtbot.waitUntil(lambda: len(tab.question.prompt_set) == 2)
    name = child(tab, QLabel, "compare.set.name")
    assert (name.text(), name.toolTip()) == ("set.jsonl · 2 prompts", str(path))
    tab.choose_run(run)
    assert opened() == [("The run's held-out questions (3)", True), ("A file of prompts…", True)]
    pick(0)
    assert [one.text for one in tab.question.prompt_set] == ["Question 1?", "Question 2?", "Question 3?"]


def test_a_word_of_pages_that_is_pasted_is_broken_anywhere(tab: CompareTab) -> None:
    modes = []
    for text in ("a short text", "x" * 20_000, "short again"):
        QGuiApplication.clipboard().setText(text)
        tab.prompt.selectAll()
        tab.prompt.paste()
        assert tab.prompt.toPlainText() == text
        modes.append(tab.prompt.wordWrapMode())
    wrap = QTextOption.WrapMode
    assert modes == [wrap.WrapAtWordBoundaryOrAnywhere, wrap.WrapAnywhere, wrap.WrapAtWordBoundaryOrAnywhere]


@pytest.mark.parametrize(
    "field, typed, sent",
    [
        ("max_tokens", "17", 17),
        ("temp", "0.7", 0.7),
        ("top_p", "0.9", 0.9),
        ("top_k", "40", 40),
        ("min_p", "0.05", 0.05),
        ("repetition_penalty", "1.1", 1.1),
        ("seed", "7", 7),
    ],
)
def test_every_field_of_the_sampler_reaches_the_worker(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker], field: str, typed: str, sent: float
) -> None:
    tab.choose_run(run)
    tab.question.more.open()
    box = child(tab, QWidget, f"compare.{field}")
    line = child(box, QLineEdit)
    line.selectAll()
    QTest.keyClicks(line, typed)
    press(tab, "compare.ask")
    assert asked(workers[0])[field] == sent
    answer(workers[0], "one", "two")
    line.selectAll()
    QTest.keyClicks(line, "-1")
    assert note(tab).endswith("out of its range.")


def test_the_strength_of_a_column_reaches_the_worker_and_stands_under_its_answer(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    assert not tab.columns[0].strength.isVisible()  # the base has none
    slider = child(tab, QSlider, "answer.1.strength")
    press(tab, "compare.ask")
    job = read_job(workers[0].job_dir)
    assert isinstance(job, GenerateJob)
    assert job.strengths == (1.0, 1.0)
    answer(workers[0], "one", "two")
    slider.setFocus()
    for _ in range(5):
        QTest.keyClick(slider, Qt.Key.Key_Left)
    assert tab.columns[1].answer == ""  # another strength has answered nothing yet
    assert tab.columns[0].answer == "one"
    assert tab.candidates[1].title.endswith(" × 0.75")
    press(tab, "compare.ask")
    load = next(command for command in reversed(workers[0].commands) if isinstance(command, LoadAdapters))
    assert load.strengths == (1.0, 0.75)
    answer(workers[0], "one", "three")
    assert tab.columns[1].status.startswith("0.75 × strength · ")
    assert tab.columns[1].title.endswith(" × 0.75")
    pick(tab, 1, "checkpoint", "At 100")  # the strength stays with the column
    assert tab.candidates[1].strength == 0.75


def test_a_strength_on_the_way_is_not_chosen(tab: CompareTab, run: RunDir) -> None:
    tab.choose_run(run)
    told: list[float] = []
    strength = tab.columns[1].strength
    strength.changed.connect(lambda: told.append(strength.strength))
    strength.slider.setSliderDown(True)
    for value in (19, 15, 10):
        strength.slider.setValue(value)
    assert told == []
    strength.slider.setSliderDown(False)
    assert told == [0.5]


def test_a_penalty_of_one_is_none(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    assert asked(workers[0])["repetition_penalty"] is None


@pytest.mark.parametrize("prompt", HOSTILE)
def test_whatever_is_in_a_prompt_it_is_just_a_prompt(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker], prompt: str
) -> None:
    tab.choose_run(run)
    tab.prompt.setPlainText(prompt)
    press(tab, "compare.ask")
    assert asked(workers[0])["messages"] == ({"role": "user", "content": prompt},)
    answer(workers[0], prompt, prompt)
    assert tab.columns[1].answer == prompt


def test_words_in_which_answers_differ_are_marked(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.choose_run(run)
    press(tab, "compare.differences")
    press(tab, "compare.ask")
    answer(workers[0], "A **lute** is old.", "A lute is *very* old!")
    assert [column.view.marked for column in tab.columns] == [["."], ["very", "!"]]
    press(tab, "compare.plain")
    assert tab.columns[1].view.toPlainText() == "A lute is *very* old!"
    press(tab, "compare.differences")
    assert [column.view.marked for column in tab.columns] == [[], []]


def test_of_more_columns_all_are_compared_with_the_first(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.add")
    press(tab, "compare.ask")
    answer(workers[0], "A lute.", "A fine lute.", "A fine old lute.")
    press(tab, "compare.differences")
    assert [column.view.marked for column in tab.columns] == [[], ["fine"], ["fine old"]]


def test_figures_stand_under_each_answer(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two", tokens_per_second=85.3, first_token_s=0.12, peak_memory_gb=1.21)
    assert tab.columns[0].status == "3 tokens · 85.3 tokens/s · first after 0.12 s · peak 1.21\u00a0GB"
    for figures, strength, said in (
        ({"generation_tokens": 1, "finish_reason": "stop"}, 1.0, "1 token"),
        ({"finish_reason": "length"}, 0.5, "0.5 × strength · 0 tokens · cut at the maximum"),
        ({"tokens_per_second": 9.04, "together": 2}, 1.0, "0 tokens · 9.0 tokens/s beside 1 other"),
        ({"tokens_per_second": 9.04, "together": 3}, 1.0, "0 tokens · 9.0 tokens/s beside 2 others"),
        ({"first_token_s": 9.994, "finish_reason": "stopped"}, 1.0, "0 tokens · first after 9.99 s · stopped"),
        ({"first_token_s": 10.0, "finish_reason": "other"}, 1.0, "0 tokens · first after 10\u00a0s · other"),
    ):
        piece = event.Answered(request=1, column=0, done=True).model_copy(update=figures)
        assert figures_text(piece, strength) == said


def test_nothing_can_be_changed_while_columns_answer(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    names = ("compare.add", "answer.0.candidate", "answer.1.checkpoint", "answer.1.strength", "answer.1.remove",
             "compare.base")  # fmt: skip
    add = child(tab, QWidget, "compare.add")

    def usable() -> list[str]:
        return [name for name in names if child(tab, QWidget, name).isEnabled()]

    assert (usable(), add.toolTip()) == ([], "Wait for the answers")
    tab.add_column()
    assert len(tab.columns) == 2
    answer(workers[0], "one", "two")
    assert (usable(), add.toolTip()) == ([*names], "Compare one more adapter or checkpoint")


@pytest.mark.parametrize("width", [640, 700, 1040, 1500])
def test_every_column_fits_at_every_width(tab: CompareTab, run: RunDir, width: int) -> None:
    tab.choose_run(run)
    tab.add_column()
    tab.add_column()
    tab.resize(width, 700)
    QTest.qWait(1)
    page = child(tab, QWidget, "page")
    assert page.width() <= tab.width()
    for column in tab.columns:
        assert column.mapTo(page, column.rect().topRight()).x() < page.width()


def caption(widget: QWidget) -> str:
    """What a button or a line says by itself."""
    return widget.text() if isinstance(widget, QAbstractButton | QLineEdit) else ""


def test_every_control_has_a_name_and_says_what_it_does(tab: CompareTab, run: RunDir) -> None:
    tab.choose_run(run)
    tab.add_column()
    tab.question.more.open()
    kinds = (QAbstractButton, QComboBox, QLineEdit, QPlainTextEdit)
    named = [w for w in tab.findChildren(QWidget) if isinstance(w, kinds) and not w.objectName().startswith("qt_")]
    for widget in named:
        assert widget.objectName(), widget
        assert widget.accessibleName() or caption(widget), widget.objectName()
        if widget.objectName() != "compare.more":
            assert widget.toolTip() or caption(widget), widget.objectName()


def test_the_question_that_was_answered_stands_above_its_answers_whatever_is_typed_since(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    above = child(tab, QLabel, "compare.page.prompt")
    assert not above.isVisible()
    tab.prompt.setPlainText("What is the capital\nof Sweden?")
    press(tab, "compare.ask")
    answer(workers[0], "Stockholm.", "Hey ho!")
    press(tab, "compare.held_out")
    assert tab.prompt.toPlainText() != "What is the capital\nof Sweden?"
    assert (above.isVisible(), above.text()) == (True, "What is the capital of Sweden?")
    child(tab, QCheckBox, "compare.follow_up").setChecked(True)
    tab.prompt.setPlainText("And of Norway?")
    press(tab, "compare.ask")
    answer(workers[0], "Oslo.", "Ho!")
    assert above.text() == "And of Norway?"
    tab.prompt.setPlainText("a " * 200)
    press(tab, "compare.ask")
    assert above.text() == ("a " * 150).strip(), "what stands in one line is cut"
    answer(workers[0], "One.", "Two.")
    press(tab, "compare.new")
    assert (above.isVisible(), above.text()) == (False, "")


def test_a_new_column_is_no_copy_of_one_that_has_another_name_by_now(tab: CompareTab, run: RunDir) -> None:
    tab.choose_run(run)
    tab.columns[1].set_candidate(Candidate("as it was called", run.adapters, run.path))
    press(tab, "compare.add")
    added = tab.columns[2].candidate
    assert added is not None
    assert added.adapter == run.best


def test_a_new_column_is_for_other_weights_of_a_run_and_no_folder_that_was_chosen_once(
    tab: CompareTab, base: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        tab.columns[1].chooser.choose_path(adapter_folder(tmp_path / name, base))
    press(tab, "compare.add")
    assert (tab.columns[2].candidate, note(tab)) == (None, "Choose an adapter: a run of yours, or a folder.")
