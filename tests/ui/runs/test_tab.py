"""The Runs tab on real folders: list, search, names and notes, curves, differences, and what it asks for."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QGuiApplication
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QFileDialog,
    QInputDialog,
    QLabel,
    QLineEdit,
    QMenu,
    QMessageBox,
    QPlainTextEdit,
    QPushButton,
    QTabBar,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.model.adapter_file import ADAPTER_FILE
from app.core.problem import Problem
from app.core.protocol import event
from app.core.run.catalog import RunCatalog, ScanProgress
from app.core.run.folder import RunDir, prepare_run
from app.core.run.history import RunHistory
from app.core.run.note import RunNote, load_note, save_note
from app.core.run.summary import summarize
from app.core.system.setting import load_settings
from app.ui.menu.editing import possible_edits
from app.ui.message.bar import Notice
from app.ui.platform.own_texts import created_text
from app.ui.runs.action_bar import RunActionBar
from app.ui.runs.column import COLUMN_KEYS, NAME_COLUMN, RUN_COLUMNS, STATE_COLUMN, best_text, loss_kind, since_text
from app.ui.runs.overlay import OverlayRun, RunOverlay
from app.ui.runs.selected_runs import CURVES, DETAILS
from app.ui.runs.tab import RunsTab
from app.ui.runs.trash import Trashed
from app.ui.widget import theme
from tests.core.tracker.event_file import scalars
from tests.ui.child import child
from tests.ui.synthetic_run import events, report

NOON = 1_700_000_000.0


def make_run(parent: Path, name: str, *, ending: str = "completed", day: int = 0, **values: object) -> RunDir:
    config = TrainConfig().with_values({"adapter_name": name, "model": "/models/starter"} | dict(values))
    run = prepare_run(config, parent / f"run-{day}-{name.replace(' ', '-')}")
    found = list(events(200, ending=ending))
    lines = [
        found[0].to_line().replace(f"{found[0].time}", f"{NOON + 86_400 * day}"),
        *(e.to_line() for e in found[1:]),
    ]
    if ending == "failed":
        lines[-1] = event.Failed(message="The loss is not a number.").to_line()
    run.events.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    run.adapters.mkdir()
    (run.adapters / ADAPTER_FILE).write_bytes(b"0" * 1000 * (day + 1))
    run.state.mkdir()
    (run.state / "state.json").write_text("{}")
    return run


@pytest.fixture
def runs(home: Path) -> list[RunDir]:
    """Three runs, the oldest first."""
    parent = home / "data" / "runs"
    return [
        make_run(parent, "alpha", day=1, model="/models/llama"),
        make_run(parent, "beta two", day=2, ending="stopped", **{"lora_parameters.rank": 8}),
        make_run(parent, "gamma", day=3, ending="failed", learning_rate=3e-4),
    ]


@pytest.fixture
def tab(qtbot: QtBot, runs: list[RunDir]) -> RunsTab:
    assert runs
    return shown(qtbot)


def shown(qtbot: QtBot) -> RunsTab:
    found = RunsTab()
    qtbot.addWidget(found)
    found.resize(660, 600)
    found.show()
    settled(qtbot, found)
    return found


def settled(qtbot: QtBot, tab: RunsTab) -> None:
    qtbot.waitUntil(lambda: not (tab.is_busy or tab._choosing.isActive()))


def select(qtbot: QtBot, tab: RunsTab, *runs: RunDir) -> None:
    tab.choose([run.path for run in runs])
    settled(qtbot, tab)


def names(tab: RunsTab) -> list[str]:
    view = tab.table.filter
    return [view.index(row, COLUMN_KEYS.index("name")).data() for row in range(view.rowCount())]


def text(tab: RunsTab, name: str) -> str:
    return child(tab, QLabel, name).text()


def parts(tab: RunsTab) -> QTabBar:
    found = child(tab, QTabBar, "runs.parts")
    assert isinstance(found, QTabBar)
    return found


# -- the list ----------------------------------------------------------------------


def test_all_runs_are_listed_with_their_figures(tab: RunsTab) -> None:
    assert names(tab) == ["gamma", "beta two", "alpha"]
    row = {key: tab.table.filter.index(2, place).data() for place, key in enumerate(COLUMN_KEYS)}
    assert row["state"] == "Finished"
    assert row["base"] == "llama"
    assert row["speed"] == "1,823"
    assert row["memory"] == "1.23\u00a0GB"
    assert row["iterations"] == "200 of 200"
    assert text(tab, "runs.count").startswith("3 runs · ")
    assert tab.table.filter.index(0, 0).data(Qt.ItemDataRole.ToolTipRole) == "The loss is not a number."


def test_another_scheme_redresses_every_cell(qtbot: QtBot, tab: RunsTab) -> None:
    with qtbot.waitSignal(tab.table_model.dataChanged) as changed:
        tab.table_model.redress()
    assert changed.args is not None
    first, last = changed.args[:2]
    assert (first.row(), first.column()) == (0, 0)
    assert (last.row(), last.column()) == (2, tab.table_model.columnCount() - 1)


def test_no_run_says_what_will_be_here(qtbot: QtBot) -> None:
    found = RunsTab()
    qtbot.addWidget(found)
    assert text(found, "runs.empty") == "Reading your runs…"  # not that there is none, before it has looked
    assert text(shown(qtbot), "runs.empty") == "Every run you train is listed here"


def test_a_run_from_elsewhere_appears_and_one_that_goes_disappears(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir]
) -> None:
    make_run(runs[0].path.parent, "delta", day=9)
    tab.refresh()
    settled(qtbot, tab)
    assert names(tab)[0] == "delta"
    assert move_away(runs[0])
    tab.refresh()
    settled(qtbot, tab)
    assert "alpha" not in names(tab)


def move_away(run: RunDir) -> bool:
    run.path.rename(run.path.parent.parent / "away")
    return True


@pytest.mark.parametrize(
    ("words", "found"),
    [("ALPHA", ["alpha"]), ("two stopped", ["beta two"]), ("llama", ["alpha"]), ("nothing", []),
     ("wonderful", ["gamma"]), ("", ["gamma", "beta two", "alpha"])],
)  # fmt: skip
def test_search_looks_at_everything(qtbot: QtBot, runs: list[RunDir], words: str, found: list[str]) -> None:
    save_note(runs[2], RunNote(text="A wonderful failure"))
    tab = shown(qtbot)
    tab.search(words)
    assert names(tab) == found
    assert tab.table.isVisible() == bool(found)


def test_states_filter_and_are_shown_again_at_once(qtbot: QtBot, tab: RunsTab) -> None:
    tab.show_state("stopped")
    assert names(tab) == ["beta two"]
    tab.search("alpha")
    assert names(tab) == []
    assert text(tab, "runs.count").startswith("0 of 3 runs")
    qtbot.mouseClick(child(tab, QWidget, "runs.clear"), Qt.MouseButton.LeftButton)
    assert len(names(tab)) == 3


def test_every_column_sorts_both_ways_and_keeps_the_selection(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir]
) -> None:
    select(qtbot, tab, runs[1])
    for place, column in enumerate(RUN_COLUMNS):
        values = []
        for order in (Qt.SortOrder.AscendingOrder, Qt.SortOrder.DescendingOrder):
            tab.table.sortByColumn(place, order)
            values.append([column.order(run) for run in tab.table_model.runs])
            assert [run.name for run in tab.table.chosen()] == ["beta two"]
        known: list[Any] = [value for value in values[0] if value is not None]
        assert known == sorted(known), column.key
        assert [value for value in values[1] if value is not None] == known[::-1], column.key


def test_the_selection_survives_a_search(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    select(qtbot, tab, runs[0], runs[1])
    tab.search("a")
    assert {run.name for run in tab.table.chosen()} == {"alpha", "beta two"}
    tab.search("beta")
    assert [run.name for run in tab.table.chosen()] == ["beta two"]


def test_columns_are_hidden_and_remembered(qtbot: QtBot, tab: RunsTab) -> None:
    tab.table.setColumnHidden(COLUMN_KEYS.index("data"), True)
    tab.table.setColumnWidth(COLUMN_KEYS.index("name"), 222)
    tab.hide()
    assert load_settings().window["runs"]["columns"]
    again = shown(qtbot)
    assert again.table.isColumnHidden(COLUMN_KEYS.index("data"))
    assert again.table.columnWidth(COLUMN_KEYS.index("name")) == 222


def test_a_column_grows_with_texts_that_become_longer(qtbot: QtBot, tab: RunsTab, home: Path) -> None:
    run = make_run(home / "data" / "runs", "early", ending="early_stopping", day=9)
    whole = run.events.read_text()
    run.events.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    tab.resize(1000, 600)
    tab.refresh()
    settled(qtbot, tab)
    with run.events.open("w") as file:
        file.write(whole)
    tab.refresh()
    settled(qtbot, tab)
    texts = [tab.table.filter.index(row, STATE_COLUMN).data() for row in range(4)]
    assert "Stopped early" in texts
    needed = tab.table.fontMetrics().horizontalAdvance("Stopped early") + 20
    assert tab.table.columnWidth(STATE_COLUMN) >= needed


def test_a_column_for_few_is_there_once_it_is_ticked(qtbot: QtBot, tab: RunsTab) -> None:
    learned = COLUMN_KEYS.index("learned")
    assert [place for place in range(len(COLUMN_KEYS)) if tab.table.isColumnHidden(place)] == [learned]
    next(one for one in tab.table.column_menu().actions() if one.text() == "Learned").trigger()
    assert not tab.table.isColumnHidden(learned)
    tab.hide()
    assert not shown(qtbot).table.isColumnHidden(learned)


@pytest.mark.parametrize("way", ["button", "header"])
def test_a_column_is_hidden_from_the_menu_of_the_button_or_of_the_titles(
    qtbot: QtBot, tab: RunsTab, way: str
) -> None:
    if way == "button":
        qtbot.mouseClick(child(tab, QWidget, "runs.columns"), Qt.MouseButton.LeftButton)
    else:
        tab.table.horizontalHeader().customContextMenuRequested.emit(QPoint(20, 5))
    menu = QApplication.activePopupWidget()
    assert isinstance(menu, QMenu)
    assert [one.isChecked() for one in menu.actions() if one.text() in ("Data", "Learned")] == [False, True]
    assert "Name" not in [one.text() for one in menu.actions()]
    next(one for one in menu.actions() if one.text() == "Data").trigger()
    assert tab.table.isColumnHidden(COLUMN_KEYS.index("data"))
    menu.close()


def test_while_a_long_list_is_read_it_says_how_far_and_shows_what_is_known(
    qtbot: QtBot, tab: RunsTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_held = True

    def scan() -> Iterator[ScanProgress]:
        while is_held:
            yield ScanProgress(1, 1200)

    monkeypatch.setattr(tab._catalog, "scan", scan)
    tab.table_model.show([])
    tab.refresh()
    qtbot.waitUntil(lambda: text(tab, "runs.count") == "Reading 1 of 1,200…")
    assert names(tab) == ["gamma", "beta two", "alpha"]
    is_held = False
    settled(qtbot, tab)
    assert text(tab, "runs.count").startswith("3 runs · ")


def test_only_widths_that_somebody_chose_are_kept_from_fitting(qtbot: QtBot, tab: RunsTab, home: Path) -> None:
    """What a list made narrow to show more is not somebody's wish at the next start."""
    tab.resize(900, 600)
    settled(qtbot, tab)
    best, data, method = (COLUMN_KEYS.index(key) for key in ("best", "data", "method"))
    assert tab.table.columnWidth(best) < round(theme.text_width(RUN_COLUMNS[best].width)), "narrower than usual"
    tab.table.setColumnWidth(data, 60)
    tab.table.setColumnHidden(method, True)
    tab.hide()
    long = make_run(home / "data" / "runs", "longer", day=9)
    validated = event.Validated(iteration=200, val_loss=-0.625, figures={"reward": 0.625}, best=True)
    with long.events.open("a") as file:
        file.write(validated.to_line() + "\n")
    again = shown(qtbot)
    again.resize(1800, 600)
    settled(qtbot, again)
    texts = [best_text(run) for run in again.table_model.runs]
    assert "reward 0.625" in texts
    assert again.table.columnWidth(best) >= max(map(again.table.fontMetrics().horizontalAdvance, texts)) + 10
    assert again.table.columnWidth(data) == 60
    again.table.setColumnHidden(method, False)
    assert again.table.columnWidth(method) > 60


def test_columns_share_the_room_of_a_large_window(qtbot: QtBot, tab: RunsTab) -> None:
    """Nor does a column keep in a small window what it got in a large one."""
    tab.resize(1100, 700)
    QTest.qWait(0)
    small = [tab.table.columnWidth(place) for place in range(len(COLUMN_KEYS))]
    tab.resize(4000, 900)
    qtbot.waitUntil(lambda: tab.table.viewport().width() > 3500)
    wide, metrics = tab.table, tab.table.fontMetrics()
    for place, key in enumerate(COLUMN_KEYS):
        if key != "curve" and not wide.isColumnHidden(place):
            widest = max(metrics.horizontalAdvance(RUN_COLUMNS[place].text(one)) for one in wide._table.runs)
            assert wide.columnWidth(place) >= widest, key
            assert wide.columnWidth(place) >= wide.horizontalHeader().sectionSizeHint(place), key
    tab.resize(1100, 700)
    qtbot.waitUntil(lambda: tab.table.viewport().width() < 1100)
    assert [tab.table.columnWidth(place) for place in range(len(COLUMN_KEYS))] == small


def test_both_themes_paint_every_row(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    select(qtbot, tab, runs[0])
    light = tab.grab().toImage()
    theme.apply_theme("dark")
    try:
        assert tab.grab().toImage() != light
    finally:
        theme.apply_theme("light")


def test_dates_are_as_short_as_they_can_be() -> None:
    assert created_text(NOON, NOON + 60).startswith("Today ")
    assert created_text(NOON, NOON + 40 * 86_400).split()[1] == "Nov"
    assert created_text(NOON, NOON + 400 * 86_400).startswith("2023-11-1")
    noon = created_text(NOON, NOON + 60).removeprefix("Today ")
    assert since_text(NOON, NOON + 60) == f"Since {noon}"
    assert since_text(NOON, NOON + 40 * 86_400) == f"Since {created_text(NOON, NOON + 40 * 86_400)}"


# -- names and notes ---------------------------------------------------------------


def test_a_name_is_edited_in_its_cell_and_kept(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    select(qtbot, tab, runs[0])
    tab.bar.rename.trigger()
    editor = child(tab.table.viewport(), QLineEdit)
    assert editor is not None
    editor.setText("  a better   name ")
    tab.refresh()
    assert not tab.is_busy, "what is typed is not taken away"
    qtbot.keyClick(editor, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: "a better name" in names(tab))
    assert load_note(runs[0]).name == "a better name"
    assert [run.name for run in tab.table.chosen()] == ["a better name"]
    index = tab.table.filter.index(names(tab).index("a better name"), COLUMN_KEYS.index("name"))
    tab.table.filter.setData(index, "")
    assert "alpha" in names(tab)
    assert not runs[0].notes.exists()


def test_nothing_can_be_done_before_a_run_is_chosen(qtbot: QtBot) -> None:
    bar = RunActionBar()
    qtbot.addWidget(bar)
    bar.show()
    acts = [one for one in bar.menu.actions() if not one.isSeparator()]
    assert len(acts) > 10
    assert [one.text() for one in acts if one.isEnabled()] == []
    assert [one.text() for one in bar.findChildren(QPushButton) if one.isEnabled()] == []
    said = "Select several runs to see their curves and differences"
    assert child(bar, QLabel, "runs.chosen").text() == said
    tips = {one.toolTip() for one in acts}
    assert tips == {"Select a run first", "Select several runs that have saved adapters"}


def test_a_new_name_leaves_tags_notes_and_what_others_wrote(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    save_note(runs[0], RunNote("", ("good", "demo"), "Try rank 64.", {"colour": "red"}))
    tab.refresh()
    qtbot.waitUntil(lambda: not tab.is_busy)
    index = tab.table.filter.index(names(tab).index("alpha"), COLUMN_KEYS.index("name"))
    tab.table.filter.setData(index, "better")
    assert load_note(runs[0]) == RunNote("better", ("good", "demo"), "Try rank 64.", {"colour": "red"})


def test_tags_and_notes_are_saved_when_another_run_is_chosen(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir]
) -> None:
    save_note(runs[0], RunNote("alpha", (), "", {"colour": "red"}))
    tab.refresh()
    qtbot.waitUntil(lambda: not tab.is_busy)
    select(qtbot, tab, runs[0])
    tags = child(tab, QLineEdit, "run_detail.tags")
    notes = child(tab, QPlainTextEdit, "run_detail.notes")
    assert tags is not None
    assert notes is not None
    tags.setText("good, demo")
    notes.setPlainText("Try rank 64.")
    select(qtbot, tab, runs[1])
    assert load_note(runs[0]) == RunNote("alpha", ("good", "demo"), "Try rank 64.", {"colour": "red"})
    assert (tags.text(), notes.toPlainText()) == ("", "")
    tab.search("demo rank")
    assert names(tab) == ["alpha"]
    assert not runs[1].notes.exists()


def test_what_somebody_writes_elsewhere_about_the_run_that_is_shown_is_shown(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir]
) -> None:
    select(qtbot, tab, runs[0])
    tags, notes = child(tab, QLineEdit, "run_detail.tags"), child(tab, QPlainTextEdit, "run_detail.notes")
    assert (tags.text(), notes.toPlainText()) == ("", "")
    parts = tab.selected._parts
    for part in (CURVES, DETAILS):  # then it is known, and read again only where it grows
        parts.setCurrentIndex(part)
        qtbot.waitUntil(lambda: not tab.is_busy)
    save_note(runs[0], RunNote("", ("demo",), "From a terminal."))
    tab.refresh()
    qtbot.waitUntil(lambda: notes.toPlainText() == "From a terminal.")
    tags.setText("demo, good")
    select(qtbot, tab, runs[1])
    assert load_note(runs[0]) == RunNote("", ("demo", "good"), "From a terminal.")


def test_what_is_being_written_is_saved_when_the_tab_goes(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    select(qtbot, tab, runs[0])
    notes = child(tab, QPlainTextEdit, "run_detail.notes")
    assert notes is not None
    notes.setPlainText("unsaved")
    tab.hide()
    assert load_note(runs[0]).text == "unsaved"


# -- curves and differences --------------------------------------------------------


def test_several_runs_are_laid_over_each_other(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    select(qtbot, tab, *runs)
    assert parts(tab).currentIndex() == 1
    curves = tab.selected.overlay.curves()
    assert list(curves) == [str(run.path) for run in reversed(runs)]
    smoothed = curves[str(runs[0].path)]
    assert len(smoothed[0]) == 200
    tab.selected.overlay.view.set_smoothing(0)
    settled(qtbot, tab)
    raw = tab.selected.overlay.curves()[str(runs[0].path)]
    assert np.std(np.diff(raw[1])) > 3 * np.std(np.diff(smoothed[1]))
    for axis, last in (("epochs", 3.0), ("tokens", 40_000.0), ("time", 200 / 9 / 60), ("iterations", 200.0)):
        tab.selected.overlay.view.set_axis(axis)  # type: ignore[arg-type]
        settled(qtbot, tab)
        assert tab.selected.overlay.curves()[str(runs[0].path)][0][-1] == pytest.approx(last)


def test_differences_are_listed_and_nothing_else(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    select(qtbot, tab, runs[1], runs[2])
    parts(tab).setCurrentIndex(2)
    settled(qtbot, tab)
    table = tab.selected.differences
    rows = [[table.index(r, c).data() for c in range(table.columnCount())] for r in range(table.rowCount())]
    assert rows == [["Learning rate", "0.0003", "0.0001"], ["LoRA rank", "32", "8"]]
    assert table.headerData(1, Qt.Orientation.Horizontal) == "gamma"
    select(qtbot, tab, runs[1])
    assert parts(tab).currentIndex() == 0
    assert not parts(tab).isTabEnabled(2)
    assert [parts(tab).tabToolTip(at) for at in (0, 2)] == ["", "Select several runs to see how they differ"]
    select(qtbot, tab, runs[0], runs[1])
    assert not parts(tab).isTabEnabled(0)
    assert [parts(tab).tabToolTip(at) for at in (0, 2)] == ["Select one run: several are selected", ""]


def test_a_curve_that_grows_is_followed(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    select(qtbot, tab, runs[0], runs[1])
    with runs[1].lock(), runs[1].events.open("a") as file:
        started = event.Started(iterations=20, iterations_per_epoch=10, train_examples=10, valid_examples=0)
        for said, shown in ((event.Hello(task="train"), "Preparing"), (started, "Training")):
            file.write(said.to_line() + "\n")
            file.flush()
            tab.refresh()
            settled(qtbot, tab)
            assert shown in [tab.table.filter.index(row, 0).data() for row in range(3)]
            assert not tab.bar.delete.isEnabled()


# -- acts --------------------------------------------------------------------------


def test_what_can_be_done_depends_on_the_selection(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    bar = tab.bar
    assert not any(action.isEnabled() for action in (bar.open, bar.resume, bar.delete, bar.compare, bar.report))
    select(qtbot, tab, runs[0])
    assert bar.open.isEnabled()
    assert bar.compare.isEnabled()
    assert bar.extend.isEnabled()
    assert not bar.resume.isEnabled(), "it has finished"
    select(qtbot, tab, runs[1])
    assert bar.resume.isEnabled()
    select(qtbot, tab, *runs)
    assert bar.delete.isEnabled()
    assert not bar.open.isEnabled()


def test_asks_name_the_run(qtbot: QtBot, tab: RunsTab, runs: list[RunDir], monkeypatch: pytest.MonkeyPatch) -> None:
    select(qtbot, tab, runs[1])
    monkeypatch.setattr(QInputDialog, "getInt", lambda *_: (50, True))
    heard: list[tuple[object, ...]] = []
    for name in ("open", "duplicate", "resume", "compare"):
        signal = getattr(tab, f"{name}_requested")
        with qtbot.waitSignal(signal) as caught:
            getattr(tab.bar, name).trigger()
        heard.append(tuple(caught.args))
    assert heard == [(runs[1].path,)] * 3 + [((runs[1].path,),)]
    with qtbot.waitSignal(tab.extend_requested) as caught:
        tab.bar.extend.trigger()
    assert caught.args == [runs[1].path, 250]
    with qtbot.waitSignal(tab.open_requested) as caught:
        tab.table.activated.emit(tab.table.filter.index(0, 0))
    assert caught.args == [runs[1].path]


def test_the_menu_asks_for_what_other_windows_do_with_the_run(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir]
) -> None:
    select(qtbot, tab, runs[0])
    for name in ("export", "chat", "serve"):
        with qtbot.waitSignal(getattr(tab, f"{name}_requested")) as caught:
            getattr(tab.bar, name).trigger()
        assert caught.args == [runs[0].path]


def test_commands_and_the_config_are_copied(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    select(qtbot, tab, runs[0])
    clipboard = QGuiApplication.clipboard()
    tab.bar.command.trigger()
    assert clipboard.text() == f"luthier train {runs[0].path}/setup.yaml"
    tab.bar.stock.trigger()
    assert clipboard.text().startswith(f"mlx_lm.lora -c {runs[0].path}/config.yaml --adapter-path ")
    assert str(runs[0].adapters) not in clipboard.text(), "stock mlx-lm must not write over this run's adapter"
    tab.bar.yaml.trigger()
    assert clipboard.text() == runs[0].setup.read_text()


def test_figures_are_written_for_tensorboard(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir], tmp_path: Path
) -> None:
    tab.bar.show_runs([summarize(runs[0])])
    with qtbot.waitSignal(tab.told, timeout=60_000) as told:
        tab.bar.export_figures(tmp_path / "out")
        assert not tab.bar.track.isEnabled()
    assert str(tmp_path / "out") in told.args[0]
    assert scalars(tmp_path / "out")["train/loss"]
    qtbot.waitUntil(lambda: tab.bar.track.isEnabled(), timeout=60_000)


def test_figures_that_cannot_be_written_are_told(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir], tmp_path: Path
) -> None:
    tab.bar.show_runs([summarize(runs[0])])
    (tmp_path / "taken").write_text("a file")
    with qtbot.waitSignal(tab.warned, timeout=60_000) as warned:
        tab.bar.export_figures(tmp_path / "taken" / "out")
    assert "taken" in str(warned.args[0])
    assert tab.bar.track.isEnabled()


def test_the_folder_for_tensorboard_is_asked_for_unless_none_can_be_written(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began: list[str] = []
    answers = ["", str(tmp_path)]

    def ask(_parent: QWidget, _caption: str, start: str) -> str:
        began.append(start)
        return answers.pop(0)

    monkeypatch.setattr(QFileDialog, "getExistingDirectory", ask)
    select(qtbot, tab, runs[1])
    tab.bar.track.trigger()
    assert tab.bar.track.isEnabled(), "it was left"
    with qtbot.waitSignal(tab.told) as told:
        tab.bar.track.trigger()
    assert f"are in {tmp_path}" in told.args[0]
    assert began == [str(runs[1].path)] * 2
    assert scalars(tmp_path)["train/loss"]
    qtbot.waitUntil(tab.bar.track.isEnabled)
    lacking = Problem("report_to", "It is not installed.")
    monkeypatch.setattr("app.ui.runs.action_bar.tracker_problems", lambda _config: [lacking])
    with qtbot.waitSignal(tab.warned) as warned:
        tab.bar.track.trigger()
    assert "It is not installed." in warned.args[0]
    assert len(began) == 2


def test_several_runs_with_adapters_can_be_merged(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    summaries = [summarize(run) for run in runs[:2]]
    for run in runs[:2]:
        run.adapters.mkdir(exist_ok=True)
        (run.adapters / "adapters.safetensors").touch()
    tab.bar.show_runs(summaries[:1])
    assert not tab.bar.merge.isEnabled()
    tab.bar.show_runs(summaries)
    with qtbot.waitSignal(tab.merge_requested) as asked:
        tab.bar.merge.trigger()
    assert asked.args == [tuple(run.path for run in runs[:2])]


def test_a_report_is_written_and_told(qtbot: QtBot, tab: RunsTab, runs: list[RunDir], tmp_path: Path) -> None:
    select(qtbot, tab, runs[0])
    with qtbot.waitSignal(tab.told) as told:
        tab.bar.export_report(tmp_path / "a.html")
    assert "a.html" in told.args[0]
    assert "<svg" in (tmp_path / "a.html").read_text()
    with qtbot.waitSignal(tab.warned) as warned:
        tab.bar.export_report(tmp_path / "a.txt")
    assert "a.txt" in warned.args[0]


def test_where_a_report_goes_is_asked_and_its_kind_is_that_of_the_name_or_the_filter(
    qtbot: QtBot, runs: list[RunDir], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_note(runs[0], RunNote(name="lute/first"))
    tab = shown(qtbot)
    select(qtbot, tab, runs[0])
    offered: list[str] = []
    page, markdown = "Web page (*.html)", "Markdown (*.md)"
    answer = "", ""

    def ask(_parent: QWidget, _caption: str, start: str, _filters: str) -> tuple[str, str]:
        offered.append(Path(start).name)
        return answer

    monkeypatch.setattr(QFileDialog, "getSaveFileName", ask)
    tab.bar.report.trigger()
    assert not tab.bar._work.is_busy, "it was left"
    folder = tmp_path / "reports"
    folder.mkdir()
    for name, kind, written in (
        ("a", page, "a.html"),
        ("b.1", markdown, "b.1.md"),
        ("c.md", page, "c.md"),
        ("d.HTML", markdown, "d.HTML"),
    ):
        answer = str(folder / name), kind
        with qtbot.waitSignal(tab.told) as told:
            tab.bar.report.trigger()
        assert told.args == [f"The report was saved as {folder / written}."]
    assert sorted(path.name for path in folder.iterdir()) == ["a.html", "b.1.md", "c.md", "d.HTML"]
    assert "<svg" in (folder / "a.html").read_text()
    assert "<html" not in (folder / "b.1.md").read_text()
    assert offered == ["lute-first.html"] * 5


def test_the_folder_is_shown_by_the_system(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    found: list[Path] = []
    tab.bar._reveal_folder = found.append
    select(qtbot, tab, runs[0])
    tab.bar.reveal.trigger()
    assert found == [runs[0].path]


def test_runs_go_to_the_trash_after_a_question_with_their_size(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "trash"))
    asked: list[str] = []

    def answer(box: QMessageBox, button: int) -> None:
        asked.append(box.text() + box.informativeText())
        box.buttons()[button].click()

    select(qtbot, tab, runs[0], runs[1])
    monkeypatch.setattr(QMessageBox, "exec", lambda box: answer(box, 1))
    tab.bar.delete.trigger()
    assert runs[0].path.exists()
    assert "2 runs" in asked[0]
    assert "kB" in asked[0]
    assert "alpha" in asked[0]
    monkeypatch.setattr(QMessageBox, "exec", lambda box: answer(box, 0))
    with qtbot.waitSignal(tab.noticed) as told:
        tab.bar.delete.trigger()
    settled(qtbot, tab)
    assert names(tab) == ["gamma"]
    assert [one.name for one in tab.table.chosen()] == ["gamma"], "what follows is selected"
    assert tab.focusWidget() is tab.table
    assert not runs[0].path.exists()
    notice = told.args[0]
    assert notice.holds()
    notice.act()
    qtbot.waitUntil(lambda: names(tab) == ["gamma", "beta two", "alpha"])
    assert [one.name for one in tab.table.chosen()] == ["beta two", "alpha"]
    assert runs[0].path.is_dir()
    assert not notice.holds()
    assert not list((tmp_path / "trash" / "Trash" / "info").glob("*"))


def test_names_and_the_trash_are_undone_step_by_step(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "trash"))
    notices: list[Notice] = []
    tab.noticed.connect(notices.append)

    def shown() -> list[str]:
        settled(qtbot, tab)
        return sorted(names(tab))

    def steps() -> set[str]:
        tab.table.setFocus()
        return {"undo", "redo"} & possible_edits(tab.table).keys()

    def rename(row: int, name: str) -> None:
        found = next(r for r, one in enumerate(tab.table_model.runs) if one.run.path == runs[row].path)
        tab.table_model.setData(tab.table_model.index(found, NAME_COLUMN), name)

    begun = shown()
    assert steps() == set()
    rename(0, "mine")
    rename(0, "ours")
    tab.bar.trash.delete(runs[:1])
    assert ("ours" in shown(), steps()) == (False, {"undo"})
    possible_edits(tab.table)["undo"]()
    assert ("ours" in shown(), runs[0].path.is_dir()) == (True, True)
    tab.undo()
    assert "mine" in shown()
    tab.undo()
    assert (shown(), steps()) == (begun, {"redo"})
    for _ in range(3):
        tab.redo()
    assert not runs[0].path.exists()
    assert notices[-1].act is not None
    notices[-1].act()  # the message's own way is the same step
    assert runs[0].path.is_dir()
    tab.undo()
    assert "mine" in shown()


def test_what_is_no_longer_in_the_trash_is_told_and_no_step_any_more(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "trash"))
    tab.bar.trash.delete(runs[:1])
    shutil.rmtree(tmp_path / "trash")
    with qtbot.waitSignal(tab.warned) as warned:
        tab.undo()
    assert "could not be taken out of the Trash" in warned.args[0]
    assert not tab.can_undo
    assert not tab.can_redo
    tab.bar.trash.move = Trashed  # a system that does not tell where it is
    tab.bar.trash.delete(runs[1:2])
    assert not tab.can_undo


def test_what_cannot_be_done_says_why(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    compare, resume = (child(tab, QPushButton, f"runs.{name}_button") for name in ("compare", "resume"))
    select(qtbot, tab, runs[0])
    assert compare.isEnabled()
    assert "side by side" in compare.toolTip()
    assert (resume.isEnabled(), resume.toolTip()) == (False, "Only a run that did not reach its end goes on")
    select(qtbot, tab, runs[0], runs[1])
    assert (compare.isEnabled(), compare.toolTip()) == (False, "Their base models differ")


def test_runs_of_one_base_are_compared_with_it_and_each_other(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir], home: Path
) -> None:
    compare = child(tab, QPushButton, "runs.compare_button")
    more = [make_run(home / "data" / "runs", f"delta {number}", day=number) for number in (4, 5)]
    tab.refresh()
    settled(qtbot, tab)
    select(qtbot, tab, runs[1], runs[2])
    assert tab.bar.compare.text() == "Compare with Their Base"
    with qtbot.waitSignal(tab.compare_requested) as asked:
        compare.click()
    assert set(asked.args[0]) == {runs[1].path, runs[2].path}
    select(qtbot, tab, runs[1], runs[2], *more)
    assert (compare.isEnabled(), compare.toolTip()) == (
        False, "Select at most 3 runs: the base stands beside them",
    )  # fmt: skip
    (more[0].adapters / ADAPTER_FILE).unlink()
    select(qtbot, tab, runs[1], more[0])
    assert (compare.isEnabled(), compare.toolTip()) == (False, "One of them has saved no adapter")
    select(qtbot, tab, more[0])
    assert (compare.isEnabled(), compare.toolTip()) == (False, "It has saved no adapter")
    assert tab.bar.compare.text() == "Compare with Its Base"


def test_a_run_that_trains_or_that_the_system_refuses_stays(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    tab.bar.trash.move = lambda _path: None
    with runs[0].lock(), qtbot.waitSignal(tab.warned) as warned:
        tab.bar.trash.delete(runs[:2])
    assert "Stop it first" in warned.args[0]
    assert str(runs[1].path) in warned.args[0]
    assert all(run.path.exists() for run in runs)


def test_the_menu_opens_for_what_is_selected(tab: RunsTab, runs: list[RunDir]) -> None:
    tab.choose([runs[1].path])
    tab.table.customContextMenuRequested.emit(QPoint(5, 5))
    assert tab.bar.menu.isVisible()
    assert tab.bar.resume.isEnabled()
    tab.bar.menu.close()


def test_every_control_has_a_name_and_can_be_reached(tab: RunsTab) -> None:
    for kind in (QLineEdit, QPlainTextEdit):
        for widget in tab.findChildren(kind):
            if widget.isVisible():
                above = widget.parent()
                assert above is not None
                assert widget.accessibleName() or above.objectName().startswith("qt_"), widget.objectName()
    focused = QApplication.focusWidget()
    assert focused is None or tab.isAncestorOf(focused)


def test_nothing_is_done_while_the_tab_is_hidden(qtbot: QtBot, tab: RunsTab) -> None:
    settled(qtbot, tab)
    assert tab._poll.isActive()
    tab.hide()
    assert not tab._poll.isActive()


def test_another_folder_can_be_listed(qtbot: QtBot, tab: RunsTab, tmp_path: Path) -> None:
    make_run(tmp_path / "other", "omega")
    tab.set_folder(tmp_path / "other")
    settled(qtbot, tab)
    assert names(tab) == ["omega"]
    assert RunCatalog(tmp_path / "other").refresh()[0].name == "omega"
    tab.set_folder(tmp_path / "other")  # the same one stays listed while it is looked at
    assert names(tab) == ["omega"]


def test_what_was_forgotten_is_listed_told_and_laid_over(qtbot: QtBot, tab: RunsTab, runs: list[RunDir]) -> None:
    with runs[0].events.open("a") as file:
        for iteration, forgot in ((0, 0.0), (100, 0.0345)):
            measured = event.NeutralMeasured(
                iteration=iteration, neutral_loss=2 + forgot, base_loss=2.0, forgot=forgot, learned=forgot * 10
            )
            file.write(f"{measured.to_line()}\n")
    tab.refresh()
    settled(qtbot, tab)
    view, column = tab.table.filter, COLUMN_KEYS.index("forgot")
    listed = {names(tab)[row]: view.index(row, column).data() for row in range(view.rowCount())}
    assert listed == {"alpha": "0.035", "beta two": "–", "gamma": "–"}
    select(qtbot, tab, runs[0])
    assert text(tab, "run_detail.traded") == "learned 0.345, forgot 0.035 (nats a token)"
    select(qtbot, tab, runs[0], runs[1])
    overlay = tab.selected.overlay
    items = [points for _, _, points in overlay._entries]
    assert [item.getOriginalDataset()[0] is None or not len(item.getOriginalDataset()[0]) for item in items] == [
        True, True
    ]  # fmt: skip
    overlay._forgot.click()
    qtbot.waitUntil(lambda: not overlay.is_busy)
    place = [run.key for run in overlay._runs].index(str(runs[0].path))
    assert items[place].getOriginalDataset()[1].tolist() == [0.0, 0.0345]


def rewarded(best: float) -> RunHistory:
    """A run that was measured by its reward: its loss is that with the sign changed."""
    found = RunHistory()
    for one in (
        event.Started(iterations=20, iterations_per_epoch=10, train_examples=10, valid_examples=2),
        report(10, [0.01] * 10).model_copy(update={"figures": {"reward": best / 2}}),
        event.Validated(iteration=10, val_loss=-best, best=True, figures={"reward": best}),
    ):
        found.feed(one)
    return found


def plain() -> RunHistory:
    found = RunHistory()
    for one in events(100):
        found.feed(one)
    return found


def test_a_part_that_somebody_looks_at_stays_while_the_curves_grow(qtbot: QtBot) -> None:
    overlay, history = RunOverlay(), rewarded(0.6)
    qtbot.addWidget(overlay)
    overlay.show_runs([OverlayRun("a", "a", history, "GRPO")])
    qtbot.waitUntil(lambda: not overlay.is_busy)
    box = overlay._plot.getViewBox()
    box.setXRange(2, 3, padding=0)
    box.sigRangeChangedManually.emit(box.mouseEnabled())
    overlay.show_runs([OverlayRun("a", "a", history, "GRPO")])
    qtbot.waitUntil(lambda: not overlay.is_busy)
    assert box.viewRange()[0] == pytest.approx([2, 3])
    overlay.reset_view()
    assert box.viewRange()[0] != pytest.approx([2, 3])


def test_rewards_are_drawn_as_rewards(qtbot: QtBot) -> None:
    overlay = RunOverlay()
    qtbot.addWidget(overlay)
    overlay.view.set_smoothing(0)
    overlay.show_runs([OverlayRun("a", "a", rewarded(0.6), "GRPO"), OverlayRun("b", "b", rewarded(0.8), "GRPO")])
    qtbot.waitUntil(lambda: not overlay.is_busy)
    assert {key: y.tolist() for key, (_, y) in overlay.curves().items()} == {"a": [0.3], "b": [0.4]}
    assert [points.getOriginalDataset()[1].tolist() for _, points, _ in overlay._entries] == [[0.6], [0.8]]
    assert overlay._plot.getAxis("left").labelText == "Reward"
    assert overlay._view.accessibleName() == "Reward of the selected runs"
    assert child(overlay, QLabel, "overlay_note").isHidden()


def test_losses_of_unlike_methods_share_an_axis_with_a_word(qtbot: QtBot) -> None:
    overlay = RunOverlay()
    qtbot.addWidget(overlay)
    overlay.show_runs([OverlayRun("a", "a", rewarded(0.6), "GRPO"), OverlayRun("b", "b", plain(), "supervised")])
    qtbot.waitUntil(lambda: not overlay.is_busy)
    note = child(overlay, QLabel, "overlay_note")
    assert "different methods" in note.text()
    assert "GRPO, supervised" in note.text()
    assert overlay._view.accessibleName() == "Loss of the selected runs"
    assert not note.isHidden()
    # The reward is no loss: it is not among them.
    assert overlay._entries[0][1].getOriginalDataset()[0] is None or not len(
        overlay._entries[0][1].getOriginalDataset()[0]
    )


def test_a_reward_is_called_one_in_the_list(runs: list[RunDir]) -> None:
    found = replace(summarize(runs[0]), best_val_loss=-0.525, rewarded=True)
    best = next(column for column in RUN_COLUMNS if column.key == "best")
    assert best.text(found) == "reward 0.525"
    assert (found.best_label, found.best_figure) == ("Best mean reward", 0.525)
    assert best.text(replace(found, rewarded=False, best_val_loss=1.25)) == "1.250"


@pytest.mark.parametrize(("method", "kind"), [("lora", "supervised"), ("dpo lora", "DPO"), ("grpo dora", "GRPO")])
def test_a_loss_is_of_its_method(method: str, kind: str) -> None:
    assert loss_kind(method) == kind


def test_no_text_is_cut_while_there_is_room(qtbot: QtBot, home: Path, runs: list[RunDir]) -> None:
    run = prepare_run(
        TrainConfig(adapter_name="never", model="/m/starter", data="/d"), home / "data" / "runs" / "x"
    )
    assert summarize(run).state == "new"
    tab = shown(qtbot)
    tab.resize(1040, 600)
    qtbot.waitUntil(lambda: len(tab.table._table.runs) == len(runs) + 1)
    metrics, model = tab.table.fontMetrics(), tab.table.filter
    for row in range(model.rowCount()):
        for place, column in enumerate(RUN_COLUMNS):
            text, dot = column.text(tab.table.summary(model.index(row, 0))), 20 if column.key == "state" else 0
            needed = metrics.horizontalAdvance(text) + dot
            if column.key != "curve" and not tab.table.isColumnHidden(place):
                assert tab.table.columnWidth(place) >= needed, column.key
    tab.table.setColumnWidth(0, 60)  # a person wants it narrow: so it stays
    tab.refresh()
    qtbot.wait(50)
    assert tab.table.columnWidth(0) == 60


def test_names_are_shown_whole_where_there_is_room(qtbot: QtBot, home: Path) -> None:
    long = "qwen2.5-0.5b-instruct · customer-letters-2026 · r64"
    make_run(home / "data" / "runs", "short", day=1)
    tab = shown(qtbot)
    tab.resize(1200, 600)
    narrow = tab.table.columnWidth(NAME_COLUMN)
    make_run(home / "data" / "runs", long, day=2)
    tab.refresh()
    qtbot.waitUntil(lambda: tab.table.columnWidth(NAME_COLUMN) > narrow)
    assert tab.table.columnWidth(NAME_COLUMN) >= tab.table.fontMetrics().horizontalAdvance(long) + 10
    tab.table.setColumnWidth(NAME_COLUMN, 90)  # a person wants it narrow: so it stays
    make_run(home / "data" / "runs", "another", day=3)
    tab.refresh()
    qtbot.waitUntil(lambda: len(tab.table._table.runs) == 3)
    assert tab.table.columnWidth(NAME_COLUMN) == 90


def test_columns_come_close_together_before_one_is_out_of_sight(qtbot: QtBot, tab: RunsTab) -> None:
    tab.resize(660, 600)
    QApplication.processEvents()
    narrow = [tab.table.columnWidth(place) for place in range(len(RUN_COLUMNS))]
    assert sum(narrow) < sum(round(theme.text_width(column.width)) for column in RUN_COLUMNS)
    tab.resize(sum(narrow) + 200, 600)
    qtbot.waitUntil(lambda: tab.table.viewport().width() > sum(narrow))
    wide = [tab.table.columnWidth(place) for place in range(len(RUN_COLUMNS))]
    assert sum(narrow) < sum(wide) <= tab.table.viewport().width()
    assert tab.table.horizontalScrollBar().maximum() == 0
