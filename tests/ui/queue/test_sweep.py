"""Sweeps in the window: the dialog that makes one, and the page that shows what it came to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyqtgraph as pg
import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFont, QIcon
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel, QLineEdit, QListWidget, QPushButton
from pytestqt.qtbot import QtBot

from app.core.config.spec import field_specs
from app.core.config.train_config import TrainConfig
from app.core.model.adapter_file import ADAPTER_FILE
from app.core.model.inspection import Inspection
from app.core.problem import Problem
from app.core.protocol import event
from app.core.queue import sweep
from app.core.queue.queue import EntryState, QueueEntry, RunQueue, make_entry
from app.core.queue.sweep import SweepAxis, SweepResult
from app.core.run.folder import RunDir
from app.core.run.reader import RunReader
from app.core.run.summary import RunSummary, summary_of
from app.ui.form.plain_editor import ChoiceBox
from app.ui.queue.session import QueueSession
from app.ui.queue.sweep_chart import SweepChart
from app.ui.queue.sweep_dialog import SweepDialog
from app.ui.queue.sweep_page import SweepPage, verdict
from app.ui.queue.sweep_table import SweepTable
from app.ui.run.session import RunSession
from app.ui.runs.table import dot
from app.ui.widget import theme
from app.ui.widget.table import ALIGN_LEFT, ALIGN_RIGHT
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker
from tests.ui.synthetic_run import events, report

BASE = TrainConfig(model="/m", data="/d", adapter_name="friendly", epochs=None, iters=100)


@pytest.fixture
def dialog(qtbot: QtBot) -> SweepDialog:
    return make_dialog(qtbot, BASE)


def make_dialog(qtbot: QtBot, config: TrainConfig, inspection: Inspection | None = None) -> SweepDialog:
    found = SweepDialog(config, inspection, run_s=lambda _config, iterations: iterations / 10)
    qtbot.addWidget(found)
    found.show()
    return found


def type_values(qtbot: QtBot, dialog: SweepDialog, row: int, text: str) -> None:
    line = child(dialog, QLineEdit, f"sweep.{row}.values")
    line.clear()
    QTest.keyClicks(line, text)
    qtbot.waitUntil(lambda: not dialog.is_busy)


def label(dialog: SweepDialog, name: str) -> str:
    return child(dialog, QLabel, name).text()


def test_it_counts_runs_iterations_and_time(qtbot: QtBot, dialog: SweepDialog) -> None:
    qtbot.waitUntil(lambda: not dialog.is_busy)
    assert label(dialog, "sweep.count") == "3 runs"
    assert (
        label(dialog, "sweep.total")
        == "300 iterations in all · about 30\u00a0s, going by what was measured on this machine"
    )
    QTest.mouseClick(child(dialog, QPushButton, "sweep.add"), Qt.MouseButton.LeftButton)
    dialog.rows[1].choose("learning_rate")
    type_values(qtbot, dialog, 1, "1e-4, 1e-3")
    assert label(dialog, "sweep.count") == "6 runs"
    shown = child(dialog, QListWidget, "sweep.variants")
    assert [shown.item(row).text() for row in (0, 5)] == ["rank 8, lr 1e-4", "rank 32, lr 0.001"]
    queue = child(dialog, QPushButton, "sweep.queue")
    assert (queue.isEnabled(), queue.text()) == (True, "Queue 6 runs")

    with qtbot.waitSignal(dialog.queued) as queued:
        QTest.mouseClick(queue, Qt.MouseButton.LeftButton)
    assert queued.args is not None
    entries: list[QueueEntry] = queued.args[0]
    assert [one.name for one in entries][:2] == ["friendly_rank8_lr1e-4", "friendly_rank8_lr0.001"]
    assert len({one.sweep for one in entries}) == 1
    assert {one.sweep_name for one in entries} == {"friendly over LoRA rank × Learning rate"}
    assert entries[5].load() == BASE.with_values(
        {"lora_parameters.rank": 32, "learning_rate": 1e-3, "adapter_name": "friendly_rank32_lr0.001"}
    )


def test_what_cannot_be_read_is_said_below_its_line(qtbot: QtBot, dialog: SweepDialog) -> None:
    type_values(qtbot, dialog, 0, "8, x")
    problem = child(dialog, QLabel, "sweep.0.problem")
    assert problem.isVisible()
    assert "“x” is not a whole number" in problem.text()
    assert not child(dialog, QPushButton, "sweep.queue").isEnabled()
    type_values(qtbot, dialog, 0, "8, 16")
    assert not problem.isVisible()
    assert child(dialog, QPushButton, "sweep.queue").isEnabled()


def test_at_most_three_fields_each_another_one(qtbot: QtBot, dialog: SweepDialog) -> None:
    dialog.add_row()
    dialog.add_row()
    add = child(dialog, QPushButton, "sweep.add")
    assert (add.isEnabled(), add.toolTip()) == (False, "A sweep has at most 3 fields")
    assert len({row.field.value() for row in dialog.rows}) == 3
    QTest.mouseClick(dialog.rows[1].remove, Qt.MouseButton.LeftButton)
    assert len(dialog.rows) == 2
    assert add.isEnabled()
    dialog.rows[1].choose("lora_parameters.rank", "1, 2")
    qtbot.waitUntil(lambda: not dialog.is_busy)
    assert "given twice" in label(dialog, "sweep.problems")


def names_of(dialog: SweepDialog) -> list[tuple[str, str]]:
    """What each row is called, by whoever looks for its parts and to whoever hears them."""
    return [(row.values.objectName(), row.field.accessibleName()) for row in dialog.rows]


def test_rows_are_called_by_their_places_and_a_new_one_needs_values_first(
    qtbot: QtBot, dialog: SweepDialog
) -> None:
    add, queue = child(dialog, QPushButton, "sweep.add"), child(dialog, QPushButton, "sweep.queue")
    qtbot.waitUntil(lambda: queue.isEnabled())
    assert dialog.rows[0].remove.isHidden(), "one field is needed"
    add.click()
    assert (queue.isEnabled(), queue.toolTip()) == (False, "Every field needs values that it takes.")
    assert (label(dialog, "sweep.count"), label(dialog, "sweep.total")) == ("–", queue.toolTip())
    assert child(dialog, QListWidget, "sweep.variants").count() == 0
    assert label(dialog, "sweep.1.problem") == "", "nothing was typed yet"
    add.click()
    assert (add.isEnabled(), add.toolTip()) == (False, "A sweep has at most 3 fields")
    dialog.rows[1].remove.click()
    assert (add.isEnabled(), add.toolTip()) == (True, "Vary one more field")
    add.click()
    assert names_of(dialog) == [(f"sweep.{place}.values", f"Field {place + 1}") for place in range(3)]
    assert dialog.rows[2].values.accessibleName() == "Values of field 3"
    for row in dialog.rows[1:]:
        row.remove.click()
    qtbot.waitUntil(lambda: queue.isEnabled())
    assert (dialog.rows[0].remove.isHidden(), queue.toolTip()) == (True, "Put all of them into the queue")


def test_a_field_says_what_it_is_and_what_could_be_typed(qtbot: QtBot) -> None:
    full = make_dialog(qtbot, BASE.with_value("fine_tune_type", "full"))
    [row] = full.rows
    assert (row.field.value(), row.values.text()) == ("seed", "0, 1, 2")
    row.choose("learning_rate")
    assert (row.values.text(), row.values.placeholderText()) == ("", "1e-4, 3e-4, 1e-3")
    assert row.field.toolTip() == field_specs()["learning_rate"].help
    assert (row.axis, row.problem.text(), row.values.property("problem") or "") == (None, "", "")
    row.values.setText("a, 1e-3, b, c")
    takes = "Learning rate takes more than 0, at most 1,000,000."
    assert row.problem.text() == f"“a” is not a number. {takes} “b” is not a number. {takes}"
    assert (row.axis, row.values.property("problem"), row.problem.isHidden()) == (None, "error", False)
    row.values.setText("1e-3; 1e-4")
    assert row.axis == SweepAxis("learning_rate", (1e-3, 1e-4))
    assert (row.values.property("problem"), row.problem.isHidden()) == ("", True)


def test_each_variant_shows_whether_it_can_run_and_the_sum_what_is_known(qtbot: QtBot) -> None:
    bad = SweepDialog(BASE.with_values({"data": "", "model": ""}))
    qtbot.addWidget(bad)
    bad.rows[0].choose("seed", "1, 2")
    qtbot.waitUntil(lambda: not bad.is_busy)
    shown = child(bad, QListWidget, "sweep.variants")
    told = shown.item(0).toolTip()
    assert "No training data is chosen." in told
    assert shown.item(1).data(Qt.ItemDataRole.AccessibleTextRole) == f"seed 2: {told}"
    picture = theme.icon("ph.x-circle", theme.colors().error).pixmap(16).toImage()
    assert shown.item(0).icon().pixmap(16).toImage() == picture
    assert label(bad, "sweep.total") == "200 iterations in all", "how long an iteration takes is not known"
    queue = child(bad, QPushButton, "sweep.queue")
    assert (queue.text(), queue.toolTip()) == ("Queue 2 runs", "Something stands in the way: see above")
    good = make_dialog(qtbot, BASE.with_value("epochs", 2.0))
    qtbot.waitUntil(lambda: not good.is_busy)
    assert (label(good, "sweep.count"), label(good, "sweep.total")) == ("3 runs", "one after the other")
    first = child(good, QListWidget, "sweep.variants").item(0)
    assert first.data(Qt.ItemDataRole.AccessibleTextRole) == "rank 8: can run"
    assert first.toolTip() == "friendly_rank8"
    picture = theme.icon("ph.check-circle", theme.colors().good).pixmap(16).toImage()
    assert first.icon().pixmap(16).toImage() == picture


def test_of_many_problems_three_are_named(dialog: SweepDialog) -> None:
    text = child(dialog, QLabel, "sweep.problems")
    assert text.isHidden()
    dialog._show_problems([Problem("seed", f"No {number}.", hint="Why?") for number in range(3)])
    assert text.text() == "No 0. Why?\nNo 1. Why?\nNo 2. Why?"
    dialog._show_problems([Problem("seed", f"No {number}.") for number in range(5)])
    assert (text.text(), text.isHidden()) == ("No 0.\nNo 1.\nNo 2.\n… and 2 more", False)


def test_return_queues_what_is_shown_not_what_was_there_before_it_was_typed(
    qtbot: QtBot, dialog: SweepDialog
) -> None:
    queue, line = child(dialog, QPushButton, "sweep.queue"), child(dialog, QLineEdit, "sweep.0.values")
    qtbot.waitUntil(lambda: queue.isEnabled())
    line.setFocus()
    with qtbot.assertNotEmitted(dialog.queued):
        line.end(False)
        QTest.keyClicks(line, ",")
        line.insert("64")
        QTest.keyClick(line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: queue.text() == "Queue 4 runs" and queue.isEnabled())
    with qtbot.waitSignal(dialog.queued) as queued:
        QTest.keyClick(line, Qt.Key.Key_Return)
    assert queued.args is not None
    assert len(queued.args[0]) == 4


def test_cancelling_queues_nothing(qtbot: QtBot, dialog: SweepDialog) -> None:
    qtbot.waitUntil(lambda: not dialog.is_busy)
    with qtbot.assertNotEmitted(dialog.queued):
        child(dialog, QPushButton, "sweep.cancel").click()
    assert not dialog.isVisible()


def test_every_variant_is_checked_and_errors_hold_all_back(qtbot: QtBot) -> None:
    found = make_dialog(qtbot, BASE)
    found.rows[0].choose("batch_size", "1, 2")
    qtbot.waitUntil(lambda: not found.is_busy)
    assert child(found, QPushButton, "sweep.queue").isEnabled()
    bad = make_dialog(qtbot, BASE.with_value("data", ""))
    qtbot.waitUntil(lambda: not bad.is_busy)
    assert "No training data is chosen." in label(bad, "sweep.problems")
    queue = child(bad, QPushButton, "sweep.queue")
    assert not queue.isEnabled()
    assert "stands in the way" in queue.toolTip()


def test_controls_have_names_and_tips(dialog: SweepDialog) -> None:
    for button in dialog.findChildren(QAbstractButton):
        if button.objectName().startswith("sweep."):
            assert button.toolTip() or button.text(), button.objectName()
            assert button.accessibleName() or button.text(), button.objectName()
    assert dialog.rows[0].field.accessibleName() == "Field 1"


# -- results -------------------------------------------------------------------------------------------------


@pytest.fixture
def queue(qapp: object, workers: list[FakeWorker]) -> Iterator[QueueSession]:
    assert qapp
    assert workers == []
    session = RunSession()
    found = QueueSession(session, session)
    yield found
    found.leave()
    session.deleteLater()


@pytest.fixture
def page(qtbot: QtBot, queue: QueueSession) -> SweepPage:
    found = SweepPage(queue)
    qtbot.addWidget(found)
    found.resize(640, 600)
    found.show()
    return found


def add_sweep(queue: QueueSession, *axes: SweepAxis) -> None:
    assert queue.add(sweep.entries(sweep.expand(BASE, axes), sweep.sweep_name(BASE, axes)))


def train_next(queue: QueueSession, loss: float | None) -> None:
    """One run that comes to this loss; without one it fails."""
    disk = RunQueue(queue.queue.folder)
    claim = disk.claim()
    assert claim is not None
    found = list(events(200))
    lines = [event.Failed(message="Out of memory.")] if loss is None else found
    text = [
        (event.Validated(iteration=100, val_loss=loss or 0, best=True) if isinstance(e, event.Validated) else e)
        for e in lines
    ]
    claim.run.events.write_text("".join(f"{e.to_line()}\n" for e in text))
    claim.run.adapters.mkdir()
    (claim.run.adapters / ADAPTER_FILE).write_bytes(b"0")
    disk.settle(claim.entry.id, "failed" if loss is None else "done", "Out of memory." if loss is None else "")
    queue.refresh()


def cells(page: SweepPage, column: int) -> list[str]:
    table = page.table
    return [str(table.data(table.index(row, column))) for row in range(table.rowCount())]


def settle(qtbot: QtBot, page: SweepPage) -> None:
    page.refresh()
    qtbot.waitUntil(lambda: not page.is_busy)


def test_the_table_and_the_chart_grow_as_runs_end(qtbot: QtBot, queue: QueueSession, page: SweepPage) -> None:
    assert child(page, QLabel, "sweep.empty").isVisible()
    add_sweep(queue, SweepAxis("lora_parameters.rank", (16, 8)), SweepAxis("learning_rate", (1e-4, 1e-3)))
    settle(qtbot, page)
    assert cells(page, 0) == ["16", "16", "8", "8"]
    assert cells(page, 2) == ["Waiting"] * 4
    assert page.chart.points() == {"lr 1e-4": [], "lr 0.001": []}
    assert label_of(page) == "0 of 4 runs have ended"

    for loss in (1.5, None, 1.25):
        train_next(queue, loss)
    settle(qtbot, page)
    assert cells(page, 0) == ["16", "16", "8", "8"]
    assert cells(page, 2) == ["Finished", "Failed", "Finished", "Waiting"]
    assert cells(page, 3) == ["1.500", "–", "1.250", "–"]
    assert cells(page, 4)[0] == "1,823"
    assert cells(page, 5)[0] == "1.23\u00a0GB"
    assert page.chart.points() == {"lr 1e-4": [("8", 1.25), ("16", 1.5)], "lr 0.001": []}
    assert label_of(page) == "3 of 4 runs have ended · Best so far: rank 8, lr 1e-4"
    train_next(queue, 1.0)
    settle(qtbot, page)
    assert label_of(page).endswith("Best: rank 8, lr 0.001")
    assert page.chart._plot.getViewBox().state["mouseEnabled"] == [False, False], "the wheel scrolls the page"


def label_of(page: SweepPage) -> str:
    return child(page, QLabel, "sweep.verdict").text()


def test_sorting_by_loss_leaves_the_unmeasured_last(qtbot: QtBot, queue: QueueSession, page: SweepPage) -> None:
    add_sweep(queue, SweepAxis("seed", (1, 2, 3, 4)))
    for loss in (2.0, None, 1.0):
        train_next(queue, loss)
    settle(qtbot, page)
    page.view.sortByColumn(2, Qt.SortOrder.AscendingOrder)
    assert cells(page, 0) == ["3", "1", "2", "4"]
    page.view.sortByColumn(2, Qt.SortOrder.DescendingOrder)
    assert cells(page, 0) == ["1", "3", "2", "4"]


def test_the_best_run_is_shown_and_a_sweep_outlives_the_cleared_list(
    qtbot: QtBot, queue: QueueSession, page: SweepPage
) -> None:
    add_sweep(queue, SweepAxis("targets", ("full", "attention")))
    train_next(queue, 2.0)
    train_next(queue, 1.0)
    queue.clear()
    assert queue.state.shown == []
    settle(qtbot, page)
    with qtbot.waitSignal(page.open_requested) as opened:
        QTest.mouseClick(child(page, QPushButton, "sweep.show"), Qt.MouseButton.LeftButton)
    assert opened.args == [Path(queue.state.entries[1].run)]
    page.view.selectRow(0)
    with qtbot.waitSignal(page.open_requested) as opened:
        QTest.mouseClick(child(page, QPushButton, "sweep.show"), Qt.MouseButton.LeftButton)
    assert opened.args == [Path(queue.state.entries[0].run)]

    add_sweep(queue, SweepAxis("seed", (1, 2)))
    settle(qtbot, page)
    assert page.sweep == queue.state.entries[0].sweep, "what was looked at stays"
    QTest.mouseClick(child(page, QAbstractButton, "sweep.forget"), Qt.MouseButton.LeftButton)
    settle(qtbot, page)
    assert cells(page, 0) == ["1", "2"]


def test_another_sweep_is_chosen_from_the_list_and_begins_in_its_own_order(
    qtbot: QtBot, queue: QueueSession, page: SweepPage
) -> None:
    add_sweep(queue, SweepAxis("seed", (3, 1, 2)))
    add_sweep(queue, SweepAxis("lora_parameters.rank", (16, 8)))
    settle(qtbot, page)
    assert cells(page, 0) == ["3", "1", "2"], "what was shown before there was another"
    page.view.sortByColumn(0, Qt.SortOrder.AscendingOrder)
    assert cells(page, 0) == ["1", "2", "3"]
    qtbot.keyClick(child(page, ChoiceBox, "sweep.choice"), Qt.Key.Key_Up)
    qtbot.waitUntil(lambda: not page.is_busy)
    assert cells(page, 0) == ["16", "8"]
    assert label_of(page) == "0 of 2 runs have ended"
    qtbot.keyClick(child(page, ChoiceBox, "sweep.choice"), Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: not page.is_busy)
    assert cells(page, 0) == ["3", "1", "2"]


def test_a_double_click_on_a_line_shows_its_run(qtbot: QtBot, queue: QueueSession, page: SweepPage) -> None:
    add_sweep(queue, SweepAxis("seed", (1, 2, 3)))
    train_next(queue, 2.0)
    train_next(queue, 1.0)
    settle(qtbot, page)
    page.view.sortByColumn(2, Qt.SortOrder.AscendingOrder)
    assert cells(page, 0) == ["2", "1", "3"]
    opened: list[Path] = []
    page.open_requested.connect(opened.append)
    for row in range(3):
        page.view.activated.emit(page.table.index(row, 0))
    runs = [Path(one.run) for one in queue.state.entries[:2]]
    assert opened == [runs[1], runs[0]], "the third has none yet"


def test_a_page_that_nobody_sees_reads_nothing(qtbot: QtBot, queue: QueueSession, page: SweepPage) -> None:
    add_sweep(queue, SweepAxis("seed", (1, 2)))
    settle(qtbot, page)
    assert page._live.isActive()
    page.hide()
    assert not page._live.isActive()
    train_next(queue, 2.0)
    assert not page.is_busy
    page.show()
    assert (page._live.isActive(), page.is_busy) == (True, True)
    qtbot.waitUntil(lambda: not page.is_busy)
    assert cells(page, 2) == ["2.000", "–"]


def test_what_changes_while_it_is_read_is_read_afterwards_and_what_has_ended_once(
    qtbot: QtBot, queue: QueueSession, page: SweepPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    class Counted(RunReader):
        """A reader that is counted."""

        def __init__(self, run: RunDir) -> None:
            super().__init__(run)
            read.append(run.name)

    monkeypatch.setattr("app.ui.queue.sweep_page.RunReader", Counted)
    opened: list[Path] = []
    page.open_requested.connect(opened.append)
    add_sweep(queue, SweepAxis("seed", (1, 2)))
    settle(qtbot, page)
    child(page, QPushButton, "sweep.show").click()
    assert opened == [], "none has a run yet"
    train_next(queue, 2.0)
    assert page.is_busy
    train_next(queue, 1.0)
    qtbot.waitUntil(lambda: not page.is_busy)
    assert cells(page, 2) == ["2.000", "1.000"]
    assert (len(read), page._readers) == (2, {})
    settle(qtbot, page)
    assert len(read) == 2, "they have ended"
    add_sweep(queue, SweepAxis("lora_parameters.rank", (16, 8)))
    choice = child(page, ChoiceBox, "sweep.choice")
    assert [choice.itemText(place) for place in range(choice.count())] == [
        "friendly over LoRA rank", "friendly over Seed",
    ]  # fmt: skip
    assert choice.currentIndex() == 1, "what was looked at stays"


def test_a_run_whose_folder_is_gone_keeps_its_line_and_one_that_trains_is_read_on(
    qtbot: QtBot, queue: QueueSession, page: SweepPage
) -> None:
    add_sweep(queue, SweepAxis("seed", (1, 2)))
    train_next(queue, 2.0)
    gone = Path(queue.state.entries[0].run)
    (gone / "events.jsonl").unlink()
    (gone / "events.jsonl").mkdir()
    claim = RunQueue(queue.queue.folder).claim()
    assert claim is not None
    claim.run.events.write_text("".join(f"{one.to_line()}\n" for one in events(200, until=100, ending="")))
    queue.refresh()
    settle(qtbot, page)
    first = cells(page, 3)
    assert (cells(page, 1), cells(page, 2)[0], first[0]) == (["Finished", "Training"], "–", "–")
    assert first[1] == "1,823"
    more = report(125, [0.5] * 25).model_copy(update={"tokens_per_second": 2000.0})
    with claim.run.events.open("a") as file:
        file.write(f"{more.to_line()}\n")
    page._live.timeout.emit()
    qtbot.waitUntil(lambda: not page.is_busy)
    assert cells(page, 3) == ["–", "2,000"]


def summary(loss: float) -> RunSummary:
    """That of a run of which nothing else is known, but a speed and a memory that follow from the loss."""
    empty = summary_of(RunReader(RunDir(Path("/nowhere"))))
    return replace(empty, trained_val_loss=loss, tokens_per_second=loss * 100, peak_memory_gb=loss)


def results(*found: tuple[EntryState, float | None], axes: int = 1) -> list[SweepResult]:
    """Variants over one field or two, in these states, each with its best loss."""
    made = []
    for place, (state, loss) in enumerate(found):
        values: dict[str, Any] = {"seed": (3, 1, 2)[place % 3]}
        if axes > 1:
            values["learning_rate"] = (1e-4, 1e-3)[place // 3]
        entry = make_entry(BASE.with_value("adapter_name", f"v{place}"), sweep="1", values=values)
        told = "Out of memory." if state == "failed" else ""
        known = summary(loss) if loss is not None else None
        made.append(SweepResult(entry.model_copy(update={"state": state, "message": told}), known))
    return made


@pytest.mark.parametrize(
    "found, said",
    [
        ([("done", 2.0), ("waiting", None)], "1 of 2 runs has ended · Best so far: seed 3"),
        ([("done", 2.0), ("failed", None)], "2 of 2 runs have ended · Best: seed 3"),
        ([("waiting", None)], "0 of 1 run have ended"),
    ],
)
def test_the_verdict_says_how_far_it_is_and_which_is_best(
    found: list[tuple[EntryState, float | None]], said: str
) -> None:
    assert verdict(results(*found)) == said


def test_the_verdict_says_that_the_runs_saw_different_data() -> None:
    first, second, third = results(("done", 2.0), ("done", 1.5), ("waiting", None))
    trained = [
        replace(one, entry=one.entry.model_copy(update={"trained_data": data}))
        for one, data in zip((first, second, third), ("a", "b", ""), strict=True)
    ]
    said = "2 of 3 runs have ended · the data was changed in between · Best so far: seed 1"
    assert verdict(trained) == said
    assert verdict([trained[0], trained[2]]) == "1 of 2 runs has ended · Best so far: seed 3"


def test_the_best_line_stands_out_and_each_says_what_became_of_it(qapp: object) -> None:
    assert qapp is not None
    table, c = SweepTable(), theme.colors()
    shown = results(("done", 2.0), ("failed", None), ("done", 0.0))
    table.show(shown)
    titles = [table.headerData(column, Qt.Orientation.Horizontal) for column in range(table.columnCount())]
    assert titles == ["Seed", "State", "Best loss", "Tokens/s", "Peak memory", "Time"]

    def row(number: int, role: Qt.ItemDataRole = Qt.ItemDataRole.DisplayRole) -> list[Any]:
        return [table.data(table.index(number, column), role) for column in range(6)]

    assert [row(number) for number in range(3)] == [
        ["3", "Finished", "2.000", "200", "2\u00a0GB", "–"],
        ["1", "Failed", "–", "–", "–", "–"],
        ["2", "Finished", "0.000", "–", "–", "–"],
    ]
    assert row(1, Qt.ItemDataRole.ToolTipRole) == ["v1", "Out of memory.", "v1", "v1", "v1", "v1"]
    assert row(0, Qt.ItemDataRole.ToolTipRole) == ["v0"] * 6
    assert table.best is shown[2]
    star, *rest = row(2, Qt.ItemDataRole.DecorationRole)
    assert star.pixmap(16).toImage() == theme.icon("ph.star-fill", c.good).pixmap(16).toImage()
    assert [one is not None for one in rest] == [True, False, False, False, False]
    for number, color in enumerate((c.good, c.error)):
        decorated = row(number, Qt.ItemDataRole.DecorationRole)
        assert decorated[1].pixmap(16).toImage() == QIcon(dot(color)).pixmap(16).toImage()
        assert decorated[0] is None
    assert [one.name() for one in row(2, Qt.ItemDataRole.BackgroundRole)] == [c.good_soft] * 6
    assert {one.weight() for one in row(2, Qt.ItemDataRole.FontRole)} == {QFont.Weight.DemiBold}
    for number in (0, 1):
        assert row(number, Qt.ItemDataRole.BackgroundRole) + row(number, Qt.ItemDataRole.FontRole) == [None] * 12
    alignments = row(0, Qt.ItemDataRole.TextAlignmentRole)
    assert alignments == [ALIGN_LEFT] * 2 + [ALIGN_RIGHT] * 4
    for column, order in ((0, "321"), (1, "321"), (2, "321"), (3, "312")):
        table.sort(-1)
        table.show(shown)
        table.sort(column, Qt.SortOrder.DescendingOrder)
        assert "".join(row(number)[0] for number in range(3)) == order
    table.sort(1)
    assert [row(number)[1] for number in range(3)] == ["Failed", "Finished", "Finished"]
    table.sort(9)
    told: list[str] = []
    table.modelReset.connect(lambda: told.append("reset"))
    table.dataChanged.connect(lambda *_: told.append("changed"))
    table.show(shown)
    assert ([row(number)[0] for number in range(3)], told) == (["3", "1", "2"], ["changed"])
    table.show(shown[:2])
    assert (table.best, told) == (shown[0], ["changed", "reset"])


def test_the_chart_has_a_colour_and_a_sign_for_each_value_of_the_other_fields(qtbot: QtBot) -> None:
    chart = SweepChart()
    qtbot.addWidget(chart)
    legend = child(chart, QLabel, "sweep_chart.legend")
    assert (chart.points(), legend.isHidden()) == ({}, True)
    chart.show_results(results(("done", 2.0), ("failed", None), ("done", 1.0)))
    assert chart.points() == {"": [("2", 1.0), ("3", 2.0)]}
    assert legend.isHidden(), "there is only one"
    bottom = chart._plot.getAxis("bottom")
    assert (bottom._tickLevels, bottom.labelText) == ([[(0, "1"), (1, "2"), (2, "3")]], "Seed")
    assert chart._plot.getAxis("left").labelText == "Best loss"
    assert chart._plot.getViewBox().viewRange()[0] == [-0.35, 2.35]
    [ring] = [one for one in chart._plot.items if type(one) is pg.ScatterPlotItem]
    assert [one.tolist() for one in ring.getData()] == [[1], [1.0]]
    twice: list[tuple[EntryState, float | None]] = [("done", 2.0), ("done", 3.0), ("waiting", None)] * 2
    chart.show_results(results(*twice, axes=2))
    c = theme.colors()
    assert legend.text() == (
        f"<span style='color:{c.series[0]}'>●</span>&nbsp;lr&nbsp;1e-4&nbsp;&nbsp; "
        f"<span style='color:{c.series[1]}'>▲</span>&nbsp;lr&nbsp;0.001"
    )
    assert not legend.isHidden()
    drawn = [one for one in chart._plot.items if isinstance(one, pg.PlotDataItem)]
    assert [one.opts["symbol"] for one in drawn] == ["o", "t1"]
    assert [one.opts["symbolBrush"].color().name() for one in drawn] == list(c.series[:2])
    assert [[part.tolist() for part in one.getData()] for one in drawn] == [[[0, 2], [3.0, 2.0]]] * 2
    chart.show_results(results(("failed", None)))
    assert [one for one in chart._plot.items if type(one) is pg.ScatterPlotItem] == []
    chart.show_results([])
    assert (list(chart._plot.items), legend.isHidden()) == ([], True)
