"""Of a folder the data files are read, and what is left out is named."""

from __future__ import annotations

from pathlib import Path

from app.core.data.check import check_files
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
