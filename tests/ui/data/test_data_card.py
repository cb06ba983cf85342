"""The card "Data" and its dialog by hand: what is offered without data, what is chosen, what the window is told."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QPushButton
from pytestqt.qtbot import QtBot

from app.core.data.report import SplitReport
from app.core.problem import Severity
from app.core.source.collection import members
from app.ui.data.dialog import PAGES, DataDialog
from app.ui.data.panel import DataPanel
from app.ui.form.store import ConfigStore
from tests.ui.child import child
from tests.ui.data.known_data import finding, report, tell_rows


@pytest.fixture
def panel(qtbot: QtBot, by_hand: list[object]) -> Iterator[DataPanel]:  # noqa: ARG001
    found = DataPanel(ConfigStore())
    qtbot.addWidget(found)
    found.resize(430, 560)
    found.show()
    yield found
    found.shutdown()


def shown(panel: DataPanel) -> tuple[bool, bool, bool]:
    return panel._empty.isVisible(), panel.summary.isVisible(), panel.look_button.isVisible()


def test_without_data_the_card_says_what_it_takes(
    panel: DataPanel, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert shown(panel) == (True, False, False)
    panel.set_starter(lambda: tmp_path / "pairs", "Pairs that teach a style", "Pairs of answers")
    assert panel._empty.wanted.text() == "Pairs of answers"
    starter = child(panel, QPushButton, "data.starter")
    assert starter.toolTip() == "Pairs that teach a style"
    QTest.mouseClick(starter, Qt.MouseButton.LeftButton)
    assert panel._store.config.data == str(tmp_path / "pairs")
    assert shown(panel) == (False, True, True)
    assert panel.is_busy
    panel._store.set("data", "")
    assert shown(panel) == (True, False, False)
    assert (panel.is_busy, panel.report, panel.problem) == (False, None, None)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: ("/d/chosen.jsonl", ""))
    QTest.mouseClick(child(panel, QPushButton, "data.browse_file"), Qt.MouseButton.LeftButton)
    assert panel._store.config.data == "/d/chosen.jsonl"


def test_what_is_known_is_told_to_others(panel: DataPanel) -> None:
    told: list[int] = []
    panel._store.set("data", "/d/rows.jsonl")
    panel.reported.connect(lambda: told.append(1))
    tell_rows(panel.inspector, report())
    assert panel.report is panel.inspector.report is not None
    assert told == [1]
    panel.set_model("/m")
    assert (panel.inspector.model, panel.is_busy) == ("/m", True)


def places(panel: DataPanel) -> list[str]:
    return [panel.editors[path].line.placeholderText() for path in ("data", "valid_data", "test_data")]


def test_the_other_parts_are_said_to_be_in_the_folder(panel: DataPanel) -> None:
    whole, aside = "File or folder of examples", "Optional: a share is set aside"
    panel._store.set("data", "/d")
    assert places(panel) == [whole, aside, aside]
    train, files = SplitReport(9, ("/d/train.jsonl",)), ("/d/valid.jsonl", "/d/valid2.jsonl")
    for splits, valid, test in (
        ({"train": train}, aside, aside),
        ({"train": train, "test": SplitReport(1, files[:1])}, aside, "From the folder: valid.jsonl"),
        (
            {"train": train, "valid": SplitReport(2, files)},
            "From the folder: valid.jsonl, valid2.jsonl",
            "Optional",
        ),
        ({"train": train, "valid": SplitReport(2, ())}, aside, "Optional"),
    ):
        tell_rows(panel.inspector, report(splits=splits))
        assert places(panel) == [whole, valid, test]


def test_files_that_are_dropped_once_more_are_read_anew(panel: DataPanel, tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("{}\n")
    assert [panel.accepts(path) for path in (rows, tmp_path / "photo.png")] == [True, False]
    panel.take([rows])
    tell_rows(panel.inspector, report())
    assert not panel.is_busy
    panel.take([rows])
    assert panel.is_busy
    other = tmp_path / "others.jsonl"
    other.write_text("{}\n")
    panel.take([rows, other])
    assert members(Path(panel._store.config.data)) == [rows, other]


def test_pills_and_buttons_open_the_dialog_at_their_page(panel: DataPanel) -> None:
    panel._store.set("data", "/d/rows.jsonl")
    tell_rows(panel.inspector, report(finding("no_answer", 2), finding("duplicate", 3)))
    assert panel.dialog is None
    QTest.mouseClick(panel.look_button, Qt.MouseButton.LeftButton)
    dialog = panel.dialog
    assert dialog is not None
    assert (dialog.isVisible(), dialog.pages.currentIndex()) == (True, 0)
    dialog.close()
    panel.summary.problems_requested.emit(Severity.WARNING)
    assert (dialog.isVisible(), dialog.pages.currentWidget()) == (True, dialog.problems)
    assert [pill.isChecked() for pill in dialog.problems.pills.values()] == [False, True, False]
    dialog.close()
    panel.summary.columns_requested.emit()
    assert (dialog.isVisible(), dialog.pages.currentWidget()) == (True, dialog.columns)
    dialog.show_problems()
    assert dialog.pages.currentWidget() is dialog.problems
    assert [pill.isChecked() for pill in dialog.problems.pills.values()] == [False, True, False]
    assert panel.look() is dialog
    QTest.mouseClick(child(dialog, QPushButton, "data.close"), Qt.MouseButton.LeftButton)
    assert not dialog.isVisible()


def test_the_dialog_is_called_after_the_data_and_counts_what_is_wrong(panel: DataPanel) -> None:
    dialog = DataDialog(panel._store, panel.inspector, panel)

    def names() -> tuple[str, str, str]:
        return dialog.windowTitle(), dialog._name.text(), dialog.pages.tabText(PAGES.index("problems"))

    assert names() == ("Data", "", "Problems")
    panel._store.set("data", "/d/rows.jsonl")
    assert names() == ("Data – rows.jsonl", "rows.jsonl", "Problems")
    tell_rows(
        panel.inspector, report(finding("no_answer", 2), counts={"no_answer": 1200, "duplicate": 3, "layout": 1})
    )
    assert names()[2] == "Problems · 1,203"
    tell_rows(panel.inspector, report(finding("layout")))
    assert names()[2] == "Problems", "notes are no problems"
    panel._store.set("data", "")
    assert names() == ("Data", "", "Problems")


def test_pages_are_built_one_a_turn_and_what_is_looked_at_stays(qtbot: QtBot, panel: DataPanel) -> None:
    dialog = DataDialog(panel._store, panel.inspector, panel)
    assert [name for name in PAGES if name in vars(dialog)] == []
    dialog.shutdown()
    dialog.pages.setCurrentIndex(3)
    dialog.show()
    assert [name for name in PAGES if name in vars(dialog)] == ["columns"]
    titles = [dialog.pages.tabText(at) for at in range(6)]
    assert dialog._building.isActive()
    for built in ("examples", "lengths", "problems", "split", "edit"):
        dialog._building.timeout.emit()
        assert built in vars(dialog)
        assert dialog.pages.currentWidget() is dialog.columns
    dialog._building.timeout.emit()
    assert not dialog._building.isActive()
    assert [dialog.pages.tabText(at) for at in range(6)] == titles
    assert titles == ["Examples", "Lengths", "Problems", "Columns", "Split", "Edit"]
    assert [dialog.pages.widget(at) for at in range(6)] == [getattr(dialog, name) for name in PAGES]
    asked: list[tuple[str, int]] = []
    for page in (dialog.examples, dialog.problems):
        page.edit_requested.connect(lambda *place: asked.append(place))
        dialog.pages.setCurrentIndex(0)
        page.edit_requested.emit("/d/rows.jsonl", 3)
        assert dialog.pages.currentWidget() is dialog.edit
    dialog.shutdown()
    qtbot.wait(1)
    dialog.close()
