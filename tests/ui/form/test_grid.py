"""A grid of fields: as many columns as have room, switches in rows of their own, no gap for what is absent."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QSize
from PySide6.QtWidgets import QWidget
from pytestqt.qtbot import QtBot

from app.ui.form.field import Field
from app.ui.form.grid import FieldGrid
from app.ui.form.store import ConfigStore
from app.ui.widget import theme

GAP = 2 * theme.SPACE


@pytest.fixture
def grid(qtbot: QtBot) -> FieldGrid:
    found = FieldGrid(max_columns=3, column_width=100)
    qtbot.addWidget(found)
    return found


class Box(QWidget):
    """A part that needs a width."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.needed = width

    def minimumSizeHint(self) -> QSize:
        return QSize(self.needed, 10)


def box(grid: FieldGrid, width: int = 10) -> QWidget:
    found = Box(width)
    grid.add(found)
    return found


def places(grid: FieldGrid, *parts: QWidget) -> list[tuple[int, int]]:
    found = []
    for part in parts:
        at = grid._grid.indexOf(part)
        found.append(grid._grid.getItemPosition(at)[:2] if at >= 0 else (-1, -1))  # type: ignore[index]
    return found


def test_the_width_says_how_many_columns_there_are(grid: FieldGrid) -> None:
    column = theme.text_width(100)
    parts = [box(grid) for _ in range(4)]
    assert grid.columns == 3, "until the width is known"
    grid.show()
    for width, columns in (
        (3 * column + 2 * GAP, 3), (3 * column + 2 * GAP - 1, 2), (2 * column + GAP, 2), (2 * column + GAP - 1, 1),
        (9 * column, 3),
    ):  # fmt: skip
        grid.resize(width, 100)
        assert grid.columns == columns
        assert places(grid, *parts) == [(n // columns, n % columns) for n in range(4)]
        assert [grid._grid.columnStretch(n) for n in range(3)] == [1] * columns + [0] * (3 - columns)


def test_a_column_is_never_narrower_than_what_is_in_it(grid: FieldGrid) -> None:
    parts = [box(grid), box(grid, 400)]
    grid.show()
    grid.resize(2 * 400 + GAP, 100)
    assert (grid.columns, grid.minimumSizeHint().width()) == (2, 400)
    grid.resize(2 * 400 + GAP - 1, 100)
    assert grid.columns == 1
    grid.set_present(parts[1], False)
    grid.resize(2 * 400 + GAP, 100)
    assert (grid.columns, grid.minimumSizeHint().width()) == (3, 10)


def test_what_is_absent_leaves_no_gap_and_comes_back_to_its_place(grid: FieldGrid) -> None:
    grid.show()
    grid.resize(900, 100)
    parts = first, second, third = [box(grid) for _ in range(3)]
    grid.set_present(second, False)
    assert (places(grid, *parts), second.isVisible()) == ([(0, 0), (-1, -1), (0, 1)], False)
    grid.set_present(second, False)
    assert places(grid, *parts) == [(0, 0), (-1, -1), (0, 1)]
    grid.set_present(second, True)
    assert (places(grid, *parts), second.isVisible()) == ([(0, 0), (0, 1), (0, 2)], True)
    grid.set_present(third, False)
    grid.remove(third)
    grid.remove(first)
    assert (first.isHidden(), grid._items, grid._absent) == (True, [second], set())
    grid.resize(50, 100)
    assert places(grid, second) == [(0, 0)]


def test_switches_stand_below_the_others(grid: FieldGrid) -> None:
    store = ConfigStore()
    names = ("mask_prompt", "batch_size", "seed", "grad_checkpoint", "iters", "learning_rate")
    fields = {name: Field(name, store) for name in names}
    for field in fields.values():
        grid.add(field)
    grid.show()
    grid.resize(1000, 300)
    assert places(grid, *fields.values()) == [(2, 0), (0, 0), (0, 1), (2, 1), (0, 2), (1, 0)]
    grid.set_present(fields["learning_rate"], False)
    assert places(grid, *fields.values()) == [(1, 0), (0, 0), (0, 1), (1, 1), (0, 2), (-1, -1)]
    assert all(field.parent() is grid for field in fields.values())
