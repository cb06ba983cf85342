"""A run's events are read a slice at a time: each once, whole lines only, and anew where the file is another."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.run.folder import prepare_run
from app.core.run.reader import RunReader


@pytest.fixture
def reader(tmp_path: Path) -> RunReader:
    return RunReader(prepare_run(TrainConfig(), tmp_path / "run"))


def test_half_a_line_is_read_once_its_end_is_there(reader: RunReader) -> None:
    whole = event.Warned(message="a").to_line() + "\n"
    later = event.Warned(message="b").to_line() + "\n"
    for cut in (1, len(later) // 2, len(later) - 1):
        reader.run.events.write_text(whole + later[:cut])
        assert reader.read()
        assert [one.message for one in reader.warnings] == ["a"]
    reader.run.events.write_text(whole + later)
    for _ in range(2):
        assert reader.read()
        assert [one.message for one in reader.warnings] == ["a", "b"]


def test_half_a_line_that_is_json_already_is_not_taken(reader: RunReader) -> None:
    reader.run.events.write_text(event.Warned(message="a").to_line())  # all of it but its end
    assert reader.read()
    assert reader.warnings == []


def test_lines_that_are_no_events_are_left_out(reader: RunReader) -> None:
    good = event.Warned(message="a").to_line()
    reader.run.events.write_bytes(b"no JSON\n\n" + good.encode() + b'\n{"type": \xff}\n')
    assert reader.read()
    assert len(reader.warnings) == 1


def test_a_shorter_file_is_another_one(reader: RunReader) -> None:
    lines = [event.Hello(task="train", device="d"), event.CheckpointSaved(iteration=3, path="p")]
    reader.run.events.write_text("".join(f"{one.to_line()}\n" for one in lines))
    reader.read()
    assert reader.hello is not None
    assert [one.iteration for one in reader.checkpoints] == [3]
    assert reader.created is not None
    reader.run.events.write_text(event.Warned(message="new").to_line() + "\n")
    reader.read()
    assert reader.hello is None
    assert reader.checkpoints == []
    assert [one.message for one in reader.warnings] == ["new"]


def test_a_slice_ends_when_its_time_is_over_and_the_next_goes_on(reader: RunReader) -> None:
    reader.run.events.write_text("".join(event.Warned(message=str(n)).to_line() + "\n" for n in range(5)))
    slices = 0
    while not reader.read(0.0):
        slices += 1
        assert len(reader.warnings) == slices
    assert [one.message for one in reader.warnings] == list("01234")
    assert slices >= 4


def test_nothing_is_there_yet(reader: RunReader) -> None:
    assert reader.read()
    assert (reader.recorded, reader.created, reader.hello) == ("new", None, None)


def test_the_state_and_the_beginning_are_those_of_the_events(reader: RunReader) -> None:
    first = event.Hello(task="train", device="d")
    last = event.Finished(reason="stopped", iteration=3)
    reader.run.events.write_text(f"{first.to_line()}\n{last.to_line()}\n")
    reader.read()
    assert reader.recorded == "stopped"
    assert reader.created == pytest.approx(first.time)
