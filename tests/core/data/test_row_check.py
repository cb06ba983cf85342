"""The quick check of a row says what the full one says, or leaves it to that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.data.format import Format, Layout
from app.core.data.row_check import fast_check, full_check, is_good

TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            " ",
            "\n",
            "tide",
            "[",
            "[1]",
            "Human: ebb",
            "\n\nHuman: a\n\nAssistant: b",
            "Ã¼ber",
            "ebb\ufffd",
            "é",
            "nan",
            "#N/A ",
        ]
    ),
    st.text(max_size=8),
)
VALUES = st.one_of(TEXTS, st.none(), st.integers(0, 2), st.booleans(), st.lists(TEXTS, max_size=2))
ROLES = st.sampled_from(["system", "user", "assistant", "tool", "human", "gpt", "function_call", "no one"])


def messages(role: str, content: str) -> st.SearchStrategy[Any]:
    """Conversations, most of them nearly right."""
    plain = st.fixed_dictionaries({role: ROLES, content: TEXTS}, optional={"weight": VALUES, "name": VALUES})
    odd = st.dictionaries(st.sampled_from([role, content, "tool_calls"]), VALUES, max_size=3)
    return st.one_of(st.lists(st.one_of(plain, plain, plain, odd), max_size=4), VALUES)


LAYOUTS = {
    Format.TEXT: (Layout(Format.TEXT, text="t", native=True), st.fixed_dictionaries({"t": VALUES})),
    Format.COMPLETION: (
        Layout(Format.COMPLETION, prompt="p", completion="c"),
        st.fixed_dictionaries({"p": VALUES, "c": VALUES}),
    ),
    Format.CHAT: (
        Layout(Format.CHAT, chat="m", native=True),
        st.fixed_dictionaries({"m": messages("role", "content")}),
    ),
    Format.SHAREGPT: (Layout(Format.SHAREGPT, chat="m"), st.fixed_dictionaries({"m": messages("from", "value")})),
}


@pytest.mark.parametrize("kind", LAYOUTS)
@given(data=st.data())
def test_what_is_said_quickly_is_what_is_said_in_full(kind: Format, data: st.DataObject) -> None:
    layout, rows = LAYOUTS[kind]
    check = fast_check(layout, tuple("tpcm"))
    for row in data.draw(st.lists(rows, min_size=1, max_size=8)):
        found = check(row)
        assert found is None or found == full_check(row, layout)


GOOD: list[tuple[Format, dict[str, Any], int]] = [
    (Format.TEXT, {"t": "ebb"}, 3),
    (Format.TEXT, {"t": " é"}, 2),
    (Format.COMPLETION, {"p": "ebb", "c": "flow"}, 8),  # with what parts them
    (Format.CHAT, {"m": [{"role": "user", "content": "ebb"}, {"role": "assistant", "content": "flow"}]}, 8),
    (Format.SHAREGPT, {"m": [{"from": "human", "value": "ebb"}, {"from": "gpt", "value": "flow"}]}, 8),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "row", "length"), GOOD)
def test_a_good_row_is_judged_quickly(kind: Format, row: dict[str, Any], length: int) -> None:
    layout, _ = LAYOUTS[kind]
    found = fast_check(layout, tuple(row))(row)
    assert found is not None
    assert found[1:] == (length, (), layout.native)


BAD: list[tuple[Format, dict[str, Any]]] = [
    *((Format.TEXT, {"t": text}) for text in ("", " \n", None, 7)),
    *((Format.COMPLETION, {"p": "ebb", "c": text}) for text in ("", " \n", None, 7, '["a"]')),
    *((Format.COMPLETION, {"p": text, "c": "ebb"}) for text in ("", " \n", None, 7, '["a"]', "Human: a")),
    *((Format.CHAT, {"m": turns}) for turns in ([], None, "a", [{"role": "user"}])),
    (Format.CHAT, {"m": [{"role": "user", "content": " "}]}),
    *((Format.SHAREGPT, {"m": turns}) for turns in ([], None, "a", [{"from": "gpt", "value": ""}])),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "row"), BAD)
def test_any_other_is_left_to_the_full_check(kind: Format, row: dict[str, Any]) -> None:
    assert fast_check(LAYOUTS[kind][0], tuple(row))(row) is None


T, A = {"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}


def pair(**beside: Any) -> Layout:
    return Layout(Format.COMPLETION, prompt="p", completion="c", native=True, **beside)


def chat(**beside: Any) -> Layout:
    return Layout(Format.CHAT, chat="m", native=True, **beside)


OUT = {"missing_field", "wrong_type", "empty_field", "bad_answer", "media", "broken_json"}


@pytest.mark.parametrize(
    ("layout", "row", "length", "native", "faults"),
    [
        (Layout(Format.TEXT, text="t", native=True), {}, 0, True, [("missing_field", "`t` is missing.")]),
        (Layout(Format.TEXT, text="t", native=True), {"t": None}, 0, True, [("missing_field", "`t` is null.")]),
        (
            Layout(Format.TEXT, text="t", native=True),
            {"t": 5},
            0,
            True,
            [("wrong_type", "`t` is a number, not a text.")],
        ),
        (
            Layout(Format.TEXT, text="t", native=True),
            {"t": "\u200b "},
            2,
            True,
            [("empty_field", "`t` holds nothing but invisible characters.")],
        ),
        (Layout(Format.TEXT, text="t", native=True), {"t": " "}, 1, True, [("empty_field", "`t` is empty.")]),
        (Layout(Format.TEXT, text="t", native=True), {"t": "ok"}, 2, True, []),
        (
            Layout(Format.TEXT, text="t", native=True),
            {"t": "one line\nGrÃ¶Ãe und so weiter und so fort Ã¼ber"},
            47,
            True,
            [
                (
                    "mojibake",
                    "Text looks garbled, near 'Gr\u00c3\u00b6\u00c3e und so '; meant is probably "
                    "'Gr\u00f6\u00c3e und so w'.",
                )
            ],
        ),
        (
            Layout(Format.TEXT, text="t", native=True),
            {"t": "abcdefghijklmnopqrst\ufffdabcdefghijklmnop"},
            37,
            True,
            [("mojibake", "Characters were lost (\ufffd), near 'ijklmnopqrst\ufffdabcdefghijk'.")],
        ),
        (
            Layout(Format.TEXT, text="t", native=True),
            {"t": "It\x92s high water,\x85"},
            17,
            True,
            [
                (
                    "mojibake",
                    "Text looks garbled, near 'It\\x92s high wate'; meant is probably 'It\u2019s high wate'.",
                )
            ],
        ),
        (
            Layout(Format.TEXT, text="t", native=True),
            {"t": "a\x07b"},
            3,
            True,
            [
                (
                    "control_character",
                    "It holds a control character (U+0007), near 'a\ufffdb', which is trained like any other.",
                )
            ],
        ),
        (pair(), {"p": "a", "c": "b", "tools": "[]"}, 3, False, []),
        (
            pair(context="x"),
            {"p": "a", "c": "b", "x": {"y": 1}},
            3,
            True,
            [("unused_column", "`x` is not used, being an object")],
        ),
        (
            pair(context="x"),
            {"p": "a", "c": "b", "x": 5},
            6,
            True,
            [("number_as_text", "Numbers, true or false in `x` are trained as text")],
        ),
        (pair(context="x"), {"p": "a", "c": "b", "x": " "}, 3, True, []),
        (pair(context="x"), {"p": "a", "c": "b", "x": []}, 3, True, []),
        (
            Layout(Format.ALPACA, prompt="p", completion="c", context="x"),
            {"p": "a", "c": "b", "x": [5]},
            3,
            False,
            [("wrong_type", "`x` is a list, not a text.")],
        ),
        (
            pair(history="h"),
            {"p": "a", "c": "b", "h": "odd"},
            3,
            False,
            [("unused_column", "`h` is not used: it holds no turns")],
        ),
        (
            pair(choices=("o", "q")),
            {"p": "a", "c": "b", "o": " ", "q": [1]},
            3,
            True,
            [("unused_column", "`q` is not used: it holds no choices")],
        ),
        (
            pair(choices=("o",)),
            {"p": "a", "c": "b", "o": "x"},
            3,
            True,
            [("unused_column", "`o` is not used: it holds no choices")],
        ),
        (pair(), {"p": "a", "c": ["b"]}, 1, False, [("wrong_type", "`c` is a list, not a text.")]),
        (
            Layout(Format.COMPLETION, prompt="p", completion="answers"),
            {"p": "a", "answers": ["b", "c"]},
            3,
            False,
            [("first_answer", "Of several answers in `answers` the first is trained")],
        ),
        (
            Layout(Format.COMPLETION, prompt="p", completion="answers"),
            {"p": "a", "answers": [" ", "c"]},
            3,
            False,
            [("empty_field", "`answers` begins with an empty text.")],
        ),
        (
            Layout(Format.COMPLETION, prompt="p", completion="answers"),
            {"p": "a", "answers": {"text": []}},
            1,
            False,
            [("empty_field", "`answers` holds no answer.")],
        ),
        (
            pair(),
            {"p": 5, "c": True},
            6,
            False,
            [
                ("number_as_text", "Numbers, true or false in `p` are trained as text"),
                ("number_as_text", "Numbers, true or false in `c` are trained as text"),
            ],
        ),
        (
            pair(label="l"),
            {"p": "a", "c": "b", "l": False},
            3,
            True,
            [("bad_answer", "Answers that `l` calls bad are left out")],
        ),
        (pair(label="l"), {"p": "a", "c": "b", "l": True}, 3, True, []),
        (
            pair(system="s"),
            {"p": "a", "c": "b", "s": 5},
            3,
            False,
            [("wrong_type", "`s` is a number, not a text.")],
        ),
        (chat(), {"m": [T, A]}, 3, True, []),
        (chat(), {"m": None}, 0, False, [("missing_field", "`m` is null.")]),
        (chat(), {"m": 5}, 0, False, [("wrong_type", "`m` is a number, not a list of messages.")]),
        (chat(), {"m": []}, 0, False, [("empty_field", "`m` is an empty list.")]),
        (
            chat(),
            {"m": [{"role": "User", "content": "a"}, A]},
            3,
            False,
            [("renamed_role", "The role `User` is read as `user`")],
        ),
        (
            chat(),
            {"m": [{"role": "User", "content": "a"}, A, {"role": "Model", "content": "a"}, A]},
            7,
            False,
            [
                ("repeated_role", "Messages 2 and 3 are both of the assistant."),
                ("repeated_role", "Messages 3 and 4 are both of the assistant."),
                ("renamed_role", "The role `Model` is read as `assistant`"),
                ("renamed_role", "The role `User` is read as `user`"),
            ],
        ),
        (
            chat(system="s"),
            {"m": [{"role": "system", "content": "x"}, T, A], "s": "y"},
            5,
            True,
            [("unused_column", "`s` is not used beside a system turn")],
        ),
        (chat(system="s"), {"m": [{"role": "system", "content": "x"}, T, A], "s": "x"}, 5, True, []),
        (chat(system="s"), {"m": [T, A], "s": "y"}, 5, False, []),
        (chat(), {"m": [T, A], "tools": [{"name": "x"}]}, 3, False, []),
        (chat(), {"m": [T, A], "functions": [{"name": "x"}]}, 3, False, []),
        (chat(), {"m": [T, A], "tools": [{"type": "function", "function": {"name": "x"}}]}, 3, True, []),
        (
            Layout(Format.PREFERENCE, prompt="p", chosen="y", rejected="n"),
            {"p": "a", "y": "b", "n": "c"},
            5,
            False,
            [],
        ),
        (
            Layout(Format.PREFERENCE, prompt="p", chosen="y", rejected="n"),
            {"p": "a", "y": None, "n": 5},
            0,
            False,
            [("missing_field", "`y` is null.")],
        ),
        (
            Layout(Format.PREFERENCE, prompt="p", chosen="y", rejected="n"),
            {"p": 5, "y": "b", "n": "c"},
            5,
            False,
            [("number_as_text", "Numbers, true or false in `p` are trained as text")],
        ),
        (
            Layout(Format.LABELLED, prompt="p", completion="c", label="l"),
            {"p": "a", "c": "b", "l": True},
            3,
            False,
            [],
        ),
        (
            Layout(Format.LABELLED, prompt="p", completion="c", label="l"),
            {"p": "a", "c": "b"},
            0,
            False,
            [("missing_field", "`l` is missing.")],
        ),
        (Layout(Format.LABELLED, chat="m", label="l"), {"m": [T, A], "l": 0}, 3, False, []),
        (
            Layout(Format.GRPO, prompt="p", completion="c"),
            {"p": "a", "c": None},
            0,
            False,
            [("missing_field", "`c` is null.")],
        ),
        (
            Layout(Format.GRPO, prompt="p", completion="c"),
            {"p": "a"},
            0,
            False,
            [("missing_field", "`c` is missing.")],
        ),
        (
            Layout(Format.GRPO, prompt="p", completion="c"),
            {"p": "a", "c": " "},
            0,
            False,
            [("empty_field", "`c` is empty.")],
        ),
        (
            Layout(Format.GRPO, prompt="p", completion="c"),
            {"p": "a", "c": ["x", "y"]},
            1,
            False,
            [("first_answer", "Of several answers in `c` the first is the reference")],
        ),
        (Layout(Format.GRPO, prompt="p", completion="c"), {"p": "a", "c": ["x"]}, 1, False, []),
        (
            Layout(Format.GRPO, prompt="p", completion="c"),
            {"p": "a", "c": "so #### 5"},
            1,
            False,
            [("final_answer", "The reference is what `c` comes to (after ####, or in \\boxed{})")],
        ),
        (Layout(Format.GRPO, prompt="p", completion="c"), {"p": "a", "c": 0}, 1, False, []),
        (
            Layout(Format.GRPO, prompt="p"),
            {"p": [{"role": "system", "content": "x"}]},
            1,
            False,
            [("empty_field", "`p` holds no question.")],
        ),
        (
            Layout(Format.GRPO, prompt="p"),
            {"p": [{"role": None, "content": "x"}]},
            1,
            False,
            [("missing_field", "Message 1 has no role.")],
        ),
        (
            Layout(Format.GRPO, prompt="p"),
            {"p": [{"role": "user", "content": [{"type": "image"}]}]},
            0,
            False,
            [("wrong_type", "Message 1 holds pictures (`image`), which cannot be trained.")],
        ),
        (
            Layout(Format.GRPO, prompt="p"),
            {"p": [{"role": "user", "content": 5}]},
            0,
            False,
            [("wrong_type", "The content of message 1 is a number, not a text.")],
        ),
        (
            Layout(Format.GRPO, prompt="p"),
            {"p": [{"role": "user", "content": "a"}], "images": ["x"]},
            1,
            False,
            [("media", "`images` holds pictures, which cannot be trained.")],
        ),
        (pair(), {"p": "a", "c": "b", "image": "a picture"}, 3, True, []),
        (
            pair(),
            {"p": "a", "c": "b", "image": {"bytes": 1}},
            3,
            True,
            [("media", "`image` holds pictures, which cannot be trained.")],
        ),
    ],
)
def test_what_is_said_of_a_row(
    layout: Layout, row: dict[str, Any], length: int, native: bool, faults: list[tuple[str, str]]
) -> None:
    found = full_check(row, layout)
    assert found[1:] == (length, tuple(faults), native)
    assert is_good(found) is not any(kind in OUT for kind, _ in faults)


def test_a_row_that_nests_too_deeply_is_not_read() -> None:
    deep: dict[str, Any] = {}
    for _ in range(200):
        deep = {"a": deep}
    assert full_check(deep, pair()) == (0, 0, (("broken_json", "The JSON is nested too deeply."),), False)
    assert full_check(deep["a"], pair())[2] != (("broken_json", "The JSON is nested too deeply."),)


@pytest.mark.parametrize(
    ("layout", "columns", "row"),
    [
        (pair(system="s"), "pc", {"p": "a", "c": "b"}),
        (pair(history="h"), "pc", {"p": "a", "c": "b"}),
        (pair(context="x"), "pc", {"p": "a", "c": "b"}),
        (pair(choices=("o",)), "pc", {"p": "a", "c": "b"}),
        (pair(label="l"), "pc", {"p": "a", "c": "b"}),
        (pair(), ("p", "c", "label"), {"p": "a", "c": "b"}),
        (pair(), ("p", "c", "tools"), {"p": "a", "c": "b"}),
        (pair(), ("p", "c", "images"), {"p": "a", "c": "b"}),
        (Layout(Format.PREFERENCE, prompt="p", chosen="c"), "pc", {"p": "a", "c": "b"}),
    ],
)
def test_rows_with_more_to_look_at_are_judged_in_full(
    layout: Layout, columns: tuple[str, ...], row: dict[str, Any]
) -> None:
    assert fast_check(pair(), ("p", "c"))(row) is not None
    assert fast_check(layout, tuple(columns))(row) is None
