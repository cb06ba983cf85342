"""What killed processes left goes; what others still use, and what people wrote, stays."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from app.core.system import place
from app.core.system.atomic_file import write_with
from app.core.system.leftover import OLD_S, sweep, sweep_all, temporary_prefix

OWN = ("config.yaml", ".lock", ".room", ".DS_Store", ".my-notes.md", "a-12345678.txt")


class KilledError(BaseException):
    """The process is gone in the middle of a write."""


def cut_off(path: Path, patch: pytest.MonkeyPatch) -> None:
    """Leaves what a process leaves that is killed while it writes a file."""

    def write(temporary: Path) -> None:
        temporary.write_text("half")
        raise KilledError

    with patch.context() as patched:
        patched.setattr(Path, "unlink", lambda *_args, **_more: None)
        with pytest.raises(KilledError):
            write_with(path, write)


def test_a_half_written_file_goes_and_others_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OWN:
        (tmp_path / name).write_text(name)
    (tmp_path / ".preparing-abcd1234").mkdir()
    cut_off(tmp_path / "adapters.safetensors", monkeypatch)
    cut_off(tmp_path / "config.yaml", monkeypatch)
    assert len(list(tmp_path.iterdir())) == len(OWN) + 3
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(OWN)
    sweep(tmp_path / "nowhere")


def test_where_others_write_only_what_is_old_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    queue = place.data_dir() / "queue" / "queue.json"
    cut_off(queue, monkeypatch)
    [left] = queue.parent.iterdir()
    sweep_all()
    assert left.exists()
    os.utime(left, (left.stat().st_mtime - OLD_S - 10,) * 2)
    sweep_all()
    assert not left.exists()


def test_folders_of_processes_that_are_gone_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone = tmp_path / f"luthier-{ended.pid}-archive-abc"
    gone.mkdir()
    (gone / "0").write_text("unpacked")
    mine = Path(tempfile.mkdtemp(prefix=temporary_prefix("model")))
    others = tmp_path / "luthier-house"
    others.mkdir()
    sweep_all()
    assert sorted(tmp_path.iterdir()) == sorted([mine, others])
