"""The benchmark card: every choice reaches the worker, and what lm-eval measured stands there with its error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QLabel, QProgressBar
from pytestqt.qtbot import QtBot

from app.core.compare.candidate import BASE, Candidate
from app.core.protocol import event
from app.core.protocol.job import BenchmarkJob, read_job
from app.ui.benchmark.card import BenchmarkCard
from app.ui.widget.card import Disclosure
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.benchmark.own_task import write_tasks

MEASURE_MS = 120_000
TUNED = Candidate("friendly", Path("/a/tuned"), strength=0.5)


@pytest.fixture
def card(qtbot: QtBot) -> Iterator[BenchmarkCard]:
    found = BenchmarkCard()
    qtbot.addWidget(found)
    found.resize(640, 400)
    found.show()
    child(found, Disclosure).open()
    yield found
    found.shutdown()


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.ui.benchmark.card.harness_problem", lambda: None)


def note(card: BenchmarkCard) -> str:
    return child(card, QLabel, "benchmark.note").text()


@pytest.mark.usefixtures("installed")
def test_every_choice_reaches_the_job(qtbot: QtBot, card: BenchmarkCard) -> None:
    card.set_candidates("/base", (BASE, TUNED))
    assert not card.measuring.button.isEnabled()
    assert "Name tasks" in note(card)
    qtbot.keyClicks(card.tasks, "arc_easy, own_choices")
    assert card.measuring.button.isEnabled()
    assert (card.job.limit, card.job.shots, card.job.chat, card.job.download) == (None, None, False, False)
    for box, text in ((card.limit, "5"), (card.shots, "2")):
        qtbot.keyClicks(box, text)
    card.own_tasks.set_value("/own/tasks")
    for check in (card.chat, card.download):
        qtbot.mouseClick(check, Qt.MouseButton.LeftButton, pos=QPoint(8, check.height() // 2))
    found = card.job
    assert (found.model, found.adapters, found.strengths) == ("/base", (None, "/a/tuned"), (1.0, 0.5))
    assert (found.tasks, found.include_path) == (("arc_easy", "own_choices"), Path("/own/tasks"))
    assert (found.limit, found.shots, found.chat, found.download) == (5, 2, True, True)


@pytest.mark.usefixtures("installed")
def test_a_number_that_cannot_be_asked_for_is_told_and_nothing_is_measured(
    qtbot: QtBot, card: BenchmarkCard, made: list[FakeWorker]
) -> None:
    card.set_candidates("/base", (BASE, TUNED))
    qtbot.keyClicks(card.tasks, "arc_easy")
    for box, wrong, said in (
        (card.limit, "0", "Questions of each task takes 1 or more."),
        (card.limit, "abc", "Questions of each task takes 1 or more."),
        (card.shots, "65", "Examples before takes 0 to 64."),
    ):
        box.lineEdit().selectAll()
        qtbot.keyClicks(box.lineEdit(), wrong)
        assert (note(card), card.measuring.button.isEnabled()) == (said, False)
        box.lineEdit().selectAll()
        qtbot.keyClick(box.lineEdit(), Qt.Key.Key_Delete)
        assert card.measuring.button.isEnabled()
    qtbot.keyClicks(card.limit.lineEdit(), "1e")
    card.measure()
    assert (made, note(card)) == ([], "Questions of each task takes 1 or more."), "it is still being typed"


def test_without_lm_eval_it_says_what_to_install(card: BenchmarkCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    card.set_candidates("/base", (BASE, TUNED))
    assert "pip install 'lm_eval" in note(card)
    assert not card.measuring.button.isEnabled()


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeWorker]:
    """The card's workers, which answer by hand."""
    FakeWorker.made = []
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    return FakeWorker.made


def cells(card: BenchmarkCard) -> dict[tuple[int, int], str]:
    """What stands in the table, by row and column."""
    grid, found = card._figures, {}
    for row in range(grid.rowCount()):
        for column in range(grid.columnCount()):
            item = grid.itemAtPosition(row, column)
            if item is not None:
                label = item.widget()
                assert isinstance(label, QLabel)
                is_right = bool(label.alignment() & Qt.AlignmentFlag.AlignRight)
                assert is_right is (column > 1), "figures stand under each other"
                found[row, column] = label.text()
    return found


@pytest.mark.usefixtures("installed")
def test_what_the_worker_says_is_shown_and_figures_go_when_it_is_asked_anew(
    qtbot: QtBot, card: BenchmarkCard, made: list[FakeWorker]
) -> None:
    card.measure()
    assert not card.is_busy, "nothing is chosen yet"
    card.set_candidates("/base", (BASE, TUNED))
    qtbot.keyClicks(card.tasks, "arc_easy, own")
    with qtbot.waitSignal(card.busy_changed) as busy:
        qtbot.mouseClick(card.measuring.button, Qt.MouseButton.LeftButton)
    assert busy.args == [True]
    qtbot.waitUntil(lambda: len(made) == 1)
    assert not card.tasks.isEnabled()
    card.measure()
    job = read_job(made[0].job_dir)
    assert isinstance(job, BenchmarkJob)
    assert (job.tasks, job.adapters) == (("arc_easy", "own"), (None, "/a/tuned"))
    made[0].say(event.Progressed(phase="Asking own", done=3, total=8))
    assert note(card) == "Asking own…"
    bar = child(card, QProgressBar)
    assert (bar.value(), bar.maximum()) == (3, 8)
    before = {"arc_easy": {"acc": {"value": 0.25, "stderr": 0.125}}, "own": {"f1": {"value": 12.5, "stderr": None}}}
    after = {"arc_easy": {"acc": {"value": 0.5, "stderr": 0.0625}}}
    columns = [
        {"adapter": None, "strength": 1.0, "results": before},
        {"adapter": "/a/tuned", "strength": 0.5, "results": after},
    ]
    made[0].say(event.Result(name="benchmark", data={"columns": columns}))
    made[0].end(event.Finished(reason="completed"))
    assert cells(card) == {
        (0, 0): "Task", (0, 1): "Metric", (0, 2): "Base model", (0, 3): "friendly × 0.5",
        (1, 0): "arc_easy", (1, 1): "acc", (1, 2): "0.2500 ± 0.1250", (1, 3): "0.5000 ± 0.0625",
        (2, 0): "own", (2, 1): "f1", (2, 2): "12.50", (2, 3): "–",
    }  # fmt: skip
    assert (note(card), card.tasks.isEnabled(), card.is_busy) == ("", True, False)
    card.measuring.button.click()
    assert cells(card) == {}
    qtbot.waitUntil(lambda: len(made) == 2)
    made[1].end(event.Failed(message="There is no task own."), 2)
    assert note(card) == "There is no task own."
    assert card.measuring.note.property("role") == "error"
    assert cells(card) == {}


@pytest.mark.torch
def test_figures_stand_there_with_their_errors(qtbot: QtBot, card: BenchmarkCard, tmp_path: Path) -> None:
    make_model(tmp_path / "base")
    adapter = make_adapter(tmp_path / "base", tmp_path / "tuned")
    card.set_candidates(str(tmp_path / "base"), (BASE, Candidate("friendly", adapter)))
    card.own_tasks.set_value(str(write_tasks(tmp_path / "tasks")))
    qtbot.keyClicks(card.tasks, "own_choices")
    card.measuring.button.click()
    assert card.is_busy
    qtbot.waitUntil(lambda: card.result is not None and not card.is_busy, timeout=MEASURE_MS)

    def shown() -> list[str]:
        return [label.text() for label in card.findChildren(QLabel) if label.isVisibleTo(card)]

    qtbot.waitUntil(lambda: {"own_choices", "acc", "Base model", "friendly"} <= set(shown()))
    texts = shown()
    assert sum("±" in text for text in texts) == 3  # two figures, and what the card is about


@pytest.mark.usefixtures("installed")
def test_figures_stay_with_those_whom_they_are_of(
    qtbot: QtBot, card: BenchmarkCard, made: list[FakeWorker]
) -> None:
    assert (note(card), card.measuring.button.toolTip()) == ("Choose what is compared, above.",) * 2
    card.set_candidates("/base", (BASE, TUNED))
    card.measure()
    assert (note(card), card.is_busy) == ("Name tasks, such as arc_easy.", False)
    qtbot.keyClicks(card.tasks, " , own,")
    assert (note(card), card.measuring.button.toolTip()) == ("", "Ask every column these tasks")
    assert card.job.tasks == ("own",)
    options = child(card, Disclosure)
    card.measure()
    assert [card.tasks.isEnabled(), options.isEnabled(), card._more.isEnabled()] == [False, True, False]
    qtbot.waitUntil(lambda: len(made) == 1)
    found = {"own": {"acc": {"value": 0.25, "stderr": 0.125}}}
    columns = [{"adapter": one, "strength": 1.0, "results": found} for one in (None, "/a/tuned")]
    made[0].say(event.Result(name="benchmark", data={"columns": columns}))
    made[0].end(event.Finished(reason="completed"))
    assert [card.tasks.isEnabled(), card._more.isEnabled()] == [True, True]
    card.set_candidates("/base", (BASE, Candidate("polite", TUNED.adapter, strength=0.5)))
    assert (cells(card)[0, 3], cells(card)[1, 3]) == ("polite × 0.5", "0.2500 ± 0.1250"), "it is called otherwise"
    card.set_training(True)
    card.measure()
    card.set_training(True)
    assert (card.is_busy, cells(card)) == (True, {}), "what is asked beside the run goes on"
    card.set_training(False)
    card.set_training(True)
    assert (card.is_busy, note(card)) == (False, "Stopped.")
    card.measure()
    assert card.is_busy
    card.set_candidates("/other", (BASE, TUNED))
    assert (card.is_busy, card.result, card.job.model) == (False, None, "/other")
    card.measure()
    qtbot.waitUntil(lambda: made[-1].is_running)
    card.shutdown()
    assert not made[-1].is_running
