"""Prompts, answers, choices and turns as messages, whatever the file's way to write them."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.data.column import (
    as_list,
    as_object,
    choice_columns,
    message_list,
    plain_text,
    reads_as_data,
    value_at,
)
from app.core.data.format import Format, Layout
from app.core.data.message import (
    accepted_answers,
    answer_of,
    called_in,
    choices_of,
    clean_message,
    clean_messages,
    context_of,
    has_earlier_turns,
    messages_of,
    pair_of,
    prompt_turns,
    sharegpt_message,
    system_text,
    transcript,
    turns_from,
    turns_of,
    usual_role,
)
from app.core.data.tool import calls_in, tool_call, tool_result_text, tools_of

PAIR = Layout(Format.COMPLETION, prompt="q", completion="a", context="c", choices=("o",), history="h", system="s")


def said(*turns: str) -> list[dict[str, Any]]:
    """Messages of ``role: text``."""
    return [{"role": turn.partition(": ")[0], "content": turn.partition(": ")[2]} for turn in turns]


@pytest.mark.parametrize(
    "row, pair",
    [
        ({"q": "Why?", "a": "So."}, ("Why?", "So.")),
        ({"q": 5, "a": True}, ("5", "true")),
        ({"q": None, "a": "So."}, (None, "So.")),
        ({"q": ["x"], "a": {"x": 1}}, (["x"], {"x": 1})),
        # A context stands below, unless the prompt has it; a short one may be there by chance.
        ({"q": "Why?", "a": "So.", "c": "The sea."}, ("Why?\n\nThe sea.", "So.")),
        ({"q": "Why, The sea.", "a": "So.", "c": "The sea."}, ("Why, The sea.\n\nThe sea.", "So.")),
        ({"q": f"Why {'x' * 19}?", "a": "So.", "c": "x" * 19}, (f"Why {'x' * 19}?\n\n{'x' * 19}", "So.")),
        ({"q": f"Why {'x' * 20}?", "a": "So.", "c": "x" * 20}, (f"Why {'x' * 20}?", "So.")),
        ({"q": "Why?", "a": "So.", "c": ["a", "b"]}, ("Why?\n\na\n\nb", "So.")),
        ({"q": "Why?", "a": "So.", "c": ["a", 5]}, ("Why?", "So.")),
        ({"q": "Why?", "a": "So.", "c": " \n"}, ("Why?", "So.")),
        # Choices a line each, unless the prompt names all of them with their letters.
        ({"q": "Why?", "a": 1, "o": ["x", "y"]}, ("Why?\n\nA. x\nB. y", "B")),
        ({"q": "A) x, B. y?", "a": 0, "o": ["x", "y"]}, ("A) x, B. y?", "A")),
        ({"q": "A) x?", "a": 0, "o": ["x", "y"]}, ("A) x?\n\nA. x\nB. y", "A")),
        ({"q": "CA) x B    y", "a": 2, "o": ["x", "y"]}, ("CA) x B    y\n\nA. x\nB. y", "2")),
        ({"q": "Why?", "a": 1, "o": ["1", "2"]}, ("Why?\n\nA. 1\nB. 2", "1")),
        ({"q": "Why?", "a": -1, "o": ["x", "y"]}, ("Why?\n\nA. x\nB. y", "-1")),
        ({"q": "Why?", "a": True, "o": ["x", "y"]}, ("Why?\n\nA. x\nB. y", "true")),
    ],
)
def test_a_prompt_with_what_belongs_to_it_and_its_answer(row: dict[str, Any], pair: tuple[Any, Any]) -> None:
    assert pair_of(row, PAIR) == pair


@pytest.mark.parametrize(
    "value, choices",
    [
        (["x", 2, True], [("A", "x"), ("B", "2"), ("C", "true")]), ("['x', 'y']", [("A", "x"), ("B", "y")]),
        (["x", None], []), ({"A": "x", "C": 3}, [("A", "x"), ("C", "3")]), ("{'A': 'x'}", [("A", "x")]),
        ({"label": ["1", "2"], "text": ["x", "y"]}, [("1", "x"), ("2", "y")]),
        ({"label": ["1"], "text": ["x", "y"]}, [("A", "x"), ("B", "y")]), ({"text": ["x"]}, [("A", "x")]),
        ([{"label": "P", "text": "x"}, {"key": "Q", "content": "y"}, {"id": 3, "text": "z"}],
         [("P", "x"), ("Q", "y"), ("3", "z")]),
        ([{"text": "x"}], []), ([{"label": "P", "text": "x"}, 5], []), ("x", []), (5, []), (None, []), ([], []),
        ([str(n) for n in range(27)], [*((chr(65 + n), str(n)) for n in range(26)), ("27", "26")]),
    ],
)  # fmt: skip
def test_choices_of_every_form(value: Any, choices: list[tuple[str, str]]) -> None:
    assert choices_of({"o": value}, PAIR) == choices


def test_choices_in_columns_of_their_own() -> None:
    lettered = Layout(Format.COMPLETION, choices=("A", "B", "C", "D"))
    assert choices_of({"A": "x", "B": " ", "C": 3, "D": None}, lettered) == [("A", "x"), ("C", "3")]
    assert choices_of({"o": ["x"]}, Layout(Format.COMPLETION)) == []
    assert context_of({"": "x"}, Layout(Format.COMPLETION)) == ""


@pytest.mark.parametrize(
    "column, value, accepted",
    [
        ("answers", ["a", "b"], ["a", "b"]), (" Answer ", ["a"], ["a"]), ("x.targets", ["a"], ["a"]),
        ("summary", ["a"], None), ("answers", ["a", 5], None), ("answers", [], None), ("answers", "a", None),
        ("answers", {"text": ["a"], "answer_start": [3]}, ["a"]), ("x", {"text": []}, []),
        ("answers", {"text": ["a"], "more": 1}, None), ("answers", {"answer_start": [3]}, None),
    ],
)  # fmt: skip
def test_answers_of_which_one_is_enough(column: str, value: Any, accepted: list[str] | None) -> None:
    assert accepted_answers(column, value) == accepted
    expected = accepted[0] if accepted else value
    assert answer_of({column: value}, Layout(Format.COMPLETION, completion=column)) == expected


@pytest.mark.parametrize(
    "history, turns",
    [
        ([["a", "b"], {"x": "c", "y": "d"}], said("user: a", "assistant: b", "user: c", "assistant: d")),
        ('[["a", "b"]]', said("user: a", "assistant: b")), ([{"role": "user", "content": "a"}], said("user: a")),
        ("", []), ([], []), (None, []),
        ([["a", 5]], None), ([["a"]], None), ([{"x": "a"}], None), ("a", None), ({"x": 1}, None),
    ],
)  # fmt: skip
def test_earlier_turns_of_every_form(history: Any, turns: list[dict[str, Any]] | None) -> None:
    row = {"q": "Why?", "a": "So.", "h": history}
    assert turns_of(row, PAIR) == [*(turns or []), *said("user: Why?", "assistant: So.")]
    assert has_earlier_turns(row, PAIR) is (turns is not None)


def test_a_prompt_may_be_turns_or_a_transcript() -> None:
    turns = said("system: s", "user: a", "assistant: b", "user: c")
    row = {"q": turns, "a": said("assistant: d"), "c": "Context."}
    assert turns_of(row, PAIR) == [*turns[:3], *said("user: c\n\nContext.", "assistant: d")]
    assert prompt_turns({"q": turns[:3], "c": "Context."}, PAIR) == turns[:3]
    known = said("user: The sea was calm that day.", "assistant: b", "user: c")
    assert prompt_turns({"q": known, "c": "The sea was calm that day."}, PAIR) == known
    spoken = "\n\nHuman: a\n\nAssistant: b\n\nHuman: c\n\nAssistant:"
    for kind, expected in (
        (Format.PREFERENCE, said("user: a", "assistant: b", "user: c")),
        (Format.CHAT, said("user: a", "assistant: b", "user: c")),
        (Format.COMPLETION, [{"role": "user", "content": spoken}]),
    ):
        assert prompt_turns({"q": spoken}, Layout(kind, prompt="q")) == expected
    assert prompt_turns({"q": None}, PAIR) == [{"role": "user", "content": None}]
    assert prompt_turns({"q": 5}, PAIR) == said("user: 5")


@pytest.mark.parametrize(
    "text, turns",
    [
        ("Human: a \n\nAssistant: b", said("user: a", "assistant: b")),
        ("Assistant: a\n\nHuman: b", said("assistant: a", "user: b")),
        ("Human: a\n\nAssistant:", said("user: a")),
        ("Human: a\nAssistant: b", []),
        ("Human: a\n\nHuman: b", []),
        ("Human: a", []),
        ("So Human: a\n\nAssistant: b", []),
        (5, []),
        ("Human: a\n\nAssistant: b\n\nHuman:", said("user: a", "assistant: b", "user: ")),
    ],
)
def test_transcripts(text: Any, turns: list[dict[str, Any]]) -> None:
    assert transcript(text) == turns


@pytest.mark.parametrize(
    "system, first",
    [
        ("Be brief.", True),
        (" ", False),
        (None, False),
        (5, False),
        (["Be ", {"type": "text", "text": "brief."}], True),
        ([], False),
        (["a", 5], False),
    ],
)
def test_a_system_text_stands_in_front_unless_there_is_one(system: Any, first: bool) -> None:
    row = {"q": "Why?", "a": "So.", "s": system if not isinstance(system, list) else system_text(system)}
    turns = said("user: Why?", "assistant: So.")
    assert messages_of(row, PAIR) == [*(said("system: Be brief.") if first else []), *turns]
    own = said("system: Mine.", "user: a")
    assert messages_of({"m": own, "s": "Be brief."}, Layout(Format.CHAT, chat="m", system="s")) == own
    assert messages_of({"m": 5, "s": ""}, Layout(Format.CHAT, chat="m", system="s")) == []


@pytest.mark.parametrize(
    "turns, messages",
    [
        ([{"input": "a", "output": "b", "system": "s"}], said("system: s", "user: a", "assistant: b")),
        ([{"system": " ", "input": "a", "output": "b"}], said("user: a", "assistant: b")),
        (
            [{"output": "b", "input": "a", "output_with_loss": False}],
            [*said("user: a"), {"role": "assistant", "content": "b", "weight": 0}],
        ),
        (
            [{"human": "a", "gpt": "b", "train": False}],
            [*said("user: a"), {"role": "assistant", "content": "b", "weight": 0}],
        ),
        ([{"human": "a", "user": "b"}], [{"human": "a", "user": "b"}]),
        ([{"human": "a", "note": "b"}], [{"human": "a", "note": "b"}]),
        ([{"human": "a", "n": 5}], said("user: a")),
        (
            [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b", "weight": 0.5}],
            [*said("user: a"), {"role": "assistant", "content": "b", "weight": 0.5}],
        ),
        (said("human: a", "gpt: b"), said("user: a", "assistant: b")),
        (said("human: a", "assistant: b"), said("human: a", "assistant: b")),
        (said("developer: s", "user: a"), said("system: s", "user: a")),
        (said("developer: s", "system: t"), said("developer: s", "system: t")),
        (
            said(" Model : a", "AI: b", "Prompter: c", "odd: d"),
            said("assistant: a", "assistant: b", "user: c", "odd: d"),
        ),
        ([5], [{"role": None, "content": 5}]),
    ],
)
def test_turns_of_every_form(turns: list[Any], messages: list[dict[str, Any]]) -> None:
    assert turns_from(turns) == messages


def test_of_turns_that_have_both_names_the_format_decides() -> None:
    turn = {"from": "human", "value": "a", "role": "user", "content": "b"}
    assert turns_from([turn], sharegpt=True) == said("user: a")
    assert turns_from([turn])[0]["content"] == "b"
    assert sharegpt_message(5) == {"role": None, "content": 5}
    assert sharegpt_message({"role": "user", "content": "a"}) == said("user: a")[0]
    assert sharegpt_message({"from": 5}) == {"role": 5, "content": None}
    assert sharegpt_message({"from": "function_call", "value": "no call"}) == said("assistant: no call")[0]
    assert sharegpt_message({"from": "observation", "value": {"a": 1}}) == {"role": "tool", "content": '{"a": 1}'}


CALL = {"type": "function", "function": {"name": "horn", "arguments": {"on": True}}}


@pytest.mark.parametrize(
    "message, clean",
    [
        ({"role": "user", "content": "a", "name": None}, {"role": "user", "content": "a"}),
        ({"role": "user", "content": None}, {"role": "user", "content": None}),
        ({"role": "user", "content": "a", "loss": True}, {"role": "user", "content": "a"}),
        ({"role": "user", "content": "a", "loss": 0}, {"role": "user", "content": "a", "weight": 0}),
        (
            {"role": "user", "content": "a", "weight": 2, "train": False},
            {"role": "user", "content": "a", "weight": 2},
        ),
        ({"role": "user", "content": "a", "train": "x"}, {"role": "user", "content": "a"}),
        (
            {"role": "user", "content": ["a", {"type": "input_text", "text": "b"}]},
            {"role": "user", "content": "ab"},
        ),
        (
            {"role": "user", "content": [{"text": "b"}, {"type": "image"}]},
            {"role": "user", "content": [{"text": "b"}, {"type": "image"}]},
        ),
        ({"role": "user", "content": []}, {"role": "user", "content": []}),
        (
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "x"},
                    {"type": "thinking", "thinking": "y"},
                    "a",
                    {"type": "tool_use", "name": "horn", "input": {"on": True}},
                    {"type": "redacted_thinking", "data": "z"},
                ],
            },
            {"role": "assistant", "content": "a", "reasoning_content": "x\ny", "tool_calls": [CALL]},
        ),
        (
            {"role": "assistant", "content": [{"type": "reasoning", "text": "x"}], "reasoning_content": "mine"},
            {"role": "assistant", "content": "", "reasoning_content": "mine"},
        ),
        ({"role": "assistant", "content": "a", "tool_calls": []}, {"role": "assistant", "content": "a"}),
        (
            {"role": "assistant", "content": "", "tool_calls": []},
            {"role": "assistant", "content": "", "tool_calls": []},
        ),
        ({"role": "assistant", "tool_calls": [CALL]}, {"role": "assistant", "tool_calls": [CALL], "content": ""}),
        (
            {"role": "assistant", "content": None, "function_call": {"name": "horn", "arguments": '{"on": true}'}},
            {"role": "assistant", "content": "", "tool_calls": [CALL]},
        ),
        (
            {"role": "assistant", "content": "a", "function_call": {"x": 1}},
            {"role": "assistant", "content": "a", "function_call": {"x": 1}},
        ),
        ({"role": "function", "content": {"a": [1]}}, {"role": "tool", "content": '{"a": [1]}'}),
        ({"role": "user", "content": {"a": 1}}, {"role": "user", "content": {"a": 1}}),
    ],
)
def test_a_message_is_put_right(message: dict[str, Any], clean: dict[str, Any]) -> None:
    assert clean_message(message) == clean


def test_results_of_tools_in_a_turn_are_turns_of_their_own() -> None:
    turn = {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": 0, "content": [{"type": "text", "text": "loud"}]},
            "Thanks.",
            {"type": "tool_result", "content": {"a": 1}},
        ],
    }
    assert clean_messages(turn) == [
        {"tool_call_id": 0, "role": "tool", "content": "loud"},
        {"role": "tool", "content": '{"a": 1}'},
        {"role": "user", "content": "Thanks."},
    ]
    alone = {"role": "user", "content": [turn["content"][0]]}
    assert clean_messages(alone) == [{"tool_call_id": 0, "role": "tool", "content": "loud"}]
    assert [usual_role(role) for role in (" Human", "GPT", "Function", "ipython", "odd", 5)] == [
        "user",
        "assistant",
        "tool",
        "ipython",
        "odd",
        5,
    ]


@pytest.mark.parametrize(
    "tools, answer, found",
    [
        ([{"name": "horn"}], '{"name": "horn", "arguments": {"on": true}}', [CALL]),
        ([{"name": "horn"}], [{"name": "horn", "arguments": {"on": True}}] * 2, [CALL, CALL]),
        ([{"name": "horn"}], [{"name": "horn"}, {"name": "bell"}], None),
        ([{"name": "horn"}], "loud", None),
        ([], '{"name": "horn"}', None),
        ([5, {"type": "x"}], '{"name": "horn"}', None),
        ([{"name": "horn"}], [], None),
    ],
)
def test_an_answer_of_calls_of_the_rows_own_tools(tools: list[Any], answer: Any, found: list[Any] | None) -> None:
    row = {"q": "Sound it.", "a": answer, "tools": tools}
    assert called_in(row, "a") == found
    if found is not None:
        assert turns_of(row, PAIR)[-1] == {"role": "assistant", "content": "", "tool_calls": found}


def test_tools_and_calls_in_one_form() -> None:
    bare = {"name": "horn", "input_schema": {"x": 1}, "type": "function", "more": None}
    wrapped = {"type": "function", "function": {"name": "horn", "parameters": {"x": 1}}}
    assert tools_of({"tools": [], "functions": bare}) == [wrapped]
    assert tools_of({"tools": [{"function": {"name": "horn"}}, {"name": "x", "type": "custom"}, 5, {"a": 1}]}) == [
        {"type": "function", "function": {"name": "horn"}},
        {"name": "x", "type": "custom"},
        5,
        {"a": 1},
    ]
    assert tools_of({"tools": "none"}) == tools_of({}) == []
    assert tool_call({"id": "1", "x": 2, "name": "horn", "args": {"on": True}}) == {"id": "1"} | CALL
    assert tool_call({"name": "horn", "arguments": " "})["function"] == {"name": "horn", "arguments": {}}
    assert tool_call({"name": "horn"})["function"] == {"name": "horn", "arguments": {}}
    assert tool_call({"name": "horn", "arguments": "loud"})["function"] == {"name": "horn", "arguments": "loud"}
    assert tool_call({"name": 5}) == {"name": 5}
    assert tool_call({"id": "1", "function": {"name": "horn"}}) == {
        "type": "function", "id": "1", "function": {"name": "horn"}
    }  # fmt: skip
    assert tool_call("horn") == "horn"
    assert calls_in([]) is calls_in("loud") is calls_in({"name": 5}) is calls_in(None) is None
    assert calls_in([{"name": "horn"}, 5]) is None
    results: list[Any] = [None, "a", [1], {1}]
    assert [tool_result_text(value) for value in results] == [None, "a", "[1]", '"{1}"']


@pytest.mark.parametrize(
    "names, columns",
    [
        ("a b c", "a b c"),
        ("option_b option_a", "option_a option_b"),
        ("0 1", ""),
        ("option1 option2", "option1 option2"),
        ("choice 0|choice 1", "choice 0|choice 1"),
        ("b c", ""),
        ("a", ""),
        ("a c", ""),
        ("choices a b", "choices"),
        ("options", "options"),
        ("opta op_b", "opta op_b"),
        ("i j", ""),
    ],
)
def test_columns_of_choices(names: str, columns: str) -> None:
    mark = "|" if "|" in names else " "
    folded = {name: name for name in names.split(mark)}
    assert choice_columns(folded) == (tuple(columns.split(mark)) if columns else ())


def test_texts_of_lists_objects_and_numbers() -> None:
    assert (as_list(" [1, 2]"), as_list("['a']"), as_list("[1"), as_list('{"a": 1}')) == (
        [1, 2], ["a"], "[1", '{"a": 1}'
    )  # fmt: skip
    assert (as_object(" {'a': None}"), as_object('{"a"'), as_object("[1]"), as_object(5)) == (
        {"a": None}, '{"a"', "[1]", 5
    )  # fmt: skip
    assert as_list('["\\ud83d"]') == '["\\ud83d"]'
    assert as_list("[" * 201 + "]" * 201) == "[" * 201 + "]" * 201
    values: list[Any] = ["a", True, False, 3, 0.5, float("nan"), float("inf"), None, []]
    assert [plain_text(value) for value in values] == [
        "a", "true", "false", "3", "0.5", None, None, None, None
    ]  # fmt: skip
    row = {"a.b": 1, "a": {"b": 2, "c": 3}, "d": 4}
    assert [value_at(row, path) for path in ("a.b", "a.c", "a.d", "d.e", "d", "x.y")] == [1, 3, None, None, 4, None]
    assert [
        reads_as_data(name) for name in ("code", "country_code", "UserPrompt", "prompt_id", "num_answers", "x")
    ] == [True, False, True, False, False, False]


@pytest.mark.parametrize(
    "value, is_list",
    [
        (said("user: a"), True),
        ({"from": "human"}, True),
        ('[{"role": "user"}]', True),
        ('[{"name": "x"}]', False),
        ("role", False),
        ({"messages": said("user: a")}, True),
        ({"messages": []}, False),
        ([], False),
        ([*said("user: a"), 5], False),
        ([{"x": 1}], False),
        (5, False),
    ],
)
def test_what_is_a_list_of_messages(value: Any, is_list: bool) -> None:
    assert (message_list(value) is not None) is is_list
