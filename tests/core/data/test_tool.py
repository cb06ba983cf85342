"""Tools and their calls reach the chat template in one form, from every way in which files write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.format import Features
from app.core.data.layout import layout_of
from app.core.data.rated import prompt_of
from app.core.data.tool import calls_in, tool_call, tools_of
from tests.core.data.written import trained

SCHEMA = {"type": "object", "properties": {"on": {"type": "boolean"}}}
BARE = {"name": "horn", "description": "Sounds the horn.", "parameters": SCHEMA}
TOOL = {"type": "function", "function": BARE}
CALL = {"type": "function", "function": {"name": "horn", "arguments": {"on": True}}}
ASKED = {"role": "user", "content": "Sound it."}
CALLED = {"role": "assistant", "content": "", "tool_calls": [CALL]}
RESULT = {"role": "tool", "content": '{"ok": true}'}
SAID = {"role": "assistant", "content": "Done."}

FORMS: dict[str, dict[str, Any]] = {
    "arguments as the text of an object": {
        "messages": [ASKED, {"role": "assistant", "content": None, "tool_calls": [
            {"type": "function", "function": {"name": "horn", "arguments": '{"on": true}'}}]}, RESULT, SAID],
        "tools": [TOOL],
    },
    "a call without a text": {
        "messages": [ASKED, {"role": "assistant", "tool_calls": [CALL]}, RESULT, SAID], "tools": [TOOL],
    },
    "ShareGPT's turns": {
        "conversations": [
            {"from": "human", "value": "Sound it."},
            {"from": "function_call", "value": '{"name": "horn", "arguments": {"on": true}}'},
            {"from": "observation", "value": '{"ok": true}'}, {"from": "gpt", "value": "Done."},
        ],
        "tools": json.dumps([BARE]),
    },
    "ShareGPT's turns with parts that are objects": {
        "conversations": [
            {"from": "human", "value": "Sound it."},
            {"from": "tool_call", "value": [{"name": "horn", "arguments": '{"on": true}'}]},
            {"from": "tool_response", "value": {"ok": True}}, {"from": "gpt", "value": "Done."},
        ],
        "tools": [json.dumps(TOOL)],
    },
    "the old fields": {
        "messages": [
            ASKED, {"role": "assistant", "content": None,
                    "function_call": {"name": "horn", "arguments": '{"on": true}'}},
            {"role": "function", "content": '{"ok": true}'}, SAID,
        ],
        "functions": [BARE],
    },
    "parts of a message": {
        "messages": [
            ASKED,
            {"role": "assistant", "content": [{"type": "tool_use", "name": "horn", "input": {"on": True}}]},
            {"role": "user", "content": [{"type": "tool_result", "content": '{"ok": true}'}]}, SAID,
        ],
        "tools": [{"name": "horn", "description": "Sounds the horn.", "input_schema": SCHEMA}],
    },
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_every_form_becomes_one(form: str, tmp_path: Path) -> None:
    (row,) = trained(tmp_path, [FORMS[form]])
    assert row == {"messages": [ASKED, CALLED, RESULT, SAID], "tools": [TOOL]}


def test_what_a_tool_gives_beside_words_is_a_turn_of_its_own(tmp_path: Path) -> None:
    parts = [{"type": "tool_result", "tool_use_id": "7", "content": [{"type": "text", "text": "loud"}]},
             {"type": "text", "text": "Again!"}]  # fmt: skip
    (row,) = trained(tmp_path, [{"messages": [ASKED, CALLED, {"role": "user", "content": parts}, SAID]}])
    assert row["messages"][2:] == [
        {"tool_call_id": "7", "role": "tool", "content": "loud"},
        {"role": "user", "content": "Again!"},
        SAID,
    ]


def test_a_call_that_is_none_stays_text(tmp_path: Path) -> None:
    turns = [{"from": "human", "value": "a"}, {"from": "function_call", "value": "no JSON"}]
    assert trained(tmp_path, [{"conversations": turns}])[0]["messages"][1] == {
        "role": "assistant", "content": "no JSON",
    }  # fmt: skip


def test_rows_in_the_right_form_stay_as_they_are(tmp_path: Path) -> None:
    row = {"messages": [ASKED, CALLED, RESULT, SAID], "tools": [TOOL]}
    assert trained(tmp_path, [row]) == [row]


@pytest.mark.parametrize(
    "call, expected",
    [
        (CALL, CALL),
        ({"id": "1", "name": "horn", "arguments": '{"on": true}'}, {"id": "1"} | CALL),
        ({"function": {"name": "horn", "arguments": {"on": True}}}, CALL),
        ({"type": "function", "function": {"name": "horn", "arguments": "on"}},
         {"type": "function", "function": {"name": "horn", "arguments": "on"}}),
        ({"type": "function", "function": {"name": "horn", "arguments": "[1]"}},
         {"type": "function", "function": {"name": "horn", "arguments": "[1]"}}),
        ({"type": "function", "function": {"name": "horn", "arguments": ""}},
         {"type": "function", "function": {"name": "horn", "arguments": {}}}),
        (json.dumps(CALL), CALL), ("horn", "horn"), (5, 5),
    ],
)  # fmt: skip
def test_calls(call: Any, expected: Any) -> None:
    assert tool_call(call) == expected
    assert tool_call(expected) == expected


def test_nothing_that_holds_no_call_is_one() -> None:
    empty: list[Any] = ["", "[]", "{}", "[1]", None, {"a": 1}, '{"name": 3}']
    assert [calls_in(value) for value in empty] == [None] * len(empty)
    none: list[Any] = [None, "", "[]", [], 5, "none"]
    assert [tools_of({"tools": value}) for value in none] == [[]] * len(none)


def test_nulls_of_an_object_are_padding_and_those_of_a_text_are_meant() -> None:
    padded = {
        "id": None,
        "function": {"name": "f", "arguments": {"a": 1, "b": None, "c": {"d": None, "e": [None, 2]}}},
    }
    assert tool_call(padded) == {
        "type": "function", "function": {"name": "f", "arguments": {"a": 1, "c": {"e": [None, 2]}}},
    }  # fmt: skip
    text = tool_call({"function": {"name": "f", "arguments": '{"a": null}'}})
    assert text["function"]["arguments"] == {"a": None}
    tool = {
        "function": {
            "name": "f",
            "description": None,
            "parameters": {"properties": {"a": {"type": "string", "enum": None}}},
        }
    }
    (found,) = tools_of({"tools": [tool]})
    assert found["function"] == {"name": "f", "parameters": {"properties": {"a": {"type": "string"}}}}


@pytest.mark.parametrize("call, text", [(None, "[null]"), ("horn(on)", '["horn(on)"]'), (1, "[1]"), ([], "[[]]")])
def test_a_call_that_is_no_object_breaks_no_check(call: Any, text: str, tmp_path: Path) -> None:
    """What it is is left to the chat template, which refuses it; as a reference answer it is what stands there."""
    path = tmp_path / "calls.jsonl"
    row = {"messages": [ASKED, {"role": "assistant", "content": "", "tool_calls": [call]}]}
    path.write_text(json.dumps(row))
    features = Features.of(TrainConfig().with_value("train_mode", "grpo"))
    assert check_files([path], config=TrainConfig().with_value("train_mode", "grpo")).examples == 1
    layout = layout_of(row, features)
    assert layout is not None
    prompt, reference = prompt_of(row, layout)
    assert [turn["content"] for turn in prompt] == ["Sound it."]
    assert json.loads(reference) == json.loads(text)
