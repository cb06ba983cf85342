"""Beside a run that trains, also a hidden one, nothing computes without a question, asked once for each run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication, QMessageBox
from pytestqt.qtbot import QtBot

from app.core.protocol.job import GenerateJob, InspectJob
from app.core.run.folder import RunDir
from app.ui.compare.answerer import Answerer
from app.ui.worker import beside
from app.ui.worker.beside import NOT_BEGUN, may_compute
from app.ui.worker.job import JobRunner
from tests.ui.fake_worker import FakeWorker


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[RunDir]:
    found = [RunDir(tmp_path / "hidden")]
    monkeypatch.setattr(beside, "training_runs", lambda: found)
    monkeypatch.setattr(beside, "_agreed", set())
    return found


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every question that came; it is answered by the button `ANSWER`."""
    found: list[str] = []

    def execute(box: QMessageBox) -> int:
        found.append(box.informativeText())
        assert box.defaultButton().text() == "Cancel"
        next(one for one in box.buttons() if one.text() == ANSWER[0]).click()
        return 0

    monkeypatch.setattr(QMessageBox, "exec", execute)
    return found


ANSWER = ["Cancel"]


@pytest.fixture
def runner(qapp: QApplication) -> Iterator[JobRunner]:
    found = JobRunner(qapp)
    yield found
    found.shutdown()
    found.deleteLater()


def test_one_that_is_not_to_be_ends_in_words(
    qtbot: QtBot, runner: JobRunner, training: list[RunDir], asked: list[str], workers: list[FakeWorker]
) -> None:
    ANSWER[0] = "Cancel"
    with qtbot.waitSignal(runner.ended) as ended:
        runner.start(GenerateJob(model="/m"))
    assert ended.args is not None
    assert (ended.args[0].sentence(), workers, runner.is_running) == (NOT_BEGUN, [], False)
    assert f"{training[0].name} is training already" in asked[0]


def test_agreed_once_it_is_not_asked_again_until_another_run_trains(
    runner: JobRunner, training: list[RunDir], asked: list[str], workers: list[FakeWorker], tmp_path: Path
) -> None:
    ANSWER[0] = "Do it beside the run"
    runner.start(GenerateJob(model="/m"))
    assert len(workers) == 1
    assert may_compute("export")
    assert len(asked) == 1
    training.append(RunDir(tmp_path / "another"))
    ANSWER[0] = "Cancel"
    assert not may_compute("probe")
    assert len(asked) == 2


def test_what_only_reads_is_not_asked_about(training: list[RunDir], asked: list[str]) -> None:
    assert all(may_compute(task) for task in (InspectJob(model="").task, "check", "hub_search", "bundle"))
    training.clear()
    assert may_compute("generate")
    assert asked == []


def test_a_question_that_was_not_asked_has_no_answer(
    qtbot: QtBot, training: list[RunDir], asked: list[str], workers: list[FakeWorker], qapp: QApplication
) -> None:
    ANSWER[0] = "Cancel"
    answerer = Answerer(qapp)
    from app.core.protocol.question import Question

    with qtbot.waitSignal(answerer.failed) as failed:
        answerer.ask("/m", [None], [Question(prompt="Hello")])
    assert failed.args == [NOT_BEGUN]
    assert (answerer.is_busy, workers, len(asked), len(training)) == (False, [], 1, 1)
    answerer.deleteLater()
