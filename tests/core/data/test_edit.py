"""Edits: a new file with rows changed, dropped and added; the original stays byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core.data.check import check_files
from app.core.data.edit import EditOutcome, Edits, read_window, save_edited
from app.core.data.prepare import CancelledError
from app.core.problem import UnusableError
from tests.core.data.corpus import chat, lines, pair, parquet_of


def test_a_faulty_file_becomes_usable(tmp_path: Path) -> None:
    path, target = tmp_path / "a.jsonl", tmp_path / "fixed.jsonl"
    content = lines(chat(1), b"{broken", b"", chat(2), chat(3))
    path.write_bytes(content)
    edits = Edits()
    edits.change(2, chat(7))
    edits.drop(4)
    edits.add(chat(8))

    outcome = save_edited(path, edits, target)

    assert outcome == EditOutcome(rows=4, changed=1, dropped=1, added=1, unreadable=0)
    assert [json.loads(line) for line in target.read_text().splitlines()] == [chat(1), chat(7), chat(3), chat(8)]
    assert check_files([target]).usable
    assert path.read_bytes() == content


def test_other_kinds_of_files_become_jsonl(tmp_path: Path) -> None:
    path, target = tmp_path / "a.parquet", tmp_path / "b.jsonl"
    parquet_of([pair(1), pair(2)])(path)
    edits = Edits()
    edits.change(2, pair(5))
    edits.restore(2)
    assert not edits
    edits.drop(1)
    save_edited(path, edits, target)
    assert [json.loads(line) for line in target.read_text().splitlines()] == [pair(2)]


def test_unreadable_rows_need_a_word(tmp_path: Path) -> None:
    path, target = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    path.write_bytes(lines(chat(1), b"{", [1]))
    with pytest.raises(UnusableError) as caught:
        save_edited(path, Edits(), target)
    assert [problem.line for problem in caught.value.problems] == [2, 3]
    assert not target.exists()
    assert save_edited(path, Edits(), target, drop_bad_rows=True).unreadable == 2


def test_the_original_and_vanished_lines_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(chat(1)))
    with pytest.raises(UnusableError, match="new file"):
        save_edited(path, Edits(), path)
    with pytest.raises(UnusableError, match="not in the file"):
        save_edited(path, Edits(dropped={9}), tmp_path / "b.jsonl")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.jsonl"]


def test_a_long_edit_can_be_cancelled(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(*map(chat, range(5000))))
    with pytest.raises(CancelledError):
        save_edited(path, Edits(dropped={1}), tmp_path / "b.jsonl", cancelled=lambda: True)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.jsonl"]


def test_a_window_of_rows_for_the_editor(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(*map(chat, range(10))))
    assert read_window(path, 4, 2) == [(4, chat(3)), (5, chat(4))]
