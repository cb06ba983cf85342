"""The quick check of a row says what the full one says, or leaves it to that."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.data.format import Format, Layout
from app.core.data.row_check import fast_check, full_check

TEXTS = st.one_of(
    st.sampled_from(
        ["", " ", "\n", "tide", "[", "[1]", "Human: ebb", "\n\nHuman: a\n\nAssistant: b", "Ã¼ber", "ebb\ufffd", "é"]
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
