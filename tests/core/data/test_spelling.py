"""Numbers are trained as they are written, names that stand twice are told, and what nobody sees is no text."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.edit import Edits, save_edited, save_repaired
from app.core.data.prepare import prepare_data
from app.core.json_text import WrittenNumber, json_bytes, read_number, spelled_json, spelled_text
from tests.core.data.written import told

LITERALS = ["1.10", "1.1", "0.5", "1e5", "1E+5", "100000.0", "12000000000000000000000", "-0.50", "0.00001", "3",
            "0.1000000000000000055511151231257827", "-17", "1.0"]  # fmt: skip


def rows_of(folder: Path, text: str | bytes, name: str = "rows.jsonl", **values: Any) -> list[dict[str, Any]]:
    """What of a file is trained, as its own lines."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    given = {"data": str(path), "valid_fraction": 0.0, "test_fraction": 0.0}
    prepared = prepare_data(TrainConfig().with_values(given | values), folder / "prepared")
    return [json.loads(line) for line in prepared.train.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize(
    "style", ['{{"prompt": "Lamp {0}?", "completion": {1}}}', '{{"prompt":{1},"completion":"Lit {0}."}}']
)
@pytest.mark.parametrize(
    ("name", "around"), [("rows.jsonl", "…"), ("rows.json", "[…]"), ("object.json", '{"data": [\n…\n]}')]
)
def test_a_number_is_trained_as_it_is_written(style: str, name: str, around: str, tmp_path: Path) -> None:
    lines = [style.format(number, literal) for number, literal in enumerate(LITERALS)]
    text = "\n".join(lines) if name == "rows.jsonl" else around.replace("…", ",\n".join(lines))
    column = "completion" if "Lamp" in style else "prompt"
    assert [row[column] for row in rows_of(tmp_path, text, name)] == LITERALS
    shown = check_files([tmp_path / name]).preview
    assert [str(row[column]) for row in shown] == LITERALS, "the preview is of what is trained"


def test_the_same_value_written_twice_in_a_row_is_told_apart(tmp_path: Path) -> None:
    rows = ['"prompt": "a", "completion": 1.10, "score": 1.1', '"prompt": "\\": 2.5,", "completion": 2.50',
            '"prompt": ": 3.5,", "completion": 3.50', '"prompt": "c\\"completion\\": 4.5,", "completion": 4.50',
            '"a": {"completion": 5.5}, "prompt": "b", "completion": 5.50']  # fmt: skip
    text = "".join(f"{{{row}}}\n" for row in rows)
    assert [row["completion"] for row in rows_of(tmp_path, text)] == ["1.10", "2.50", "3.50", "4.50", "5.50"]


def test_numbers_in_other_places_are_trained_as_they_are_written(tmp_path: Path) -> None:
    question = '{"question": "How much?", "choices": [1.10, 2.50, 1e3], "answer": 1}'
    (asked,) = rows_of(tmp_path / "choices", question)
    assert [text for text in ("1.10", "2.50", "1e3") if text not in asked["prompt"]] == []
    (pair,) = rows_of(tmp_path / "pair", '{"prompt": 0.10, "chosen": 1.10, "rejected": 1.1}', train_mode="dpo")
    assert [pair[name][0]["content"] for name in ("prompt", "chosen", "rejected")] == ["0.10", "1.10", "1.1"]
    (asked,) = rows_of(tmp_path / "reference", '{"prompt": "How much?", "answer": 2.50}', train_mode="grpo")
    assert asked["answer"] == "2.50"
    result = (
        '{"messages": [{"role": "user", "content": "How much?"},'
        ' {"role": "assistant", "content": "", "tool_calls": [{"type": "function", "function":'
        ' {"name": "price", "arguments": {}}}]}, {"role": "tool", "content": {"price": 1.10, "n": [1e5]}},'
        ' {"role": "assistant", "content": "1.10"}]}'
    )
    (chat,) = rows_of(tmp_path / "result", result)
    assert chat["messages"][2]["content"] == '{"price": 1.10, "n": [1e5]}'


@pytest.mark.parametrize("arguments", ['{"price": 1.10}', '"{\\"price\\": 1.10}"'])
def test_what_the_template_spells_otherwise_is_told(arguments: str, tmp_path: Path) -> None:
    row = (
        '{"messages": [{"role": "user", "content": "How much?"}, {"role": "assistant", "tool_calls":'
        ' [{"type": "function", "function": {"name": "pay", "arguments": %s}}]}]}'
    )
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(row % its + "\n" for its in (arguments, '{"price": 1.5}')))
    assert told(check_files([path])) == [
        ("respelled_number", "Numbers in tools and calls are trained as JSON spells them (1.10 as 1.1, 1e5 as"
                             " 100000.0): 1 row.")
    ]  # fmt: skip


def test_numbers_of_columnar_files_have_the_digits_that_they_have(tmp_path: Path) -> None:
    table = pa.table(
        {
            "prompt": ["a", "b"],
            "completion": pa.array([0.1, 2.5], pa.float32()),
        }
    )
    parquet.write_table(table, tmp_path / "single.parquet")
    table = table.set_column(1, "completion", pa.array([Decimal("1.10"), Decimal("200.00")], pa.decimal128(9, 2)))
    parquet.write_table(table, tmp_path / "decimal.parquet")
    for name, wanted in (("single", ["0.1", "2.5"]), ("decimal", ["1.10", "200.00"])):
        rows = rows_of(tmp_path / name, (tmp_path / f"{name}.parquet").read_bytes(), "rows.parquet")
        assert [row["completion"] for row in rows] == wanted


def test_a_table_keeps_its_digits(tmp_path: Path) -> None:
    rows = rows_of(tmp_path, "prompt,completion\nWhich?,007\nHow much?,1.10\nAnd?,1e5\n", "rows.csv")
    assert [row["completion"] for row in rows] == ["007", "1.10", "1e5"]


def test_copies_of_a_file_keep_its_digits(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": 1.10, "id": 123456789012345678901234567890}\n')
    save_edited(path, Edits(), tmp_path / "edited.jsonl")
    save_repaired([path], TrainConfig(), tmp_path / "repaired.jsonl")
    wanted = '{"prompt":"a","completion":1.10,"id":123456789012345678901234567890}\n'
    assert [(tmp_path / f"{name}.jsonl").read_text() for name in ("edited", "repaired")] == [wanted, wanted]


def test_a_written_number_is_a_number() -> None:
    number = read_number("1.10")
    assert isinstance(number, WrittenNumber)
    assert (number, number + 1) == (1.1, 2.1)
    assert type(read_number("1.1")) is float
    assert json_bytes({"a": [number], 2: 1 << 80}) == b'{"a":[1.10],"2":1208925819614629174706176}'
    value, twice = spelled_json('{"a": [1.10, true, null, "1.10"], "b": {"c": 1e5, "c": 2}}')
    assert (spelled_text(value), twice) == ('{"a": [1.10, true, null, "1.10"], "b": {"c": 2}}', ["c"])


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda row: pickle.loads(pickle.dumps(row))])
def test_copies_of_a_row_keep_how_its_numbers_are_written(copied: Callable[[Any], Any]) -> None:
    row, _ = spelled_json('{"a": [1.10, 1e5], "b": -0}')
    found = copied(row)
    assert found is not row
    assert spelled_text(found) == '{"a": [1.10, 1e5], "b": -0}'
    assert copied(row["a"][0]).literal == "1.10"


# -- names that stand twice --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "name"),
    [
        ('{"prompt": "a", "prompt": "b", "completion": "c"}', "prompt"),
        ('{"prompt":"a","prompt":"b","completion":"c"}', "prompt"),
        ('{"prompt" : "a", "completion" : "c", "completion" : ": d"}', "completion"),
        ('{"prompt": "a", "completion": "c", "completion": NaN}', "completion"),
        ('{"prompt": "a", "completion": "c", "completion": "d"},', "completion"),
        ('{"prompt": "a", "completion": "c", "meta": {"x": 1, "x": 2}}', "x"),
        ('{"messages": [{"role": "user", "content": "a", "content": "b"}, {"role": "assistant", "content": "c"}]}',
         "content"),
    ],
)  # fmt: skip
def test_a_name_that_stands_twice_is_told(row: str, name: str, tmp_path: Path) -> None:
    lines, array = tmp_path / "rows.jsonl", tmp_path / "rows.json"
    good = '{"prompt": "\\": x, \\"prompt\\": ", "completion": ": \\u0022y\\""}'
    lines.write_text(f"{good}\n{row}\n{good}\n")
    array.write_text(f"[{good},\n{row.removesuffix(',')},\n{good}]")
    for path in (lines, array):
        found = [(f.line, f.reason) for f in check_files([path]).warnings if f.kind == "repeated_name"]
        assert found == [(2, f"`{name}` stands twice in the row; the last is taken.")]


def test_a_row_with_a_name_twice_can_be_edited(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "prompt": "b", "completion": "c"}\n')
    edits = Edits()
    edits.change(1, {"prompt": "d", "completion": "c"})
    assert save_edited(path, edits, tmp_path / "out.jsonl").rows == 1
    assert json.loads((tmp_path / "out.jsonl").read_text()) == {"prompt": "d", "completion": "c"}


# -- what nobody sees --------------------------------------------------------------------------------------------

UNSEEN = ["\u200b", "\ufeff\u00ad", "\u2060 \u200d\n", "\u3164", "\u2800\u2800", "\x00", "\U000e0020"]


@pytest.mark.parametrize("text", UNSEEN)
def test_a_text_that_nobody_sees_is_empty(text: str, tmp_path: Path) -> None:
    def turns(said: str) -> dict[str, Any]:
        return {"messages": [{"role": "user", "content": said}, {"role": "assistant", "content": "c"}]}

    rows = [
        {"prompt": text, "completion": "c"}, {"prompt": "a", "completion": text},
        {"prompt": f"a{text}b", "completion": "c"},
    ]  # fmt: skip
    for name, written in {
        "pairs": rows,
        "chat": [turns(text), turns("a")],
        "text": [{"text": text}, {"text": "a"}],
    }.items():
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in written))
        report = check_files([path])
        assert {finding.kind for finding in report.errors} == {"empty_field"}
        assert report.examples == 1, name


def test_control_characters_are_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    texts = ["a\x00b", "a\x1bb", "a\x7fb", "a\x08b", 'a\tb\n"c"\\u0000\r\f', "a\u200db", "\xa0a\xa0"]
    path.write_text("".join(json.dumps({"prompt": text, "completion": "c"}) + "\n" for text in texts))
    found = [(f.line, f.kind, f.reason[:43]) for f in check_files([path]).warnings]
    assert found == [(line, "control_character", f"It holds a control character (U+{code}), near") for line, code in
                     enumerate(["0000", "001B", "007F", "0008"], 1)]  # fmt: skip


def test_half_a_character_is_not_said_to_be_an_encoding(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": "\\ud800"}\n')
    (finding,) = [f for f in check_files([path]).errors if f.line]
    assert finding.hint == "Write the whole character (both escapes of the pair), or leave it out."
