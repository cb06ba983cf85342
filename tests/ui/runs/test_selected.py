"""What is shown of the selected runs: facts and notes of one, the curves and the differences of several."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QFocusEvent, QIcon
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QCheckBox,
    QLabel,
    QLineEdit,
    QListWidget,
    QPlainTextEdit,
    QStackedWidget,
    QTabBar,
    QTableView,
    QToolButton,
)
from pytestqt.qtbot import QtBot

from app.core.protocol import event
from app.core.run.history import RunHistory
from app.core.run.summary import RunSummary, summarize
from app.ui.runs.detail import RunDetail
from app.ui.runs.overlay import OverlayRun, RunOverlay
from app.ui.runs.selected_runs import SelectedRuns
from app.ui.runs.table import DOT
from app.ui.widget import theme
from app.ui.widget.plot import mark_picture
from tests.ui import synthetic_run
from tests.ui.child import child
from tests.ui.runs.test_cells import bare, made
from tests.ui.runs.test_tab import make_run


def history(*more: event.Event, losses: tuple[float, ...] = (4.0, 2.0)) -> RunHistory:
    found = RunHistory()
    found.feed(event.Started(iterations=10, iterations_per_epoch=5, train_examples=5, valid_examples=1))
    if losses:
        found.feed(synthetic_run.report(len(losses), list(losses), 10))
    for one in more:
        found.feed(one)
    return found


def drawn(item: object) -> list[list[float]]:
    """The points of a curve; none where there is nothing."""
    x, y = item.getOriginalDataset()  # type: ignore[attr-defined]
    return [[], []] if x is None else [list(x), list(y)]


@pytest.fixture
def overlay(qtbot: QtBot) -> RunOverlay:
    found = RunOverlay()
    qtbot.addWidget(found)
    found.view.set_smoothing(0)
    return found


def settled(qtbot: QtBot, overlay: RunOverlay) -> None:
    qtbot.waitUntil(lambda: not overlay.is_busy)


def test_a_run_has_a_line_points_of_its_validations_and_squares_of_what_it_forgot(
    qtbot: QtBot, overlay: RunOverlay
) -> None:
    valid = event.Validated(iteration=2, val_loss=3.0)
    forgot = event.NeutralMeasured(iteration=2, neutral_loss=2.5, base_loss=2.0, forgot=0.5)
    lost = history(valid, forgot, losses=(4.0, np.inf))
    untrained = history(event.Validated(iteration=0, val_loss=5.0), losses=())
    overlay.show_runs([OverlayRun("a", "a", lost, "DPO"), OverlayRun("b", "b", untrained, "DPO")])
    settled(qtbot, overlay)
    assert [[drawn(item) for item in entry] for entry in overlay._entries] == [
        [[[1, 2], [4.0, pytest.approx(np.nan, nan_ok=True)]], [[2], [3.0]], [[], []]],
        [[[], []], [[0], [5.0]], [[], []]],
    ]
    changed: list[int] = []
    overlay.view_changed.connect(lambda: changed.append(1))
    child(overlay, QCheckBox, "overlay_forgot").click()
    child(overlay, QCheckBox, "overlay_validation").click()
    settled(qtbot, overlay)
    assert changed == [1, 1]
    assert [drawn(item) for item in overlay._entries[0][1:]] == [[[], []], [[2], [0.5]]]
    assert drawn(overlay._entries[1][1]) == [[0], [5.0]], "nothing else is known of it"
    overlay.view.set_smoothing(0.5)
    settled(qtbot, overlay)
    overlay.show_runs([OverlayRun("b", "b", history(losses=(4.0, 2.0)), "DPO")])
    settled(qtbot, overlay)
    assert overlay.curves()["b"][1].tolist() == pytest.approx([4.0, 8 / 3])
    overlay.show_runs([])
    settled(qtbot, overlay)
    assert (overlay.curves(), overlay.shows_rewards, len(overlay._plot.listDataItems())) == ({}, False, 0)


def pen(line: object) -> tuple[str, int, float, Qt.PenStyle]:
    found = line.opts["pen"]  # type: ignore[attr-defined]
    return found.color().name(), found.color().alpha(), found.widthF(), found.style()


def test_each_run_has_its_colour_dash_and_mark_and_one_that_is_chosen_stands_out(
    qtbot: QtBot, overlay: RunOverlay
) -> None:
    runs = [OverlayRun(f"{place}", f"run {place}", history(), "supervised") for place in range(10)]
    legend, series = child(overlay, QListWidget, "overlay_legend"), theme.colors().series
    overlay.show_runs(runs[:1])
    assert legend.isHidden(), "one alone needs none"
    overlay.show_runs(runs[:3])
    assert not legend.isHidden()
    ratio = overlay.devicePixelRatioF()
    assert {pen(line)[2] for line, *_ in overlay._entries} == {2 * ratio}, "few are drawn wide"
    overlay.show_runs(runs)
    settled(qtbot, overlay)
    solid, dash = Qt.PenStyle.SolidLine, Qt.PenStyle.DashLine
    colors = [series[place % len(series)] for place in range(10)]
    assert [pen(line) for line, *_ in overlay._entries] == [
        (color, 255, ratio, solid if place < len(series) else dash) for place, color in enumerate(colors)
    ]
    marks = ["o", "t1", "d", "star", "t"] * 2
    assert [[item.opts["symbol"] for item in entry[1:]] for entry in overlay._entries] == [[m, "s"] for m in marks]
    for place, (_, *points) in enumerate(overlay._entries):
        for item in points:
            assert pen(item) == (colors[place], 255, ratio, Qt.PenStyle.DotLine)
            assert item.opts["symbolBrush"].color().name() == colors[place]
    names = [legend.item(place).text() for place in range(10)]
    assert names == [legend.item(place).toolTip() for place in range(10)] == [run.name for run in runs]
    for place in (0, 9):
        picture = QIcon(mark_picture(marks[place], QColor(colors[place]), DOT)).pixmap(DOT).toImage()
        assert legend.item(place).icon().pixmap(DOT).toImage() == picture
    legend.setCurrentRow(1)
    assert [pen(line)[1:3] for line, *_ in overlay._entries[:3]] == [(60, ratio), (255, 2 * ratio), (60, ratio)]
    assert [line.zValue() for line, *_ in overlay._entries[:3]] == [0, 10, 0]
    theme.apply_theme("dark")
    assert pen(overlay._entries[0][0])[0] == theme.DARK.series[0]


def test_the_view_is_fitted_to_other_runs_and_when_it_is_asked_for(qtbot: QtBot, overlay: RunOverlay) -> None:
    overlay.show_runs([OverlayRun("a", "a", history(), "DPO")])
    settled(qtbot, overlay)
    box = overlay._plot.getViewBox()
    overlay.zoom(1.2, 1.4)
    assert box.viewRange()[0] == pytest.approx([1.2, 1.4])
    child(overlay, QToolButton, "overlay_reset").click()
    box.updateAutoRange()
    assert box.viewRange()[0][1] > 1.9
    overlay.zoom(1.2, 1.4)
    overlay.show_runs([OverlayRun("b", "b", history(losses=(9.0, 8.0, 7.0)), "DPO")])
    settled(qtbot, overlay)
    box.updateAutoRange()
    assert box.viewRange()[0][1] > 2.9
    note = child(overlay, QLabel, "overlay_note")
    assert note.isHidden()
    overlay.show_runs([OverlayRun(one, one, history(), one) for one in ("DPO", "supervised")])
    assert note.text() == (
        "Losses of different methods measure different things: compare their courses, not their heights. "
        "Here: DPO, supervised."
    )


# -- the details of one ------------------------------------------------------------


@pytest.fixture
def detail(qtbot: QtBot) -> RunDetail:
    found = RunDetail()
    qtbot.addWidget(found)
    return found


def facts(detail: RunDetail) -> dict[str, str]:
    return {name: value.text() for name, value in detail._values.items()}


def test_facts_of_a_run_are_told_and_what_is_not_known_is_a_dash(detail: RunDetail) -> None:
    one, message = made(), child(detail, QLabel, "run_detail.message")
    detail.show_run(one)
    assert facts(detail) == {
        "folder": str(one.run.path), "base": "/models/llama", "data": "/d/chats.jsonl", "targets": "Full",
        "iterations": "1,500 of 2,000", "best": "1.250 at iteration 1,200",
        "traded": "learned 0.750, forgot 0.125 (nats a token)", "size": "70.4\u00a0MB",
    }  # fmt: skip
    assert (detail._best_label.text(), message.isHidden()) == ("Best loss", True)
    detail.show_run(replace(bare(), message="No room."))
    assert {name: facts(detail)[name] for name in ("base", "data", "best", "traded")} == dict.fromkeys(
        ("base", "data", "best", "traded"), "–"
    )
    assert (message.text(), message.isHidden()) == ("No room.", False)
    detail.show_run(made(rewarded=True, best_val_loss=-0.5))
    assert (detail._best_label.text(), facts(detail)["best"]) == ("Best reward", "0.500 at iteration 1,200")


def test_what_is_being_written_stays_while_the_run_goes_on_and_is_given_out_once(detail: RunDetail) -> None:
    edited: list[tuple[str, tuple[str, ...], str]] = []
    detail.edited.connect(lambda run, tags, note: edited.append((run.name, tags, note)))
    tags, notes = child(detail, QLineEdit, "run_detail.tags"), child(detail, QPlainTextEdit, "run_detail.notes")
    one = made()
    detail.show()
    detail.show_run(one)
    assert (tags.text(), notes.toPlainText()) == ("good, Demo", "Try Rank 64.")
    detail.flush()
    assert edited == [], "it is what the run has"
    QTest.keyClicks(tags, ", new")
    assert detail._saving.isActive()
    detail.show_run(replace(one, iteration=1501))
    assert (tags.text(), facts(detail)["iterations"]) == ("good, Demo, new", "1,501 of 2,000")
    detail._saving.timeout.emit()
    assert edited == [("alpha", ("good", "Demo", "new"), "Try Rank 64.")]
    assert not detail._saving.isActive()
    detail.show_run(made(tags=("good", "Demo", "new"), note="Other."))
    assert (tags.text(), notes.toPlainText()) == ("good, Demo, new", "Other."), "nobody writes"
    notes.setPlainText("  Mine. \n")
    assert not detail._saving.isActive(), "not typed"
    QApplication.sendEvent(notes, QFocusEvent(QEvent.Type.FocusOut))
    assert edited[1:] == [("alpha", ("good", "Demo", "new"), "Mine.")]
    tags.setText("x")
    detail.show_run(bare())
    assert edited[2:] == [("alpha", ("x",), "Mine.")], "another is shown: it is given out first"
    assert (tags.text(), notes.toPlainText()) == ("", "")
    tags.setText("y")
    tags.editingFinished.emit()
    assert edited[3:] == [("bare", ("y",), "")]
    tags.setText("z")
    detail.show_run(None)
    assert edited[4:] == [("bare", ("z",), "")]
    detail.flush()
    assert len(edited) == 5, "no run is shown"


def test_what_was_written_elsewhere_is_not_written_over_by_a_field_that_only_has_the_keyboard(
    qtbot: QtBot, detail: RunDetail
) -> None:
    edited: list[tuple[tuple[str, ...], str]] = []
    detail.edited.connect(lambda _run, tags, note: edited.append((tags, note)))
    tags, notes = child(detail, QLineEdit, "run_detail.tags"), child(detail, QPlainTextEdit, "run_detail.notes")
    detail.show()
    detail.show_run(made())
    detail.activateWindow()
    qtbot.waitUntil(detail.isActiveWindow)
    notes.setFocus()
    detail.show_run(made(note="From a terminal."))
    assert notes.toPlainText() == "From a terminal."
    tags.setFocus()
    assert edited == [], "nobody wrote"
    QTest.keyClicks(tags, ", new,")
    detail.show_run(made(note="Once more."))
    assert (tags.text(), notes.toPlainText()) == ("good, Demo, new,", "From a terminal."), "it is being written"
    detail.flush()
    assert edited == [(("good", "Demo", "new"), "Once more.")], "only what was written here"
    detail.show_run(made(tags=("good", "Demo", "new"), note="Once more."))
    assert (tags.text(), notes.toPlainText()) == ("good, Demo, new,", "Once more."), "what was just typed stays"


# -- the card ----------------------------------------------------------------------


@pytest.fixture
def card(qtbot: QtBot) -> SelectedRuns:
    found = SelectedRuns()
    qtbot.addWidget(found)
    return found


@pytest.fixture
def runs(home: Path) -> list[RunSummary]:
    parent = home / "data" / "runs"
    return [summarize(make_run(parent, name, day=day)) for day, name in enumerate(("a", "b"))]


def read(qtbot: QtBot, card: SelectedRuns) -> None:
    qtbot.waitUntil(lambda: not card.is_busy)


def shown_part(card: SelectedRuns) -> int:
    return child(card, QStackedWidget).currentIndex()


def test_each_part_is_gone_back_to_and_without_a_choice_it_is_said_what_to_do(
    qtbot: QtBot, card: SelectedRuns, runs: list[RunSummary]
) -> None:
    bar = child(card, QTabBar, "runs.parts")
    card.show_runs([])
    assert shown_part(card) == 3
    card.show_runs(runs[:1])
    assert (bar.currentIndex(), shown_part(card), card.is_busy) == (0, 0, False)
    card.show_runs(runs)
    read(qtbot, card)
    assert (bar.currentIndex(), shown_part(card), list(card.overlay.curves())) == (
        1, 1, [str(run.run.path) for run in runs],
    )  # fmt: skip
    assert [[bar.isTabEnabled(place) for place in range(3)]] == [[False, True, True]]
    assert not card.is_outdated_by(runs)
    assert card.is_outdated_by([replace(runs[0], state="running")])
    assert card.is_outdated_by([made()]), "it was not read yet"
    bar.setCurrentIndex(2)
    read(qtbot, card)
    table = child(card, QTableView, "runs.differences")
    same = next(one for one in card.findChildren(QLabel) if one.text() == "The configs of these runs are the same.")
    assert (table.isHidden(), same.isHidden()) == (True, False)
    card.show_runs(runs[1:])
    assert (bar.currentIndex(), [bar.isTabEnabled(place) for place in range(3)]) == (0, [True, True, False])
    bar.setCurrentIndex(1)
    card.show_runs(runs)
    assert bar.currentIndex() == 2, "several are looked at as they were last"
    card.show_runs(runs[:1])
    assert bar.currentIndex() == 1
    read(qtbot, card)
    assert list(card.overlay.curves()) == [str(runs[0].run.path)]


def test_runs_that_cannot_be_read_are_told_or_left_out_and_only_so_many_are_laid_over(
    qtbot: QtBot, card: SelectedRuns, runs: list[RunSummary]
) -> None:
    bar, warned = child(card, QTabBar, "runs.parts"), list[str]()
    card.warned.connect(warned.append)
    limit = card._limit
    runs[0].run.events.unlink()
    runs[0].run.events.mkdir()
    runs[1].run.config.unlink()
    runs[1].run.setup.unlink()
    card.show_runs(runs)
    read(qtbot, card)
    assert warned == ["The events of a cannot be read: Is a directory."]
    assert limit.isHidden()
    bar.setCurrentIndex(2)
    read(qtbot, card)
    heads = [card.differences.headerData(place, Qt.Orientation.Horizontal) for place in range(2)]
    assert (heads, card.differences.rowCount(), card.differences.columnCount()) == (["Field", "a"], 0, 2)
    unread, same = child(card, QLabel, "runs.unread"), card._same
    assert (unread.isHidden(), unread.text()) == (False, "Left out, as their config cannot be read: b.")
    assert same.isHidden(), "one alone is the same as nothing"
    card.show_runs(runs[1:] * 21)
    assert (limit.isHidden(), limit.text()) == (False, "The first 20 of 21 selected runs")
    card.show_runs(runs[1:] * 20)
    assert limit.isHidden()
