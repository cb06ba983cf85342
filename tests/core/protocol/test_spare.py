"""What a spare is started with, and what makes one that waits too old."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from app.core.protocol.program import WORKER_VARIABLE, starts_itself_again
from app.core.protocol.spare import program_stamp, spare_command


def test_the_frozen_app_is_its_own_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    assert spare_command() == [sys.executable, "--worker", "--spare"]
    monkeypatch.setenv(WORKER_VARIABLE, "1")
    assert not starts_itself_again(spare_command()[1:])


def test_the_stamp_is_another_once_a_source_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "part").mkdir()
    source, other = tmp_path / "part" / "one.py", tmp_path / "note.txt"
    source.write_text("a = 1\n")
    before = program_stamp(tmp_path)
    assert program_stamp(tmp_path) == before
    other.write_text("no source")
    (tmp_path / "part" / "__pycache__").mkdir()
    assert program_stamp(tmp_path) == before
    os.utime(source, (1, 1))
    assert (touched := program_stamp(tmp_path)) != before
    (tmp_path / "two.py").write_text("")
    assert program_stamp(tmp_path) not in (before, touched)
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", str(source))
    assert program_stamp(tmp_path) == ((str(source), 1_000_000_000, 6),)
    source.unlink()
    assert program_stamp(tmp_path) == ((str(source), 0, 0),)
