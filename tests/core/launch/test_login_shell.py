"""A start from Finder takes over what the login shell knows, and waits for no shell."""

from __future__ import annotations

import os
import pwd
import sys
import time
from pathlib import Path

import pytest

from app.core.launch import start
from app.core.launch.login_shell import SHELL_VARIABLES, adopt_shell_variables, shell_variables


def shell(folder: Path, lines: str) -> dict[str, str]:
    """Finder's environment with a login shell whose rc file has these lines, and which chats as some do."""
    program = folder / "zsh"
    program.write_text(f'#!/bin/sh\n[ "$1 $2 $3" = "-i -l -c" ] || exit 9\necho Welcome\n{lines}\neval "$4"\n')
    program.chmod(0o755)
    return {"SHELL": str(program), "PATH": "/usr/bin:/bin", "HOME": str(folder)}


def test_what_the_rc_file_exports_is_found_and_the_rest_is_not(tmp_path: Path) -> None:
    lines = "export HF_HOME='/Volumes/My Models' HF_TOKEN=hf_x https_proxy=http://p:1 SECRET=no PATH=/opt/bin:$PATH"
    assert shell_variables(shell(tmp_path, lines)) == {
        "HF_HOME": "/Volumes/My Models",
        "HF_TOKEN": "hf_x",
        "https_proxy": "http://p:1",
        "PATH": "/opt/bin:/usr/bin:/bin",
    }
    assert {"HTTP_PROXY", "NO_PROXY", "all_proxy", "HF_HOME", "PATH"} <= SHELL_VARIABLES


def test_without_a_variable_the_shell_is_the_one_of_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = pwd.getpwuid(os.getuid())
    theirs = shell(tmp_path, "export HF_HOME=/theirs")["SHELL"]
    asked: list[int] = []

    def entry(number: int) -> pwd.struct_passwd:
        asked.append(number)
        if len(asked) == 2:
            raise KeyError(number)
        return pwd.struct_passwd((*account[:6], theirs))

    monkeypatch.setattr(pwd, "getpwuid", entry)
    assert shell_variables({"PATH": "/usr/bin:/bin"})["HF_HOME"] == "/theirs"
    assert shell_variables({"PATH": "/usr/bin:/bin"}) == {}
    assert asked == [os.getuid()] * 2
    (tmp_path / "mine").mkdir()
    assert shell_variables(shell(tmp_path / "mine", "export HF_HOME=/mine"))["HF_HOME"] == "/mine"


@pytest.mark.parametrize("lines", ["exit 1", "exec true"])
def test_a_shell_that_fails_says_nothing(tmp_path: Path, lines: str) -> None:
    assert shell_variables(shell(tmp_path, lines)) == {}


def test_a_shell_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert shell_variables({"SHELL": str(tmp_path / "gone")}) == {}


def test_a_shell_that_hangs_is_ended_with_what_it_started(tmp_path: Path) -> None:
    environment = shell(tmp_path, f"sleep 600 & echo $! >{tmp_path}/child; wait")
    began = time.monotonic()
    assert shell_variables(environment, limit_s=0.5) == {}
    assert time.monotonic() - began < 30
    child = Path("/proc") / (tmp_path / "child").read_text().strip() / "stat"
    end = time.monotonic() + 30  # a signal is there before what it ends has gone
    while child.exists() and child.read_text().split()[2] != "Z":
        assert time.monotonic() < end


def test_what_is_set_stays_and_the_shells_path_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = shell(tmp_path, "export HF_HOME=/theirs HF_TOKEN=hf_x PATH=/opt/homebrew/bin:/usr/bin")
    monkeypatch.setenv("SHELL", environment["SHELL"])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setenv("HF_HOME", "/mine")
    monkeypatch.setenv("HF_TOKEN", "")  # so that it is as before when the test is over
    monkeypatch.delenv("HF_TOKEN")
    adopt_shell_variables()
    assert os.environ["HF_HOME"] == "/mine"
    assert os.environ["HF_TOKEN"] == "hf_x"
    assert os.environ["PATH"] == "/opt/homebrew/bin:/usr/bin:/bin"


@pytest.mark.parametrize(
    ("platform", "unseen", "asks"), [("darwin", True, True), ("darwin", False, False), ("linux", True, False)]
)
def test_only_a_start_from_finder_asks(
    monkeypatch: pytest.MonkeyPatch, platform: str, unseen: bool, asks: bool
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(start, "is_unseen", lambda: unseen)
    monkeypatch.setattr(start, "adopt_shell_variables", lambda: asked.append(True))
    start.prepare_start()
    assert asked == [True] * asks
