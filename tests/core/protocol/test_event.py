"""Events: lines that read back as they were; strict where a worker lives, lenient with what lies on a disk."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.core.language import tr
from app.core.protocol import event
from app.core.protocol.wire import PROTOCOL_VERSION, RefusedError

# A value of each type that a field of an event has.
VALUES: dict[str, Any] = {
    "str": "Grüße „hier“\n", "int": 7, "float": math.inf, "bool": True, "float | None": None, "int | None": 3,
    "list[float]": [1.5, math.nan], "list[dict[str, Any]]": [{"a": [1, {"b": None}]}],
    "dict[str, Any]": {"x": (1, 2)}, "dict[str, str]": {"mlx": "0"},
    "dict[str, int]": {"weights": 3}, "dict[str, float]": {"margin": 0.1},
}  # fmt: skip


def type_text(kind: type[event.Event], name: str) -> str:
    """The type of a field as it is written."""
    annotation = kind.model_fields[name].annotation
    text = annotation.__name__ if isinstance(annotation, type) and "[" not in str(annotation) else str(annotation)
    return text.replace("typing.", "")


def event_of(kind: type[event.Event]) -> event.Event:
    """One of a kind, with a value in every field."""
    return kind(**{name: VALUES[type_text(kind, name)] for name in kind.model_fields if name != "type"})


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
        assert event.recorded_event(one.to_line()) == one


@given(st.floats(), st.lists(st.floats()), st.text(), st.dictionaries(st.text(), st.integers() | st.text()))
def test_any_figures_and_words_arrive(loss: float, losses: list[float], words: str, data: dict[str, Any]) -> None:
    for one in (
        event.TrainReported(
            iteration=1, train_loss=loss, losses=losses, learning_rate=0, iterations_per_second=1,
            tokens_per_second=1, trained_tokens=1,
        ),
        event.Warned(message=words),
        event.Result(name=words, data=data),
    ):  # fmt: skip
        assert event.parse_event(one.to_line()).to_line() == one.to_line()


@pytest.mark.parametrize("kind", [*event.EVENTS.values(), event.Unknown])
def test_a_line_has_every_field_as_a_copy_of_it_has(kind: type[event.Event]) -> None:
    """`to_line` copies nothing; what it writes is what the slow, general way writes, key by key."""
    one = event_of(kind)
    assert one.to_line() == json.dumps(one.model_dump(), ensure_ascii=False)
    assert json.loads(one.to_line())["type"] == kind.model_fields["type"].default


def test_a_loss_that_is_not_a_number_arrives_as_that() -> None:
    line = event.Validated(iteration=1, val_loss=math.nan).to_line()
    found = event.parse_event(line)
    assert isinstance(found, event.Validated)
    assert math.isnan(found.val_loss)


@pytest.mark.parametrize("kind", event.EVENTS.values())
def test_a_live_worker_says_no_unknown_field_and_a_file_may_have_one(kind: type[event.Event]) -> None:
    tree = json.loads(event_of(kind).to_line()) | {"mood": "good"}
    line = json.dumps(tree | ({"protocol": PROTOCOL_VERSION} if tree["type"] == "hello" else {}))
    with pytest.raises(RefusedError, match=f"The event `{tree['type']}` has no `mood`"):
        event.parse_event(line)
    said = event.heard_event(line)
    assert isinstance(said, event.Warned)
    assert "has no `mood`" in said.message
    assert isinstance(event.recorded_event(line), kind)
    with pytest.raises(ValidationError):
        kind(**tree)


def test_newer_events_and_newer_keys_do_not_break_an_older_reader_of_files() -> None:
    assert event.recorded_event('{"type": "sang", "song": 1}') == event.Unknown(
        data={"type": "sang", "song": 1}, time=0
    )
    line = json.dumps(json.loads(event.Ready().to_line()) | {"mood": "good"})
    assert isinstance(event.recorded_event(line), event.Ready)
    with pytest.raises(RefusedError, match="There is no event `sang`"):
        event.parse_event('{"type": "sang", "song": 1}')


@pytest.mark.parametrize("line", ["", "[]", "5", "not json", '{"type": 3}'])
def test_lines_that_are_no_events_are_value_errors(line: str) -> None:
    for read in (event.parse_event, event.recorded_event, event.heard_event):
        with pytest.raises(ValueError, match=r".") as caught:
            read(line)
        assert not isinstance(caught.value, RefusedError)


@pytest.mark.parametrize(
    "fields", [{}, {"iteration": 3, "val_loss": "low"}, {"iteration": 3, "val_loss": 2.0, "time": "noon"}]
)
def test_an_event_without_what_it_needs_is_refused_live_and_unknown_in_a_file(fields: dict[str, Any]) -> None:
    line = json.dumps({"type": "validated"} | fields)
    with pytest.raises(RefusedError, match="validated"):
        event.parse_event(line)
    assert event.recorded_event(line) == event.Unknown(data={"type": "validated"} | fields, time=0)


def test_a_line_cut_by_a_crash_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text(event.Ready().to_line() + "\n" + event.Finished().to_line()[:20])
    assert [e.type for e in event.read_events(path)] == ["ready"]
    assert event.read_events(tmp_path / "none") == []


@pytest.mark.parametrize("protocol", [1, PROTOCOL_VERSION + 1])
def test_a_greeting_of_another_version_is_understood_and_told(protocol: int) -> None:
    line = json.dumps({"type": "hello", "task": "train", "protocol": protocol, "mood": "good"})
    hello = event.parse_event(line)
    assert isinstance(hello, event.Hello)
    failed = event.version_mismatch(hello)
    assert failed is not None
    assert f"version {protocol} of the protocol" in failed.message
    assert f"this Luthier version {PROTOCOL_VERSION}" in failed.message
    assert failed.hint


def test_our_own_worker_greets_with_the_version_of_the_protocol() -> None:
    hello = event.parse_event(event.Hello(task="train").to_line())
    assert isinstance(hello, event.Hello)
    assert hello.protocol == PROTOCOL_VERSION
    assert event.version_mismatch(hello) is None


@given(st.text(st.characters(exclude_categories=())))
def test_halves_of_characters_arrive(words: str) -> None:
    """As they are in the name of a file that is no UTF-8."""
    for one in (event.Warned(message=words), event.Result(name="x", data={"path": words})):
        assert event.parse_event(one.to_line().encode()) == one
        assert event.recorded_event(one.to_line().encode()) == one


def test_a_sentence_with_half_a_character_arrives() -> None:
    said = tr("There is no model in {model}.", model="/caf\udce9")
    failed = event.Failed(message=said)
    heard = event.parse_event(failed.to_line().encode())
    assert isinstance(heard, event.Failed)
    assert heard.message == "There is no model in /caf\udce9."
    assert heard.told == failed.told != {}
