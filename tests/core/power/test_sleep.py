"""The seam to the system's sleep: what is run where, and why it cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.power.sleep import Sleeper, find_sleeper


def found(_name: str) -> str | None:
    return "/bin/it"


def missing(_name: str) -> str | None:
    return None


def test_each_system_has_its_command_or_a_reason(tmp_path: Path) -> None:
    assert find_sleeper("darwin", found) == Sleeper(("pmset", "sleepnow"))
    assert find_sleeper("linux", found, tmp_path) == Sleeper(("systemctl", "suspend"))
    for there in (
        find_sleeper("darwin", missing),
        find_sleeper("linux", missing, tmp_path),
        find_sleeper("linux", found, tmp_path / "none"),
        find_sleeper("win32", found, tmp_path),
    ):
        assert not there.command
        assert there.obstacle.endswith(".")
        assert there.sleep() == there.obstacle


@pytest.mark.parametrize(
    "command, words",
    [
        (("true",), ""),
        (("sh", "-c", "echo first >&2; echo Access denied >&2; exit 1"),
         "The computer did not go to sleep: Access denied."),
        (("sh", "-c", "exit 3"), "The computer did not go to sleep: exit code 3."),
        (("/no/such/program",), "The computer did not go to sleep: [Errno 2] No such file or directory: "
         "'/no/such/program'."),
    ],
)  # fmt: skip
def test_sleeping_says_what_went_wrong(command: tuple[str, ...], words: str) -> None:
    assert Sleeper(command).sleep() == words
