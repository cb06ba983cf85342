"""A place that macOS keeps from the program is told with the setting that allows it; others as they are."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path

import pytest

from app.command import main as command
from app.core.refusal import privacy_hint, reason_of
from app.core.setup.path_kind import PathKind, sort_path


def refused(number: int, name: str | None = None) -> OSError:
    return OSError(number, os.strerror(number), name)


@pytest.mark.parametrize(
    ("platform", "error", "hint"),
    [
        ("darwin", refused(errno.EPERM, "/data"), True),
        ("darwin", refused(errno.EPERM), True),
        ("darwin", refused(errno.EACCES, "/Users/a/Documents/x.jsonl"), True),
        ("darwin", refused(errno.EACCES, "/Volumes/Stick/x.jsonl"), True),
        ("darwin", refused(errno.EACCES, "/Users/a/work/x.jsonl"), False),
        ("darwin", refused(errno.ENOENT, "/Users/a/Documents/x.jsonl"), False),
        ("linux", refused(errno.EPERM, "/data"), False),
    ],
)
def test_only_what_privacy_forbids_names_the_setting(
    monkeypatch: pytest.MonkeyPatch, platform: str, error: OSError, hint: bool
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("HOME", "/Users/a")
    said = reason_of(error)
    assert said.startswith(str(error.strerror))
    assert said.endswith(f". {privacy_hint()}") is hint
    assert "System Settings › Privacy & Security › Files and Folders" in privacy_hint()


def test_an_error_without_a_number_says_what_it_says() -> None:
    assert reason_of(OSError("the reader stopped")) == "the reader stopped"


def test_a_dropped_folder_that_is_denied_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def deny(path: Path, *_: object, **__: object) -> bool:
        raise refused(errno.EPERM, str(path))

    with monkeypatch.context() as patched:
        patched.setattr(sys, "platform", "darwin")
        patched.setattr(Path, "is_dir", deny)
        found = sort_path(tmp_path)
    assert found.kind is PathKind.UNUSABLE
    assert found.reason == f"{tmp_path.name} cannot be read: Operation not permitted. {privacy_hint()}."


def test_the_command_line_tells_it_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def deny(*_: object) -> int:
        raise refused(errno.EPERM, "/data")

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(command, "_run_verb", deny)
    assert command.run_command(["doctor"]) == 1
    assert privacy_hint() in capsys.readouterr().err
