"""The inspector asks a real worker; the newest request wins, and what is known is not asked again."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytestqt.qtbot import QtBot

from app.core.problem import Problem
from app.ui.worker.inspector import Inspector
from tests.ui.tiny_form_model import write_model

ANSWER_MS = 60_000


@pytest.fixture
def inspector(qtbot: QtBot) -> Iterator[Inspector]:  # noqa: ARG001  # a QApplication must be there
    found = Inspector()
    yield found
    found.stop()


def test_a_model_is_inspected_once_and_then_known(qtbot: QtBot, tmp_path: Path, inspector: Inspector) -> None:
    folder = write_model(tmp_path / "four-layers")
    with qtbot.waitSignals([inspector.started, inspector.inspected], timeout=ANSWER_MS):
        inspector.inspect(str(folder))
    first = inspector.last
    assert first is not None
    assert (first.model_type, first.num_layers, first.hidden_size) == ("qwen2", 4, 64)
    assert inspector.memory_bytes > 0
    inspector.inspect("")
    assert inspector.last is None
    with qtbot.waitSignal(inspector.inspected, timeout=0, raising=True):
        inspector.inspect(str(folder))
    assert inspector.last is first
    assert not inspector.is_busy


def test_the_newest_request_wins(qtbot: QtBot, tmp_path: Path, inspector: Inspector) -> None:
    old = write_model(tmp_path / "old")
    new = write_model(tmp_path / "new", num_hidden_layers=6)
    answers: list[int] = []
    inspector.inspected.connect(lambda inspection: answers.append(inspection.num_layers))
    inspector.inspect(str(old))
    qtbot.waitUntil(lambda: inspector._worker._runner.is_running, timeout=ANSWER_MS)  # its process has started
    with qtbot.waitSignal(inspector.inspected, timeout=ANSWER_MS):
        inspector.inspect(str(new))
    qtbot.waitUntil(lambda: not inspector.is_busy, timeout=ANSWER_MS)
    assert answers == [6]


def test_what_cannot_be_inspected_says_why(qtbot: QtBot, tmp_path: Path, inspector: Inspector) -> None:
    said: list[Problem] = []
    inspector.failed.connect(said.append)
    inspector.inspect(str(tmp_path / "nowhere"))
    assert inspector.problem is not None
    assert said[0].path == "model"
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "config.json").write_text("{", encoding="utf-8")
    with qtbot.waitSignal(inspector.failed, timeout=ANSWER_MS):
        inspector.inspect(str(broken))
    assert "config.json" in said[1].message
    assert inspector.last is None


def test_stop_ends_the_worker(qtbot: QtBot, tmp_path: Path, inspector: Inspector) -> None:
    inspector.inspect(str(write_model(tmp_path / "model")))
    qtbot.waitUntil(lambda: inspector._worker._runner.is_running, timeout=ANSWER_MS)
    worker = inspector._worker._runner._worker
    assert worker is not None
    inspector.stop()
    assert not worker.is_running
    assert not inspector.is_busy
