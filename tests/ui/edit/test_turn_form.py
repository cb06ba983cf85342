"""A chat's turns as fields: changed, added, moved and removed, and what a turn has besides stays."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.ui.edit.turn_form import TurnForm, chat_column

CHAT: dict[str, Any] = {
    "messages": [
        {"role": "user", "content": "What is a lute?"},
        {"role": "assistant", "content": "A plucked instrument.", "weight": 1},
    ],
    "id": 7,
}


@pytest.fixture
def form(qtbot: QtBot) -> TurnForm:
    found = TurnForm()
    qtbot.addWidget(found)
    found.resize(420, 480)
    found.show()
    found.show_row(CHAT)
    return found


def test_what_is_typed_is_in_the_row_and_the_rest_stays(qtbot: QtBot, form: TurnForm) -> None:
    assert form.row == CHAT
    with qtbot.waitSignal(form.edited):
        form.parts[1].text.setFocus()
        QTest.keyClicks(form.parts[1].text, "Well, ")
    assert form.row["messages"][1] == {"role": "assistant", "content": "Well, A plucked instrument.", "weight": 1}
    form.parts[0].role.setCurrentText("system")
    form.parts[0].role.activated.emit(0)
    assert form.row["messages"][0]["role"] == "system"
    assert form.row["id"] == 7


def test_turns_are_added_moved_and_removed(qtbot: QtBot, form: TurnForm) -> None:
    QTest.mouseClick(form.add_button, Qt.MouseButton.LeftButton)
    assert form.row["messages"][2] == {"role": "user", "content": ""}
    assert form.parts[2].text.hasFocus()
    assert not form.parts[2].down.isEnabled()
    with qtbot.waitSignal(form.edited):
        QTest.mouseClick(form.parts[2].up, Qt.MouseButton.LeftButton)
    assert [turn["role"] for turn in form.row["messages"]] == ["user", "user", "assistant"]
    QTest.mouseClick(form.parts[1].remove, Qt.MouseButton.LeftButton)
    assert form.row == CHAT
    form.show_row({"conversations": [{"from": "human", "value": "Hi"}]})
    assert not form.parts[0].remove.isEnabled()
    QTest.mouseClick(form.add_button, Qt.MouseButton.LeftButton)
    assert form.row["conversations"][1] == {"from": "gpt", "value": ""}


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "a", "completion": "b"},
        {"messages": []},
        {"messages": [{"role": "user", "content": [{"type": "text"}]}]},
        {"messages": ["a"]},
        {"messages": [{"role": "user", "content": "a"}] * 101},
        None,
    ],
)
def test_what_is_no_chat_of_texts_is_none(row: Any) -> None:
    assert chat_column(row) == ""


def test_a_turn_without_a_text_keeps_having_none(form: TurnForm) -> None:
    calls = {"role": "assistant", "tool_calls": [{"function": {"name": "f"}}]}
    form.show_row({"messages": [*CHAT["messages"], calls]})
    assert form.row["messages"][2] == calls


def test_another_turn_is_shown_with_its_own_roles_and_text(form: TurnForm) -> None:
    part = form.parts[0]

    def names() -> list[str]:
        return [part.role.itemText(place) for place in range(part.role.count())]

    part.show_turn({"from": "gpt", "value": "Hello."})
    assert names() == ["system", "human", "gpt", "tool"]
    assert (part.role.currentText(), part.text.toPlainText()) == ("gpt", "Hello.")
    part.show_turn({"role": "judge", "content": "No."})
    assert names()[-1] == "judge"
    assert len(set(names())) == len(names())
    assert (part.role.currentText(), part.text.toPlainText()) == ("judge", "No.")
    assert part.turn == {"role": "judge", "content": "No."}
    part.show_turn({"role": "assistant", "tool_calls": []})
    assert part.text.toPlainText() == ""
    assert part.turn == {"role": "assistant", "tool_calls": []}, "what has no text gets none"
