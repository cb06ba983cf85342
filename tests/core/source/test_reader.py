"""What stands around rows in a file is told or taken as it is meant, and no row is lost over it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import parquet

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.edit import Edits, read_window, save_edited
from app.core.data.mapping import suggest_mapping
from app.core.data.prepare import prepare_data
from app.core.source import reader
from app.core.source.finding import RowFault
from app.core.source.reader import read_rows
from app.core.source.source import inspect_file
from app.core.source.stream import ByteCount
from app.core.source.table import is_headless
from tests.core.data.written import told

PAIRS = [{"prompt": f"Lamp {n}?", "completion": "Lit."} for n in range(3)]


def test_an_array_in_one_line_is_counted_in_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([*PAIRS, {"prompt": "x", "completion": ""}, PAIRS[1]]))
    report = check_files([path])
    assert [(finding.line, finding.reason) for finding in (*report.errors, *report.warnings)] == [
        (4, "`completion` is empty."), (5, "The row is the same as row 2."),
    ]  # fmt: skip
    edits = Edits()
    edits.drop(4)
    assert save_edited(path, edits, tmp_path / "good.jsonl").rows == 4
    assert [line for line, _ in read_window(path, 2, 2)] == [2, 3]


def test_an_array_over_lines_is_counted_in_lines(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([*PAIRS, PAIRS[1]], indent=1))
    (warning,) = check_files([path]).warnings
    assert (warning.line, warning.reason) == (14, "The row is the same as line 6.")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_of_a_line_that_is_far_too_long_the_rest_is_passed_over(
    encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three and a half times too long; one that ends where the limit does; then rows as they should be."""
    monkeypatch.setattr(reader, "LINE_LIMIT_BYTES", 64)
    lengths = {2: 225, 4: 65, 6: 64, 8: 129, 10: 400}  # with what ends the line, of which the last one lacks it
    texts = ['{"text": "' + "x" * (lengths[number] - 11) if number in lengths else f'{{"text": "{number}"}}'
             for number in range(1, 11)]  # fmt: skip
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(texts), encoding)
    rows = dict(read_rows(inspect_file(path)))
    assert list(rows) == list(range(1, 11))
    assert {number: row for number, row in rows.items() if number % 2} == {
        number: {"text": str(number)} for number in (1, 3, 5, 7, 9)
    }
    faults = {number: row.kind for number, row in rows.items() if isinstance(row, RowFault)}
    long = "line_too_long"
    assert faults == {2: long, 4: long, 6: "broken_json", 8: long, 10: long}


def test_numbers_with_too_many_digits_are_told_in_words(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(
        '{"prompt": "a", "completion": "b"}\n{"prompt": "c", "completion": "d", "id": ' + "1" * 5000 + "}\n"
    )
    report = check_files([path])
    ((kind, reason),) = told(report)
    assert (kind, report.errors[0].line, report.examples) == ("broken_json", 2, 1)
    assert reason.startswith("The JSON cannot be read: Exceeds the limit (4300 digits)")


def test_commas_at_the_ends_of_lines_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "train.jsonl"
    path.write_text(
        "".join(json.dumps(row) + end + "\n" for row, end in zip(PAIRS, (",", " ,", ", "), strict=True))
    )
    report = check_files([path])
    assert (report.usable, report.examples, report.rows) == (True, 3, 3)
    assert [kind for kind, _ in told(report)] == ["line_comma"]
    config = TrainConfig(data=str(path.parent), valid_fraction=0, test_fraction=0)
    prepared = prepare_data(config, tmp_path / "out")
    assert prepared.written, "stock mlx-lm cannot read the folder as it is"
    assert [json.loads(line) for line in prepared.train.read_text().splitlines()] == PAIRS
    assert [line for line, _ in read_window(path, 1, 9)] == [1, 2, 3]
    assert save_edited(path, Edits(added=[PAIRS[0]]), tmp_path / "more.jsonl").rows == 4


@pytest.mark.parametrize("mark", ["sep=;", '"sep=;"', "SEP=;"])
def test_the_line_that_names_the_delimiter_is_no_header(mark: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(f"{mark}\r\nprompt;completion\r\nLamp, one?;Lit.\r\nLamp two?;\r\n")
    report = check_files([path])
    assert report.preview[0] == {"prompt": "Lamp, one?", "completion": "Lit."}
    assert [(finding.line, finding.kind) for finding in report.errors] == [(4, "empty_field")]


def test_columns_of_one_name_are_all_kept(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("prompt,completion,prompt\nLamp?,Lit.,Horn?\n")
    report = check_files([path])
    assert report.preview[0] == {"prompt": "Lamp?", "completion": "Lit.", "prompt (2)": "Horn?"}
    assert told(report) == [
        ("unused_column", "`prompt (2)` is not used: 1 row."),
        ("unusual_header", "`prompt` stands there again and is called `prompt (2)`."),
    ]


def test_delimiters_at_the_ends_of_lines_are_no_fields(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("prompt,completion\nLamp?,Lit.,\nHorn?,Loud.,,\n")
    assert check_files([path]).examples == 2


def test_a_table_without_a_header_loses_no_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("Is the lamp lit?,Yes\nIs the horn loud?,Very\nIs it foggy?,No\n")
    report = check_files([path])
    assert (report.usable, report.rows, report.columns) == (False, 3, ("column 1", "column 2"))
    (warning,) = report.warnings
    assert (warning.line, warning.kind) == (1, "unusual_header")
    mapping = suggest_mapping(report.columns, report.preview)
    assert mapping is not None
    config = TrainConfig().with_values(mapping.config_values())
    assert check_files([path], config=config).examples == 3
    lines = [line for line, _ in read_window(path, 1, 9)]
    assert lines == [1, 2, 3]


@pytest.mark.parametrize(
    "records, expected",
    [
        ([["What is your name?", "Age"], ["Mara", "30"], ["Ole", "31"]], False),
        ([["12", "fog"], ["13", "sun"], ["9", "rain"]], True),
        ([["Is it?", "prompt"], ["Is it so?", "a b?"]], False),
        ([["prompt of the day", "answer"], ["a", "b"]], False),
        ([["Only one line here?", "b"]], False),
        ([], False),
    ],
)
def test_a_first_line_is_data_only_if_it_is_like_the_rest(records: list[list[str]], expected: bool) -> None:
    assert is_headless(records) is expected


def test_fields_that_arrow_pads_into_objects_are_not_there(tmp_path: Path) -> None:
    rows = [
        {
            "messages": [{"role": "assistant", "content": None, "calls": [{"name": name, "arguments": arguments}]}],
            "id": None,
        }
        for name, arguments in (("a", {"city": "Rome"}), ("b", {"depth": {"m": 3}}))
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    source = inspect_file(tmp_path / "rows.parquet")
    assert [row for _, row in read_rows(source)] == rows


def test_progress_in_a_parquet_file_is_by_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([{"text": f"Row {number}."} for number in range(700)]), path)
    count = ByteCount()
    done = [count.done for _ in read_rows(inspect_file(path), count)]
    size = path.stat().st_size
    assert list(dict.fromkeys(done)) == [0, size * 256 // 700, size * 512 // 700]  # a batch at a time
    assert count.done == size


@pytest.mark.parametrize("kind", ["parquet", "arrow"])
def test_numbers_of_classes_are_read_as_their_names(kind: str, tmp_path: Path) -> None:
    features = {"label": {"names": ["calm", "storm"], "_type": "ClassLabel"}, "text": {"_type": "Value"}}
    table = pa.table({"text": ["Flat sea.", "Waves!", "Who knows?"], "label": [0, 1, None]})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path = tmp_path / f"rows.{kind}"
    if kind == "parquet":
        parquet.write_table(table, path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    report = check_files([path])
    assert [row["label"] for row in report.preview] == ["calm", "storm", None]
    assert (report.target, report.examples) == ("completion", 2)
    assert [(finding.line, finding.kind) for finding in report.errors] == [(3, "missing_field")]


NAMES = "repeated_header: The names of the columns stand here again; they are left out."
ORDER = "repeated_header: The names of the columns stand here in another order; the rows below are read by it."
HALF = "half_character: It holds half of a character (a lone surrogate escape such as \\ud83d)."


def rows_of(path: Path, content: str | bytes) -> list[tuple[int, Any]]:
    """The rows of a file with this content; of a fault its kind and what is said."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = read_rows(inspect_file(path))
    return [(line, f"{row.kind}: {row.reason}" if isinstance(row, RowFault) else row) for line, row in found]


@pytest.mark.parametrize(
    "name, content, rows",
    [
        ("a.jsonl", b'{"a": "\xc3\xa4"}\n\n {"b": NaN}\n{"a": "\\ud83d"}\n{"a" 1}\n{"a": [1\n{"c": "\xff"}\n',
         [(1, {"a": "\u00e4"}), (2, "empty_line: The line is empty."), (3, "nan"),
          (4, HALF),
          (5, "broken_json: Expecting ':' delimiter at column 6, near '1}'."),
          (6, "broken_json: The JSON breaks off at column 9."),
          (7, "bad_encoding: Byte 0xFF at position 8 is not UTF-8.")]),
        ("b.jsonl", '{"a": 1, "a": 2, "bb": 1, "bb": 2}\n',
         [(1, "repeated_name: `a`, `bb` stands twice in the row; the last is taken."), (1, {"a": 2, "bb": 2})]),
        ("c.json", '{"prompt": ["a", "b"], "prompt": ["c", "d"], "text": ["e", "f"]}',
         [(1, "repeated_name: `prompt` stands twice in the row; the last is taken."),
          (1, {"prompt": "c", "text": "e"}), (2, {"prompt": "d", "text": "f"})]),
        ("d.json", '[{"a": 1}, {"a": "\\ud83d"}]',
         [(1, {"a": 1}), (2, HALF)]),
        ("e.csv", 'prompt,text\na,b\n\n ,\nc\nd,"x" y\ne,"two\nlines"\nf,g,h\n"never\nclosed',
         [(2, {"prompt": "a", "text": "b"}), (3, "empty_line: The line is empty."),
          (4, {"prompt": " ", "text": ""}),
          (5, "broken_record: The number of fields is 1, that of column names 2."),
          (6, "broken_record: A quote inside a quoted field is not doubled."),
          (7, {"prompt": "e", "text": "two\nlines"}),
          (9, "broken_record: The number of fields is 3, that of column names 2."),
          (10, "broken_record: A quote is opened and never closed, up to line 11.")]),
        ("f.csv", "sep=;\nprompt;text\na;b\n", [(3, {"prompt": "a", "text": "b"})]),
        ("g.csv", "prompt, ,prompt,prompt\na,b,c,d\n",
         [(1, "unusual_header: `prompt` stands there again and is called `prompt (2)`; `prompt` stands there again "
              "and is called `prompt (3)`."),
          (2, {"prompt": "a", "": "b", "prompt (2)": "c", "prompt (3)": "d"})]),
        ("i.csv", 'prompt,text\na,b\n\ufeff"prompt", text \nprompt,\nPrompt,text\nprompt,text,\nprompt,test\n',
         [(2, {"prompt": "a", "text": "b"}), (3, NAMES), (4, {"prompt": "prompt", "text": ""}),
          (5, NAMES), (6, NAMES), (7, {"prompt": "prompt", "text": "test"})]),
        ("k.csv", 'id,prompt,text\n1,a,b\ntext,ID,"prompt "\nc,2,d\nid,id,prompt\nid,prompt,text\n3,e,f\n',
         [(2, {"id": "1", "prompt": "a", "text": "b"}), (3, ORDER), (4, {"text": "c", "id": "2", "prompt": "d"}),
          (5, {"text": "id", "id": "id", "prompt": "prompt"}), (6, NAMES),
          (7, {"id": "3", "prompt": "e", "text": "f"})]),
        ("l.csv", "prompt,text,prompt\ntext,prompt,prompt\na,b,c\n",
         [(1, "unusual_header: `prompt` stands there again and is called `prompt (2)`."), (2, ORDER),
          (3, {"text": "a", "prompt": "b", "prompt (2)": "c"})]),
        ("j.csv", "text\ntext\n", [(2, {"text": "text"})]),
        ("h.txt", "a\n\f\nb\n", [(1, {"text": "a", "_overlap": 0}), (3, {"text": "b", "_overlap": 0})]),
    ],
)  # fmt: skip
def test_the_rows_of_a_file_with_all_that_is_wrong_in_it(
    name: str, content: str | bytes, rows: list[tuple[int, Any]], tmp_path: Path
) -> None:
    found = rows_of(tmp_path / name, content)
    assert [(line, "nan" if row != row or str(row) == "{'b': nan}" else row) for line, row in found] == rows


def test_numbers_of_few_bits_in_lists_are_read_as_they_are_written(tmp_path: Path) -> None:
    kinds = {"single": pa.list_(pa.float32()), "half": pa.float16(), "double": pa.float64(), "word": pa.string(),
             "pairs": pa.map_(pa.string(), pa.float32()),
             "within": pa.struct([("a", pa.float32()), ("b", pa.string())])}  # fmt: skip
    row = {"single": [0.1, None], "half": 0.5, "double": 0.1, "word": "0.1", "pairs": [("a", 0.5)],
           "within": {"a": 0.3, "b": "c"}}  # fmt: skip
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist([row], pa.schema(list(kinds.items()))), path)
    assert [value for _, value in read_rows(inspect_file(path))] == [row]


@pytest.mark.parametrize("suffix", ["parquet", "arrow"])
def test_two_columns_of_one_name_are_told(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"rows.{suffix}"
    batch = pa.record_batch([pa.array(["a", "b"])] * 2 + [pa.array(["c", "d"])], ["prompt", "text", "text"])
    if suffix == "parquet":
        pq.write_table(pa.Table.from_batches([batch]), path)
    else:
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, batch.schema) as writer:
            writer.write_batch(batch)
    assert list(read_rows(inspect_file(path))) == [
        (1, RowFault("repeated_name", "`text` stands twice in the row; the last is taken.")),
        (1, {"prompt": "a", "text": "c"}), (2, {"prompt": "b", "text": "d"}),
    ]  # fmt: skip


def test_what_is_no_parquet_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"a": [1]}), path)
    path.write_bytes(path.read_bytes()[:-6] + b"xx" + b"PAR1")
    ((line, fault),) = read_rows(inspect_file(path))
    assert isinstance(fault, RowFault)
    assert (line, fault.kind) == (1, "damaged_file")
    assert fault.reason.startswith("This is not a readable Parquet file: Parquet ")
