"""The first window: a later launch hands its files over and ends, whatever became of the one before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock
from pytestqt.qtbot import QtBot

from app.core.system import place
from app.ui.window import first_window as module
from app.ui.window.first_window import FirstWindow, first_window
from tests import ROOT

LATER = """
import sys
from PySide6.QtCore import QCoreApplication
from app.ui.window.first_window import first_window
application = QCoreApplication([])
print("handed over" if first_window(sys.argv[1:]) is None else "a window of its own")
"""


def later(*files: str) -> subprocess.Popen[str]:
    """A later launch as a process."""
    return subprocess.Popen(
        [sys.executable, "-c", LATER, *files], cwd=ROOT, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )


@pytest.mark.parametrize("deep", [False, True])
def test_a_later_launch_hands_its_files_over(
    qtbot: QtBot, home: Path, monkeypatch: pytest.MonkeyPatch, deep: bool
) -> None:
    if deep:  # too long for the path of a socket
        monkeypatch.setenv("LUTHIER_HOME", str(home / ("x" * 120)))
    first = first_window([])
    assert first is not None
    try:
        with qtbot.waitSignal(first.asked, timeout=20_000) as asked:
            process = later("/a b/config.yaml", "/ü.jsonl")
        assert asked.args == [["/a b/config.yaml", "/ü.jsonl"]]
        with process:
            assert process.communicate(timeout=20)[0].strip() == "handed over"
    finally:
        first.close()


def test_the_socket_of_one_that_died_is_taken_over() -> None:
    place.data_dir().mkdir(parents=True)
    (place.data_dir() / "window.socket").write_bytes(b"")
    (place.data_dir() / ".window").write_bytes(b"")
    first = first_window([])
    assert first is not None
    assert first._server.isListening()
    first.close()
    second = first_window([])
    assert second is not None
    assert second._server.isListening()
    second.close()


def test_one_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_MS", 60)
    place.data_dir().mkdir(parents=True)
    with FileLock(place.data_dir() / ".window"):
        own = first_window([])
    assert isinstance(own, FirstWindow)
    assert not own._server.isListening()  # the socket stays the other's


def test_where_nothing_can_be_written_the_window_opens_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, qapp: object
) -> None:
    assert qapp
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LUTHIER_HOME", str(tmp_path / "file" / "home"))
    own = first_window(["a.yaml"])
    assert isinstance(own, FirstWindow)
    assert not own._server.isListening()
    own.close()


@pytest.mark.parametrize(("line", "files"), [(b'{"files": []}', []), (b'{"files": ["a", "b"]}', ["a", "b"])])
def test_a_request_is_a_list_of_names(line: bytes, files: list[str]) -> None:
    assert module._files(line) == files


@pytest.mark.parametrize("line", [b"{}", b"nonsense", b'{"files": [1]}', b'{"files": "a"}', b"[]"])
def test_what_is_no_request_is_refused(line: bytes) -> None:
    assert module._files(line) is None
