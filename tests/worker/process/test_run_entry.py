"""How a run is entered and watched over: its door, its parent, and the room that is set aside for its end."""

from __future__ import annotations

import errno
import faulthandler
import io
import os
import queue
import signal
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.core.problem import UnusableError
from app.core.quantity import bytes_text
from app.core.run.folder import RunDir
from app.worker.process import orphan, room, run_entry
from app.worker.process.channel import Channel
from app.worker.process.room import FOR_EVENTS, Room, full_text, is_full


class EndedError(BaseException):
    """The process ends here."""


def test_a_run_without_a_door_ends_with_its_parent_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched: list[str] = []

    def refuse(_folder: Path) -> None:
        raise OSError(errno.ENAMETOOLONG, "File name too long")

    monkeypatch.setattr(run_entry, "CommandDoor", refuse)
    monkeypatch.setattr(run_entry, "end_when_orphaned", watched.append)
    for outlives in (True, False):
        channel = Channel(io.StringIO(), queue.Queue())
        channel.outlives_parent = outlives
        with ExitStack() as stack:
            said = run_entry._open_door(channel, RunDir(tmp_path), stack)
        assert said is not None
        assert said.message == ("Nothing but what started this run can pause or stop it: File name too long.")
        assert not channel.outlives_parent
    assert watched == ["train"], "who ends with its parent is watched by now"


@pytest.mark.parametrize(
    ("task", "grace_s", "ended"), [("train", 600.0, 0), ("check", 20.0, 0), ("reward", 20.0, 1)]
)
def test_an_orphan_has_its_grace_and_what_people_write_has_none(
    task: str, grace_s: float, ended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    parents = iter([7, 7, 1])
    slept: list[float] = []
    timers: list[tuple[float, bool]] = []
    ends: list[int] = []
    monkeypatch.setattr(os, "getppid", lambda: next(parents))
    monkeypatch.setattr(orphan, "time", SimpleNamespace(sleep=slept.append))
    monkeypatch.setattr(orphan, "_end_group", lambda: ends.append(1))

    def later(seconds: float, exit: bool, file: Any) -> None:  # as the real one
        timers.append((seconds, exit))
        file.close()

    monkeypatch.setattr(faulthandler, "dump_traceback_later", later)
    orphan._watch(task, 7)
    assert (slept, timers, len(ends)) == ([1.0, 1.0], [(grace_s, True)], ended)


@pytest.mark.parametrize("leads", [True, False])
def test_a_group_is_ended_by_who_leads_it(leads: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []

    def end(code: int) -> None:
        calls.append(("exit", code))
        raise EndedError

    monkeypatch.setattr(os, "getpgrp", lambda: os.getpid() if leads else 1)
    monkeypatch.setattr(os, "killpg", lambda *asked: calls.append(asked))
    monkeypatch.setattr(os, "_exit", end)
    with pytest.raises(EndedError):
        orphan._end_group()
    assert calls == [*([(os.getpid(), signal.SIGKILL)] if leads else []), ("exit", 1)]


def test_room_is_of_the_size_and_goes_and_what_lacks_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Room(tmp_path)
    for size in (0, 5, (1 << 20) - FOR_EVENTS, 3 << 20):
        place.take(size)
        assert (tmp_path / ".room").stat().st_size == size + FOR_EVENTS
    place.give_back()
    place.give_back()
    assert list(tmp_path.iterdir()) == []
    free = [3_000_000]
    monkeypatch.setattr(room, "free_bytes", lambda _folder: free[0])
    for number, kind in ((errno.ENOSPC, UnusableError), (errno.EDQUOT, UnusableError), (errno.EIO, OSError)):

        def refuse(_descriptor: int, number: int = number) -> None:
            raise OSError(number, "no")

        monkeypatch.setattr(room, "flush_to_disk", refuse)
        with pytest.raises(kind) as caught:
            place.take(5_000_000)
        assert list(tmp_path.iterdir()) == []
        if isinstance(caught.value, UnusableError):
            (problem,) = caught.value.problems
            assert problem.message == full_text(tmp_path, bytes_text(2_000_000 + FOR_EVENTS))
            assert problem.hint == "Free some space there, then go on."
    assert is_full(RuntimeError("could not be written"), tmp_path)
    free[0] = 16 * FOR_EVENTS - 1
    for error, full in (
        (RuntimeError("[write] Unable"), True), (OSError("Write failed"), True),
        (RuntimeError("[read] Unable"), False),
        (ValueError("write"), False), (OSError(errno.EIO, "write"), False), (OSError(errno.EDQUOT, ""), True),
    ):  # fmt: skip
        assert is_full(error, tmp_path) == full
    free[0] += 1
    assert not is_full(RuntimeError("[write] Unable"), tmp_path)
