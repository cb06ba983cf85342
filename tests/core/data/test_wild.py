"""Wild input: whatever the bytes, the check gives a report, quickly and without a traceback."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.edit import read_window
from app.core.data.prepare import prepare_data
from app.core.data.report import report_json
from app.core.problem import UnusableError
from tests.core.data.corpus import CASES, Case

PATIENCE_MS = 30_000  # for one example of a few rows, however many share the machine
SUFFIXES = st.sampled_from([".jsonl", ".json", ".csv", ".tsv", ".txt", ".parquet", ".arrow", "", ".gz", ".md"])
NAMES = st.sampled_from(
    ["messages", "conversations", "prompt", "completion", "text", "instruction", "output", "input", "question",
     "answer", "chosen", "rejected", "system", "tools", "role", "content", "from", "value", "history", "label",
     "context", "choices", "A", "B", "functions", "images", "weight", "type", "ground_truth", "reward_model",
     "function_call", "tool_calls", "preferred_output", "non_preferred_output", "name", "arguments"]
)  # fmt: skip
WRITTEN = ["[1, 2]", "[]", '[{"role": "user"}]', "[[", "{}", '{"name": "a"}', "nan", "Human:", "#### 5",
           "\\boxed{1", "\n\nHuman: a\n\nAssistant: b"]  # fmt: skip
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["user", "gpt", "assistant", "function_call", "text", "thinking", "tool_result", "human"])
    | st.sampled_from(WRITTEN),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
ROWS = st.lists(st.dictionaries(NAMES, VALUES, max_size=4) | VALUES, min_size=1, max_size=6)


MESSAGE = st.fixed_dictionaries({}, optional={
    "role": st.sampled_from(["user", "assistant", "system", "tool", "human", "bot", "developer"]) | VALUES,
    "content": VALUES, "from": VALUES, "value": VALUES, "tool_calls": VALUES, "function_call": VALUES,
    "weight": VALUES,
})  # fmt: skip
SIDE = VALUES | st.lists(MESSAGE, max_size=3) | MESSAGE | st.lists(MESSAGE, max_size=3).map(json.dumps)
LIKELY_COLUMNS = st.sampled_from([
    ("prompt", "chosen", "rejected"), ("chosen", "rejected"), ("messages", "chosen", "rejected"),
    ("prompt", "completion", "label"), ("messages", "label"), ("prompt", "answer"), ("messages", "ground_truth"),
    ("prompt", "reward_model"), ("question", "choices", "answer"), ("prompt", "completion"), ("messages", "tools"),
    ("conversations", "functions"), ("instruction", "input", "output", "history"), ("text", "label"),
    ("input", "preferred_output", "non_preferred_output"), ("question", "A", "B", "answer"), ("prompt", "solution"),
])  # fmt: skip
LIKELY_ROWS = LIKELY_COLUMNS.flatmap(
    lambda names: st.fixed_dictionaries(dict.fromkeys(names, SIDE), optional={"system": VALUES, "context": VALUES})
)
MODES = ["sft", "dpo", "cpo", "orpo", "kto", "grpo", "online_dpo"]


def check(content: bytes, suffix: str, *, prepare: bool = True, mode: str = "sft") -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"data{suffix}"
        path.write_bytes(content)
        report = check_files([path], config=TrainConfig().with_value("train_mode", mode))
        if prepare:
            config = TrainConfig(data=str(path), skip_bad_rows=True).with_value("train_mode", mode)
            with suppress(UnusableError):
                prepared = prepare_data(config, Path(folder) / "out")
                for line in prepared.train.read_text(encoding="utf-8").removesuffix("\n").split("\n"):
                    assert isinstance(json.loads(line), dict)
        tree = report_json(report)
        json.dumps(tree).encode("utf-8")
        assert tree["usable"] is bool(not tree["errors"] and tree["examples"] and tree["target"])
        return tree


@settings(max_examples=150, deadline=PATIENCE_MS)
@given(st.binary(max_size=300), SUFFIXES)
def test_bytes(content: bytes, suffix: str) -> None:
    check(content, suffix)


@settings(max_examples=60, deadline=PATIENCE_MS)
@given(st.text(max_size=300), SUFFIXES, st.sampled_from(["utf-8", "utf-16", "utf-8-sig"]))
def test_texts(content: str, suffix: str, encoding: str) -> None:
    check(content.encode(encoding, "replace"), suffix)


@settings(max_examples=250, deadline=PATIENCE_MS)
@given(ROWS, st.sampled_from(["lines", "array", "pretty", "object"]), st.sampled_from(MODES))
def test_json(rows: list[Any], form: str, mode: str) -> None:
    text = {
        "lines": lambda: "\n".join(json.dumps(row) for row in rows),
        "array": lambda: json.dumps(rows, indent=1),
        "pretty": lambda: "\n".join(json.dumps(row, indent=2) for row in rows),
        "object": lambda: json.dumps({"rows": rows}, indent=2),
    }[form]()
    check(text.encode("utf-8"), ".jsonl" if form == "lines" else ".json", mode=mode)


@settings(max_examples=250, deadline=PATIENCE_MS)
@given(st.lists(LIKELY_ROWS, min_size=1, max_size=4), st.sampled_from(MODES))
def test_rows_that_nearly_fit(rows: list[Any], mode: str) -> None:
    """Columns that a method looks for, with anything in them: most of these rows get past recognition."""
    check("\n".join(json.dumps(row) for row in rows).encode(), ".jsonl", mode=mode)


@pytest.mark.parametrize("mode", MODES[1:])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_corpus_in_every_mode(case: Case, mode: str, tmp_path: Path) -> None:
    path = tmp_path / case.name
    case.write(path)
    config = TrainConfig().with_values(case.config | {"train_mode": mode, "data": str(path), "skip_bad_rows": True})
    report = check_files([path], config=config)
    try:
        prepared = prepare_data(config, tmp_path / "out")
    except UnusableError:
        assert not report.usable or not report.splits
    else:
        assert report.usable
        assert sum(prepared.counts.values()) <= report.examples


@settings(max_examples=60, deadline=PATIENCE_MS)
@given(ROWS, st.data())
def test_cut_and_broken_json(rows: list[Any], data: st.DataObject) -> None:
    content = bytearray(json.dumps(rows, indent=1).encode())
    for _ in range(3):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(content[: data.draw(st.integers(1, len(content)))]), ".json")


@settings(max_examples=40, deadline=PATIENCE_MS)
@given(st.binary(max_size=200), st.integers(0, 100))
def test_damaged_gzip(content: bytes, cut: int) -> None:
    packed = gzip.compress(content)
    check(packed[: max(len(packed) - cut, 3)], ".jsonl.gz")


@pytest.mark.parametrize("start", ['{"a": [', "[", '{"prompt": "', "[1, ", '[{"text": "a"}, '])
def test_long_input_that_never_closes(start: str) -> None:
    """A reader that tried again from the start for every block would take minutes here."""
    tree = check((start + "x y\\n " * 700_000).encode(), ".json", prepare=False)
    assert not tree["usable"]


DEEP = {
    "an unknown column": '{"prompt": "a", "completion": "b", "x": %s}',
    "an answer": '{"prompt": "a", "completion": %s}',
    "a tool": '{"prompt": "a", "completion": "b", "tools": [%s]}',
    "a rated answer": '{"prompt": "a", "chosen": %s, "rejected": "b"}',
    "a reference": '{"prompt": "a", "answer": %s}',
    "a label": '{"prompt": "a", "completion": "b", "label": %s}',
    "an argument": '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "tool_calls": [%s]}]}',
}  # fmt: skip


@pytest.mark.parametrize("place", DEEP)
def test_nesting_of_any_depth(place: str) -> None:
    for depth in (210, 1010):
        for deep in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
            for mode in ("sft", "dpo", "kto", "grpo"):
                line = DEEP[place] % deep
                check(f"{line}\n{line}".encode(), ".jsonl", mode=mode)
                check(f"[{line},\n{line}]".encode(), ".json", mode=mode)


def test_an_arrow_file_with_offsets_that_go_back() -> None:
    held = io.BytesIO()
    table = pa.table({"prompt": ["abcd", "efghijkl"], "completion": ["b", "c"]})
    with pa.ipc.new_stream(held, table.schema) as writer:
        writer.write_table(table)
    offsets = struct.pack("<3i", 0, 4, 12)
    assert held.getvalue().count(offsets) == 1
    tree = check(held.getvalue().replace(offsets, struct.pack("<3i", 0, 40, 12)), ".arrow")
    assert [error["kind"] for error in tree["errors"]] == ["damaged_file"]


def test_rows_of_one_set_of_columns_that_differ_in_what_they_hold() -> None:
    rows = "id,instruction,message_id,text,role\ni,Add.,,,\n,,m,Is it foggy?,prompter\n"
    assert not check(rows.encode(), ".csv")["usable"]


def test_a_cut_archive_is_told_wherever_it_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jsonl", '{"prompt": "a", "completion": "b"}\n')
    path.write_bytes(path.read_bytes()[:-30])
    assert not check(path.read_bytes(), ".zip")["usable"]
    with pytest.raises(UnusableError):
        read_window(path, 1, 5)


def test_good_rows_in_the_test_part_alone(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    good = {"question": "Is it foggy?", "answer": "Yes."}
    path.write_text(json.dumps({"train": [{"question": "Why?"}], "test": [good]}, indent=1))
    config = TrainConfig(data=str(path), skip_bad_rows=True)
    assert not check_files([path], config=config).usable
    with pytest.raises(UnusableError):
        prepare_data(config, tmp_path / "run")


def test_groups_of_numbers_beyond_64_bits(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(f'{{"prompt": "a{n}", "completion": "b", "g": {10**30 + n % 2}}}\n' for n in range(8)))
    prepared = prepare_data(TrainConfig(data=str(path), group_feature="g", test_fraction=0), tmp_path / "run")
    assert sum(prepared.counts.values()) == 8


def test_a_tool_whose_name_is_no_text() -> None:
    check(b'{"prompt": "a", "completion": "{\\"name\\": \\"f\\"}", "tools": [{"name": {"f": 1}}]}\n', ".jsonl")
