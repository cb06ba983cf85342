"""Whether a fast parser's row says all that its line says: told without a second reading, and never wrongly."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.json_text import EXACT, NO_CONTROL, certainty_of, hides_name, spelled_json
from app.core.visible import control_told

TEXTS = st.text(alphabet=st.sampled_from('a"\\/é\n\t:,{}[]0.-e '), max_size=8)
MESSAGES = st.lists(st.dictionaries(TEXTS, TEXTS, max_size=3), max_size=3)
ROWS = st.dictionaries(TEXTS, TEXTS | MESSAGES | st.none() | st.integers(-3, 3) | st.floats(-2, 2), max_size=4)


def twice_named(row: dict[str, Any], name: str, value: str) -> str:
    """The row's line, with a name of it once more at its beginning."""
    rest = json.dumps(row)[1:]
    return "{" + json.dumps(name) + ": " + json.dumps(value) + ", " + rest


@given(ROWS, st.booleans())
def test_what_is_exact_is_read_alike_and_keeps_its_numbers(row: dict[str, Any], ascii_only: bool) -> None:
    line = json.dumps(row, ensure_ascii=ascii_only).encode()
    if certainty_of(line, orjson.loads(line)):
        found, twice = spelled_json(line.decode())
        assert (found, twice) == (orjson.loads(line), [])
        assert json.dumps(found) == json.dumps(row)


@given(ROWS.filter(bool), TEXTS)
def test_a_row_with_a_name_twice_is_never_exact(row: dict[str, Any], value: str) -> None:
    line = twice_named(row, next(iter(row)), value).encode()
    assert not certainty_of(line, orjson.loads(line))


@given(st.dictionaries(TEXTS, TEXTS, min_size=1, max_size=3), TEXTS)
def test_nor_one_with_a_message_that_has_a_name_twice(message: dict[str, str], value: str) -> None:
    line = f'{{"messages": [{twice_named(message, next(iter(message)), value)}]}}'.encode()
    assert not certainty_of(line, orjson.loads(line))


@pytest.mark.parametrize(
    "line",
    [
        rb'{"prompt":"say \u0022hi\u0022","completion":5,"completion":"x"}',
        rb'{"prompt":"\u0022a\u0022 and \u0022b\u0022","completion":"good answer","completion":"y"}',
        rb'{"messages":[{"role":"user","content":"\u0022","weight":1,"weight":0}]}',
    ],
)
def test_quotes_that_are_spelled_by_number_make_up_for_no_name(line: bytes) -> None:
    assert not certainty_of(line, orjson.loads(line))
    assert hides_name(line, orjson.loads(line))
    assert hides_name(line.decode(), orjson.loads(line))


@pytest.mark.parametrize("text", ["plain", 'a \\"quoted\\" word', "caf\\u00e9\\n", "é"])
def test_ordinary_chats_are_exact(text: str) -> None:
    line = f'{{"messages": [{{"role": "user", "content": "{text}"}}]}}\n'.encode()
    assert certainty_of(line, orjson.loads(line)) == EXACT | (0 if "u00" in text else NO_CONTROL)


CONTROL = st.text(alphabet=st.sampled_from('a"\\\n\t\x00\x07\x08\x0c\x1b\x1f\x7fé'), max_size=6)


@given(CONTROL, st.booleans())
def test_what_is_plain_holds_no_control_character(text: str, ascii_only: bool) -> None:
    line = json.dumps({"messages": [{"role": "user", "content": text}]}, ensure_ascii=ascii_only).encode()
    if certainty_of(line, orjson.loads(line)) & NO_CONTROL:
        assert not control_told(text)
