"""Of a folder the data files are read, and what is left out is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.data.check import check_files
from app.core.source.data_file import find_sources
from app.core.source.finding import Findings
from tests.core.data.written import Row, file_of, told

PAIRS: list[Row] = [{"prompt": f"Lamp {n}?", "completion": "Lit."} for n in range(2)]


def test_files_that_are_no_data_are_named(tmp_path: Path) -> None:
    file_of(tmp_path, PAIRS, "lamps.jsonl")
    for name in ("notes.docx", "photo.png", "thoughts.txt", "README.md", ".hidden"):
        (tmp_path / name).write_text("x")
    report = check_files([tmp_path])
    assert report.examples == 2
    assert ("ignored_file", "Not used: `notes.docx`, `photo.png`, `thoughts.txt`.") in told(report)


def test_files_beside_the_splits_of_mlx_lm_are_named(tmp_path: Path) -> None:
    for name in ("train.jsonl", "valid.jsonl", "more.jsonl"):
        file_of(tmp_path, [{"prompt": f"{name} {n}?", "completion": "Lit."} for n in range(2)], name)
    report = check_files([tmp_path])
    assert report.examples == 4
    assert ("ignored_file", "Not used: `more.jsonl`.") in told(report)


def test_many_are_counted(tmp_path: Path) -> None:
    file_of(tmp_path, PAIRS, "lamps.jsonl")
    for number in range(11):
        (tmp_path / f"{number:02}.png").write_text("x")
    (said,) = [reason for kind, reason in told(check_files([tmp_path])) if kind == "ignored_file"]
    assert said.endswith("`07.png` and 3 more.")


ROW = '{"prompt": "Lamp?", "completion": "Lit."}'
WHATSAPP = "31/12/2023, 22:15 - Bo: Is the boat free?\n31/12/2023, 22:16 - Ada: Yes.\n"
TELEGRAM = """{"name": "Bo", "type": "personal_chat", "id": 1, "messages": [
{"id": 1, "type": "message", "date": "2024-01-01T10:00:00", "date_unixtime": "1", "from": "Bo", "from_id": "user1",
"text": "Is the boat free?"}]}"""


@pytest.mark.parametrize(
    "name, content, unit",
    [
        ("a.jsonl", f"{ROW}\n{ROW}\n", "line"),
        ("a.json", f"[{ROW},\n{ROW}]", "line"),
        ("a.json", f"[{ROW}, {ROW}]", "row"),
        ("a.json", f"[{ROW}, {ROW}]\n", "row"),
        ("a.csv", "prompt,completion\nLamp?,Lit.\n", "line"),
        ("a.md", "# Lamps\n\nAll of them are lit.\n", "line"),
        ("chat.txt", WHATSAPP, "line"),
        ("result.json", TELEGRAM, "row"),
    ],
)
def test_places_are_counted_by_what_a_person_finds_there(
    name: str, content: str, unit: str, tmp_path: Path
) -> None:
    """An editor shows lines. Where all rows stand in one, and where a row is no line of the file, rows count."""
    (tmp_path / name).write_text(content, encoding="utf-8")
    (source,) = find_sources([tmp_path / name], Findings())
    assert source.unit == unit
