"""A row as people read it, whatever stands where a list of messages or calls belongs."""

from __future__ import annotations

from typing import Any

import pytest

from app.ui.edit.row import turns

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
