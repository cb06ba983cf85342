"""The page "Edit" with a worker that answers by hand: what it says of rows, what can be done, and what is saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.core.data.edit import Survey
from app.core.data.report import SplitReport
from app.core.protocol import event
from app.core.protocol.command import ReadRows, SaveRows
from app.ui.data.edit_page import DataEditPage
from app.ui.data.inspector import DataInspector
from app.ui.form.store import ConfigStore
from tests.ui.data.known_data import finding, report, tell_rows
from tests.ui.fake_worker import FakeWorker

TEXTS = [json.dumps({"role": "note", "text": f"Row {n}"}) for n in range(1, 5)]
BROKEN = "{broken"


@pytest.fixture
def page(qtbot: QtBot, by_hand: list[FakeWorker]) -> Iterator[DataEditPage]:  # noqa: ARG001
    store = ConfigStore()
    found = DataEditPage(store, DataInspector(store))
    qtbot.addWidget(found)
    found.resize(900, 500)
    found.show()
    store.set("data", "/d")
    yield found
    found.shutdown()
    found._inspector.stop()


def rows(first: int = 1, *texts: str, more: bool = False) -> event.Result:
    told = [
        {"line": line, "text": text, "fault": "It breaks off." if text == BROKEN else ""}
        for line, text in enumerate(texts, first)
    ]
    return event.Result(name="rows", data={"rows": told, "more": more})


def known(qtbot: QtBot, page: DataEditPage, workers: list[FakeWorker], *notes: str) -> FakeWorker:
    """The worker of the first of two files, that has said what its rows are; the third is broken."""
    splits = {name: SplitReport(4, (f"/d/{name}.jsonl", "/d/train.jsonl")) for name in ("train", "valid")}
    found = [finding(kind, file="/d/train.jsonl") for kind in notes]
    tell_rows(page._inspector, report(*found, splits=splits, formats={"text": 3, "chat": 20}))
    qtbot.waitUntil(lambda: any(one.task == "rows" and one.is_running for one in workers))
    worker = workers[-1]
    worker.say(event.Ready(), rows(1, TEXTS[0], TEXTS[1], BROKEN, TEXTS[3]))
    return worker


def choose(page: DataEditPage, at: int) -> None:
    page.list.setCurrentIndex(page.rows.index(at))


def offered(page: DataEditPage) -> list[str]:
    """The buttons that can be pressed."""
    names = ("keep", "drop", "restore", "undo", "redo", "save", "use", "back", "on")
    buttons = {name: getattr(page, f"{name}_button") for name in names}
    return [name for name, button in buttons.items() if button.isEnabled() and not button.isHidden()]


def state(page: DataEditPage) -> tuple[str, str]:
    return page.state_label.text(), page.state_label.property("role")


def test_files_are_offered_once_each_and_one_is_read(
    qtbot: QtBot, page: DataEditPage, by_hand: list[FakeWorker]
) -> None:
    assert (page.file, page.file_box.count()) == ("", 0)
    page._on_back()
    page._on_on()
    worker = known(qtbot, page, by_hand)
    assert [page.file_box.itemText(at) for at in range(page.file_box.count())] == ["train.jsonl", "valid.jsonl"]
    assert (page.file, worker.commands[0]) == ("/d/train.jsonl", ReadRows(line=1, count=50))
    assert page._stretch.text() == "1 – 4"
    assert state(page) == ("Nothing is changed yet.", "muted")
    assert offered(page) == ["drop"]
    page._on_line()
    assert len(worker.commands) == 1, "no line was named"
    worker.say(rows(1))
    assert (page._stretch.text(), offered(page), page.row_view.isEnabled()) == ("no rows", [], False)
    worker.say(rows(1200, *TEXTS, more=True))
    assert (page._stretch.text(), offered(page)) == ("1,200 – 1,203", ["drop", "back", "on"])
    for line, asked in ((1, 1), (5, 1), (6, 1), (7, 1), (50, 45), (55, 50), (56, 50), (57, 50)):
        page.line_edit.setText(str(line))
        page.line_edit.returnPressed.emit()
        assert worker.commands[-1] == ReadRows(line=asked, count=50), line
    assert page._stretch.text() == "…"
    page._on_back()
    assert worker.commands[-1] == ReadRows(line=1145, count=50)
    page._on_on()
    assert worker.commands[-1] == ReadRows(line=1199, count=50)
    page._store.set("data", "/e")
    tell_rows(page._inspector, report(splits={"train": SplitReport(4, ("/d/valid.jsonl",))}))
    assert page.file == "/d/valid.jsonl", "what was looked at is no longer there"


def test_what_is_wrong_with_a_row_is_said_while_it_is_typed(
    qtbot: QtBot, page: DataEditPage, by_hand: list[FakeWorker]
) -> None:
    known(qtbot, page, by_hand)

    def fault() -> tuple[str, str]:
        return page.fault_label.text(), page.fault_label.property("role")

    assert fault() == ("", "small")
    choose(page, 2)
    said, role = fault()
    assert (said.startswith("This is not JSON yet: "), role) == (True, "error")
    page.text_edit.setPlainText("[1]")
    assert fault() == ("A row is an object with named fields: { … }.", "error")
    assert "keep" not in offered(page)
    page.text_edit.setPlainText('{"text": "mended"}')
    assert fault() == ("", "small")
    assert offered(page) == ["keep", "drop"]
    QTest.mouseClick(page.keep_button, Qt.MouseButton.LeftButton)
    assert offered(page) == ["drop", "restore", "undo", "save"]
    assert fault() == ("It breaks off.", "small"), "what the file has in its place"
    QTest.mouseClick(page.drop_button, Qt.MouseButton.LeftButton)
    assert fault()[0] == "The new file leaves this row out."
    assert offered(page) == ["restore", "undo", "save"]
    assert state(page) == ("1 dropped", "muted")
    QTest.mouseClick(page.restore_button, Qt.MouseButton.LeftButton)
    assert page.text_edit.toPlainText() == BROKEN
    assert state(page) == ("Nothing is changed yet.", "muted")
    assert offered(page) == ["drop", "undo"]


def test_edits_are_counted_by_kind(qtbot: QtBot, page: DataEditPage, by_hand: list[FakeWorker]) -> None:
    known(qtbot, page, by_hand)
    edits = page.history.step()
    edits.changed = {line: {} for line in range(1, 1201)}
    edits.dropped = {7, 8}
    edits.roles = {"human": "user", "bot": "assistant"}
    edits.appended = [Path("/d/more.jsonl")]
    page._edited()
    assert state(page)[0] == (
        "1,200 changed, 2 dropped, “human” → “user”, “bot” → “assistant”, more.jsonl appended"
    )
    page.undo()
    assert state(page)[0] == "Nothing is changed yet."
    assert "redo" in offered(page)
    page.redo()
    assert (len(page.edits.changed), page.can_undo, page.can_redo) == (1200, True, False)


def test_rows_that_are_no_lines_of_the_file_are_named_so(
    qtbot: QtBot, page: DataEditPage, by_hand: list[FakeWorker]
) -> None:
    known(qtbot, page, by_hand, "contents")
    said = "The rows are put together of what the file holds; a new file holds them as JSONL."
    assert state(page)[0] == said
    page.file_box.set_value("/d/valid.jsonl")
    assert not page._is_assembled()


def test_a_new_row_has_the_fields_of_the_others(
    qtbot: QtBot, page: DataEditPage, by_hand: list[FakeWorker]
) -> None:
    worker = known(qtbot, page, by_hand)
    pattern = {"messages": [{"role": "user", "content": "Q"}, {"from": "gpt", "value": ["a", 3]}], "n": 7}
    worker.say(rows(1, BROKEN, json.dumps(pattern)))
    QTest.mouseClick(page.add_button, Qt.MouseButton.LeftButton)
    blank = {"messages": [{"role": "user", "content": ""}, {"from": "gpt", "value": ["", 3]}], "n": 7}
    assert (page.edits.added, json.loads(page.text_edit.toPlainText())) == ([blank], blank)
    assert (page.list.currentIndex().row(), state(page)[0]) == (2, "1 added")
    page.text_edit.setPlainText('{"n": 1}')
    choose(page, 0)
    assert page.edits.added == [{"n": 1}], "what was typed is kept"
    choose(page, 2)
    page.text_edit.setPlainText("{")
    page.save(Path("/d/new.jsonl"))
    assert state(page) == ("A new row is not JSON yet. Finish it, or restore the row.", "error")
    QTest.mouseClick(page.drop_button, Qt.MouseButton.LeftButton)
    assert (page.edits.added, page.rows.rowCount(), page.list.currentIndex().row()) == ([], 2, 1)
    assert state(page)[0] == "Nothing is changed yet."
    worker.say(rows(1))
    QTest.mouseClick(page.add_button, Qt.MouseButton.LeftButton)
    assert page.edits.added == [{}], "nothing is known of the others"
    page._on_on()
    assert len(worker.commands) == 1, "no line of the file is shown"


def test_a_new_file_is_told_and_can_be_trained_on(
    qtbot: QtBot, page: DataEditPage, by_hand: list[FakeWorker]
) -> None:
    worker = known(qtbot, page, by_hand)
    saved: list[str] = []
    page.saved.connect(saved.append)
    choose(page, 1)
    page.text_edit.setPlainText('{"text": "typed"}')  # and not kept by its button
    page._store.set("skip_bad_rows", True)
    page.save(Path("/d/new.jsonl"))
    told = [one for one in worker.commands if isinstance(one, SaveRows)]
    assert [(one.changed, one.drop_bad_rows) for one in told] == [({2: {"text": "typed"}}, True)]
    assert page.state_label.text() == "Saving new.jsonl …"
    assert not page.save_button.isEnabled()
    worker.say(event.Result(name="refused", data={"problems": ["/d/train.jsonl:3: It breaks off."]}))
    assert state(page) == ("/d/train.jsonl:3: It breaks off.", "error")
    assert page.save_button.isEnabled()
    page.save(Path("/d/new.jsonl"))
    choose(page, 0)
    assert not page.save_button.isEnabled(), "it is being saved"
    worker.say(event.Result(name="saved", data={"target": "/d/new.jsonl", "rows": 1}))
    assert (state(page), saved) == (("1 row saved as /d/new.jsonl.", "good"), ["/d/new.jsonl"])
    assert "use" in offered(page)
    assert not page.edits
    assert not page.can_undo
    worker.say(rows(1, *TEXTS))
    assert state(page) == ("1 row saved as /d/new.jsonl.", "good"), "it stays until something is changed"
    before = page._store.config
    page._store.set_many({"data_format": "text", "text_feature": "body"})
    QTest.mouseClick(page.use_button, Qt.MouseButton.LeftButton)
    config = page._store.config
    assert (config.data, config.data_format, config.text_feature) == ("/d/new.jsonl", "text", "body")
    assert config.skip_bad_rows == before.skip_bad_rows
    assert "use" not in offered(page)


def test_another_edit_ends_the_offer_of_the_new_file(
    qtbot: QtBot, page: DataEditPage, by_hand: list[FakeWorker]
) -> None:
    worker = known(qtbot, page, by_hand)
    page.drop()
    page.save(Path("/d/new.jsonl"))
    worker.say(event.Result(name="saved", data={"target": "/d/new.jsonl", "rows": 3}), rows(1, *TEXTS))
    page.drop()
    assert (state(page), "use" in offered(page)) == (("1 dropped", "muted"), False)
    page.undo()
    assert state(page)[0] == "Nothing is changed yet."


def test_what_is_typed_before_all_rows_are_repaired_is_kept_and_counts(
    qtbot: QtBot, page: DataEditPage, by_hand: list[FakeWorker]
) -> None:
    worker = known(qtbot, page, by_hand)
    choose(page, 1)
    page.text_edit.setPlainText('{"text": "typed"}')
    asked: list[Any] = []
    page.all_rows.asked.connect(lambda: asked.append(dict(page.edits.changed)))
    page.all_rows.drop_repeats()
    assert state(page) == ("Reading all rows …", "muted")
    assert asked == [{2: {"text": "typed"}}]
    assert page.all_rows._format == "chat", "of most rows"
    page.source.surveyed.emit("/d/train.jsonl", Survey(4, {}, (4,), "chat"))
    assert state(page) == ("1 repeated row dropped; the first of each stays.", "muted")
    assert page.edits.dropped == {4}
    assert len(worker.commands) == 2
