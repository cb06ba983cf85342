"""What is done with all rows at once: the words for it, one step of the history each, and nothing for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QFileDialog
from pytestqt.qtbot import QtBot

from app.core.data.edit import EditHistory, Survey
from app.ui.edit.all_rows import REPEAT_REPAIR, ROLE_REPAIR, AllRows
from app.ui.edit.row_source import RowSource
from tests.ui.child import child


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, str]]]:
    """What a worker would be asked to look through."""
    found: list[tuple[str, dict[str, str]]] = []
    monkeypatch.setattr(RowSource, "survey", lambda _source, file, roles: found.append((file, roles)))
    return found


@pytest.fixture
def rows(qtbot: QtBot, asked: list[tuple[str, dict[str, str]]]) -> Iterator[AllRows]:  # noqa: ARG001
    source = RowSource()
    source.file = "/d/chats.jsonl"
    found = AllRows(source)
    qtbot.addWidget(found)
    found.take(EditHistory(), "chat")
    yield found
    source.stop()


def said(rows: AllRows, found: Survey) -> str:
    """What is told when the worker has answered."""
    told: list[str] = []
    rows.answered.connect(told.append)
    rows._source.surveyed.emit("/d/chats.jsonl", found)
    rows.answered.disconnect(told.append)
    return " | ".join(told)


def of(rows: int = 5, repeats: tuple[int, ...] = (), kind: str = "chat", roles: Any = None) -> Survey:
    return Survey(rows, roles or {}, repeats, kind)


def test_the_menu_asks_about_the_file_that_is_edited(
    rows: AllRows, asked: list[tuple[str, dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[Any] = []
    rows.asked.connect(lambda: order.append(len(asked)))
    child(rows, QAction, "edit.roles").trigger()
    rows._history.edits.roles = {"human": "user"}
    child(rows, QAction, "edit.repeats").trigger()
    rows.repair(ROLE_REPAIR)
    chosen = ["", "/d/more.jsonl"]
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (chosen.pop(0), ""))
    for _ in range(2):
        child(rows, QAction, "edit.append").trigger()
    roles = {"human": "user"}
    assert asked == [
        ("/d/chats.jsonl", {}), ("/d/chats.jsonl", roles), ("/d/chats.jsonl", roles), ("/d/more.jsonl", roles),
    ]  # fmt: skip
    assert order == [0, 1, 2, 3], "whose edits they are is asked before"
    assert asked[1][1] is not rows._history.edits.roles


def test_roles_get_their_usual_names(rows: AllRows) -> None:
    answers = []
    for found in (
        of(roles={"user": 5, "assistant": 5, "system": 1, "tool": 1}),
        of(roles={"human": 1, "user": 4, " GPT ": 1200}),
        of(roles={"judge": 1, "clerk": 3}),
        of(roles={"human": 2, "judge": 2}),
    ):
        rows.take(EditHistory(), "chat")
        rows.put_roles_right()
        answers.append((said(rows, found), rows._history.edits.roles, rows._history.can_undo))
    no_role = "Change these rows, or drop them."
    assert answers == [
        ("All roles have their usual names.", {}, False),
        (
            "“human” → “user” in 1 row, “ GPT ” → “assistant” in 1,200 rows.",
            {"human": "user", " GPT ": "assistant"},
            True,
        ),
        (f"No known role: “judge” in 1 row, “clerk” in 3 rows. {no_role}", {}, False),
        (
            f"“human” → “user” in 2 rows. No known role: “judge” in 2 rows. {no_role}",
            {"human": "user"},
            True,
        ),
    ]
    rows._history.undo()
    assert not rows._history.edits


def test_repeats_are_dropped_once(rows: AllRows) -> None:
    def drop(*lines: int) -> tuple[str, set[int]]:
        rows.repair(REPEAT_REPAIR)
        return said(rows, of(repeats=lines)), rows._history.edits.dropped

    history = rows._history
    assert drop() == ("No row repeats an earlier one.", set())
    assert not history.can_undo
    history.edits.dropped = {4}
    history.edits.changed = {5: {}}
    assert drop(4, 5) == ("No row repeats an earlier one.", {4})
    assert drop(3, 4, 5, 9) == ("2 repeated rows dropped; the first of each stays.", {3, 4, 9})
    history.undo()
    assert history.edits.dropped == {4}, "both in one step"
    assert drop(3) == ("1 repeated row dropped; the first of each stays.", {3, 4})


def test_other_rows_are_appended(rows: AllRows) -> None:
    def append(file: str, found: Survey, data_format: str = "chat") -> str:
        rows.take(rows._history, data_format)
        rows.append(Path(file))
        return said(rows, found)

    check = "the check will tell what becomes of them."
    answers = [
        append("/d/none.jsonl", of(0)),
        append("/d/one.jsonl", of(1)),
        append("/d/many.jsonl", of(1200, kind="sharegpt")),
        append("/d/odd.jsonl", of(2, kind="of_the_future")),
        append("/d/unknown.jsonl", of(2, kind="")),
        append("/d/first.jsonl", of(2, kind="text"), ""),
    ]
    assert answers == [
        "none.jsonl has no rows that can be read.",
        "1 row of one.jsonl appended.",
        f"1,200 rows of many.jsonl appended. They are ShareGPT chat, the others chat: {check}",
        f"2 rows of odd.jsonl appended. They are of_the_future, the others chat: {check}",
        "2 rows of unknown.jsonl appended.",
        "2 rows of first.jsonl appended.",
    ]
    names = ["one", "many", "odd", "unknown", "first"]
    assert rows._history.edits.appended == [Path(f"/d/{name}.jsonl") for name in names]
    rows._history.undo()
    assert len(rows._history.edits.appended) == 4


def test_an_answer_that_nobody_waits_for_changes_nothing(rows: AllRows) -> None:
    rows.drop_repeats()
    assert said(rows, of(repeats=(2,)))
    before = rows._history.edits.copy()
    assert said(rows, of(repeats=(3,), roles={"human": 2})) == ""
    assert rows._history.edits == before
