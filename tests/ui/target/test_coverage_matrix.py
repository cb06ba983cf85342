"""The coverage matrix: what is drawn, what a click, a drag or a key edits, at 8 and at 128 layers."""

from collections.abc import Set

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.core.model.inspection import MatrixRow, Module
from app.core.model.module_group import Group
from app.ui.target.coverage_matrix import HEAD_HEIGHT, Cell, CoverageMatrix, group_color
from app.ui.widget import theme

KEYS = (("self_attn.q_proj", Group.ATTENTION), ("self_attn.o_proj", Group.ATTENTION), ("mlp.up_proj", Group.MLP))


def module(key: str, layer: int, group: Group) -> Module:
    return Module(
        path=f"model.layers.{layer}.{key}", key=key, layer=layer, group=group, type="Linear", shape=(8, 8),
        parameters=64, bytes=128, cost=0,
    )  # fmt: skip


def rows(
    layers: int, keys: tuple[tuple[str, Group], ...] = KEYS, missing: frozenset[int] = frozenset()
) -> list[MatrixRow]:
    """Rows of a model; the first key is lacking in the layers ``missing``."""

    def cells(key: str, group: Group) -> tuple[Module | None, ...]:
        gaps = missing if key == keys[0][0] else ()
        return tuple(None if layer in gaps else module(key, layer, group) for layer in range(layers))

    return [MatrixRow(key, group, cells(key, group)) for key, group in keys]


@pytest.fixture
def matrix(qtbot: QtBot) -> CoverageMatrix:
    theme.apply_theme("light")
    found = CoverageMatrix()
    qtbot.addWidget(found)
    found.set_rows(rows(8, missing=frozenset({2})))
    found.set_selected(frozenset(f"model.layers.{i}.self_attn.q_proj" for i in range(8)))
    found.resize(600, found.minimumSizeHint().height())
    with qtbot.waitExposed(found):
        found.show()
    found.setFocus()
    return found


class Edits(list[tuple[Set[str], bool]]):
    """What a matrix asked for, with short names for reading."""

    def __init__(self, matrix: CoverageMatrix) -> None:
        super().__init__()
        matrix.edited.connect(self._on_edited)

    def _on_edited(self, paths: frozenset[str], on: bool) -> None:
        self.append((frozenset(path.removeprefix("model.layers.") for path in paths), on))


def centre(matrix: CoverageMatrix, row: int, column: int) -> QPoint:
    return matrix.cell_rect(row, column).center().toPoint()


def colour(matrix: CoverageMatrix, row: int, column: int) -> str:
    return QColor(matrix.grab().toImage().pixelColor(centre(matrix, row, column))).name()


def test_cells_show_adapted_not_adapted_and_missing(matrix: CoverageMatrix) -> None:
    matrix.clearFocus()
    assert colour(matrix, 0, 5) == group_color(Group.ATTENTION)
    assert colour(matrix, 1, 5) == theme.colors().border
    empty = colour(matrix, 0, 2)
    assert empty not in (group_color(Group.ATTENTION), theme.colors().border)
    assert matrix.row_count(0) == (7, 7)
    assert "7 of 23" in matrix.accessibleDescription()


def test_a_click_switches_one_cell(qtbot: QtBot, matrix: CoverageMatrix) -> None:
    edits = Edits(matrix)
    qtbot.mouseClick(matrix, Qt.MouseButton.LeftButton, pos=centre(matrix, 2, 3))
    qtbot.mouseClick(matrix, Qt.MouseButton.LeftButton, pos=centre(matrix, 0, 3))
    assert edits == [({"3.mlp.up_proj"}, True), ({"3.self_attn.q_proj"}, False)]


def test_names_and_numbers_switch_rows_and_columns(qtbot: QtBot, matrix: CoverageMatrix) -> None:
    edits = Edits(matrix)
    qtbot.mouseClick(matrix, Qt.MouseButton.LeftButton, pos=QPoint(4, centre(matrix, 0, 0).y()))
    qtbot.mouseClick(matrix, Qt.MouseButton.LeftButton, pos=QPoint(centre(matrix, 0, 2).x(), 6))
    assert edits[0] == ({f"{i}.self_attn.q_proj" for i in range(8) if i != 2}, False)
    assert edits[1] == ({"2.self_attn.o_proj", "2.mlp.up_proj"}, True)


def drag(qtbot: QtBot, matrix: CoverageMatrix, start: QPoint, end: QPoint) -> None:
    qtbot.mousePress(matrix, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(matrix, end)
    qtbot.mouseRelease(matrix, Qt.MouseButton.LeftButton, pos=end)


def test_a_drag_switches_a_block(qtbot: QtBot, matrix: CoverageMatrix) -> None:
    edits = Edits(matrix)
    drag(qtbot, matrix, centre(matrix, 2, 6), centre(matrix, 1, 5))
    assert edits == [({f"{i}.{key}" for i in (5, 6) for key in ("self_attn.o_proj", "mlp.up_proj")}, True)]


def test_a_drag_over_numbers_switches_whole_layers(qtbot: QtBot, matrix: CoverageMatrix) -> None:
    edits = Edits(matrix)
    drag(qtbot, matrix, QPoint(centre(matrix, 0, 3).x(), 6), centre(matrix, 2, 4))
    assert edits == [({f"{i}.{key}" for i in (3, 4) for key, _ in KEYS}, True)]


def test_an_empty_place_edits_nothing(qtbot: QtBot, matrix: CoverageMatrix) -> None:
    edits = Edits(matrix)
    qtbot.mouseClick(matrix, Qt.MouseButton.LeftButton, pos=centre(matrix, 0, 2))
    assert edits == []


def test_keys_move_extend_and_switch(qtbot: QtBot, matrix: CoverageMatrix) -> None:
    edits = Edits(matrix)
    for key in (Qt.Key.Key_Down, Qt.Key.Key_Right, Qt.Key.Key_Space):
        qtbot.keyClick(matrix, key)
    qtbot.keyClick(matrix, Qt.Key.Key_Right, Qt.KeyboardModifier.ShiftModifier)
    qtbot.keyClick(matrix, Qt.Key.Key_Space)
    qtbot.keyClick(matrix, Qt.Key.Key_End)
    qtbot.keyClick(matrix, Qt.Key.Key_C)
    qtbot.keyClick(matrix, Qt.Key.Key_R)
    assert edits[0] == ({"1.self_attn.o_proj"}, True)
    assert edits[1] == ({"1.self_attn.o_proj", "2.self_attn.o_proj"}, True)
    assert edits[2] == ({f"7.{key}" for key, _ in KEYS}, True)
    assert edits[3] == ({f"{i}.self_attn.o_proj" for i in range(8)}, True)


def test_nothing_is_edited_when_there_is_nothing_to_choose(qtbot: QtBot, matrix: CoverageMatrix) -> None:
    matrix.set_selected(frozenset(), editable=False)
    edits = Edits(matrix)
    qtbot.mouseClick(matrix, Qt.MouseButton.LeftButton, pos=centre(matrix, 2, 3))
    qtbot.keyClick(matrix, Qt.Key.Key_Space)
    assert edits == []


def test_hovering_tells(matrix: CoverageMatrix) -> None:
    assert "model.layers.3.self_attn.q_proj" in matrix.tip(Cell(0, 3))
    assert "adapted" in matrix.tip(Cell(0, 3))
    assert "8 × 8" in matrix.tip(Cell(1, 3))
    assert "has no" in matrix.tip(Cell(0, 2))
    assert "7 of 7" in matrix.tip(Cell(0, -1))
    assert "Layer 4" in matrix.tip(Cell(-1, 4))
    assert matrix.tip(None) == ""


@pytest.mark.parametrize("layers, width", [(8, 400), (24, 640), (128, 640), (128, 860)])
def test_every_layer_has_its_place(matrix: CoverageMatrix, layers: int, width: int) -> None:
    matrix.set_rows(rows(layers))
    matrix.set_selected(frozenset({f"model.layers.{layers - 1}.mlp.up_proj"}))
    matrix.resize(width, matrix.minimumSizeHint().height())
    last = matrix.cell_rect(2, layers - 1)
    assert last.width() >= 2
    assert last.right() <= width
    assert colour(matrix, 2, layers - 1) == group_color(Group.MLP)
    for column in (0, layers // 2, layers - 1):
        assert matrix.cell_at(matrix.cell_rect(1, column).center()) == Cell(1, column)


def test_what_was_under_the_pointer_is_plain_again_when_it_leaves(qtbot: QtBot, matrix: CoverageMatrix) -> None:
    matrix.clearFocus()
    plain = matrix.grab().toImage()
    qtbot.mouseMove(matrix, centre(matrix, 1, 4))
    assert matrix.grab().toImage() != plain
    QApplication.sendEvent(matrix, QEvent(QEvent.Type.Leave))
    assert matrix.grab().toImage() == plain


def test_each_layer_has_its_number_from_the_first_on(matrix: CoverageMatrix) -> None:
    image = matrix.grab().toImage()
    bare = image.pixelColor(2, 2)
    for column in range(8):
        left = round(matrix.left + column * matrix.cell_width)
        places = ((x, y) for x in range(left, left + round(matrix.cell_width)) for y in range(HEAD_HEIGHT - 2))
        assert any(image.pixelColor(x, y) != bare for x, y in places), column
