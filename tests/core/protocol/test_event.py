"""Events: lines that read back as they were, newer and broken ones included."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import pytest

from app.core.protocol import event


def test_every_event_reads_back_as_it_was_written() -> None:
    report = event.TrainReported(
        iteration=25, train_loss=1.5, losses=[2.0, 1.0], learning_rate=1e-4, iterations_per_second=3.0,
        tokens_per_second=100.0, trained_tokens=4000,
    )  # fmt: skip
    for one in (
        report,
        event.Hello(task="train"),
        event.Failed(message="x"),
        event.Validated(iteration=1, val_loss=2),
    ):
        assert event.parse_event(one.to_line()) == one


VALUES: dict[str, Any] = {
    "str": "Grüße „hier“\n", "int": 7, "float": math.inf, "bool": True, "float | None": None, "int | None": 3,
    "list[float]": [1.5, math.nan], "list[dict[str, Any]]": [{"a": [1, {"b": None}]}],
    "dict[str, Any]": {"x": (1, 2)}, "dict[str, str]": {"mlx": "0"}, "dict[str, float]": {"margin": 0.1},
}  # fmt: skip


@pytest.mark.parametrize("kind", [*event.EVENTS.values(), event.Unknown])
def test_a_line_has_every_field_as_a_copy_of_it_has(kind: type[event.Event]) -> None:
    """`to_line` copies nothing; what it writes is what the slow, general way writes, key by key."""
    one = kind(**{f.name: VALUES[str(f.type)] for f in dataclasses.fields(kind)})
    wanted = json.dumps({"type": kind.type} | dataclasses.asdict(one), ensure_ascii=False)
    assert one.to_line() == wanted


def test_a_loss_that_is_not_a_number_arrives_as_that() -> None:
    line = event.Validated(iteration=1, val_loss=math.nan).to_line()
    found = event.parse_event(line)
    assert isinstance(found, event.Validated)
    assert math.isnan(found.val_loss)


def test_newer_events_and_newer_keys_do_not_break_an_older_reader() -> None:
    assert event.parse_event('{"type": "sang", "song": 1}') == event.Unknown(
        data={"type": "sang", "song": 1}, time=0
    )
    line = json.dumps(json.loads(event.Ready().to_line()) | {"mood": "good"})
    assert isinstance(event.parse_event(line), event.Ready)


@pytest.mark.parametrize("line", ["", "[]", "5", "not json", '{"type": 3}', '{"type": "validated"}'])
def test_lines_that_are_no_events_are_value_errors(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        event.parse_event(line)


def test_a_line_cut_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(event.Ready().to_line() + "\n" + event.Finished().to_line()[:20])
    assert [e.type for e in event.read_events(path)] == ["ready"]
    assert event.read_events(tmp_path / "none") == []
