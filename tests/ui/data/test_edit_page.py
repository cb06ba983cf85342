"""The editor of rows: nothing typed is lost, all alike are repaired at once, and each step can be undone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLineEdit, QPushButton
from pytestqt.qtbot import QtBot

from app.core.problem import Severity
from app.ui.data.dialog import DataDialog
from app.ui.data.edit_page import DataEditPage
from app.ui.data.inspector import DataInspector
from app.ui.edit.row_view import JSON_TEXT, TURNS
from app.ui.form.store import ConfigStore
from app.ui.menu.editing import possible_edits
from app.ui.widget.icon_button import IconButton
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


@pytest.fixture
def walked(qtbot: QtBot, tmp_path: Path) -> Iterator[DataEditPage]:
    """A page over a folder with two files, of which the first has more rows than are shown at once."""
    folder = tmp_path / "songs"
    folder.mkdir()
    (folder / "train.jsonl").write_bytes(lines(*map(chat, range(1, 131))))
    (folder / "valid.jsonl").write_bytes(lines(*map(chat, range(500, 503))))
    store = ConfigStore()
    inspector = DataInspector(store)
    dialog = DataDialog(store, inspector)
    qtbot.addWidget(dialog)
    dialog.show()
    store.set("data", str(folder))
    qtbot.waitUntil(lambda: inspector.report is not None, timeout=ANSWER_MS)
    dialog.pages.setCurrentWidget(dialog.edit)
    qtbot.waitUntil(lambda: len(dialog.edit.rows.rows) == 50, timeout=ANSWER_MS)
    yield dialog.edit
    dialog.shutdown()
    inspector.stop()


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


def test_steps_are_undone_and_done_again_with_the_keys(qtbot: QtBot, page: DataEditPage) -> None:
    with qtbot.waitActive(page.window()):  # where keys go; it is not that from the start
        page.window().activateWindow()
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


def test_rows_are_walked_by_the_buttons_and_the_line_field(qtbot: QtBot, walked: DataEditPage) -> None:
    back, on = child(walked, IconButton, "edit.back"), child(walked, IconButton, "edit.on")
    line = child(walked, QLineEdit, "edit.line")

    def is_shown(first: int, last: int, chosen: int) -> None:
        qtbot.waitUntil(lambda: walked._stretch.text() == f"{first} – {last}", timeout=ANSWER_MS)
        assert [walked.rows.rows[0].line, walked.rows.rows[-1].line] == [first, last]
        assert walked.list.currentIndex().row() == chosen - first
        assert json.loads(walked.text_edit.toPlainText()) == chat(chosen)

    is_shown(1, 50, chosen=1)
    assert not back.isEnabled()
    for first, last, chosen in ((46, 95, 51), (50, 99, 96), (95, 130, 100)):
        assert on.isEnabled()
        QTest.mouseClick(on, Qt.MouseButton.LeftButton)
        is_shown(first, last, chosen)
    assert not on.isEnabled()
    QTest.mouseClick(back, Qt.MouseButton.LeftButton)
    is_shown(1, 50, chosen=45)
    assert not back.isEnabled()
    for typed, first, last in (("77", 50, 99), ("55", 50, 99), ("130", 100, 130), ("4", 1, 50)):
        line.selectAll()
        QTest.keyClicks(line, typed)
        QTest.keyClick(line, Qt.Key.Key_Return)
        is_shown(first, last, chosen=int(typed))


def test_each_file_keeps_its_edits_while_another_is_looked_at(qtbot: QtBot, walked: DataEditPage) -> None:
    choose(walked, 2)
    QTest.mouseClick(walked.drop_button, Qt.MouseButton.LeftButton)
    assert walked.state_label.text() == "1 dropped"
    assert [walked.file_box.itemText(at) for at in range(2)] == ["train.jsonl", "valid.jsonl"]
    QTest.keyClick(walked.file_box, Qt.Key.Key_Down)
    qtbot.waitUntil(lambda: walked._stretch.text() == "1 – 3", timeout=ANSWER_MS)
    assert json.loads(walked.text_edit.toPlainText()) == chat(500)
    assert walked.state_label.text() == "Nothing is changed yet."
    assert not walked.save_button.isEnabled()
    QTest.keyClick(walked.file_box, Qt.Key.Key_Up)
    qtbot.waitUntil(lambda: walked._stretch.text() == "1 – 50", timeout=ANSWER_MS)
    assert walked.state_label.text() == "1 dropped"


def test_a_worker_that_dies_is_told_and_its_rows_are_read_anew(qtbot: QtBot, walked: DataEditPage) -> None:
    choose(walked, 2)
    walked.drop()
    worker = walked.source._worker._runner._worker
    assert worker is not None
    worker.kill()
    qtbot.waitUntil(lambda: "ended without a word" in walked.state_label.text(), timeout=ANSWER_MS)
    assert walked.state_label.property("role") == "error"
    assert walked.save_button.isEnabled()
    QTest.mouseClick(walked.on_button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: walked._stretch.text() == "46 – 95", timeout=ANSWER_MS)
    assert walked.edits.dropped == {3}


def test_a_row_that_was_changed_and_dropped_is_restored(page: DataEditPage) -> None:
    restore = child(page, QPushButton, "edit.restore")
    choose(page, 1)
    assert not restore.isEnabled()
    page.text_edit.setPlainText(json.dumps(chat(9)))
    page.keep()
    choose(page, 5)
    page.drop()
    QTest.mouseClick(restore, Qt.MouseButton.LeftButton)
    assert page.state_label.text() == "1 changed"
    assert not restore.isEnabled()
    choose(page, 1)
    page.text_edit.setPlainText('{"messages": [')
    QTest.mouseClick(restore, Qt.MouseButton.LeftButton)
    assert json.loads(page.text_edit.toPlainText()) == chat(1)
    assert page.state_label.text() == "Nothing is changed yet."
    page.undo()
    choose(page, 1)
    assert json.loads(page.text_edit.toPlainText()) == chat(9)


def test_the_edit_menu_takes_back_the_steps_of_the_page(page: DataEditPage) -> None:
    def steps() -> set[str]:
        return {"undo", "redo"} & set(possible_edits(page.list))

    assert "undo" not in steps()
    choose(page, 3)
    page.drop()
    assert steps() == {"undo"}
    possible_edits(page.list)["undo"]()
    assert steps() == {"redo"}
    assert not page.edits
    possible_edits(page.list)["redo"]()
    assert page.edits.dropped == {4}


def test_the_new_file_is_offered_beside_the_old_one_and_written_where_the_person_says(
    qtbot: QtBot, page: DataEditPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered: list[str] = []
    chosen = ["", str(tmp_path / "mine.jsonl")]

    def panel(_parent: object, _caption: str, place: str, _filters: str) -> tuple[str, str]:
        offered.append(place)
        return chosen.pop(0), ""

    monkeypatch.setattr(QFileDialog, "getSaveFileName", panel)
    save = child(page, QPushButton, "edit.save")
    for line in (1, 5):
        choose(page, line - 1)
        page.drop()
    QTest.mouseClick(save, Qt.MouseButton.LeftButton)
    assert page.state_label.text() == "2 dropped"
    with qtbot.waitSignal(page.saved, timeout=ANSWER_MS) as said:
        QTest.mouseClick(save, Qt.MouseButton.LeftButton)
    assert offered == [str(Path(page.file).with_name("chats-edited.jsonl"))] * 2
    assert said.args == [str(tmp_path / "mine.jsonl")]
    rows = [json.loads(line) for line in (tmp_path / "mine.jsonl").read_text().splitlines()]
    assert rows == [chat(1), chat(2), chat(1), chat(5)]


def test_the_rows_of_a_chosen_file_are_appended(
    qtbot: QtBot, page: DataEditPage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    more = tmp_path / "more.jsonl"
    more.write_bytes(lines(chat(7), chat(8)))
    begun: list[str] = []
    chosen = ["", str(more)]

    def panel(_parent: object, _caption: str, place: str, _filters: str) -> tuple[str, str]:
        begun.append(place)
        return chosen.pop(0), ""

    monkeypatch.setattr(QFileDialog, "getOpenFileName", panel)
    entry, before = child(page, QAction, "edit.append"), page.state_label.text()
    entry.trigger()
    assert page.state_label.text() == before
    entry.trigger()
    qtbot.waitUntil(lambda: bool(page.edits.appended), timeout=ANSWER_MS)
    assert page.state_label.text() == "2 rows of more.jsonl appended."
    assert begun == [str(Path(page.file).parent)] * 2


def test_all_roles_are_put_right_from_the_menu(qtbot: QtBot, page: DataEditPage) -> None:
    child(page, QAction, "edit.roles").trigger()
    qtbot.waitUntil(lambda: bool(page.edits.roles), timeout=ANSWER_MS)
    assert page.state_label.text() == "“human” → “user” in 2 rows."
    assert [row for row in range(6) if "changed" in listed(page, row)] == [0, 4]
