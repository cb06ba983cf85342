"""Tables: titles over columns, figures at the right, and what a view hears of a change."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QAbstractItemView, QStyleOptionViewItem
from pytestqt.qtbot import QtBot

from app.ui.widget import theme
from app.ui.widget.fitted_table import FittedTableView, WordDelegate, elided_at_word, shared_widths
from app.ui.widget.table import ALIGN_LEFT, ALIGN_RIGHT, ROW_HEIGHT, Index, TableModel, TableView

ROLE = Qt.ItemDataRole


class Rows(TableModel):
    def data(self, index: Index, role: int = ROLE.DisplayRole) -> object:
        return self.rows[index.row()][index.column()] if role == ROLE.DisplayRole else None


@pytest.fixture
def rows() -> Rows:
    found = Rows(("Name", "Loss"), {"Loss"})
    found.set_rows([("a", 1), ("b", 2)])
    return found


def test_titles_stand_over_their_columns_and_figures_at_the_right(rows: Rows) -> None:
    def titles(role: int = ROLE.DisplayRole, way: Qt.Orientation = Qt.Orientation.Horizontal) -> list[object]:
        return [rows.headerData(column, way, role) for column in range(2)]

    assert titles() == ["Name", "Loss"]
    assert titles(ROLE.TextAlignmentRole) == [ALIGN_LEFT, ALIGN_RIGHT] == [rows.alignment(0), rows.alignment(1)]
    assert titles(ROLE.ToolTipRole) == titles(ROLE.DisplayRole, Qt.Orientation.Vertical) == [None, None]
    assert titles(ROLE.TextAlignmentRole, Qt.Orientation.Vertical) == [None, None]
    assert (rows.rowCount(), rows.columnCount()) == (2, 2)
    inner = rows.index(0, 0)
    assert (rows.rowCount(inner), rows.columnCount(inner)) == (0, 0)
    rows.set_rows([("c", 1, 2)], ("A", "B", "C"))
    assert (rows.rowCount(QModelIndex()), rows.columnCount()) == (1, 3)
    rows.set_rows([])
    assert rows.columnCount() == 3, "the titles stay"


def test_a_change_is_told_of_every_cell(rows: Rows) -> None:
    told: list[object] = []
    rows.dataChanged.connect(lambda *ends: told.append([(end.row(), end.column()) for end in ends[:2]]))
    rows.modelReset.connect(lambda: told.append("reset"))
    rows.refresh()
    rows.set_rows([])
    rows.refresh()
    assert told == [[(0, 0), (1, 1)], "reset"]


def test_a_view_chooses_whole_rows_and_tab_leaves_it(qtbot: QtBot) -> None:
    view = TableView("a.table", "Rows", row_height=50)
    usual = TableView("b.table", "Others")
    for one in (view, usual):
        qtbot.addWidget(one)
    assert (view.objectName(), view.accessibleName()) == ("a.table", "Rows")
    assert (view.selectionBehavior(), view.selectionMode()) == (
        QAbstractItemView.SelectionBehavior.SelectRows, QAbstractItemView.SelectionMode.SingleSelection,
    )  # fmt: skip
    assert (view.alternatingRowColors(), view.showGrid(), view.wordWrap(), view.tabKeyNavigation()) == (
        True, False, False, False,
    )  # fmt: skip
    assert view.textElideMode() is Qt.TextElideMode.ElideMiddle
    assert "padding: 0 5px" in view.styleSheet()
    assert view.verticalHeader().isHidden()
    assert view.verticalHeader().defaultSectionSize() == theme.line_px(50)
    assert usual.verticalHeader().defaultSectionSize() == theme.line_px(ROW_HEIGHT)
    assert not view.horizontalHeader().highlightSections()
    assert view.horizontalHeader().defaultAlignment() == ALIGN_LEFT


@pytest.mark.parametrize(
    ("wanted", "least", "room", "found"),
    [
        ([100, 100], [10, 10], 0, [10, 10]),
        ([100, 100], [10, 10], 21, [10, 11]),
        ([20, 100, 100], [10, 10, 10], 130, [20, 55, 55]),
        ([100, 20, 100], [10, 10, 10], 131, [55, 20, 56]),
        ([100, 100], [100, 10], 150, [100, 50]),
    ],
)
def test_what_is_left_is_shared_evenly(wanted: list[int], least: list[int], room: int, found: list[int]) -> None:
    assert shared_widths(wanted, least, room) == found


class Least(FittedTableView):
    least = (40,)
    least_of_others = 70


def test_columns_get_their_least_and_grow_with_their_texts(qtbot: QtBot) -> None:
    model, view = Rows(("A", "B", "C")), Least("c.table", "Rows")
    qtbot.addWidget(view)
    view.setModel(model)
    view.resize(300, 200)
    view.show()
    long = "a long text, much longer than there is room for in a column of a narrow table"
    model.set_rows([(long, long, long)])
    room = view.viewport().width()
    assert sum(view.columnWidth(n) for n in range(3)) <= room
    assert view.columnWidth(0) == pytest.approx(view.columnWidth(1), abs=60)
    view.resize(150, 200)
    assert [view.columnWidth(n) for n in range(3)] == [theme.text_width(n) for n in (40, 70, 70)]
    view.resize(3000, 200)
    advance = view.fontMetrics().horizontalAdvance(long) + 24
    assert [view.columnWidth(n) for n in range(3)] == [advance] * 3
    model.set_rows([("a", "b", "c")])
    assert view.columnWidth(0) < advance, "other rows are measured anew"
    many = [("a", "b", "c")] * 199
    model.set_rows([*many, (long, "b", "c"), ("a", long, "c")])
    assert [view.columnWidth(n) == advance for n in range(3)] == [True, False, False], (
        "of a long list the first 200"
    )


def test_a_cell_ends_at_a_word(qtbot: QtBot) -> None:
    view = FittedTableView("d.table", "Rows")
    qtbot.addWidget(view)
    model = Rows(("A",))
    model.set_rows([("several words, of which some have no room",)])
    view.setModel(model)
    option = QStyleOptionViewItem()
    option.rect.setWidth(150)
    delegate = WordDelegate(view)
    delegate.initStyleOption(option, model.index(0, 0))
    metrics = option.fontMetrics
    assert option.text == elided_at_word("several words, of which some have no room", metrics, 150 - 24)
    assert option.text.endswith(" …")
    single = QFontMetrics(view.font())
    cut = elided_at_word("incomprehensibilities", single, 60)
    assert cut.endswith("…")
    assert not cut.endswith(" …")
