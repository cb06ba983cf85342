"""Edits: a new file with rows changed, dropped and added; the original stays byte for byte."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.data.check import check_files
from app.core.data.edit import EditHistory, EditOutcome, Edits, read_window, save_edited, survey
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


def human(number: int) -> dict[str, object]:
    turns = [{"role": "human", "content": f"q{number}"}, {"role": "assistant", "content": f"a{number}"}]
    return {"messages": turns, "id": number}


def test_roles_get_other_names_in_all_rows_and_other_files_come_behind(tmp_path: Path) -> None:
    path, other, target = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "c.jsonl"
    path.write_bytes(lines(human(1), chat(2), human(3)))
    other.write_bytes(lines(human(4)))
    edits = Edits(dropped={3}, roles={"human": "user"}, appended=[other])
    edits.change(2, human(5))
    assert save_edited(path, edits, target) == EditOutcome(2 + 1, 1, 1, 0, 0, appended=1)
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert [row["messages"][0] for row in rows] == [{"role": "user", "content": f"q{n}"} for n in (1, 5, 4)]
    assert [row["id"] for row in rows] == [1, 5, 4]
    with pytest.raises(UnusableError, match="new file"):
        save_edited(path, edits, other)


def test_a_role_that_is_no_word_stays_as_it_is(tmp_path: Path) -> None:
    path, target = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    odd = {"messages": [{"role": ["human"], "content": "a"}, {"role": "human", "content": "b"}]}
    path.write_bytes(lines(odd))
    save_edited(path, Edits(roles={"human": "user"}), target)
    (row,) = map(json.loads, target.read_text().splitlines())
    assert [turn["role"] for turn in row["messages"]] == [["human"], "user"]


def test_a_survey_counts_roles_and_finds_repeats(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(lines(chat(1), human(2), b"{", chat(1), chat(3), chat(1)))
    found = survey(path, TrainConfig(), {})
    assert (found.rows, found.roles["human"], found.repeats, found.format) == (5, 1, (4, 6), "chat")
    assert "human" not in survey(path, TrainConfig(), {"human": "user"}).roles


def test_each_step_of_edits_can_be_undone_and_done_again() -> None:
    history = EditHistory()
    history.step().drop(3)
    history.step().change(5, chat(1))
    history.undo()
    assert (history.edits.dropped, history.edits.changed) == ({3}, {})
    history.undo()
    assert not history.edits
    assert not history.can_undo
    history.redo()
    history.redo()
    assert history.edits.changed == {5: chat(1)}
    history.undo()
    history.step().add(chat(2))
    assert not history.can_redo


def test_what_is_to_become_of_a_row_is_the_last_that_was_said() -> None:
    edits = Edits()
    assert not edits
    edits.drop(1)
    edits.change(1, pair(1))
    assert (edits.changed, edits.dropped) == ({1: pair(1)}, set())
    edits.drop(1)
    assert (edits.changed, edits.dropped) == ({}, {1})
    edits.restore(1)
    assert not edits
    edits.change(1, pair(1))
    edits.restore(1)
    assert not edits
    parts = ({"changed": {1: pair(1)}}, {"dropped": {1}}, {"added": [pair(1)]}, {"roles": {"a": "b"}},
             {"appended": [Path("a")]})  # fmt: skip
    for part in parts:
        some = Edits(**part)
        assert some
        copied = some.copy()
        assert copied == some
        copied.drop(2)
        copied.add(pair(2))
        copied.roles["c"] = "d"
        copied.appended.append(Path("b"))
        assert some == Edits(**part)


def test_steps_are_taken_back_and_done_again_until_another_is_made() -> None:
    history = EditHistory()
    history.undo()
    history.redo()
    for line in (1, 2):
        history.step().drop(line)
    history.undo()
    assert (history.edits.dropped, history.can_undo, history.can_redo) == ({1}, True, True)
    history.redo()
    assert (history.edits.dropped, history.can_undo, history.can_redo) == ({1, 2}, True, False)
    history.undo()
    history.step().drop(3)
    assert (history.edits.dropped, history.can_redo) == ({1, 3}, False)
    history.undo()
    history.undo()
    assert (history.edits.dropped, history.can_undo) == (set(), False)
