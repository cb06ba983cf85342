"""The list of runs on screen: its small curves, its columns, what stays selected; and what the tab says of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtCore import QItemSelectionModel, QPoint, Qt
from PySide6.QtGui import QColor, QImage, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QLabel, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from app.core.run.folder import RunDir
from app.core.run.note import RunNote, load_note
from app.core.run.summary import STATES, summarize
from app.ui.runs import tab as tab_module
from app.ui.runs.column import COLUMN_KEYS, CREATED_COLUMN, CURVE_COLUMN, NAME_COLUMN, RUN_COLUMNS
from app.ui.runs.tab import RunsTab
from app.ui.runs.table import RunTable
from app.ui.runs.view import RunView
from app.ui.widget import theme
from tests.ui.child import child
from tests.ui.runs.test_cells import NOON, made
from tests.ui.runs.test_tab import make_run, names, select, settled, shown, text


@pytest.fixture
def view(qtbot: QtBot) -> RunView:
    found = RunView(RunTable())
    qtbot.addWidget(found)
    found.resize(1000, 300)
    return found


def line_in(view: RunView, row: int) -> set[tuple[str, str]]:
    """Where the small curve of a row runs: the quarters of its cell in which it is seen."""
    rect = view.visualRect(view.filter.index(row, CURVE_COLUMN))
    image: QImage = view.viewport().grab(rect).toImage()
    hue, seen = QColor(theme.colors().train_line).hue(), set()
    ratio = image.devicePixelRatio()
    for x in range(4, rect.width() - 4):
        for y in range(2, rect.height() - 2):
            found = image.pixelColor(int(x * ratio), int(y * ratio))
            if abs(found.hue() - hue) < 15 and found.saturation() > 90:
                across = "left" if x < rect.width() / 3 else "right" if x > rect.width() * 2 / 3 else "middle"
                down = "top" if y < rect.height() / 3 else "bottom" if y > rect.height() * 2 / 3 else "middle"
                seen.add((across, down))
    return seen


def test_a_small_curve_falls_and_rises_with_the_loss(view: RunView) -> None:
    curves = [(4.0, 2.0, 1.0), (1.0, 2.0), (3.0, 3.0), (3.0,), ()]
    view._table.show([made(f"r{row}", curve=curve, created=NOON - row) for row, curve in enumerate(curves)])
    view.show()
    falls, rises, flat, one, none = (line_in(view, row) for row in range(5))
    assert ("left", "top") in falls
    assert ("right", "bottom") in falls
    assert not {("left", "bottom"), ("right", "top")} & falls
    assert {("left", "bottom"), ("right", "top")} <= rises
    assert flat == {("left", "bottom"), ("middle", "bottom"), ("right", "bottom")}
    assert (one, none) == (set(), set()), "one point is no course"


def test_another_list_keeps_selection_current_run_and_place(view: RunView) -> None:
    runs = [made(f"r{row}", created=NOON - row) for row in range(60)]
    view._table.show(runs)
    view.show()
    told: list[int] = []
    view.chosen_changed.connect(lambda: told.append(1))
    view.choose([runs[5].run.path, runs[2].run.path, Path("/nowhere")])
    assert [one.name for one in view.chosen()] == ["r2", "r5"]
    assert view.currentIndex().row() == 2, "the first of them"
    view.selectionModel().setCurrentIndex(view.filter.index(5, 0), QItemSelectionModel.SelectionFlag.NoUpdate)
    view.verticalScrollBar().setValue(3)
    told.clear()
    view._table.show(runs[1:])
    assert [one.name for one in view.chosen()] == ["r2", "r5"]
    assert (view.currentIndex().row(), view.verticalScrollBar().value()) == (4, 3)
    assert told
    view.choose([])
    assert view.chosen() == []
    view._table.show(runs)
    assert view.chosen() == []
    assert view.shown() == [one.run.path for one in runs]


def test_columns_are_put_back_as_they_were_and_words_that_are_none_are_left_alone(view: RunView) -> None:
    header = view.horizontalHeader()
    assert (header.sortIndicatorSection(), header.sortIndicatorOrder()) == (
        CREATED_COLUMN, Qt.SortOrder.DescendingOrder,
    )  # fmt: skip
    header.moveSection(0, 2)
    view.show()
    view.setColumnWidth(NAME_COLUMN, 111)
    view.setColumnWidth(CURVE_COLUMN, 77)
    kept = view.save_columns()
    assert kept.split(" ")[1:] == ["name", "curve"]
    other = RunView(RunTable())
    for words in ("", "nonsense", "n\u00f6 name"):
        other.restore_columns(words)
        assert other.horizontalHeader().visualIndex(0) == 0
    other.restore_columns(f"{kept} unknown")
    assert other.horizontalHeader().visualIndex(0) == 2
    assert (other.columnWidth(NAME_COLUMN), other.columnWidth(CURVE_COLUMN)) == (111, 77)
    assert other.save_columns() == kept
    other.deleteLater()
    menu = view.column_menu()
    assert [one.text() for one in menu.actions()] == [
        column.title for column in RUN_COLUMNS if column.key != "name"
    ]
    assert [one.text() for one in menu.actions() if not one.isChecked()] == ["Learned"]
    assert all(one.isCheckable() for one in menu.actions())


def test_a_name_is_written_over_its_whole_cell(qtbot: QtBot, view: RunView) -> None:
    view._table.show([made()])
    view.show()
    assert not view.is_editing
    index = view.filter.index(0, NAME_COLUMN)
    view.edit(index)
    editor = child(view.viewport(), QLineEdit)
    assert (view.is_editing, editor.geometry(), editor.text()) == (True, view.visualRect(index), "alpha")
    qtbot.keyClick(editor, Qt.Key.Key_Escape)
    assert not view.is_editing


# -- the tab -----------------------------------------------------------------------


@pytest.fixture
def runs(home: Path) -> list[RunDir]:
    return [make_run(home / "data" / "runs", name, day=day) for day, name in enumerate(("a", "b", "c"))]


@pytest.fixture
def tab(qtbot: QtBot, runs: list[RunDir]) -> RunsTab:
    assert runs
    return shown(qtbot)


def test_the_tab_says_what_it_lists_and_how_much_that_takes(qtbot: QtBot, tab: RunsTab, home: Path) -> None:
    count = child(tab, QLabel, "runs.count")
    assert count.toolTip() == f"Disk use of all runs in {home / 'data' / 'runs'}"
    width = count.minimumWidth()
    assert width >= count.sizeHint().width()
    states = child(tab, QComboBox, "runs.state")
    assert states.count() == 1 + len(STATES)
    assert [states.itemText(place) for place in (0, 1, 2)] == ["All states", "Preparing", "Training"]
    tab.show_state("finished")
    assert names(tab) == ["c", "b", "a"]
    tab.show_state("failed")
    assert (names(tab), text(tab, "runs.count").split(" · ")[0]) == ([], "0 of 3 runs")
    nothing = child(tab, QWidget, "runs.clear").parent()
    assert isinstance(nothing, QWidget)
    assert (nothing.isVisible(), tab.table.isVisible()) == (True, False)
    tab.show_state("nothing like it")
    assert (states.currentIndex(), nothing.isVisible(), tab.table.isVisible()) == (0, False, True)
    assert count.minimumWidth() >= width, "what stands beside it keeps its place"
    tab.search("a")
    qtbot.mouseClick(child(tab, QWidget, "runs.clear"), Qt.MouseButton.LeftButton)
    assert child(tab, QLineEdit, "runs.search").text() == ""


def test_a_list_that_takes_long_is_looked_at_less_often_and_a_key_leads_to_the_search(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir]
) -> None:
    tab._began -= 1.0
    tab._on_scan_finished()
    assert 40_000 <= tab._poll.interval() < 60_000
    assert tab._poll.isActive()
    tab.refresh()
    assert not tab._poll.isActive(), "it looks now"
    qtbot.waitUntil(lambda: not tab._scanning.is_busy)
    assert 2000 <= tab._poll.interval() < 40_000
    tab.activateWindow()
    qtbot.waitUntil(tab.isActiveWindow)
    tab.table.setFocus()
    QTest.keySequence(tab.table, QKeySequence(QKeySequence.StandardKey.Find))
    assert child(tab, QLineEdit, "runs.search").hasFocus()
    tab.table.customContextMenuRequested.emit(QPoint(5, 5))
    assert not tab.bar.menu.isVisible(), "nothing is chosen"
    select(qtbot, tab, *runs[:2])
    tab._start_rename()
    assert not tab.table.is_editing, "of several no name is written"


def test_notes_that_cannot_be_saved_are_told_and_the_list_stays(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_run: RunDir, _note: RunNote) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tab_module, "save_note", fail)
    with qtbot.waitSignal(tab.warned) as warned:
        tab.detail.edited.emit(summarize(runs[0]), ("x",), "y")
    assert warned.args == [f"The notes of {runs[0].name} were not saved: No space left on device."]
    monkeypatch.undo()
    tab.detail.edited.emit(summarize(runs[0]), ("x",), "y")
    assert load_note(runs[0]) == RunNote("", ("x",), "y")
    settled(qtbot, tab)
    tags = tab.table.filter.index(2, COLUMN_KEYS.index("tags"))
    assert tags.data() == "x"


def test_after_the_last_run_went_the_one_before_it_is_selected(
    qtbot: QtBot, tab: RunsTab, runs: list[RunDir], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "trash"))
    select(qtbot, tab, runs[0])
    assert names(tab)[-1] == "a"
    tab.bar.trash.delete([runs[0]])
    assert [one.name for one in tab.table.chosen()] == ["b"]
    tab.bar.trash.delete([runs[2]])
    settled(qtbot, tab)
    assert [one.name for one in tab.table.chosen()] == ["b"]
    tab.bar.trash.delete([runs[1]])
    settled(qtbot, tab)
    assert (tab.table.chosen(), text(tab, "runs.empty")) == ([], "Every run you train is listed here")
