"""The rows of a file by way of a worker that answers by hand: asked for, saved, looked through, and asked anew."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.data.edit import Edits, Survey
from app.core.protocol import event
from app.core.protocol.command import ReadRows, SaveRows, SurveyRows
from app.ui.edit.row_source import RowSource, SourceRow
from tests.ui.fake_worker import FakeWorker

CONFIG = TrainConfig()


@pytest.fixture
def source(by_hand: list[FakeWorker]) -> Iterator[RowSource]:  # noqa: ARG001
    found = RowSource()
    yield found
    found.stop()


def result(name: str, **data: Any) -> event.Result:
    return event.Result(name=name, data=data)


def heard(source: RowSource) -> list[tuple[Any, ...]]:
    found: list[tuple[Any, ...]] = []
    for name in ("arrived", "saved", "surveyed", "failed"):
        getattr(source, name).connect(lambda *told, name=name: found.append((name, *told)))
    return found


def started(qtbot: QtBot, workers: list[FakeWorker]) -> FakeWorker:
    qtbot.waitUntil(lambda: bool(workers) and workers[-1].is_running)
    return workers[-1]


def test_rows_come_once_the_worker_is_ready(qtbot: QtBot, source: RowSource, by_hand: list[FakeWorker]) -> None:
    told = heard(source)
    assert not source.reads("/d/a.jsonl", CONFIG)
    source.ask("/d/a.jsonl", 1, 50, CONFIG)
    source.ask("/d/a.jsonl", 7, 20, CONFIG)
    worker = started(qtbot, by_hand)
    assert (len(by_hand), worker.task, worker.commands) == (1, "rows", [])
    source.ask("/d/a.jsonl", 9, 20, CONFIG)
    worker.say(event.Ready())
    assert worker.commands == [ReadRows(line=9, count=20)], "the last that was asked for"
    source.ask("/d/a.jsonl", 30, 20, CONFIG)
    assert worker.commands[1:] == [ReadRows(line=30, count=20)]
    worker.say(result("rows", rows=[{"line": 30, "text": "{}", "fault": ""}], more=True))
    assert told == [("arrived", [SourceRow(30, "{}")], True)]
    assert source.reads("/d/a.jsonl", CONFIG.with_value("seed", 7))
    others = {"sheet": "B", "answers_by": "Ada", "encoding": "cp1252", "max_seq_length": 64, "data_format": "text",
              "text_feature": "body", "system_feature": "s"}  # fmt: skip
    assert not any(source.reads("/d/a.jsonl", CONFIG.with_value(*one)) for one in others.items())
    assert not source.reads("/d/b.jsonl", CONFIG)
    source.is_saving = True
    source.ask("/d/b.jsonl", 1, 5, CONFIG)
    assert (source.file, source.is_saving, worker.killed) == ("/d/b.jsonl", False, True)
    other = started(qtbot, by_hand)
    other.say(event.Ready())
    assert other.commands == [ReadRows(line=1, count=5)]
    other.end(None, 1)
    assert told[1:] == [("failed", "The worker ended without a word (exit code 1). Its last words: its last line")]
    source.ask("/d/b.jsonl", 1, 5, CONFIG)
    qtbot.waitUntil(lambda: len(by_hand) == 3)
    assert by_hand[2].commands == [], "it is not ready yet"


def test_edits_are_saved_or_told_why_not(qtbot: QtBot, source: RowSource, by_hand: list[FakeWorker]) -> None:
    told = heard(source)
    source.ask("/d/a.jsonl", 1, 50, CONFIG)
    worker = started(qtbot, by_hand)
    worker.say(event.Ready())
    edits = Edits({3: {"a": 1}}, {9, 4}, [{"b": 2}], {"human": "user"}, [Path("/d/more.jsonl")])
    for drop in (True, False):
        source.save(Path("/d/new.jsonl"), edits, drop_bad_rows=drop)
        assert worker.commands[-1] == SaveRows(
            target=Path("/d/new.jsonl"), changed={3: {"a": 1}}, dropped=(4, 9), added=({"b": 2},),
            roles={"human": "user"}, appended=(Path("/d/more.jsonl"),), drop_bad_rows=drop,
        )  # fmt: skip
        assert source.is_saving
        worker.say(result("rows", rows=[], more=False))
        assert source.is_saving, "rows that were asked for come in between"
        worker.say(result("saved", target="/d/new.jsonl", rows=12))
        assert not source.is_saving
    source.save(Path("/d/new.jsonl"), edits, drop_bad_rows=False)
    worker.say(result("refused", problems=[f"line {n}" for n in range(9)]))
    assert not source.is_saving
    rows: tuple[Any, ...] = ("arrived", [], False)
    saved = ("saved", "/d/new.jsonl", 12)
    assert told == [rows, saved, rows, saved, ("failed", "line 0\nline 1\nline 2\nline 3\nline 4")]
    source.save(Path("/d/new.jsonl"), edits, drop_bad_rows=False)
    worker.end(event.Finished())
    assert (source.is_saving, len(told)) == (False, 5)


def test_a_file_is_looked_through_when_the_worker_is_ready(
    qtbot: QtBot, source: RowSource, by_hand: list[FakeWorker]
) -> None:
    told = heard(source)
    source.ask("/d/a.jsonl", 1, 50, CONFIG)
    worker = started(qtbot, by_hand)
    source.survey("/d/a.jsonl", {"human": "user"})
    assert worker.commands == []
    worker.say(event.Ready())
    asked = SurveyRows(file=Path("/d/a.jsonl"), roles={"human": "user"})
    assert worker.commands == [ReadRows(line=1, count=50), asked]
    worker.say(event.Ready())
    assert worker.commands[2:] == [ReadRows(line=1, count=50)], "it was asked already"
    source.survey("/d/b.jsonl", {})
    assert worker.commands[3:] == [SurveyRows(file=Path("/d/b.jsonl"), roles={})]
    worker.say(result("survey", file="/d/b.jsonl", rows=3, roles={"bot": 2}, repeats=[3], format="chat"))
    assert told == [("surveyed", "/d/b.jsonl", Survey(3, {"bot": 2}, (3,), "chat"))]
