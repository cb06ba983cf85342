"""The worker's two ends: each event a line to the parent and to the file, each command in its turn."""

from __future__ import annotations

import io
import queue
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.core.protocol.command import Command, EndOfInput, Refused, Stop, heard_command
from app.core.protocol.event import Event, Progressed, Warned, parse_event
from app.worker.process.channel import Channel


class Closed(io.StringIO):
    """A pipe whose reader is gone."""

    def write(self, _text: str) -> int:
        raise BrokenPipeError


@pytest.fixture
def commands() -> queue.Queue[Command]:
    return queue.Queue()


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[[Channel], Path]]:
    """Has a channel record to a file, as a process does to its end."""
    recording: list[Channel] = []

    def begin(channel: Channel) -> Path:
        recording.append(channel)
        channel.record_to(tmp_path / "events.jsonl")
        return tmp_path / "events.jsonl"

    yield begin
    for channel in recording:
        assert channel._file is not None
        channel._file.close()


def said(text: str) -> list[str]:
    found = [parse_event(line) for line in text.splitlines()]
    return [one.message for one in found if isinstance(one, Warned)]


def test_each_event_is_a_line_to_the_parent_to_the_file_and_to_who_follows(
    commands: queue.Queue[Command], record: Callable[[Channel], Path]
) -> None:
    out, followed = io.StringIO(), list[Event]()
    channel = Channel(out, commands)
    file = record(channel)
    channel.follow = followed.append
    channel.emit(Warned(message="a"))
    channel.put(Warned(message="b"))
    assert said(out.getvalue()) == ["a", "b"]
    assert file.read_text() == out.getvalue()
    assert [one.message for one in followed if isinstance(one, Warned)] == ["a"], "`put` tells nobody else"
    assert not channel.is_full


@pytest.mark.parametrize("before, kept", [("", ""), ('{"a": 1}\n', '{"a": 1}\n'), ('{"a": 1', '{"a": 1\n')])
def test_a_line_that_a_crash_cut_is_closed_first(
    before: str, kept: str, commands: queue.Queue[Command], tmp_path: Path, record: Callable[[Channel], Path]
) -> None:
    file = tmp_path / "events.jsonl"
    file.write_text(before)
    channel = Channel(io.StringIO(), commands)
    record(channel)
    channel.emit(Warned(message="a"))
    text = file.read_text()
    assert text.startswith(kept)
    assert said(text[len(kept) :]) == ["a"]


def test_what_is_withheld_is_recorded_and_not_said(
    commands: queue.Queue[Command], record: Callable[[Channel], Path]
) -> None:
    out = io.StringIO()
    channel = Channel(out, commands)
    file = record(channel)
    channel.withheld = (Progressed,)
    channel.emit(Progressed(phase="x"))
    channel.emit(Warned(message="a"))
    assert len(out.getvalue().splitlines()) == 1
    assert len(file.read_text().splitlines()) == 2


def test_a_parent_that_is_gone_is_the_end_of_input_once_and_the_file_goes_on(
    commands: queue.Queue[Command], record: Callable[[Channel], Path]
) -> None:
    channel = Channel(Closed(), commands)
    file = record(channel)
    channel.emit(Warned(message="a"))
    channel.emit(Warned(message="b"))
    assert said(file.read_text()) == ["a", "b"]
    assert isinstance(channel.poll(), EndOfInput)
    assert channel.poll() is None


def test_who_outlives_its_parent_hears_commands_and_no_end(commands: queue.Queue[Command]) -> None:
    channel = Channel(io.StringIO(), commands)
    channel.outlives_parent = True
    commands.put(EndOfInput())
    commands.put(Stop())
    assert isinstance(channel.wait(), Stop)
    commands.put(EndOfInput())
    assert channel.poll() is None


def test_commands_come_in_their_order_and_what_is_none_is_told(commands: queue.Queue[Command]) -> None:
    out = io.StringIO()
    channel = Channel(out, commands)
    assert not channel.input_ended.is_set()
    channel._read_commands(io.StringIO('{"command": "pause"}\nno JSON\n{"command": "stop"}\n'))
    assert channel.input_ended.is_set()
    found = [channel.poll() for _ in range(3)]
    assert [type(one).__name__ for one in found] == ["Pause", "Stop", "EndOfInput"]
    assert channel.poll() is None
    assert len(said(out.getvalue())) == 1
    channel.decline(heard_command('{"command": "pause"}'))
    assert said(out.getvalue())[1] == "The command `pause` means nothing to this task."


def test_a_task_that_owes_answers_refuses_itself(commands: queue.Queue[Command]) -> None:
    out, refused = io.StringIO(), list[Refused]()
    channel = Channel(out, commands)
    channel.refuse = refused.append
    commands.put(heard_command("no JSON"))
    commands.put(Stop())
    assert isinstance(channel.wait(), Stop)
    assert len(refused) == 1
    assert out.getvalue() == ""
