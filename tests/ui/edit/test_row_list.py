"""The list of a file's rows: what each is called, how it is dressed, and what the new file has in its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from PySide6.QtCore import QModelIndex, Qt
from PySide6.QtGui import QColor, QFont

from app.core.data.edit import Edits
from app.ui.edit.row_list import RowList
from app.ui.edit.row_source import SourceRow
from app.ui.widget import theme

HUMAN = {"messages": [{"role": "human", "content": "Hi"}, {"role": "assistant", "content": "Yes"}]}
ROWS = [
    SourceRow(1, json.dumps(HUMAN)), SourceRow(1200, '{"text": "A song."}'),
    SourceRow(3, "{broken", "It breaks off."), SourceRow(4, '{"text": "Gone."}'), SourceRow(5, '{"text": "Old."}'),
    SourceRow(6, "[1, 2]"),
]  # fmt: skip


@pytest.fixture
def rows() -> RowList:
    edits = Edits(changed={5: {"text": "New."}}, dropped={4}, added=[{"text": "Added."}, {"text": "Too."}])
    found = RowList(edits)
    found.show(ROWS)
    return found


def cells(rows: RowList, role: Qt.ItemDataRole = Qt.ItemDataRole.DisplayRole) -> list[Any]:
    return [rows.index(at).data(role) for at in range(rows.rowCount())]


def test_each_row_says_what_it_is_and_what_becomes_of_it(rows: RowList) -> None:
    assert cells(rows) == [
        "1   Hi · Yes", "1,200   A song.", "3   cannot be read · {broken", "4   dropped · Gone.",
        "5   changed · Old.", "6   [1, 2]", "new   Added.", "new   Too.",
    ]  # fmt: skip
    assert cells(rows, Qt.ItemDataRole.ToolTipRole) == [None, None, "It breaks off.", *[None] * 5]
    rows.drafts = {3: "{", 1: "["}
    rows.edits.roles = {"human": "user"}
    assert cells(rows)[:3] == ["1   unfinished · Hi · Yes", "1,200   A song.", "3   unfinished · {broken"]
    rows.drafts = {}
    assert cells(rows)[:2] == ["1   changed · Hi · Yes", "1,200   A song."]
    assert rows.rowCount(rows.index(0)) == 0
    assert [row.line for row in rows.rows[6:]] == [-1, -2]


def test_its_colours_say_the_same(rows: RowList) -> None:
    rows.drafts = {1: "["}
    for c in (theme.DARK, theme.LIGHT):
        theme.apply_theme(c.scheme)
        colors = [QColor(color).name() for color in cells(rows, Qt.ItemDataRole.ForegroundRole)]
        assert colors == [c.warning, c.text, c.error, c.faint, c.good, c.text, c.good, c.good]
    fonts = cells(rows, Qt.ItemDataRole.FontRole)
    assert [isinstance(font, QFont) and font.strikeOut() for font in fonts] == [False] * 3 + [True] + [False] * 4
    assert cells(rows, Qt.ItemDataRole.DecorationRole) == [None] * 8


def test_what_stands_in_the_place_of_a_row(rows: RowList) -> None:
    rows.edits.roles = {"human": "user"}
    rows.edits.changed[6] = {"messages": [{"role": "human", "content": "6"}]}
    found = [rows.value(row) for row in rows.rows]
    assert found[0] == {"messages": [{"role": "user", "content": "Hi"}, HUMAN["messages"][1]]}
    assert found[1:3] == [{"text": "A song."}, None]
    assert found[4] == {"text": "New."}
    assert found[5] == {"messages": [{"role": "user", "content": "6"}]}
    assert found[6:] == [{"text": "Added."}, {"text": "Too."}]


def test_a_view_hears_of_every_row(rows: RowList) -> None:
    told: list[tuple[int, int]] = []
    rows.dataChanged.connect(lambda first, last: told.append((first.row(), last.row())))
    rows.refresh()
    assert told == [(0, 7)]
    rows.edits.added.clear()
    rows.show([])
    rows.refresh()
    assert (told, rows.rowCount(QModelIndex())) == ([(0, 7)], 0)


@pytest.mark.parametrize(
    "text, summary, pretty",
    [
        ('{"a": "x\\n y", "b": 2, "c": ""}', "x y · 2", '{\n  "a": "x\\n y",\n  "b": 2,\n  "c": ""\n}'),
        ("{ broken  text", "{ broken text", "{ broken  text"),
        ('{"a": "é"}', "é", '{\n  "a": "é"\n}'),
        ("", "(empty)", ""),
        ('{"a": ""}', "(empty)", '{\n  "a": ""\n}'),
        ('{"a": "' + "b" * 500 + '"}', "b" * 120, '{\n  "a": "' + "b" * 500 + '"\n}'),
        ("a " * 300, ("a " * 60)[:120], "a " * 300),
    ],
)  # fmt: skip
def test_a_row_in_short_and_to_edit(text: str, summary: str, pretty: str) -> None:
    row = SourceRow(1, text)
    assert (row.summary, row.pretty) == (summary, pretty)
