"""The page "Problems" over findings that are known: counted, filtered, sorted, and what is offered for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.core.problem import Severity
from app.core.source.finding import Finding
from app.ui.data.inspector import DataInspector
from app.ui.data.problem_page import DataProblemPage
from app.ui.data.problem_table import ProblemFilter, ProblemTable, ProblemView
from app.ui.form.store import ConfigStore
from app.ui.widget import theme
from app.ui.widget.pill import ProblemPill, severity_color
from app.ui.widget.table import SORT_ROLE
from tests.ui.data.known_data import finding, report, tell_rows

FOUND = [
    finding("no_answer", 1200, "It ends with a question."), finding("unknown_role", 3, "“bot”."),
    finding("no_answer", 7, "It ends with a question."),
    finding("duplicate", 12, "As line 3."), finding("empty_line", 2), finding("renamed_role", None, "“human”."),
]  # fmt: skip


@pytest.fixture
def page(qtbot: QtBot, by_hand: list[object]) -> Iterator[DataProblemPage]:  # noqa: ARG001
    store = ConfigStore()
    found = DataProblemPage(store, DataInspector(store))
    qtbot.addWidget(found)
    found.resize(900, 500)
    found.show()
    store.set("data", "/d/rows.jsonl")
    tell_rows(found._inspector, report(*FOUND))
    yield found
    found._inspector.stop()


def listed(page: DataProblemPage) -> list[tuple[str, str]]:
    proxy = page.proxy
    return [(proxy.index(row, 1).data(), proxy.index(row, 2).data()) for row in range(proxy.rowCount())]


def hint(page: DataProblemPage) -> tuple[str, str]:
    return page.hint_label.text(), page.hint_label.property("role")


def test_findings_are_counted_and_listed_by_severity(page: DataProblemPage) -> None:
    assert [pill.text() for pill in page.pills.values()] == ["3 errors", "2 warnings", "1 note"]
    assert [pill.toolTip() for pill in page.pills.values()] == ["Show these only"] * 3
    assert [page.kind_box.itemText(at) for at in range(page.kind_box.count())] == [
        "All kinds", "No answer at the end · 2", "Unknown role · 1", "Duplicate row · 1", "Empty line · 1",
        "Role by another name · 1",
    ]  # fmt: skip
    assert listed(page) == [
        ("rows.jsonl:1,200", "No answer at the end"), ("rows.jsonl:3", "Unknown role"),
        ("rows.jsonl:7", "No answer at the end"), ("rows.jsonl:12", "Duplicate row"),
        ("rows.jsonl:2", "Empty line"), ("rows.jsonl", "Role by another name"),
    ]  # fmt: skip
    assert (page.listed_label.text(), page.listed_label.toolTip()) == ("6 listed", "")
    QTest.mouseClick(page.pills[Severity.ERROR], Qt.MouseButton.LeftButton)
    assert (len(listed(page)), page.listed_label.text()) == (3, "3 listed")
    page.show_severity(Severity.NOTE)
    assert [pill.isChecked() for pill in page.pills.values()] == [False, False, True]
    tell_rows(page._inspector, report(*FOUND[:5]))  # which has no notes: what was chosen was of other data
    assert [pill.isChecked() for pill in page.pills.values()] == [True] * 3
    page.show_severity(Severity.WARNING)
    tell_rows(page._inspector, report(*FOUND[:5]))
    assert [pill.isChecked() for pill in page.pills.values()] == [False, True, False], "these still have some"


def test_a_kind_is_chosen_as_long_as_there_is_one(page: DataProblemPage) -> None:
    box = page.kind_box
    box.setCurrentIndex(box.findData("duplicate"))
    box.activated.emit(box.currentIndex())
    assert listed(page) == [("rows.jsonl:12", "Duplicate row")]
    tell_rows(page._inspector, report(*FOUND[3:]))
    assert (box.value(), len(listed(page))) == ("duplicate", 1)
    tell_rows(page._inspector, report(*FOUND[4:]))
    assert (box.value(), len(listed(page))) == ("", 2)
    tell_rows(page._inspector, report(counts={"duplicate": 0}))
    assert box.count() == 1


def test_each_finding_says_what_to_do_and_offers_what_can_be_done(page: DataProblemPage) -> None:
    buttons = (page.edit_button, page.repair_button, page.export_button)

    def offered() -> list[bool]:
        return [button.isEnabled() for button in buttons]

    assert (hint(page), offered()) == (("", "small"), [False, False, True])
    shown = []
    for row in range(6):
        page.view.selectRow(row)
        shown.append((page.hint_label.text(), *offered()[:2]))
    repair = "Let the row end with a turn of the assistant."
    assert shown == [
        (f"It ends with a question. {repair}\n/d/rows.jsonl, line 1,200", True, False),
        ("“bot”. Use system, user, assistant or tool.\n/d/rows.jsonl, line 3", True, True),
        (f"It ends with a question. {repair}\n/d/rows.jsonl, line 7", True, False),
        ("As line 3. Remove one of them, unless the repetition is meant.\n/d/rows.jsonl, line 12", True, True),
        ("It is so.\n/d/rows.jsonl, line 2", True, False),
        ("“human”.\n/d/rows.jsonl", False, True),
    ]
    asked: list[tuple[object, ...]] = []
    page.edit_requested.connect(lambda *found: asked.append(found))
    page.repair_requested.connect(lambda *found: asked.append(found))
    QTest.mouseClick(page.repair_button, Qt.MouseButton.LeftButton)
    page.view.doubleClicked.emit(page.proxy.index(5, 1))  # a place without a line cannot be shown
    page.view.selectRow(3)
    QTest.mouseClick(page.repair_button, Qt.MouseButton.LeftButton)
    QTest.mouseClick(page.edit_button, Qt.MouseButton.LeftButton)
    page.view.doubleClicked.emit(page.proxy.index(3, 1))
    page.view.selectRow(1)
    QTest.mouseClick(page.repair_button, Qt.MouseButton.LeftButton)
    page.view.selectRow(0)
    page._on_repair()
    page.view.clearSelection()
    page._on_activated()
    page._on_repair()
    file = "/d/rows.jsonl"
    assert asked == [(file, 1, "roles"), (file, 12, "repeats"), (file, 12), (file, 12), (file, 3, "roles")]


def test_clean_data_and_none_are_told_apart(page: DataProblemPage) -> None:
    tell_rows(page._inspector, report())
    assert hint(page) == ("Nothing was found: the data are clean.", "good")
    assert (page.listed_label.text(), page.export_button.isEnabled()) == ("", False)
    page._store.set("data", "/d/others.jsonl")
    assert hint(page) == ("", "small")
    tell_rows(page._inspector, report(*FOUND))
    assert hint(page) == ("", "small")


def test_of_very_many_findings_it_is_told_how_many_are_listed(page: DataProblemPage) -> None:
    many = [finding("empty_line", line) for line in range(1, 1001)]
    tell_rows(page._inspector, report(*many[:999]))
    assert page.listed_label.text() == "999 listed"
    tell_rows(page._inspector, report(*many, counts={"empty_line": 4000}))
    assert page.listed_label.text() == "1,000 listed of 4,000"
    assert page.listed_label.toolTip() == "All are counted; the first 1,000 of a severity are listed"
    tell_rows(page._inspector, report(*many[:2]))
    assert (page.listed_label.text(), page.listed_label.toolTip()) == ("2 listed", "")


def test_the_list_is_saved_as_a_table_or_told_why_not(page: DataProblemPage, tmp_path: Path) -> None:
    page.export(tmp_path / "found.csv", report(*FOUND[:3], FOUND[4]))
    assert hint(page) == (f"4 lines saved as {tmp_path / 'found.csv'}.", "good")
    (tmp_path / "file").touch()
    page.export(tmp_path / "file" / "found.csv", report())
    said, role = hint(page)
    assert said.startswith(f"{tmp_path / 'file' / 'found.csv'} cannot be written: ")
    assert role == "error"


def test_cells_are_dressed_and_sorted_by_what_they_mean(qtbot: QtBot) -> None:
    table = ProblemTable()
    note = Finding("/d/rows.jsonl", None, "So.", "layout", Severity.NOTE)
    table.set_rows([*FOUND, note])
    role = Qt.ItemDataRole

    def cells(row: int, what: int) -> list[object]:
        return [table.index(row, column).data(what) for column in range(4)]

    assert cells(0, role.ToolTipRole)[0] == (
        "/d/rows.jsonl:1200\nIt ends with a question.\nLet the row end with a turn of the assistant."
    )
    assert cells(6, role.ToolTipRole)[3] == "/d/rows.jsonl\nSo."
    assert cells(0, SORT_ROLE) == [0, "/d/rows.jsonl:000000001200", "no_answer", "It ends with a question."]
    assert cells(6, SORT_ROLE) == [2, "/d/rows.jsonl:000000000000", "layout", "So."]
    assert [icon is not None for icon in cells(3, role.DecorationRole)] == [True, False, False, False]
    for found in (theme.DARK, theme.LIGHT):
        theme.apply_theme(found.scheme)
        colors = [color.name() if isinstance(color, QColor) else color for color in cells(3, role.ForegroundRole)]
        assert colors == [None, found.muted, found.text, None]
        icons = [table.index(row, 0).data(role.DecorationRole).pixmap(16, 16).toImage() for row in (0, 3, 6)]
        for color, icon in zip((found.error, found.warning, found.muted), icons, strict=True):
            assert color in {icon.pixelColor(x, y).name() for x in range(16) for y in range(16)}
    proxy = ProblemFilter()
    proxy.setSourceModel(table)
    view = ProblemView(proxy)
    qtbot.addWidget(view)
    places = []
    for column, order in ((1, Qt.SortOrder.AscendingOrder), (0, Qt.SortOrder.DescendingOrder)):
        view.sortByColumn(column, order)
        places.append([proxy.index(row, 1).data() for row in range(7)])
    file = "rows.jsonl"
    assert places[0] == [file, file, f"{file}:2", f"{file}:3", f"{file}:7", f"{file}:12", f"{file}:1,200"]
    assert places[1][:2] == [file, file]
    proxy.set_wanted(frozenset([Severity.NOTE]), "layout")
    assert proxy.rowCount() == 1


def test_a_pill_is_seen_while_it_counts_something(qtbot: QtBot) -> None:
    pill, always = ProblemPill(Severity.WARNING), ProblemPill(Severity.NOTE, always=True)
    for one in (pill, always):
        qtbot.addWidget(one)
    shown = []
    for count in (0, 1, 1200, 0):
        pill.set_count(count)
        always.set_count(count)
        shown.append((pill.text(), pill.isHidden(), always.text(), always.isHidden(), pill.accessibleName()))
    assert shown == [
        ("0 warnings", True, "0 notes", False, "0 warnings"), ("1 warning", False, "1 note", False, "1 warning"),
        ("1,200 warnings", False, "1,200 notes", False, "1,200 warnings"),
        ("0 warnings", True, "0 notes", False, "0 warnings"),
    ]  # fmt: skip
    pill.setCheckable(True)
    for found in (theme.DARK, theme.LIGHT):
        theme.apply_theme(found.scheme)
        assert [severity_color(one) for one in Severity] == [found.error, found.warning, found.muted]
        assert f"background: {found.warning_soft}; color: {found.warning}" in pill.styleSheet()
        assert f"!checked {{ background: transparent; color: {found.faint}" in pill.styleSheet()
    assert "!checked" not in always.styleSheet()
