"""Figures beside each other: what each is called, and as many columns as have room for all of them."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.ui.widget import theme
from app.ui.widget.figure import CaptionedFigure, CountFigure, FigureGrid

GAP = 2 * theme.SPACE


def test_a_number_says_what_it_counts(qtbot: QtBot) -> None:
    figure = CountFigure("rows", "rows")
    qtbot.addWidget(figure)
    assert (figure.objectName(), figure.text) == ("estimate.rows", "–")
    figure.show_value("1,200", "In all files")
    assert (figure.text, figure.toolTip(), figure.accessibleName()) == ("1,200", "In all files", "rows: 1,200")
    figure.set_label("pairs")
    figure.show_value("")
    assert (figure.text, figure.toolTip(), figure.accessibleName()) == ("–", "", "pairs: not known yet")
    assert [(label.text(), label.property("role")) for label in figure.findChildren(QLabel)] == [
        ("–", "section"), ("pairs", "small"),
    ]  # fmt: skip


def test_a_figure_with_a_note_is_named_whole(qtbot: QtBot) -> None:
    figure = CaptionedFigure("loss", "Loss")
    qtbot.addWidget(figure)
    names = [figure.accessibleName()]
    for value, note in (("1.5", ""), ("1.5", "falling"), ("1.5", "falling"), ("1.4", "falling"), ("–", "")):
        figure.show_value(value, note)
        names.append(figure.accessibleName())
    figure.set_label("Reward")
    names.append(figure.accessibleName())
    falling = ["Loss: 1.5 falling", "Loss: 1.5 falling", "Loss: 1.4 falling"]
    assert names == ["Loss: –", "Loss: 1.5", *falling, "Loss: –", "Reward: –"]
    assert [(label.text(), label.property("role")) for label in figure.findChildren(QLabel)] == [
        ("Reward", "small"), ("–", "section"), ("", "small"),
    ]  # fmt: skip


def test_a_figure_needs_room_for_what_it_expects(qtbot: QtBot) -> None:
    figure = CaptionedFigure("loss", "Loss")
    qtbot.addWidget(figure)
    caption, value, note = figure.findChildren(QLabel)
    bare = figure.needed_width()
    assert bare == figure.minimumSizeHint().width()
    long = "A caption that is longer than any value"
    figure.expect((long, "1", ""))
    assert figure.needed_width() == caption.fontMetrics().horizontalAdvance(long)
    figure.expect(("Loss", "1" * 90, ""), (long, "1", ""))
    number = value.fontMetrics().horizontalAdvance("1" * 90)
    assert figure.needed_width() == number
    figure.expect(("Loss", "1" * 90, "of all"))
    assert figure.needed_width() == number + theme.SPACE // 2 + note.fontMetrics().horizontalAdvance("of all")


class Wide(CaptionedFigure):
    """A figure that needs a width."""

    def __init__(self, width: int) -> None:
        super().__init__("of", "a test")
        self.width_now = width

    def needed_width(self) -> int:
        return self.width_now


@pytest.fixture
def figures() -> list[Wide]:
    return [Wide(50), Wide(100), Wide(80), Wide(60)]


@pytest.fixture
def grid(qtbot: QtBot, figures: list[Wide]) -> FigureGrid:
    found = FigureGrid(figures, 3)
    qtbot.addWidget(found)
    found.show()
    return found


def places(grid: FigureGrid, figures: list[Wide]) -> list[tuple[int, int]]:
    found = [grid._grid.getItemPosition(grid._grid.indexOf(figure)) for figure in figures]
    return [place[:2] for place in found]  # type: ignore[index]


def test_columns_are_of_equal_width_and_none_is_cut(grid: FigureGrid, figures: list[Wide]) -> None:
    for width, across in (
        (3 * 100 + 2 * GAP, 3),
        (3 * 100 + 2 * GAP - 1, 2),
        (2 * 100 + GAP, 2),
        (199, 1),
        (40, 1),
    ):
        grid.resize(width, 100)
        assert places(grid, figures) == [(n // across, n % across) for n in range(4)], width
        assert [grid._grid.columnStretch(n) for n in range(3)] == [1] * across + [0] * (3 - across)
    assert grid.minimumSizeHint().width() == 100


def test_what_needed_more_room_once_keeps_it_until_other_figures_come(
    grid: FigureGrid, figures: list[Wide]
) -> None:
    grid.resize(3 * 100 + 2 * GAP, 100)
    figures[0].width_now = 120
    grid.arrange()
    assert places(grid, figures)[2] == (1, 0)
    figures[0].width_now = 50
    grid.arrange()
    assert places(grid, figures)[2] == (1, 0), "columns do not come and go with a digit"
    grid.start_anew()
    assert places(grid, figures)[2] == (0, 2)


def test_figures_that_are_hidden_leave_no_hole_and_need_no_room(grid: FigureGrid, figures: list[Wide]) -> None:
    grid.resize(3 * 80 + 2 * GAP, 100)
    assert places(grid, figures)[2] == (1, 0)
    figures[1].hide()
    grid.start_anew()
    assert places(grid, figures) == [(0, 0), (1, 0), (0, 1), (0, 2)]
