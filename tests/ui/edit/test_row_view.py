"""One row in two views: a chat as turns or text, anything else as text, and what is typed reaches both."""

from __future__ import annotations

from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.ui.edit.row_view import JSON_TEXT, TURNS, RowView, parse_row, pretty_row
from app.ui.edit.turn_form import LINES, TurnForm, TurnText, chat_column

CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}
PAIR = {"prompt": "Q", "completion": "A"}


@pytest.fixture
def view(qtbot: QtBot) -> RowView:
    found = RowView()
    qtbot.addWidget(found)
    found.show()
    return found


def shown(view: RowView) -> tuple[bool, bool, bool]:
    """Whether turns, the text, and the choice of turns are there."""
    return view.form.isVisible(), view.text.isVisible(), view.views.isTabEnabled(TURNS)


def test_a_chat_is_seen_as_is_chosen_and_other_rows_as_text(view: RowView) -> None:
    told: list[str] = []
    view.edited.connect(lambda: told.append(view.text.toPlainText()))
    view.show_text(pretty_row(CHAT))
    assert shown(view) == (True, False, True)
    assert view.form.row == view.value == CHAT
    view.show_text(pretty_row(PAIR))
    assert (shown(view), view.value) == ((False, True, False), PAIR)
    view.show_text(pretty_row(CHAT))
    assert shown(view) == (True, False, True), "what was chosen stays chosen"
    view.views.setCurrentIndex(JSON_TEXT)
    assert shown(view) == (False, True, True)
    view.show_text("{ broken")
    assert shown(view) == (False, True, False)
    assert view.value is None
    view.show_text(pretty_row(CHAT))
    assert shown(view) == (False, True, True)
    del told[:]
    view.show_text(pretty_row(CHAT))
    assert told == [], "the same text is no edit"
    view.views.setCurrentIndex(TURNS)
    view.form.parts[0].text.setPlainText("Why?")
    assert parse_row(told[-1])[0] == view.value == view.form.row != CHAT
    assert told[-1] == pretty_row(view.form.row)
    view.show_text(pretty_row(CHAT))
    assert view.form.row == CHAT, "the form follows the text"


@pytest.mark.parametrize(
    "text, value, fault",
    [
        ('{"a": 1}', {"a": 1}, ""),
        ("[1]", None, "A row is an object with named fields: { … }."),
        ("null", None, "A row is an object with named fields: { … }."),
    ],
)
def test_a_row_is_an_object(text: str, value: Any, fault: str) -> None:
    assert parse_row(text) == (value, fault)


def test_what_is_no_json_is_told_with_why() -> None:
    value, fault = parse_row('{"a": ')
    assert value is None
    assert fault.startswith("This is not JSON yet: ")
    assert fault.endswith(".")


@pytest.fixture
def form(qtbot: QtBot) -> TurnForm:
    found = TurnForm()
    qtbot.addWidget(found)
    found.resize(420, 480)
    found.show()
    return found


def test_turns_can_be_moved_within_the_row(form: TurnForm) -> None:
    row = {"messages": [{"role": "user", "content": text} for text in "abc"]}
    told: list[int] = []
    form.edited.connect(lambda: told.append(1))

    def state() -> tuple[str, list[tuple[bool, bool, bool]], list[str]]:
        parts = form.parts
        places = [form._layout.indexOf(part) for part in parts]
        assert places == sorted(places)
        return (
            "".join(turn["content"] for turn in form.row["messages"]),
            [(part.up.isEnabled(), part.down.isEnabled(), part.remove.isEnabled()) for part in parts],
            [part.text.accessibleName() for part in parts],
        )

    moves = [(False, True, True), (True, True, True), (True, False, True)]
    names = [f"Text of turn {n}" for n in (1, 2, 3)]
    form.show_row(row)
    assert (state(), told) == (("abc", moves, names), [])
    form.parts[0].down.click()
    assert state() == ("bac", moves, names)
    form.parts[2].up.click()
    assert state() == ("bca", moves, names)
    form.parts[2].remove.click()
    assert (state()[0], form.parts[1].text.hasFocus()) == ("bc", True), "the last one before it"
    form.parts[0].remove.click()
    assert (state()[0], form.parts[0].text.hasFocus()) == ("c", True)
    assert state()[1] == [(False, False, False)], "the only turn stays"
    assert len(told) == 4
    form.add_button.click()
    assert [turn["role"] for turn in form.row["messages"]] == ["user", "assistant"]
    form.show_row({"messages": [{"role": "user", "content": "x"}]})
    assert len(form.parts) == 1
    assert form.row == {"messages": [{"role": "user", "content": "x"}]}


@pytest.mark.parametrize(
    "turns, added",
    [
        ([{"role": "tool", "content": ""}], {"role": "assistant", "content": ""}),
        ([{"role": "assistant", "content": ""}], {"role": "user", "content": ""}),
        ([{"from": "gpt", "value": ""}], {"from": "human", "value": ""}),
        ([{"from": "system", "value": ""}], {"from": "gpt", "value": ""}),
    ],
)
def test_the_next_turn_is_the_other_s(form: TurnForm, turns: list[dict[str, str]], added: dict[str, str]) -> None:
    form.show_row({"conversation": turns})
    form.add_button.click()
    assert form.row == {"conversation": [*turns, added]}


@pytest.mark.parametrize(
    "row, column",
    [
        ({"messages": [{"role": "user", "content": ""}] * 100}, "messages"),
        ({"messages": "no list", "conversation": [{"from": "a", "value": "b"}]}, "conversation"),
        ({"messages": [{"role": "user"}]}, "messages"),
        ({"messages": [{"role": "user", "content": None}]}, ""),
        ({"messages": [{"role": 3, "content": ""}]}, ""),
        ([], ""),
    ],
)
def test_which_rows_are_chats_of_texts(row: Any, column: str) -> None:
    assert chat_column(row) == column


def test_a_text_is_as_high_as_its_lines(qtbot: QtBot) -> None:
    text = TurnText()
    qtbot.addWidget(text)
    text.setFixedWidth(300)
    text.show()
    heights = []
    for lines in (1, LINES[0], LINES[0] + 1, LINES[1], LINES[1] + 1, 50):
        text.setPlainText("\n".join("x" * lines))
        text.fit()
        heights.append(text.height())
    line = text.fontMetrics().lineSpacing()
    assert [height - heights[0] for height in heights] == [0, 0, line, 8 * line, 8 * line, 8 * line]
    text.setPlainText("word " * 60)  # one paragraph of several lines
    text.fit()
    wrapped = text.height()
    assert heights[0] < wrapped <= heights[-1]
    text.setFixedWidth(900)
    assert text.height() < wrapped
