"""A start that no terminal sees tells why it failed in an alert of the desktop's own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from app.core.launch.alert import LONGEST_ALERT, alert, is_unseen
from app.core.launch.start import prepare_start


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder of PATH."""
    folder = tmp_path / "tools"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


def tool(folder: Path, name: str, status: int = 0) -> Path:
    """A program that writes its words into a file, which is returned."""
    program, said = folder / name, folder / f"{name}.said"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >"{said}"\nexit {status}\n', encoding="utf-8")
    program.chmod(0o755)
    return said


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("zenity", ["--error", "--no-markup", "--title=Title", "--text=It <is> so.", "--width=480"]),
        ("kdialog", ["--title=Title", "--error", "It <is> so."]),
        ("xmessage", ["-center", "-title", "Title", "It <is> so."]),
    ],
)
def test_linux_uses_whichever_program_is_there(
    tools: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: list[str]
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    said = tool(tools, name)
    assert alert("Title", "It <is> so.")
    assert said.read_text(encoding="utf-8").splitlines() == words


def test_one_that_fails_is_followed_by_the_next(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    tool(tools, "zenity", 255)
    said = tool(tools, "xmessage")
    assert alert("Title", "text")
    assert said.exists()


def test_without_any_it_says_that_nobody_was_told(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert list(tools.iterdir()) == []
    assert not alert("Title", "text")


def test_a_mac_is_given_the_text_as_words_and_not_as_a_script(tools: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    said = tool(tools, "osascript")
    assert alert("Title", '" & (do shell script "false") & "' + "x" * LONGEST_ALERT)
    script, title, message = said.read_text(encoding="utf-8").split("-e\n")[1].rsplit("\n", 3)[:3]
    assert "display alert (item 1 of arguments)" in script
    assert "false" not in script
    assert title == "Title"
    assert len(message) == LONGEST_ALERT + 2
    assert message.endswith(" …")


@pytest.mark.parametrize(
    ("platform", "is_terminal", "environment", "unseen"),
    [
        ("darwin", False, {"HOME": "/Users/a"}, True),
        ("darwin", False, {"TERM": "xterm-256color"}, False),
        ("darwin", False, {"SSH_CONNECTION": "10.0.0.1 1 10.0.0.2 22"}, False),
        ("darwin", True, {}, False),
        ("linux", False, {"DISPLAY": ":0", "TERM": "linux"}, True),
        ("linux", False, {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", False, {}, False),
        ("linux", False, {"DISPLAY": ":0", "QT_QPA_PLATFORM": "offscreen"}, False),
        ("linux", True, {"DISPLAY": ":0"}, False),
    ],
)
def test_only_a_start_from_a_desktop_is_unseen(
    monkeypatch: pytest.MonkeyPatch, platform: str, is_terminal: bool, environment: dict[str, str], unseen: bool
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(os, "isatty", lambda number: is_terminal and number == 2)
    assert is_unseen(environment) is unseen


def test_a_start_in_the_root_goes_home_and_another_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir("/")
    prepare_start()
    assert Path.cwd() == tmp_path
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    prepare_start()
    assert Path.cwd() == tmp_path / "work"


def test_a_start_in_a_folder_that_was_deleted_goes_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    prepare_start()
    assert Path.cwd() == tmp_path
