"""A JSON file of any size, value by value: what is no JSON is told once, where it stands, and ends the reading."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.source.json_stream import JsonStream

NAMED = "A name and a colon were expected in line {}."
ROW = '{"prompt": "a"}'


def read(text: str) -> list[tuple[int, object, str | None]]:
    return list(JsonStream(io.StringIO(text)).list_of_object())


@pytest.mark.parametrize(
    "text, line, said",
    [
        (f'{{"rows" [{ROW}]}}', 1, NAMED.format(1)),
        (f'{{"version": 2,\n"rows" [{ROW}]}}', 2, NAMED.format(2)),
        ("{7: 1}", 1, NAMED.format(1)),
        ('{"a": 1,\n["b"]: 1}', 2, NAMED.format(2)),
        ('{"a": 1,\n"b"}', 2, NAMED.format(2)),
        ('{"a": 1', 1, "The file breaks off before the object is closed."),
        ('{"a": }', 1, None),
        ('{"a": tru}', 1, None),
    ],
)
def test_an_object_that_is_none_is_told_where_it_ends_to_be_one(text: str, line: int, said: str | None) -> None:
    """``said`` is None where Python's own words tell what is wrong."""
    ((found_line, value, reason),) = read(text)
    assert (found_line, value) == (line, None)
    assert reason
    if said is not None:
        assert reason == said


def test_a_second_list_is_told_and_what_is_wrong_behind_the_rows_too() -> None:
    found = read(f'{{"rows": [{ROW}],\n"more": [{ROW}],\n"rest" 1}}')
    assert [(line, value, bool(reason)) for line, value, reason in found] == [
        (1, json.loads(ROW), False), (2, None, True), (2, json.loads(ROW), False), (3, None, True)
    ]  # fmt: skip
    assert found[-1][2] == NAMED.format(3)
    assert "second list" in str(found[1][2])


ROWS = st.lists(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=3), min_size=1), min_size=1)
PLAIN = st.integers() | st.text(max_size=4) | st.none() | st.lists(st.integers(), max_size=2)


@given(ROWS, st.dictionaries(st.text(max_size=3), PLAIN, max_size=3), st.sampled_from([None, 1]))
def test_the_rows_of_an_object_are_those_that_json_reads(
    rows: list[dict[str, object]], beside: dict[str, object], indent: int | None
) -> None:
    text = json.dumps({**beside, "the rows": rows, "last": 1}, indent=indent)
    found = read(text)
    assert [value for _, value, _ in found] == json.loads(text)["the rows"]
    assert not any(reason for _, _, reason in found)
