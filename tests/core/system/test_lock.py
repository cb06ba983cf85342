"""Locks, processes, and files that are moved aside."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.problem import Problem, UnusableError
from app.core.system.atomic_file import set_aside, write_bytes, write_text
from app.core.system.lock import held_alone
from app.core.system.process import is_alive

TAKEN = Problem("", "Another has it.")


def test_one_holds_a_lock_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.lock"
    with held_alone(path, TAKEN), pytest.raises(UnusableError) as caught, held_alone(path, TAKEN):
        pytest.fail("it was given twice")
    assert caught.value.problems == [TAKEN]
    with pytest.raises(ZeroDivisionError), held_alone(path, TAKEN):
        _ = 1 / 0
    with held_alone(path, TAKEN):
        pass


def test_a_process_lives_until_it_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    assert is_alive(ended.pid)
    ended.wait()
    assert not is_alive(ended.pid)
    assert is_alive(10**30)  # no number of a process of this machine: nobody may take its things away

    def refuse(_process: int, _signal: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert is_alive(1)  # another's


def test_folders_above_are_made_where_that_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_text(tmp_path / "a" / "b" / "c.txt", "x", parents=False)
    write_text(tmp_path / "a" / "c.txt", "x", parents=False)
    write_bytes(tmp_path / "a" / "b" / "c.bin", b"\xff")
    assert (tmp_path / "a" / "b" / "c.bin").read_bytes() == b"\xff"
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["b", "c.txt"]


def test_a_damaged_file_is_kept_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{")
    aside = set_aside(tmp_path / "a.json")
    assert (aside, aside.read_text()) == (tmp_path / "a.json.damaged", "{")
    assert set_aside(tmp_path / "none.json") == tmp_path / "none.json.damaged"  # nothing to be lost
