"""A JSON file of any size, value by value: what is no JSON is told once, where it stands, and ends the reading."""

from __future__ import annotations

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.core.source import json_stream
from app.core.source.json_stream import JsonStream, is_too_deep, nests_too_deep, without_padding

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


Found = list[tuple[int, object, str | None]]
LOST = " What follows it in the file is not read."
NO_COMMA = "A comma was expected here, not {!r}."
ENDS = "The file breaks off before the {} is closed."


@pytest.mark.parametrize(
    "text, found",
    [
        ('[1,\n"a"]\n', [(1, 1, None), (2, "a", None)]),
        ("\ufeff [,1,,]", [(1, 1, None)]),
        ("\n{}", [(2, None, "An array was expected here.")]),
        ("[1]\n2", [(1, 1, None), (2, None, "Something follows the end of the array; it is not read.")]),
        ("[1", [(1, 1, None), (1, None, ENDS.format("list"))]),
        ("[1 2]", [(1, 1, None), (1, None, f"{NO_COMMA.format('2')}{LOST}")]),
        ('[{"a": 1} {"a": 2}, {"a": 3} ["b"]]',
         [(1, {"a": 1}, None), (1, None, NO_COMMA.format("{")), (1, {"a": 2}, None), (1, {"a": 3}, None),
          (1, None, NO_COMMA.format("[")), (1, ["b"], None)]),
        ('[{"a": 1}}, {"a": 2}]', [(1, {"a": 1}, None), (1, None, f"{NO_COMMA.format('}')}{LOST}")]),
        ('[\n {"a": "\tb"},\n {"a": 1}]',
         [(2, None, "Invalid control character at line 2, column 9, near '\\tb\"},'."), (3, {"a": 1}, None)]),
        # It goes on where a line begins a value as the broken one did.
        ('[\n {"a": 1}\n {"b": 2},\n {"c": 3}]',
         [(2, {"a": 1}, None), (3, None, NO_COMMA.format("{")), (3, {"b": 2}, None), (4, {"c": 3}, None)]),
        ('[\n  {"a" 1,\n{"b": 2},\n  [3],\n  {"c": 4}\n]',
         [(2, None, "Expecting ':' delimiter at line 2, column 8, near '1,'."), (4, [3], None),
          (5, {"c": 4}, None)]),
        ('[{"a": 1}, {"b"', [(1, {"a": 1}, None), (1, None, "The JSON breaks off at line 1, column 16.")]),
        ('[{"a":\n nul\n}]', [(1, None, f"Expecting value at line 2, column 2, near 'nul'.{LOST}")]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("at_once", [1, 1 << 20])
def test_elements_of_an_array(text: str, found: Found, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However little of the file is read at once."""
    monkeypatch.setattr(json_stream, "CHUNK_CHARACTERS", at_once)
    assert list(JsonStream(io.StringIO(text)).array()) == found


def test_values_in_a_row_are_read_on_after_a_broken_one() -> None:
    stream = JsonStream(io.StringIO('{"a": 1} {"a": 2, "a": 3}\n{"b" 4}\n{"c": 5}'))
    found = []
    for line, value, _ in stream.values():
        found.append((line, value, stream.twice))
    assert found == [(1, {"a": 1}, []), (1, {"a": 3}, ["a"]), (2, None, ["a"]), (3, {"c": 5}, [])]


@pytest.mark.parametrize(
    "text, found",
    [
        ("[]", [("", 1, None, "An object was expected here.")]),
        ('{"a": 1,\n"b": [2], "c": {"a": 3}}', [("a", 1, 1, None), ("b", 2, [2], None), ("c", 2, {"a": 3}, None)]),
        ('{"in": {"a": 1, "in": [2,\n{"b": 3}]}, "d": 4}',
         [("a", 1, 1, None), ("in", 1, 2, None), ("in", 2, {"b": 3}, None), ("d", 2, 4, None)]),
        ('{"each": [{"a": 1}, 2, {"b": {"c": 3}}]}',
         [("a", 1, 1, None), ("each", 1, 2, None), ("b", 1, {"c": 3}, None)]),
        ('{"a": 1,\n"b" 2, "c": 3}', [("a", 1, 1, None), ("", 2, None, NAMED.format(2))]),
        ('{"a": 1, 2: 2, "c": 3}', [("a", 1, 1, None), ("", 1, None, NAMED.format(1))]),
        ('{"a": 1', [("a", 1, 1, None), ("", 1, None, ENDS.format("object"))]),
        ('{"in": [1,\n2', [("in", 1, 1, None), ("in", 2, 2, None), ("", 2, None, ENDS.format("list")),
                          ("", 2, None, ENDS.format("object"))]),
    ],
)  # fmt: skip
def test_members_of_an_object(text: str, found: list[tuple[str, int, object, str | None]]) -> None:
    stream = JsonStream(io.StringIO(text))
    read = stream.members(frozenset(("in", "each")), frozenset(("each",)))
    assert [(key, *item) for key, item in read] == found


@pytest.mark.parametrize(
    "text, column",
    [('{"in": [1, tru, 2], "a": 3}', 12), ('{"b": tru, "a": 3}', 7), ('{"in": {tru: 1}, "a": 3}', 9)],
)
def test_after_a_member_that_cannot_be_read_comes_none(text: str, column: int) -> None:
    read = list(JsonStream(io.StringIO(text)).members(frozenset(("in",))))
    first = next(reason for _, (_, _, reason) in read if reason)
    assert first == f"Expecting value at line 1, column {column}, near {text[column - 1 :][:20]!r}."
    assert "a" not in dict(read)


def test_of_several_lists_the_wanted_ones_are_read_and_the_others_counted() -> None:
    stream = JsonStream(io.StringIO(f'{{"a": [{ROW}, {ROW}], "b": [{ROW}], "c": [1, 2], "messages": [{ROW}]}}'))
    assert [reason for _, _, reason in stream.list_of_object(("b",))] == [None]
    assert (stream.lists, stream.skipped) == (["a", "b"], 2)


def test_how_deep_json_may_nest() -> None:
    """200 levels, however many lie side by side, and whatever stands in texts."""
    deep = "[" * 200 + "]" * 200
    assert not is_too_deep(deep)
    assert not nests_too_deep(json.loads(deep))
    assert is_too_deep(f"[{deep}]")
    assert nests_too_deep({"a": 1, "b": json.loads(deep)})
    assert not is_too_deep("[" + "[{}]," * 300 + "[]]")
    assert not is_too_deep(json.dumps(["[{" * 300, '"' + "[" * 300]))
    assert list(JsonStream(io.StringIO(f"[{deep}]")).stream()) == [
        (1, None, f"The JSON is nested too deeply.{LOST}")
    ]


def test_nulls_that_pad_objects_are_left_out_as_deep_as_json_may_nest() -> None:
    padded = {"a": None, "content": None, "b": [{"c": None, "d": 0}, None], "e": {"f": None}}
    assert without_padding(padded) == {"content": None, "b": [{"d": 0}, None], "e": {}}
    assert without_padding({"a": {"b": {"c": None}}}, 2) == {"a": {"b": {"c": None}}}
    assert without_padding({"a": {"b": {"c": None}}}, 3) == {"a": {"b": {}}}
    assert without_padding({"a": [{"c": None}]}, 2) == {"a": [{"c": None}]}
