"""The coverage matrix: what is drawn, what a click, a drag or a key edits, at 8 and at 128 layers."""

from collections.abc import Set
from types import SimpleNamespace

import pytest
from PySide6.QtCore import QEvent, QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QHelpEvent, QKeyEvent
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


def test_hovering_tells(matrix: CoverageMatrix, monkeypatch: pytest.MonkeyPatch) -> None:
    what = "Linear 8 × 8 · 64 parameters"
    assert [matrix.tip(cell) for cell in (Cell(0, 3), Cell(1, 3), Cell(0, 2), Cell(0, -1), Cell(-1, 4), None)] == [
        f"model.layers.3.self_attn.q_proj\n{what} · adapted",
        f"model.layers.3.self_attn.o_proj\n{what} · not adapted",
        "Layer 2 has no self_attn.q_proj",
        "self_attn.q_proj · Attention · 7 of 7 layers\nClick to switch all of them",
        "Layer 4: click to switch all its matrices",
        "",
    ]
    told: list[str] = []
    tips = SimpleNamespace(
        showText=lambda _at, text, _of: told.append(text), hideText=lambda: told.append("hidden")
    )
    monkeypatch.setattr("app.ui.target.coverage_matrix.QToolTip", tips)
    for place in (centre(matrix, 1, 4), QPoint(2, 2)):
        QApplication.sendEvent(matrix, QHelpEvent(QEvent.Type.ToolTip, place, matrix.mapToGlobal(place)))
    assert told == [matrix.tip(Cell(1, 4)), "hidden"]
    matrix.set_rows([])
    assert (matrix.tip(Cell(0, 0)), matrix.module_at(Cell(0, 0))) == ("", None)


def test_places_beside_the_cells_are_none(matrix: CoverageMatrix) -> None:
    last, first = matrix.cell_rect(2, 7), matrix.cell_rect(0, 0)
    for place, cell in (
        (QPointF(last.right() + 8, last.center().y()), None),
        (QPointF(last.center().x(), last.bottom() + 8), None),
        (QPointF(2, 2), None),  # the corner
        (QPointF(2, first.center().y()), Cell(0, -1)),
        (QPointF(first.center().x(), 2), Cell(-1, 0)),
        (last.center(), Cell(2, 7)),
    ):
        assert matrix.cell_at(place) == cell
    assert [matrix.module_at(cell) for cell in (Cell(-1, 0), Cell(0, -1), Cell(0, 2))] == [None] * 3
    found = matrix.module_at(Cell(0, 1))
    assert found is not None
    assert found.path == "model.layers.1.self_attn.q_proj"


def test_matrices_of_one_name_are_told_apart_by_their_keys(matrix: CoverageMatrix) -> None:
    keys = (("a.proj", Group.ATTENTION), ("b.proj", Group.MLP), ("b.up", Group.MLP))
    matrix.set_rows(rows(2, keys))
    assert matrix._labels == ["a.proj", "b.proj", "up"]


def test_the_mouse_edits_with_its_left_button_what_it_went_over(qtbot: QtBot, matrix: CoverageMatrix) -> None:
    edits = Edits(matrix)
    qtbot.mouseClick(matrix, Qt.MouseButton.RightButton, pos=centre(matrix, 1, 3))
    qtbot.mouseClick(matrix, Qt.MouseButton.LeftButton, pos=QPoint(2, 2))
    qtbot.mouseMove(matrix, centre(matrix, 1, 3))
    assert edits == [], "the first was another button, the second on nothing"
    down = QPoint(4, centre(matrix, 1, 0).y())
    drag(qtbot, matrix, down, centre(matrix, 2, 4))
    assert edits == [({f"{i}.{key}" for i in range(8) for key, _ in KEYS[1:]}, True)], "whole rows"
    edits.clear()
    qtbot.keyClick(matrix, Qt.Key.Key_Space)
    assert edits == [({"0.mlp.up_proj"}, True)], "the keyboard goes on where the mouse was"
    edits.clear()
    drag(qtbot, matrix, centre(matrix, 2, 3), QPoint(centre(matrix, 0, 4).x(), 2))
    assert edits == [({f"{i}.{key}" for i in (3, 4) for key, _ in KEYS}, True)], "up to the first row"
    edits.clear()
    qtbot.mousePress(matrix, Qt.MouseButton.LeftButton, pos=centre(matrix, 2, 3))
    qtbot.mouseRelease(matrix, Qt.MouseButton.RightButton, pos=centre(matrix, 2, 3))
    assert edits == []
    qtbot.mouseRelease(matrix, Qt.MouseButton.LeftButton, pos=centre(matrix, 2, 3))
    qtbot.mouseRelease(matrix, Qt.MouseButton.LeftButton, pos=centre(matrix, 2, 3))
    assert edits == [({"3.mlp.up_proj"}, True)]


def test_keys_stop_at_the_edges_and_others_go_on_to_the_page(qtbot: QtBot, matrix: CoverageMatrix) -> None:
    key = Qt.Key
    for pressed, place in (
        ((key.Key_Up, key.Key_Left), Cell(0, 0)),
        ((key.Key_End, key.Key_Right), Cell(0, 7)),
        ((key.Key_Left,), Cell(0, 6)),
        ((key.Key_Down,) * 4, Cell(2, 6)),
        ((key.Key_Up,), Cell(1, 6)),
        ((key.Key_Home,), Cell(1, 0)),
    ):
        for one in pressed:
            qtbot.keyClick(matrix, one)
        assert matrix._cursor == place
    edits, shift = Edits(matrix), Qt.KeyboardModifier.ShiftModifier
    for switch in (key.Key_Return, key.Key_Enter):
        qtbot.keyClick(matrix, switch)
    qtbot.keyClick(matrix, key.Key_Right, shift)
    qtbot.keyClick(matrix, key.Key_Right, shift)
    qtbot.keyClick(matrix, key.Key_Space)
    qtbot.keyClick(matrix, key.Key_Escape)
    qtbot.keyClick(matrix, key.Key_Space)
    qtbot.keyClick(matrix, key.Key_Right, shift)
    qtbot.keyClick(matrix, key.Key_Right)
    qtbot.keyClick(matrix, key.Key_Space)
    assert [sorted(paths) for paths, _on in edits] == [
        ["0.self_attn.o_proj"], ["0.self_attn.o_proj"],
        ["0.self_attn.o_proj", "1.self_attn.o_proj", "2.self_attn.o_proj"],
        ["2.self_attn.o_proj"],  # Esc gave up the block
        ["4.self_attn.o_proj"],  # and so did an arrow alone
    ]  # fmt: skip
    taken = []
    for one in (key.Key_Escape, key.Key_X, key.Key_Space):
        event = QKeyEvent(QEvent.Type.KeyPress, one, Qt.KeyboardModifier.NoModifier)
        matrix.keyPressEvent(event)
        taken.append(event.isAccepted())
    assert taken == [False, False, True]


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
