"""Tables whose columns share the room: nothing is cut while another column has room to spare."""

from __future__ import annotations

import pytest
from PySide6.QtGui import QFontMetrics
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from app.ui.widget import theme
from app.ui.widget.fitted_table import FittedTableView, elided_at_word, shared_widths
from app.ui.widget.table import Index, TableModel


class Words(TableModel):
    def data(self, index: Index, role: int = 0) -> object:
        return self.rows[index.row()][index.column()] if role == 0 else None


@pytest.mark.parametrize(
    ("wanted", "least", "room", "found"),
    [
        ([50, 200, 300], [40, 40, 40], 600, [50, 200, 300]),
        ([50, 200, 300], [40, 40, 40], 350, [50, 150, 150]),
        ([50, 200, 300], [50, 100, 250], 350, [50, 100, 250]),
        ([30, 30], [100, 100], 500, [30, 30]),
        ([], [], 100, []),
    ],
)
def test_columns_share_what_there_is(wanted: list[int], least: list[int], room: int, found: list[int]) -> None:
    assert shared_widths(wanted, least, room) == found


def table(qtbot: QtBot) -> tuple[Words, FittedTableView]:
    model, view = Words(("Name", "Setup", "Outcome")), FittedTableView("words", "Words")
    qtbot.addWidget(view)
    view.setModel(model)
    view.horizontalHeader().setStretchLastSection(True)
    view.resize(900, 200)
    view.show()
    return model, view


def test_no_text_is_cut_while_another_column_has_room(qtbot: QtBot) -> None:
    model, view = table(qtbot)
    long = "my tiny llama · folder · r32 · 2"
    model.set_rows([(long, "LoRA", "Since 18:03"), ("starter", "LoRA rank 32", "")])
    assert view.columnWidth(0) > view.fontMetrics().horizontalAdvance(long) + 16
    assert sum(map(view.columnWidth, range(3))) == view.viewport().width()
    model.rows = [(f"{long} · and much more", "LoRA", "")]
    model.refresh()
    assert view.columnWidth(0) > view.fontMetrics().horizontalAdvance(f"{long} · and much more") + 16


def test_a_width_that_somebody_chose_stays(qtbot: QtBot) -> None:
    model, view = table(qtbot)
    model.set_rows([("a" * 40, "LoRA", "")])
    view.setColumnWidth(0, 90)
    model.set_rows([("a" * 50, "LoRA", "")])
    view.resize(700, 200)
    QApplication.processEvents()
    assert view.columnWidth(0) == 90


def test_a_sentence_ends_at_a_word() -> None:
    metrics = QFontMetrics(theme.ui_font())
    said = "Columns “question”, “answer” (prompt and answer) are trained."
    for room in range(60, metrics.horizontalAdvance(said), 7):
        found = elided_at_word(said, metrics, room)
        assert metrics.horizontalAdvance(found) <= room
        kept = found.removesuffix(" …").removesuffix("…")
        assert said.startswith(kept)
        if found.endswith(" …"):
            assert said[len(kept)] in " ,;:("
    assert elided_at_word(said, metrics, 10_000) == said
