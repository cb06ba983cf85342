"""A row as people read it, whatever stands where a list of messages or calls belongs."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.ui.edit.row import RowCard, turns

CALL = {"function": {"name": "look", "arguments": "{}"}}


@pytest.mark.parametrize(
    "calls, shown",
    [
        ([CALL], 'Hi → {"name": "look", "arguments": "{}"}'),
        (CALL, 'Hi → {"name": "look", "arguments": "{}"}'),
        (1.5, "Hi → 1.5"),
        ("look", "Hi → look"),
        ([3, None], "Hi → 3 → "),
        (None, "Hi"),
        ([], "Hi"),
    ],
)
def test_calls_of_any_kind_are_shown(calls: Any, shown: str) -> None:
    row = {"messages": [{"role": "assistant", "content": "Hi", "tool_calls": calls}, "no message"]}
    assert turns(row) == [("assistant", shown)]


@pytest.mark.parametrize(
    "row, read",
    [
        ({"conversations": [{"from": "human", "value": "Hi"}]}, [("human", "Hi")]),
        ({"messages": "none", "conversation": [{"role": "user", "content": None}]}, [("user", "")]),
        (
            {"messages": [{"content": 3}, {"role": "", "from": "gpt", "content": ["a", 1]}]},
            [("", "3"), ("gpt", '["a", 1]')],
        ),
        ({"a": "é", "b": None, "c": {"d": "é"}, 5: []}, [("a", "é"), ("b", ""), ("c", '{"d": "é"}'), ("5", "[]")]),
        (
            {"chosen": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}], "score": 1},
            [("chosen", "Q\nA"), ("score", "1")],
        ),
        ({"chosen": [{"content": "Q"}, "A"]}, [("chosen", '[{"content": "Q"}, "A"]')]),
    ],
)  # fmt: skip
def test_a_row_is_who_says_what_or_its_columns(row: dict[Any, Any], read: list[tuple[str, str]]) -> None:
    assert turns(row) == read


def test_a_card_shows_a_line_for_each_turn_and_tells_the_whole(qtbot: QtBot) -> None:
    card = RowCard([("user", "A  question\nin two lines"), ("assistant", "word " * 1000)])
    qtbot.addWidget(card)
    assert card.property("role") == "well"
    labels = card.findChildren(QLabel)
    assert [(label.text(), label.property("role")) for label in labels] == [
        ("user", "small"), ("A question in two lines", None), ("assistant", "small"),
        (" ".join(["word"] * 1000), None),
    ]  # fmt: skip
    assert labels[1].toolTip() == "A  question\nin two lines"
    assert labels[3].toolTip() == ("word " * 1000)[:2000]
    card.resize(600, 100)
    card.show()
    assert labels[0].x() < labels[1].x() == labels[3].x()
    assert labels[1].y() < labels[3].y()
    assert labels[1].width() > 400
