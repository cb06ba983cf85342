"""The benchmark card: every choice reaches the worker, and what lm-eval measured stands there with its error."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.core.compare.candidate import BASE, Candidate
from app.ui.benchmark.card import BenchmarkCard
from app.ui.widget.card import Disclosure
from tests.ui.child import child
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


def test_without_lm_eval_it_says_what_to_install(card: BenchmarkCard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    card.set_candidates("/base", (BASE, TUNED))
    assert "pip install 'lm_eval" in note(card)
    assert not card.measuring.button.isEnabled()


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
