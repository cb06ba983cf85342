"""Rows that a JSON file holds otherwise than one by one are found, each where it stands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.edit import Edits, read_window, save_edited
from app.core.data.prepare import prepare_data
from app.core.source.container import begins_columns, container_of, rows_of_columns, translated, unfolded
from tests.core.data.written import Row, file_of, told

PAIRS: list[Row] = [{"prompt": f"Lamp {n}?", "completion": f"Lit {n}."} for n in range(6)]


def _written(folder: Path, value: Any, name: str = "rows.json", indent: int | None = None) -> Path:
    path = folder / name
    path.write_text(json.dumps(value, indent=indent, ensure_ascii=False), encoding="utf-8")
    return path


def _rows(path: Path) -> list[Any]:
    return [value for _, value in read_window(path, 1, 100)]


@pytest.mark.parametrize("indent", [None, 1])
def test_each_list_is_a_split(indent: int | None, tmp_path: Path) -> None:
    value = {"version": "2", "train": PAIRS[:3], "validation": PAIRS[3:4], "test": PAIRS[4:]}
    path = _written(tmp_path, value, indent=indent)
    report = check_files([path])
    assert {name: split.examples for name, split in report.splits.items()} == {"train": 3, "valid": 1, "test": 2}
    assert report.bytes == path.stat().st_size
    assert _rows(path) == PAIRS
    prepared = prepare_data(TrainConfig(data=str(path), valid_fraction=0, test_fraction=0), tmp_path / "out")
    assert prepared.test is not None
    assert [json.loads(line) for line in prepared.test.read_text().splitlines()] == PAIRS[4:]


def test_a_place_in_a_later_list_is_that_of_the_file(tmp_path: Path) -> None:
    path = _written(tmp_path, {"train": PAIRS[:3], "test": [PAIRS[3], {"prompt": "x", "completion": ""}]})
    (error,) = check_files([path]).errors
    assert error.line == 5
    ((line, value),) = read_window(path, 5, 1)
    assert (line, value) == (5, {"prompt": "x", "completion": ""})


def test_lists_of_a_large_file_are_found_too(tmp_path: Path) -> None:
    many = [{"prompt": f"Lamp {n}?", "completion": "Lit. " * 40} for n in range(6_000)]
    report = check_files([_written(tmp_path, {"train": many, "test": PAIRS})])
    assert {name: split.examples for name, split in report.splits.items()} == {"train": 6_000, "test": 6}


def test_files_given_for_a_split_go_before_the_list_of_it(tmp_path: Path) -> None:
    path = _written(tmp_path, {"train": PAIRS[:2], "valid": PAIRS[2:3]})
    held_out = file_of(tmp_path, PAIRS[3:], "held.jsonl")
    config = TrainConfig(data=str(path), valid_data=str(held_out), valid_fraction=0, test_fraction=0)
    prepared = prepare_data(config, tmp_path / "out")
    assert prepared.counts == {"train": 2, "valid": 3}


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": {"0": "Lamp 0?", "1": "Lamp 1?"}, "completion": {"0": "Lit 0.", "1": "Lit 1."}},
        {"prompt": ["Lamp 0?", "Lamp 1?"], "completion": ["Lit 0.", "Lit 1."]},
        {"columns": ["prompt", "completion"], "index": [0, 1],
         "data": [["Lamp 0?", "Lit 0."], ["Lamp 1?", "Lit 1."]]},
        {"0": PAIRS[0], "1": PAIRS[1]},
        {"first": PAIRS[0], "second": PAIRS[1]},
    ],
)  # fmt: skip
@pytest.mark.parametrize("indent", [None, 2])
def test_columns_are_put_together(value: Row, indent: int | None, tmp_path: Path) -> None:
    path = _written(tmp_path, value, indent=indent)
    assert _rows(path) == PAIRS[:2]
    report = check_files([path])
    assert (report.usable, report.examples) == (True, 2)
    assert [kind for kind, _ in told(report)] == ["layout"]


def test_columns_of_a_large_file_are_put_together(tmp_path: Path) -> None:
    prompts = {str(n): f"Lamp {n}? " * 8 for n in range(20_000)}
    path = _written(tmp_path, {"prompt": prompts, "completion": dict.fromkeys(prompts, "Lit.")})
    report = check_files([path])
    assert (report.examples, report.preview[3]["prompt"]) == (20_000, "Lamp 3? " * 8)


def test_a_row_alone_in_its_file_is_no_table_of_columns(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Lamp?"}, {"role": "assistant", "content": "Lit."}]
    assert check_files([_written(tmp_path, {"messages": turns})]).examples == 1
    assert _rows(_written(tmp_path, {"question": {"text": "Lamp?"}, "answer": {"text": "Lit."}})) == [
        {"question": {"text": "Lamp?"}, "answer": {"text": "Lit."}}
    ]


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
@pytest.mark.parametrize("keys", [("role", "content", "user", "assistant"), ("from", "value", "human", "gpt")])
def test_a_list_of_messages_is_a_conversation(name: str, keys: tuple[str, ...], tmp_path: Path) -> None:
    who, what, asks, answers = keys
    rows = [[{who: asks, what: f"Lamp {n}?"}, {who: answers, what: "Lit."}] for n in range(3)]
    path = file_of(tmp_path, rows, name) if name.endswith("l") else _written(tmp_path, rows, name)
    report = check_files([path])
    assert (report.target, report.examples, report.usable) == ("chat", 3, True)
    config = TrainConfig(data=str(path), valid_fraction=0, test_fraction=0)
    prepared = prepare_data(config, tmp_path / "out")
    assert json.loads(prepared.train.read_text().splitlines()[2]) == {
        "messages": [{"role": "user", "content": "Lamp 2?"}, {"role": "assistant", "content": "Lit."}]
    }


def test_what_is_no_conversation_among_them_is_told(tmp_path: Path) -> None:
    turns = [{"role": "user", "content": "Lamp?"}, {"role": "assistant", "content": "Lit."}]
    (error,) = check_files([file_of(tmp_path, [turns, ["Lamp?", "Lit."]])]).errors
    assert (error.line, error.kind) == (2, "not_an_object")


def test_questions_on_paragraphs_are_rows(tmp_path: Path) -> None:
    questions = [
        {"id": "a", "question": "When is high water?", "answers": [{"text": "at six", "answer_start": 3}]},
        {"id": "b", "question": "Where?", "answers": [{"text": "in the port"}, {"text": "port"}]},
    ]
    paragraph = {"context": "High water comes at six in the port.", "qas": questions}
    value = {"version": "1.1", "data": [{"title": "Tides", "paragraphs": [paragraph, paragraph]}]}
    path = _written(tmp_path, value, indent=1)
    rows = _rows(path)
    assert (len(rows), rows[1]["answer"]) == (4, "in the port")
    prepared = prepare_data(TrainConfig(data=str(path), valid_fraction=0, test_fraction=0), tmp_path / "out")
    assert json.loads(prepared.train.read_text().splitlines()[0]) == {
        "prompt": "When is high water?\n\nHigh water comes at six in the port.", "completion": "at six",
    }  # fmt: skip
    (first, second) = check_files([path]).warnings
    assert (first.line, first.reason, second.line) == (3, "The row is the same as row 1.", 4)


def test_patterns_of_intents_are_rows(tmp_path: Path) -> None:
    intents = [
        {"tag": "tide", "patterns": ["When?", "At what time?", "Tell me"], "responses": ["At six.", "Six."]},
        {"tag": "bye", "patterns": ["Bye"], "responses": ["Fair winds."]},
    ]
    path = _written(tmp_path, {"intents": intents}, indent=1)
    assert [(row["prompt"], row["completion"]) for row in _rows(path)] == [
        ("When?", "At six."), ("At what time?", "Six."), ("Tell me", "At six."), ("Bye", "Fair winds."),
    ]  # fmt: skip
    edits = Edits()
    edits.drop(2)
    assert save_edited(path, edits, tmp_path / "good.jsonl").rows == 3


def test_a_column_of_that_name_that_has_no_languages_stays_as_it_is(tmp_path: Path) -> None:
    """Found by the fuzz: lists in a column called `translation`."""
    rows = [{"prompt": "Say it.", "completion": "Tide.", "translation": ["Vatten.", "Marée."]}]
    path = tmp_path / "data.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert _rows(path) == rows


def test_translations_are_pairs_in_every_kind_of_file(tmp_path: Path) -> None:
    rows = [{"id": n, "translation": {"en": f"Tide {n}.", "sv": f"Vatten {n}."}} for n in range(2)]
    expected = [{"source": f"Tide {n}.", "target": f"Vatten {n}.", "id": n} for n in range(2)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    for path in (file_of(tmp_path, rows), _written(tmp_path, rows), tmp_path / "rows.parquet"):
        assert _rows(path) == expected
        report = check_files([path])
        assert (report.target, report.examples) == ("completion", 2)


def test_a_list_under_any_name_is_the_rows(tmp_path: Path) -> None:
    report = check_files([_written(tmp_path, {"data": PAIRS, "licence": "free"})])
    assert (report.usable, report.examples) == (True, 6)


TURN, SAID = {"role": "user", "content": "a"}, {"from": "human", "value": "a"}
SQUAD = {"paragraphs": [5, {"context": "c", "qas": 3}, {"context": "c", "qas": [
    {"question": "a", "answers": []}, 5, {"question": "b", "answers": ["x"]}, {"question": "c", "answers": None},
    {"answers": [{"text": "y"}, {"text": "z"}]}]}]}  # fmt: skip


@pytest.mark.parametrize(
    "row, container, rows",
    [
        ([TURN, TURN], "turns", [{"messages": [TURN, TURN]}]),
        ([SAID], "turns", [{"conversations": [SAID]}]),
        ([TURN, {"role": "user"}], "", None),
        ([TURN, 5], "", None),
        ([], "", None),
        (SQUAD, "squad", [
            {"context": "c", "question": "a", "answer": ""}, {"context": "c", "question": "b", "answer": "x"},
            {"context": "c", "question": "c", "answer": ""}, {"context": "c", "question": None, "answer": "y"},
        ]),
        ({"paragraphs": [{"context": "c"}]}, "", []),  # no questions, where others have some
        ({"paragraphs": {"qas": 1}}, "", None),
        ({"patterns": ["a", "b"], "responses": []}, "intents",
         [{"prompt": "a", "completion": ""}, {"prompt": "b", "completion": ""}]),
        ({"patterns": ["a"]}, "", None),
        ({"responses": ["a"]}, "", None),
        ({"translation": {"en": "a", "de": "b", "fr": "c"}, "id": 1}, "translation",
         [{"source": "a", "target": "b", "fr": "c", "id": 1}]),
        ({"translation": {"en": "a"}}, "", None),
        ({"translation": {"en": "a", "de": None}}, "", None),
        ({"translation": ["a", "b"]}, "", None),
        (5, "", None),
    ],
)  # fmt: skip
def test_what_a_row_is_a_container_of(row: Any, container: str, rows: list[Row] | None) -> None:
    """What is none stays as it is, whatever the file's first row is."""
    assert container_of(row) == container
    for asked in ("turns", "squad", "intents", "translation"):
        expected = [row] if rows is None or asked != (container or "squad") else rows
        assert list(unfolded(asked, row)) == expected


def test_languages_without_a_text_are_no_pair() -> None:
    assert translated({"translation": {"en": "a", "fr": None, "de": "b"}}) == {"source": "a", "target": "b"}
    alone = {"translation": {"en": "a", "fr": None}, "id": 1}
    assert translated(alone) == alone


@pytest.mark.parametrize(
    "value, rows",
    [
        ({}, None), ([], None), (5, None),
        ({"columns": ["a", 1], "data": [[1, 2], [3, 4]]}, [{"a": 1, "1": 2}, {"a": 3, "1": 4}]),
        ({"columns": ["a"], "data": []}, []),
        ({"columns": ["a"], "data": [[1], [1, 2]]}, None), ({"columns": ["a"], "data": [[1], 5]}, None),
        ({"columns": ["a"], "data": "a"}, None), ({"columns": "a", "data": ["a"]}, None),
        ({"columns": ["prompt"], "text": ["b"]}, [{"columns": "prompt", "text": "b"}]),
        ({"prompt": {"0": "a", "2": "b"}, "x": {"0": 1, "2": 2}},
         [{"prompt": "a", "x": 1}, {"prompt": "b", "x": 2}]),
        ({"prompt": {"0": "a"}, "x": {"1": 1}}, None), ({"prompt": {"0": "a", "b": 1}}, None),
        ({"prompt": {"text": "a"}}, None), ({"prompt": {}}, None), ({"prompt": []}, None),
        ({"x": {"prompt": "a"}, "y": {" Prompt": "b"}}, [{"prompt": "a"}, {" Prompt": "b"}]),
        ({"x": {"prompt": "a"}, "y": {"z": "b"}}, None), ({"x": {"prompt": "a"}, "y": ["b"]}, None),
        ({"prompt": ["a", "b"], "x": [1, None]}, [{"prompt": "a", "x": 1}, {"prompt": "b", "x": None}]),
        ({"prompt": ["a", "b"], "x": [1]}, None), ({"x": ["a"]}, None), ({"prompt": ["a"], "x": "b"}, None),
        ({"prompt": ["a", {"b": 1}]}, None),
    ],
)  # fmt: skip
def test_which_objects_hold_columns(value: Any, rows: list[Row] | None) -> None:
    assert rows_of_columns(value) == rows


@pytest.mark.parametrize(
    "start, expected",
    [
        ('{"x": {"0": "a", "1"', True), ('{ "x" : {"0" : 1}}\n{"y"', True), ('{"x": {"1": "a"', False),
        ('{"prompt": ["a", "b"', True), ('{"prompt": [["a"', True), ('{"prompt": [1', False), ('{"x": ["a"', False),
        ('{"prompt": ["a"],\n "x"', True), ('{"prompt": ["a"]}\n{"prompt"', False),
        ('{"pro\\u006dpt": ["a"', True), ('{"\\"x": {"0": 1', True), ('[{"prompt": ["a"', False),
    ],
)  # fmt: skip
def test_how_a_long_file_of_columns_begins(start: str, expected: bool) -> None:
    assert begins_columns(start) is expected
