"""Comparisons outlive the window, a crash and another choice: what was asked is there again, as it was left."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QAbstractButton, QApplication, QCheckBox, QLabel, QMenu, QMessageBox, QPushButton
from pytestqt.qtbot import QtBot

from app.core.compare.conversation import Conversation
from app.core.compare.judgement import VoteBook
from app.core.compare.kept_comparison import ComparisonHead, kept_comparison
from app.core.compare.shelf import ComparisonShelf
from app.core.protocol import event
from app.core.run.folder import RunDir
from app.ui.compare.answerer import Answerer
from app.ui.compare.tab import CompareTab
from app.ui.kept.earlier_button import FIRST_SHOWN, EarlierButton
from app.ui.kept.keeper import ComparisonKeeper
from tests.ui.child import child
from tests.ui.comparing import (
    adapter_folder,
    answer,
    answer_together,
    ask_held_out,
    asked,
    base_folder,
    note,
    press,
    run_with_checkpoints,
)
from tests.ui.fake_worker import FakeWorker

Opener = Callable[[], CompareTab]


@pytest.fixture
def opened(qtbot: QtBot, home: Path, workers: list[FakeWorker]) -> Iterator[Opener]:
    """Opens Compare as a window does at its start; one that was opened before is as dead as after a SIGKILL."""
    assert home.is_dir()
    assert workers == []
    answerers: list[Answerer] = []

    def open_tab() -> CompareTab:
        answerers.append(Answerer())
        tab = CompareTab(answerers[-1])
        qtbot.addWidget(tab)
        tab.resize(1000, 900)
        tab.show()
        qtbot.waitUntil(lambda: not tab.keeper.is_reading)
        return tab

    yield open_tab
    for answerer in answerers:
        answerer.shutdown()


@pytest.fixture
def tab(opened: Opener) -> CompareTab:
    return opened()


@pytest.fixture
def run(home: Path, tmp_path: Path) -> RunDir:
    return run_with_checkpoints(home / "data" / "runs", base_folder(tmp_path / "base"), questions=3)


@pytest.fixture
def other(tmp_path: Path, run: RunDir) -> Path:
    assert run.adapters.is_dir()
    return adapter_folder(tmp_path / "otherwise", tmp_path / "base")


@pytest.fixture
def swapped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "shuffle", lambda order: order.reverse())


def answers(tab: CompareTab) -> list[str]:
    return [column.answer for column in tab.columns]


def menu(tab: CompareTab) -> list[QAction]:
    """What the menu of earlier comparisons lists now."""
    button = child(tab, EarlierButton, "compare.earlier")
    button.menu_of_earlier.aboutToShow.emit()
    return button.menu_of_earlier.actions()


def parts(tab: CompareTab) -> list[QMenu]:
    """The menus within it."""
    return [one.menu() for one in menu(tab) if isinstance(one.menu(), QMenu)]  # type: ignore[misc]


def entries(tab: CompareTab) -> list[QAction]:
    return [one for one in menu(tab) if one.objectName().startswith("compare.earlier.2")]


def reopen(qtbot: QtBot, tab: CompareTab, place: int = 0) -> None:
    entries(tab)[place].trigger()
    qtbot.waitUntil(lambda: not tab.keeper.is_reading)


def on_disk(qtbot: QtBot, tab: CompareTab, text: str) -> None:
    """Waits until what the keeper does by itself has come to the disk."""
    path = tab.keeper.shelf.path_of(tab.keeper.key)
    qtbot.waitUntil(lambda: path.is_file() and text in path.read_text())


def test_it_comes_back_as_it_was_left_also_when_nobody_closed_it(
    qtbot: QtBot, opened: Opener, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab = opened()
    tab.choose_run(run)
    press(tab, "compare.add")
    tab.system.setText("Sing.")
    tab.question.sampler.show_settings({"temp": 0.7, "seed": 5})
    tab.prompt.setPlainText("What is a lute?")
    press(tab, "compare.ask")
    answer(workers[0], "one", "two", "**three**", tokens_per_second=85.3)
    tab.prompt.setPlainText("Why?")
    press(tab, "compare.ask")
    answer(workers[0], "four", "five", "six")
    press(tab, "compare.page.back")
    tab.prompt.setPlainText("Not yet asked")
    on_disk(qtbot, tab, "Not yet asked")
    again = opened()
    assert again.candidates == tab.candidates
    assert answers(again) == ["one", "two", "**three**"]
    assert [column.status for column in again.columns] == [column.status for column in tab.columns]
    assert (again.prompt.toPlainText(), again.system.text(), again.base) == ("Not yet asked", "Sing.", tab.base)
    assert (again.settings, again.settings["temp"], again.settings["seed"]) == (tab.settings, 0.7, 5)
    assert child(again, QLabel, "compare.page").text() == "Question 1 of 2"
    press(again, "compare.page.on")
    assert answers(again) == ["four", "five", "six"]
    press(again, "compare.follow_up")
    again.prompt.setPlainText("And now?")
    press(again, "compare.ask")
    third = [turn["content"] for turn in asked(workers[-1])["conversations"][2]]
    assert third == ["Sing.", "Why?", "six", "And now?"]


def test_columns_and_prompt_that_were_never_asked_come_back_too(
    qtbot: QtBot, opened: Opener, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab = opened()
    tab.choose_run(run)
    tab.prompt.setPlainText("A draft")
    on_disk(qtbot, tab, "A draft")
    again = opened()
    assert (again.candidates, again.prompt.toPlainText()) == (tab.candidates, "A draft")
    assert entries(again) == [], "a draft is no comparison"
    again.choose_run(run)
    again.keeper.flush()
    assert len(list(again.keeper.shelf.folder.glob("*.jsonl"))) == 1, "the draft before is taken away"
    assert workers == []


def test_what_was_being_answered_comes_back_as_stopped(
    qtbot: QtBot, opened: Opener, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab = opened()
    tab.choose_run(run)
    ask_held_out(tab)
    workers[0].say(event.Ready(), event.Answered(request=2, column=0, text="A str"))
    on_disk(qtbot, tab, "A str")
    again = opened()
    assert [page.last.prompt for page in again.session.pages] == ["Question 2?"]
    assert answers(again) == ["A str", ""]
    assert again.columns[0].status.endswith("stopped")
    assert child(again, QAbstractButton, "compare.ask").text() == "Compare 3 prompts", "the set is chosen still"


def test_a_window_that_closes_keeps_the_answer_in_progress(
    opened: Opener, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab = opened()
    tab.choose_run(run)
    press(tab, "compare.ask")
    workers[0].say(event.Ready(), event.Answered(request=1, column=0, text="A str"))
    tab._answerer.shutdown()
    tab.keeper.flush()
    assert answers(opened()) == ["A str", ""]


def test_another_run_loses_nothing(
    qtbot: QtBot, tab: CompareTab, run: RunDir, other: Path, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    candidates = tab.candidates
    tab.choose_adapter(other)
    assert (answers(tab), tab.candidates[1].adapter) == (["", ""], other)
    (entry,) = entries(tab)
    title = candidates[1].title
    assert entry.text().startswith(f"base · {title} against base · 1 prompt · Today ")
    entry.trigger()
    qtbot.waitUntil(lambda: not tab.keeper.is_reading)
    assert (answers(tab), tab.candidates) == (["one", "two"], candidates)
    assert entries(tab) == [], "what is shown is not earlier, and the other was never asked"
    tab.prompt.setPlainText("Why?")
    press(tab, "compare.ask")
    answer(workers[-1], "three", "four")
    assert len(tab.session.pages) == 2
    tab.choose_adapter(other)
    assert [one.text().split(" · ")[-2] for one in entries(tab)] == ["2 prompts"]


def test_answers_of_another_base_are_a_comparison_of_their_own(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker], tmp_path: Path
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    first, second = tab.base, str(base_folder(tmp_path / "another"))
    tab._base.choose(second)
    tab.keeper.flush()
    assert tab.keeper.shelf.heads()[0].base == first, "what is typed there has answered nothing yet"
    press(tab, "compare.ask")
    answer(workers[-1], "three", "four")
    assert [page.answers for page in tab.session.pages] == [["three", "four"]]
    tab.keeper.flush()
    (kept,) = tab.keeper.earlier()
    assert (kept.base, [page.answers for page in _pages(tab, kept.key)]) == (first, [["one", "two"]])
    assert tab.keeper.shelf.heads()[0].base == second


def test_the_same_run_again_leaves_its_answers_where_they_are(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    tab.choose_run(run)
    assert answers(tab) == ["one", "two"]
    assert entries(tab) == []


def test_another_run_in_mid_answer_keeps_what_was_said(
    qtbot: QtBot, tab: CompareTab, run: RunDir, other: Path, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    workers[0].say(event.Ready(), event.Answered(request=1, column=0, text="A str"))
    tab.choose_adapter(other)
    (entry,) = entries(tab)
    assert not entry.isEnabled(), "the worker has not heard yet"
    assert menu(tab)[0].text() == "Wait for the answers, or stop them, to open another"
    for column in (0, 1):
        workers[0].say(event.Answered(request=1, column=column, done=True, finish_reason="stopped"))
    reopen(qtbot, tab)
    assert answers(tab) == ["A str", ""]


def test_a_new_comparison_is_called_so_for_a_prompt_set_too_and_keeps_the_one_before(
    qtbot: QtBot, tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    ask_held_out(tab)
    answer_together(workers[0], ("a", "b"), ("c", "d"), ("e", "f"))
    assert child(tab, QPushButton, "compare.new").text() == "New comparison"
    press(tab, "compare.new")
    assert (tab.conversation, tab.prompt.toPlainText(), tab.prompt.isVisible()) == (None, "", True)
    assert [candidate.is_base for candidate in tab.candidates] == [True, False], "the columns stay"
    reopen(qtbot, tab)
    assert [page.answers for page in tab.session.pages] == [["a", "b"], ["c", "d"], ["e", "f"]]
    assert child(tab, QAbstractButton, "compare.ask").text() == "Compare 3 prompts"


def test_another_candidate_or_strength_in_a_column_and_its_removal_keep_what_it_said(
    tab: CompareTab, run: RunDir, other: Path, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.add")
    press(tab, "compare.ask")
    answer(workers[0], "one", "two", "three")
    tab.columns[2].chooser.choose_path(other)
    assert answers(tab) == ["one", "two", ""]
    tab.columns[2].chooser.choose_path(run.adapters)  # nothing is lost by this one
    assert len(entries(tab)) == 1
    press(tab, "answer.2.remove")
    assert len(entries(tab)) == 1
    tab.columns[1].strength.set_strength(0.5)
    tab.columns[1].strength.changed.emit()
    assert answers(tab) == ["one", ""]
    tab.keeper.flush()
    kept = {tuple(page.answers) for head in tab.keeper.earlier() for page in _pages(tab, head.key)}
    assert kept == {("one", "two", "three"), ("one", "two")}


def _pages(tab: CompareTab, key: str) -> tuple[Conversation, ...]:
    found = list(tab.keeper.shelf.read(key))[-1]
    assert found is not None
    return found.pages


@pytest.mark.usefixtures("swapped")
def test_a_blind_vote_stays_blind_and_is_given_once(opened: Opener, run: RunDir, workers: list[FakeWorker]) -> None:
    tab = opened()
    tab.choose_run(run)
    press(tab, "judging.blind")
    ask_held_out(tab)
    answer_together(workers[0], ("a", "b"), ("c", "d"), ("e", "f"))
    press(tab, "judging.tie")
    tab.keeper.flush()
    again = opened()
    assert child(again, QCheckBox, "judging.blind").isChecked()
    assert [again.columns[index].title for index in again._grid.order] == ["Answer A", "Answer B"]
    assert again._grid.order == tab._grid.order == (1, 0)
    assert not again.columns[0].chooser.isVisible()
    again.keeper._timer.blockSignals(True)  # it is killed before it writes again
    press(again, "judging.0")
    (first, second) = VoteBook().read().votes
    assert (first.outcome, second.outcome, second.winner, second.answers) == ("tie", "win", 1, ("c", "d"))
    assert second.blind
    # The page was not written as judged: the vote itself is on disk.
    third = opened()
    for choice, said in (
        ("judging.0", "Kept: A is better. A was friendly"),
        ("judging.tie", "Kept as a tie. A was"),
    ):
        assert child(third, QPushButton, choice).isChecked()
        assert child(third, QLabel, "judging.note").text().startswith(said)
        assert third.columns[0].title == "Base model"
        press(third, "compare.page.back")
    assert len(VoteBook().read().votes) == 2


def test_a_model_or_adapter_that_is_gone_is_said_and_its_answers_stay(
    qtbot: QtBot, opened: Opener, run: RunDir, other: Path, workers: list[FakeWorker]
) -> None:
    tab = opened()
    tab.choose_adapter(other)
    tab.prompt.setPlainText("Why?")
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    tab.keeper.flush()
    shutil.rmtree(other)
    again = opened()
    assert answers(again) == ["one", "two"]
    assert note(again) == f"otherwise is gone: {other} is not there any more."
    assert not child(again, QPushButton, "compare.ask").isEnabled()
    again.columns[1].chooser.choose_path(run.adapters)
    assert note(again) == ""
    assert child(again, QPushButton, "compare.ask").isEnabled()
    reopen(qtbot, again)
    assert again.columns[1].title == "otherwise"
    adapter_folder(other, run.path)
    shutil.rmtree(tab.base)
    again.hide()
    again.show()
    assert note(again).startswith("The base model is gone.")


@pytest.mark.parametrize("strength", [1.1e8, -1e14, 7])
def test_a_strength_beyond_the_slider_costs_no_answer(
    opened: Opener, run: RunDir, workers: list[FakeWorker], strength: float
) -> None:
    tab = opened()
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    tab.keeper.flush()
    path = tab.keeper.shelf.path_of(tab.keeper.key)
    head, *pages = path.read_text().splitlines()
    tree = json.loads(head)
    tree["columns"][1]["strength"] = strength
    path.write_text("\n".join([json.dumps(tree), *pages]) + "\n")
    again = opened()
    assert [column.answer for column in again.columns] == ["one", "two"]
    assert again.columns[1].strength.strength == (0.0 if strength < 0 else 1.5)
    again.keeper.flush()
    assert path.read_text().splitlines()[1:] == pages


def test_what_was_read_and_is_not_shown_is_not_written_over(
    qtbot: QtBot, opened: Opener, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab = opened()
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    tab.keeper.flush()
    path = tab.keeper.shelf.path_of(tab.keeper.key)
    whole = path.read_bytes()
    keeper = ComparisonKeeper(lambda: kept_comparison(ComparisonHead(base="/m"), ()))
    keeper.open(path.stem)
    qtbot.waitUntil(lambda: not keeper.is_reading)
    keeper.keep()
    keeper.flush()
    assert keeper.key != path.stem
    assert path.read_bytes() == whole


def test_a_damaged_file_is_said_and_left_as_it_is(
    qtbot: QtBot, opened: Opener, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab = opened()
    tab.choose_run(run)
    ask_held_out(tab)
    answer_together(workers[0], ("a", "b"), ("c", "d"), ("e", "f"))
    tab.keeper.flush()
    path = tab.keeper.shelf.path_of(tab.keeper.key)
    whole = path.read_bytes()
    cut = whole[:-30]
    path.write_bytes(cut)
    told: list[str] = []
    again = CompareTab(tab._answerer)
    qtbot.addWidget(again)
    again.warned.connect(told.append)
    qtbot.waitUntil(lambda: not again.keeper.is_reading)
    assert told == ["Left out, since it cannot be read: 1 question."]
    assert [page.answers for page in again.session.pages] == [["a", "b"], ["c", "d"]]
    again.prompt.setPlainText("Something new")
    again.keeper.flush()
    assert path.read_bytes() == cut, "what can no longer be read here may be read elsewhere"
    assert again.keeper.shelf.shown == again.keeper.key != path.stem
    path.write_bytes(b"\xff\xff")
    (tab.keeper.shelf.folder / "shown").write_text(path.stem)
    third = opened()
    assert "damaged" in note(third)
    assert third.session.pages == []
    broken = next(one for one in entries(third) if path.stem in one.text())
    assert not broken.isEnabled()
    assert "cannot be read" in broken.text()


def test_a_comparison_is_deleted_after_a_question(
    tab: CompareTab,
    run: RunDir,
    other: Path,
    workers: list[FakeWorker],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    tab.choose_adapter(other)
    pressed = ["Cancel", "Delete"]

    def execute(box: QMessageBox) -> int:
        assert "against base · 1 prompt" in box.informativeText()
        next(one for one in box.buttons() if one.text() == pressed[0]).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", execute)
    for left in (1, 0):
        (removal,) = [part for part in parts(tab) if part.menuAction().objectName() == "compare.earlier.delete"]
        removal.actions()[0].trigger()
        assert len(entries(tab)) == left
        pressed.pop(0)
    assert menu(tab)[0].text().startswith("None yet")


def test_a_long_list_has_its_older_part_in_a_menu_of_its_own(
    tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    tab.keeper.flush()
    kept = tab.keeper.shelf.path_of(tab.keeper.key).read_bytes()
    for number in range(FIRST_SHOWN + 3):
        tab.keeper.shelf.path_of(f"2026-01-01_{number}").write_bytes(kept)
    assert len(entries(tab)) == FIRST_SHOWN
    (older,) = [part for part in parts(tab) if part.title() == "Older"]
    assert len(older.actions()) == 3


def test_a_disk_that_cannot_be_written_is_told_once_and_holds_nothing_up(
    qtbot: QtBot, tab: CompareTab, run: RunDir, workers: list[FakeWorker]
) -> None:
    tab.keeper.shelf.folder.parent.mkdir(parents=True, exist_ok=True)
    tab.keeper.shelf.folder.write_text("a file where the folder should be")
    told: list[str] = []
    tab.warned.connect(told.append)
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    qtbot.waitUntil(lambda: len(told) == 1)
    assert told[0].startswith("The comparison could not be kept: ")
    tab.prompt.setPlainText("Again")
    tab.keeper.flush()
    assert answers(tab) == ["one", "two"]
    tab.keeper.shelf.folder.unlink()
    tab.prompt.setPlainText("And again")
    tab.keeper.flush()
    assert json.loads(tab.keeper.shelf.path_of(tab.keeper.key).read_text().splitlines()[0])["asked"] == 1
    assert len(told) == 1


def test_what_did_not_change_is_not_written_again(tab: CompareTab, run: RunDir, workers: list[FakeWorker]) -> None:
    tab.choose_run(run)
    press(tab, "compare.ask")
    answer(workers[0], "one", "two")
    tab.keeper.flush()
    path = tab.keeper.shelf.path_of(tab.keeper.key)
    before = path.stat().st_mtime_ns
    tab.refresh_runs()
    tab.keeper.flush()
    assert path.stat().st_mtime_ns == before
    assert ComparisonShelf().shown == tab.keeper.key


def test_the_button_opens_the_menu_below_itself(tab: CompareTab) -> None:
    press(tab, "compare.earlier")
    shown = QApplication.activePopupWidget()
    assert shown is child(tab, EarlierButton, "compare.earlier").menu_of_earlier
    shown.close()
