"""What must outlive a power cut is flushed as each system wants it, everywhere."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

import pytest

from app.core.system.atomic_file import write_text
from app.core.system.disk import flush_to_disk
from tests import ROOT

FULL = 51  # F_FULLFSYNC in Darwin's fcntl.h


class FakeDisk:
    """Counts the calls that a file is flushed with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, knows_full: bool) -> None:
        self.calls: list[str] = []
        self._knows_full = knows_full
        monkeypatch.setattr(fcntl, "F_FULLFSYNC", FULL, raising=False)
        monkeypatch.setattr(fcntl, "fcntl", self._control)
        monkeypatch.setattr(os, "fsync", lambda _descriptor: self.calls.append("fsync"))

    def _control(self, _descriptor: int, command: int) -> int:
        assert command == FULL
        self.calls.append("full")
        if not self._knows_full:
            raise OSError(errno.ENOTSUP, "Operation not supported")
        return 0


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk names no file, and a refused folder one that only the writer knows."""
    for number, named in ((errno.ENOSPC, None), (errno.EROFS, tmp_path / ".state-1234.json")):

        def refuse(
            *_arguments: object, number: int = number, named: Path | None = named, **_options: object
        ) -> None:
            raise OSError(number, os.strerror(number), *([] if named is None else [str(named)]))

        with monkeypatch.context() as patch:
            patch.setattr("tempfile.mkstemp", refuse)
            with pytest.raises(OSError, match="state") as caught:
                write_text(tmp_path / "state.json", "{}")
        assert caught.value.filename == str(tmp_path / "state.json")


def test_a_mac_empties_the_memory_of_the_drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FakeDisk(monkeypatch, knows_full=True)
    write_text(tmp_path / "state.json", "{}")
    assert disk.calls == ["full"]


def test_a_drive_that_cannot_gets_the_usual_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = FakeDisk(monkeypatch, knows_full=False)
    write_text(tmp_path / "state.json", "{}")
    assert disk.calls == ["full", "fsync"]


def test_elsewhere_it_is_the_usual_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.delattr(fcntl, "F_FULLFSYNC", raising=False)
    monkeypatch.setattr(os, "fsync", calls.append)
    flush_to_disk(7)
    assert calls == [7]


def test_nothing_is_flushed_otherwise() -> None:
    app = ROOT / "app"
    calling = [
        path.relative_to(app).as_posix()
        for path in app.rglob("*.py")
        if "os.fsync" in path.read_text(encoding="utf-8")
    ]
    assert calling == ["core/system/disk.py"]


@pytest.mark.parametrize(("folder", "file"), [(0o755, 0o644), (0o700, 0o600), (0o750, 0o644)])
def test_a_file_is_as_open_as_its_folder_and_the_umask_let_it(tmp_path: Path, folder: int, file: int) -> None:
    place = tmp_path / "place"
    place.mkdir()
    place.chmod(folder)
    before = os.umask(0o022)
    try:
        write_text(place / "state.json", "{}")
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)
    assert (place / "state.json").stat().st_mode & 0o777 == file
