"""Sweeps in the window: the dialog that makes one, and the page that shows what it came to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QLabel, QLineEdit, QListWidget, QPushButton
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.model.adapter_file import ADAPTER_FILE
from app.core.model.inspection import Inspection
from app.core.protocol import event
from app.core.queue import sweep
from app.core.queue.queue import QueueEntry, RunQueue
from app.core.queue.sweep import SweepAxis
from app.ui.form.plain_editor import ChoiceBox
from app.ui.queue.session import QueueSession
from app.ui.queue.sweep_dialog import SweepDialog
from app.ui.queue.sweep_page import SweepPage
from app.ui.run.session import RunSession
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker
from tests.ui.synthetic_run import events

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


def test_a_page_that_nobody_sees_reads_nothing(page: SweepPage) -> None:
    assert page._live.isActive()
    page.hide()
    assert not page._live.isActive()
    page.show()
    assert page._live.isActive()
