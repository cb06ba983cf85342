"""The editor of rows: nothing typed is lost, all alike are repaired at once, and each step can be undone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.core.problem import Severity
from app.ui.data.dialog import DataDialog
from app.ui.data.edit_page import DataEditPage
from app.ui.data.inspector import DataInspector
from app.ui.edit.row_view import JSON_TEXT, TURNS
from app.ui.form.store import ConfigStore
from tests.core.data.corpus import chat, lines
from tests.core.data.test_edit import human
from tests.ui.child import child

ANSWER_MS = 60_000
ROWS = [human(0), chat(1), chat(2), chat(1), human(4), chat(5)]


@pytest.fixture(scope="module")
def dialog(qapp: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataDialog]:
    """One worker for all tests of this file: it only reads the file."""
    assert qapp is not None
    path = tmp_path_factory.mktemp("data") / "chats.jsonl"
    path.write_bytes(lines(*ROWS))
    store = ConfigStore()
    inspector = DataInspector(store)
    found = DataDialog(store, inspector)
    found.resize(1000, 700)
    found.show()
    store.set_many({"data": str(path), "valid_fraction": 0.0})
    yield found
    found.shutdown()
    inspector.stop()
    found.close()
    found.deleteLater()


@pytest.fixture
def page(qtbot: QtBot, dialog: DataDialog) -> Iterator[DataEditPage]:
    inspector = dialog._inspector
    qtbot.waitUntil(lambda: inspector.report is not None, timeout=ANSWER_MS)
    found = dialog.edit
    dialog.show_row(dialog._store.config.data, 1)
    qtbot.waitUntil(lambda: len(found.rows.rows) == 6 and found.source._is_ready, timeout=ANSWER_MS)
    yield found
    found._shown = None
    found.rows.drafts.clear()
    while found.history.can_undo:
        found.undo()


def choose(page: DataEditPage, row: int) -> None:
    page.list.setCurrentIndex(page.rows.index(row))


def listed(page: DataEditPage, row: int) -> str:
    return str(page.rows.index(row).data())


def test_what_is_typed_stays_when_another_row_is_chosen(page: DataEditPage) -> None:
    choose(page, 1)
    page.text_edit.setPlainText(json.dumps(chat(9)))
    choose(page, 2)
    page.text_edit.setPlainText('{"messages": [')
    choose(page, 3)
    assert "changed" in listed(page, 1)
    assert "unfinished" in listed(page, 2)
    choose(page, 2)
    assert page.text_edit.toPlainText() == '{"messages": ['
    choose(page, 1)
    assert json.loads(page.text_edit.toPlainText()) == chat(9)
    page.save(Path("never.jsonl"))
    assert page.state_label.text() == "Line 3 is not JSON yet. Finish it, or restore the row."
    assert not Path("never.jsonl").exists()


def test_steps_are_undone_and_done_again_with_the_keys(page: DataEditPage) -> None:
    choose(page, 1)
    page.drop()
    choose(page, 2)
    page.drop()
    page.list.setFocus()
    QTest.keyClick(page.list, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert page.state_label.text() == "1 dropped"
    QTest.mouseClick(page.undo_button, Qt.MouseButton.LeftButton)
    assert not page.edits
    assert not page.undo_button.isEnabled()
    QTest.mouseClick(page.redo_button, Qt.MouseButton.LeftButton)
    assert page.edits.dropped == {2}


def test_roles_are_put_right_in_all_rows_from_the_problems(
    qtbot: QtBot, dialog: DataDialog, page: DataEditPage, tmp_path: Path
) -> None:
    dialog.show_problems(Severity.ERROR)
    dialog.problems.view.selectRow(0)
    assert dialog.problems.repair_button.isEnabled()
    QTest.mouseClick(dialog.problems.repair_button, Qt.MouseButton.LeftButton)
    assert dialog.pages.currentWidget() is page
    qtbot.waitUntil(lambda: bool(page.edits.roles), timeout=ANSWER_MS)
    assert page.state_label.text() == "“human” → “user” in 2 rows."
    assert "changed" in listed(page, 0)
    assert [row for row in range(6) if "changed" in listed(page, row)] == [0, 4]
    assert '"role": "user"' in page.text_edit.toPlainText()
    target = tmp_path / "fixed.jsonl"
    page._settle()
    with qtbot.waitSignal(page.saved, timeout=ANSWER_MS):
        page.save(target)
    assert [json.loads(line)["messages"][0]["role"] for line in target.read_text().splitlines()] == ["user"] * 6


def test_repeats_are_dropped_and_another_file_is_appended(qtbot: QtBot, page: DataEditPage, tmp_path: Path) -> None:
    child(page, QAction, "edit.repeats").trigger()
    qtbot.waitUntil(lambda: bool(page.edits.dropped), timeout=ANSWER_MS)
    assert page.edits.dropped == {4}
    assert page.state_label.text() == "1 repeated row dropped; the first of each stays."
    more = tmp_path / "more.jsonl"
    more.write_bytes(lines({"prompt": "p", "completion": "c"}))
    page.all_rows.append(more)
    qtbot.waitUntil(lambda: bool(page.edits.appended), timeout=ANSWER_MS)
    said = "1 row of more.jsonl appended. They are prompt and answer, the others chat:"
    assert page.state_label.text().startswith(said)
    page.undo()
    page.undo()
    assert not page.edits
    page.all_rows.append(tmp_path / "gone.jsonl")
    qtbot.waitUntil(lambda: "gone.jsonl" in page.state_label.text(), timeout=ANSWER_MS)
    assert not page.edits


def test_both_views_are_the_same_row(page: DataEditPage) -> None:
    choose(page, 1)
    view = page.row_view
    view.views.setCurrentIndex(TURNS)
    assert view.form.isVisible()
    view.form.parts[0].text.setPlainText("Another question")
    assert json.loads(page.text_edit.toPlainText())["messages"][0]["content"] == "Another question"
    view.views.setCurrentIndex(JSON_TEXT)
    page.text_edit.setPlainText(page.text_edit.toPlainText().replace("Another", "A third"))
    view.views.setCurrentIndex(TURNS)
    assert view.form.parts[0].text.toPlainText() == "A third question"
    choose(page, 2)
    assert view.form.row == chat(2)
    assert page.edits.changed[2]["messages"][0]["content"] == "A third question"
