"""The list of who can answer, the box that chooses from it, and the grid of the columns that do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QImage
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.core.compare.candidate import BASE, Candidate, candidate_of
from app.core.run.folder import RunDir, runs_dir
from app.core.run.note import RunNote, save_note
from app.ui.compare.answer_chooser import AnswerChooser, CandidateList, ElidedBox, takes
from app.ui.compare.answer_column import AnswerColumn
from app.ui.compare.answer_grid import AnswerGrid
from tests.ui.comparing import adapter_folder, base_folder, run_with_checkpoints


def run_named(name: str, *, at: str = "12-00-00", adapter: bool = True, base: str = "/base") -> RunDir:
    """A run's folder as it would be, begun at a time of one day."""
    run = RunDir(runs_dir() / f"2026-01-01_{at}_{name}")
    run.path.mkdir(parents=True)
    run.config.write_text("")
    if adapter:
        adapter_folder(run.adapters, base)
    return run


def listed(found: CandidateList) -> list[str]:
    """What is offered behind the base and the entry that asks for a folder."""
    return [found.model.item(row).text().split(" · ")[0] for row in range(2, found.model.rowCount())]


def refresh(qtbot: QtBot, found: CandidateList) -> None:
    with qtbot.waitSignal(found.listed):
        found.refresh()


@pytest.mark.usefixtures("home")
def test_runs_that_come_and_go_are_listed_at_their_place_and_folders_stay(qtbot: QtBot, tmp_path: Path) -> None:
    found = CandidateList()
    old, new = run_named("old", at="08-00-00"), run_named("new", at="20-00-00")
    run_named("unfinished", at="19-00-00", adapter=False)
    refresh(qtbot, found)
    assert listed(found) == ["new", "old"]
    run_named("between", at="12-00-00")
    refresh(qtbot, found)
    assert listed(found) == ["new", "between", "old"]
    folder = Candidate("mine", adapter_folder(tmp_path / "mine", "/base"))
    assert (found.add(folder), found.add(folder), found.add(BASE), found.row_of(folder)) == (2, 2, 0, 2)
    shutil.rmtree(new.path)
    refresh(qtbot, found)
    assert listed(found) == ["mine", "between", "old"]
    assert [one.run and one.run.name[11:] for one in found.runs()] == ["12-00-00_between", "08-00-00_old"]
    assert found.row_of(candidate_of(old.adapters)) == 4
    assert found.row_of(Candidate("gone", Path("/gone"))) == -1
    assert found.at(1) is None, "it asks for a folder"
    tips = [found.model.item(row).toolTip() for row in range(5)]
    assert tips == ["", "", str(tmp_path / "mine"), *(str(one.adapter) for one in found.runs())]


@pytest.mark.usefixtures("home")
def test_a_run_with_another_name_is_called_by_it_wherever_it_is_chosen(qtbot: QtBot, tmp_path: Path) -> None:
    found = CandidateList()
    run = run_named("first")
    found.add(candidate_of(adapter_folder(tmp_path / "mine", "/base")))
    chooser = AnswerChooser(found)
    qtbot.addWidget(chooser)
    chooser.set_candidate(candidate_of(run.adapters))
    told: list[Candidate | None] = []
    chooser.chosen.connect(lambda: told.append(chooser.candidate))
    save_note(run, RunNote(name="The polite one"))
    found.take_names()
    assert listed(found) == ["The polite one", "mine"]
    assert chooser.candidate is not None
    assert chooser.candidate.label == found.runs()[0].label == "The polite one"
    assert chooser.box.toolTip() == f"The polite one\n{run.adapters}"
    assert told == [], "nobody else was chosen"
    chooser.choose(BASE)
    chooser.choose(BASE)
    assert told == [BASE]
    assert chooser.box.toolTip() == "Who answers in this column"
    assert chooser.box.currentText() == "Base model"


@pytest.mark.usefixtures("home")
def test_weights_are_chosen_where_a_run_has_several(qtbot: QtBot, home: Path, tmp_path: Path) -> None:
    chooser = AnswerChooser(CandidateList())
    qtbot.addWidget(chooser)
    chooser.show()
    nobody = (chooser.box.currentIndex(), chooser.checkpoints.isVisible(), chooser.box.toolTip())
    assert nobody == (-1, False, "Who answers in this column")
    shown = []
    many = run_with_checkpoints(home / "data" / "runs", base_folder(tmp_path / "base"), questions=0)
    two = run_named("two")
    adapter_folder(two.best, "/base")
    (two.best / "adapters.safetensors").write_bytes(b"another")
    for path in (adapter_folder(tmp_path / "mine", "/base"), run_named("one").adapters, two.path, many.best):
        chooser.choose_path(path)
        shown.append((chooser.checkpoints.isVisible(), chooser.checkpoints.currentText()))
    assert shown == [(False, ""), (False, "Kept"), (True, "Kept"), (True, "Best")]
    assert chooser.box.currentText().startswith("friendly · 20"), "the run is listed, not its checkpoint"
    at = chooser.box.findText("one", Qt.MatchFlag.MatchStartsWith)
    with qtbot.waitSignal(chooser.chosen):
        chooser.box.activated.emit(at)
    assert chooser.box.currentText().startswith("one")
    assert (chooser.box.currentIndex(), chooser.checkpoints.count()) == (at, 1)
    chooser.set_candidate(None)
    assert (chooser.box.currentText(), chooser.checkpoints.isVisible()) == ("", False)


def test_what_is_dropped_is_for_a_column_where_it_is_an_adapter_or_has_one(home: Path, tmp_path: Path) -> None:
    base = base_folder(tmp_path / "base")
    run = run_with_checkpoints(home / "data" / "runs", base, questions=0)
    taken = {path.name: takes(path) for path in (run.path, run.adapters, run.best, base)}
    assert list(taken.values()) == [True, True, True, False]


def test_a_name_too_long_is_told_by_its_end_and_nobody_by_what_to_do(qtbot: QtBot) -> None:
    box = ElidedBox()
    qtbot.addWidget(box)
    box.addItems(["a run with a very long name · 1", "a run with a very long name · 8", "short"])
    box.resize(140, 30)

    def drawn(at: int, hint: str = "") -> QImage:
        box.setCurrentIndex(at)
        box.setPlaceholderText(hint)
        return box.grab().toImage()

    assert drawn(0) != drawn(1), "names begin alike"
    assert drawn(-1, "Choose an adapter") != drawn(-1)
    assert drawn(2, "Choose an adapter") == drawn(2)


@pytest.fixture
def grid(qtbot: QtBot) -> AnswerGrid:
    found = AnswerGrid(CandidateList())
    qtbot.addWidget(found)
    found.setMinimumSize(0, 0)
    found.show()
    return found


def places(grid: AnswerGrid) -> list[tuple[int, int]]:
    """Row and column of each answer, in the order of the columns."""
    cells = grid._grid
    return [cells.getItemPosition(cells.indexOf(one))[:2] for one in grid.columns]  # type: ignore[index]


def test_columns_stand_side_by_side_or_in_rows_of_two(grid: AnswerGrid) -> None:
    found = {}
    for count, width in ((2, 544), (2, 300), (3, 824), (3, 823), (4, 1104), (4, 1103)):
        grid.set_count(count)
        grid.setFixedWidth(width)
        found[count, width] = places(grid)
    in_a_row = [(0, 0), (0, 1), (0, 2), (0, 3)]
    of_two = [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert found == {
        (2, 544): in_a_row[:2], (2, 300): in_a_row[:2], (3, 824): in_a_row[:3], (3, 823): of_two[:3],
        (4, 1104): in_a_row, (4, 1103): of_two,
    }  # fmt: skip
    stretched = [grid._grid.columnStretch(at) for at in range(4)]
    assert stretched == [1, 1, 0, 0], "two share the width"


def test_columns_in_another_order_are_met_in_it_and_can_be_taken_away(grid: AnswerGrid) -> None:
    grid.set_count(3)
    grid.setFixedWidth(900)
    assert [one.remove.isVisibleTo(one) for one in grid.columns] == [True] * 3
    grid.set_order((2, 0, 1))
    assert (grid.order, places(grid)) == ((2, 0, 1), [(0, 1), (0, 2), (0, 0)])

    def met() -> list[AnswerColumn]:
        """The columns in the order in which Tab comes to them."""
        at: QWidget | None = grid.columns[2]
        found = [at]
        while at is not None and (at := at.nextInFocusChain()) is not grid.columns[2]:
            found.append(at)
        return [one for one in found if isinstance(one, AnswerColumn)]

    assert met() == [grid.columns[2], grid.columns[0], grid.columns[1]]
    gone: list[int] = []
    grid.removed.connect(gone.append)
    first, second, third = grid.columns
    second.remove.click()
    assert (gone, grid.columns, grid.order) == ([1], [first, third], (0, 1))
    assert not second.isVisible()
    assert [one.objectName() for one in grid.columns] == ["answer.0", "answer.1"]
    assert [one.remove.isVisibleTo(one) for one in grid.columns] == [False, False]


def test_a_column_says_which_one_it_is_and_what_is_asked_of_it(
    qtbot: QtBot, grid: AnswerGrid, tmp_path: Path
) -> None:
    grid.set_count(2)
    folder = adapter_folder(tmp_path / "mine", "/base")
    wanted = Candidate("mine", folder, strength=0.5)
    grid.columns[1].set_candidate(wanted)
    asked: list[object] = []
    for signal in (grid.export_requested, grid.chat_requested, grid.serve_requested):
        signal.connect(asked.append)
    column = grid.columns[1]
    for button in (column.export, column.chat, column.serve):
        assert button.focusPolicy() == Qt.FocusPolicy.TabFocus
        button.click()
    assert asked == [wanted] * 3
    grid.columns[0].set_candidate(BASE)
    parts = (column.export, column.chat, column.serve, column.strength)
    assert [one.isVisibleTo(column) for one in parts] == [True] * 4
    base = grid.columns[0]
    assert [one.isVisibleTo(base) for one in (base.export, base.chat, base.serve, base.strength)] == [False] * 4
    assert column.view.accessibleName() == "Answer of mine × 0.5"
    column.set_letter("B", hidden=True)
    assert (column.title, column.view.accessibleName()) == ("Answer B", "Answer of Answer B")
    assert column.view.placeholderText() == ""
    assert [one.isVisibleTo(column) for one in (*parts, column.chooser)] == [False] * 5
    column.set_letter("B", hidden=False)
    assert [one.isVisibleTo(column) for one in (*parts, column.chooser)] == [True] * 5
    assert (column.title, column.view.placeholderText()) == ("mine × 0.5", "The answer appears here.")
    column.set_candidate(None)
    assert (column.title, column.view.accessibleName()) == ("", "Answer")
    with qtbot.waitSignal(grid.chosen) as told:
        column.chooser.choose(BASE)
    assert told.args == [1]
