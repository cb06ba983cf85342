"""What a text holds by how it begins: rows a line, JSON of some form, a table, or a text to read."""

from __future__ import annotations

from typing import Any

import pytest

from app.core.source.table import is_headless, table_lines
from app.core.source.text_kind import list_key, list_names, text_kind

ROW = '{"prompt": "a", "completion": "b"}'
BROKEN = '{"prompt": "a", "comp'


@pytest.mark.parametrize(
    "head, suffix, complete, kind",
    [
        # Rows a line: most of the lines are rows.
        (f"{ROW}\n{ROW}\n", ".txt", True, "jsonl"), (f"\ufeff\n {ROW},\n{ROW},\n", "", True, "jsonl"),
        (ROW, ".json", True, "jsonl"), (f"{ROW}\n{BROKEN}\n", "", True, "jsonl"),
        (f"{BROKEN}\n{ROW}\n", "", True, "jsonl"), (f"{BROKEN}\n{BROKEN}\n{ROW}\n", "", True, "json_stream"),
        (BROKEN, ".json", True, "jsonl"), (BROKEN, "", False, "jsonl"),
        ("[1]\n[2]\n", ".jsonl", True, "jsonl"), ('[{"a": 1}]\n[{"a": 2}]\n', "", True, "jsonl"),
        # One array, object or list; objects over several lines.
        ("[1]\n", ".json", True, "json_array"), ("[1]\n", ".txt", True, "text"),
        ("[Chapter 1]\n", "", True, "text"),
        ('[\n{"a": 1}\n]', ".txt", True, "json_array"), ("[ ]", "", True, "json_array"),
        ('["a"', "", False, "json_array"),
        ("[[1], 2", "", False, "json_array"), ("[{}]", "", True, "json_array"), ("[{a: 1}]", "", True, "text"),
        (f'{{"rows": [{ROW}]}}', "", True, "json_object"), (f'{{"rows": [{ROW}]}}\n', "", False, "jsonl"),
        (f'{{"rows": [\n{ROW},\n{ROW}\n]}}', "", True, "json_object"),
        (f'{{"rows": [\n{ROW},\n{ROW},\n', "", False, "json_object"),
        (f'{{"version": 1,\n"rows": [{ROW}', "", False, "json_object"),
        (f'{{"messages": [\n{ROW},\n{ROW},\n', "", False, "json_stream"),
        (f'{{"a": {{"rows": [{ROW},\n{{"x":', "", False, "json_stream"),
        (f'{{"train": [\n{ROW}],\n"test": [{ROW}]}}', "", True, "json_object"),
        ('{"train": [{"a": 1}],\n"other": [{"a": 1}]}', "", True, "json_stream"),
        ('{"prompt": ["a",\n"b"]}', "", True, "json_columns"), ('{"prompt": ["a", "b"', "", False, "json_columns"),
        ('{\n"prompt": "a"\n}\n{\n"prompt": "b"\n}', "", True, "json_stream"), ("{\n}", "", True, "json_stream"),
        ("{not json}", ".json", True, "jsonl"), ("{not json}", ".txt", True, "text"),
        # Tables, decks, texts.
        ("sep=|\na|b\n", ".txt", True, "csv"), ("#separator:tab\n#html:true\na\tb\n", ".txt", True, "deck"),
        ("prompt,completion\na,b\n", ".txt", True, "csv"), ("prompt,completion\na,b\n", ".md", True, "text"),
        ("x,y\na,b\n", ".txt", True, "text"), ("x,y\na,b\n", ".csv", True, "csv"),
        ("prompt\na\n", ".txt", True, "text"),
        ("word\n", ".tsv", True, "csv"), ("rain", ".jsonl", True, "jsonl"), ("rain", ".md", True, "text"),
        ("", ".json", True, "jsonl"), ("", "", True, "text"),
    ],
)  # fmt: skip
def test_what_a_text_holds(head: str, suffix: str, complete: bool, kind: str) -> None:
    assert text_kind(head, suffix, complete=complete)[0] == kind


@pytest.mark.parametrize(
    "head, suffix, delimiter",
    [
        ("sep=|\r\na|b\n", "", "|"), ("prompt;completion\na;b\n", "", ";"), ("word\n", ".tsv", "\t"),
        ("word\n", ".csv", ","), (ROW, "", ""), ("rain", "", ""),
    ],
)  # fmt: skip
def test_how_a_table_is_delimited(head: str, suffix: str, delimiter: str) -> None:
    assert text_kind(head, suffix, complete=True)[1] == delimiter


R = {"a": 1}


@pytest.mark.parametrize(
    "value, key",
    [
        ({"rows": [R, 5]}, "rows"), ({"rows": [5]}, None), ({"rows": [R], "more": [R]}, None), ({}, None),
        ({"messages": [R]}, None), ({"rows": [{"role": "user"}, {"from": "a"}]}, None),
        ({"rows": [{"role": "user"}, R]}, "rows"), ({"rows": [R], "prompt": " "}, "rows"),
        ({"rows": [R], " Prompt": "a"}, None), ({"rows": [R], "prompt": 5}, "rows"),
        ({"rows": [R], "name": "a"}, "rows"),
    ],
)  # fmt: skip
def test_the_list_of_rows_in_an_object(value: dict[str, Any], key: str | None) -> None:
    assert list_key(value) == key


@pytest.mark.parametrize(
    "text, names",
    [
        ('\ufeff{"a": [{}], "b": [{}, {}]}\n', {"a": 1, "b": 2}), ('{"a": [{}]}', {}), ('{"a": [{}], "b": []}', {}),
        ('{"a": [{}], "b": [{}], "c": [1]}', {"a": 1, "b": 1}), ('{"a": [{}], "b": [{}, 1]}', {}),
        ('{"a": [{}], "b": [{}], "prompt": 1}', {}), ('{"a": [{}], "b": [{}], "Prompt": 1}', {}),
        ('{"a": [{}], "b": [{}], "tools": [{}]}', {}), ('{"train": [{}], "test": [{}]}', {}), ("[[{}], [{}]]", {}),
        ('{"a": [{}], "b": [{}]', {}),
    ],
)  # fmt: skip
def test_the_names_of_several_lists(text: str, names: dict[str, int]) -> None:
    assert list_names(text) == names


@pytest.mark.parametrize(
    "records, expected",
    [
        ([["+1,5", "a"], ["-2", "b"], ["x", "c"], ["3.5", "d"]], True),
        ([["1", "a"], ["2", "b"], ["x", "c"]], False),
        ([["1", "a"], ["2", "b"]], True), ([["1"], ["x"], ["2"]], False), ([["1.", "a"], ["2.", "b"]], False),
        ([["a", "1"], ["b"], ["c", "2"]], True), ([["1", " Text "], ["2", "b"]], False), ([["1"]], False),
        ([["Is it?", "a"], ["It is.", "b"]], True), ([["Is?", "a"], ["It is.", "b"]], False),
        ([["w " * 31, "a"], ["It is!", "b"]], True), ([["w " * 30 + "w", "a"], ["w " * 30, "b"]], False),
        ([["是 吗？", "a"], ["是 的。", "b"]], True),
    ],
)  # fmt: skip
def test_a_first_line_of_data_is_no_header(records: list[list[str]], expected: bool) -> None:
    assert is_headless(records) is expected


def test_the_lines_of_a_table_begin_at_its_header() -> None:
    assert table_lines('\ufeff"sep=;"\r\na;b\r\nsep=;\n') == ["a;b\r\n", "sep=;\n"]
    assert table_lines("a\n" + "b" * 100_000) == ["a\n", "b" * 99_998]
