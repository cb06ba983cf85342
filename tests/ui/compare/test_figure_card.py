"""The figures card with the real measuring worker on the tiny model, and what it says before and after."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from app.core.compare.candidate import BASE, Candidate
from app.core.config.train_config import TrainConfig
from app.core.setup.config_file import save_config
from app.ui.compare.figure_card import FigureCard
from app.ui.compare.figure_table import FigureTable
from app.ui.compare.moved_view import MovedView
from tests.ui.child import child
from tests.ui.dragging import drop
from tests.worker.answering_model import make_adapter, make_model
from tests.worker.tiny_model import write_data

MEASURE_MS = 60_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("figures")
    make_model(root / "base")
    make_adapter(root / "base", root / "run" / "adapters")
    write_data(root / "data", train=4, valid=16)
    config = TrainConfig(model=str(root / "base"), data=str(root / "data"), mask_prompt=True)
    save_config(config, root / "run" / "config.yaml")
    return root


@pytest.fixture
def tuned(place: Path) -> Candidate:
    return Candidate("friendly", place / "run" / "adapters", place / "run")


@pytest.fixture
def card(qtbot: QtBot) -> Iterator[FigureCard]:
    found = FigureCard()
    qtbot.addWidget(found)
    found.resize(640, 500)
    found.show()
    yield found
    found.shutdown()


def text(card: FigureCard, name: str) -> str:
    return child(card, QLabel, f"figures.{name}").text()


def button(card: FigureCard, name: str) -> QPushButton:
    return child(card, QPushButton, f"figures.{name}")


def cells(card: FigureCard) -> dict[str, list[str]]:
    table = child(card, FigureTable)
    return {row.label: list(row.cells) for row in table.rows}


def measure(qtbot: QtBot, card: FigureCard) -> None:
    with qtbot.waitSignal(card.measured, timeout=MEASURE_MS):
        QTest.mouseClick(button(card, "measure"), Qt.MouseButton.LeftButton)


def test_it_says_what_is_missing(card: FigureCard, place: Path) -> None:
    assert text(card, "note") == "Choose what is compared, above."
    card.set_candidates(str(place / "base"), (BASE,))
    assert "Choose a file" in text(card, "note")
    card.choose_data(place / "gone.jsonl")
    assert "does not exist" in text(card, "note")
    card.choose_data(place / "data" / "valid.jsonl")
    assert button(card, "measure").isEnabled()


def test_a_run_brings_its_held_out_data_and_how_they_are_read(
    qtbot: QtBot, card: FigureCard, place: Path, tuned: Candidate
) -> None:
    card.set_candidates(str(place / "base"), (BASE, tuned))
    assert card.data == place / "data" / "valid.jsonl"
    assert "picked by them" in text(card, "source")
    with qtbot.waitSignal(card.busy_changed) as busy:
        QTest.mouseClick(button(card, "measure"), Qt.MouseButton.LeftButton)
    assert busy.args == [True]
    assert (card.is_busy, button(card, "stop").isVisible()) == (True, True)
    with qtbot.waitSignal(card.measured, timeout=MEASURE_MS) as told:
        pass
    found = told.args[0]
    rows = [json.loads(line)["messages"] for line in (place / "data" / "valid.jsonl").read_text().splitlines()]
    answers = [len(turns[1]["content"].encode()) + 1 for turns in rows]
    assert found["tokens"] == answers, "the run trained on answers only, and so it is measured"
    shown = cells(card)
    assert shown["Held-out loss"] == [f"{column['loss']:.4f}" for column in found["columns"]]
    assert shown["Difference"][0] == "–"
    assert "Peak memory" not in shown, "the run never trained"
    own = found["columns"][1]
    traded = f"Learned {own['learned']:.2f}, forgot {own['forgot']:.2f}."
    assert text(card, "verdict") == f"friendly: {own['difference']['verdict']} {traded}"
    assert not card.is_busy


def test_scores_examples_and_the_warning_of_training_data(
    qtbot: QtBot, card: FigureCard, place: Path, tuned: Candidate
) -> None:
    file = tuned.adapter / "adapter_config.json" if tuned.adapter else place
    kept = file.read_text()
    file.write_text(json.dumps(json.loads(kept) | {"data": str(place / "data")}))
    card.set_candidates(str(place / "base"), (BASE, tuned))
    drop(card, place / "data" / "train.jsonl")
    card.scores.choose("short", "exact_match")
    card.scores.set_number("figures.limit", 2)
    card.scores.set_number("figures.max_tokens", 3)
    measure(qtbot, card)
    file.write_text(kept)
    cut = "2 of 2 answers are cut at 3 tokens, and scored as they are. Allow longer answers."
    assert text(card, "warning").splitlines() == [
        f"the base model: {cut}",
        "“friendly” was trained on these very examples: its loss flatters it.",
        f"“friendly”: {cut}",
    ]
    assert cells(card)["short"] == ["1", "1"]
    assert "2 of 4 prompts, answered greedily, up to 3 tokens" in text(card, "count")
    button(card, "examples.open").click()
    said = [label.text() for label in child(card, MovedView).findChildren(QLabel)]
    row = json.loads((place / "data" / "train.jsonl").read_text().splitlines()[0])
    assert any(row["messages"][0]["content"] in line for line in said)
    assert "too few" in text(card, "verdict")


def test_an_adapter_that_does_not_fit_is_told_and_other_candidates_take_the_figures_away(
    qtbot: QtBot, card: FigureCard, place: Path, tuned: Candidate, tmp_path: Path
) -> None:
    make_model(tmp_path / "wide", hidden_size=128)
    card.set_candidates(str(tmp_path / "wide"), (BASE, tuned))
    with qtbot.waitSignal(card.busy_changed, timeout=MEASURE_MS, check_params_cb=lambda busy: not busy):
        card.measure()
    assert "128 × 4" in text(card, "note")
    assert card.result is None
    card.set_candidates(str(place / "base"), (tuned,))
    assert text(card, "note") == ""
    measure(qtbot, card)
    assert len(cells(card)["Held-out loss"]) == 1
    assert not child(card, QLabel, "figures.verdict").isVisible()
    card.set_candidates(str(place / "base"), (BASE, tuned))
    assert card.result is None
    assert not child(card, QLabel, "figures.count").isVisible()


def test_stop_ends_it_at_once_and_training_does_too(
    qtbot: QtBot, card: FigureCard, place: Path, tuned: Candidate
) -> None:
    ends: tuple[Callable[[], None], ...] = (
        lambda: QTest.mouseClick(button(card, "stop"), Qt.MouseButton.LeftButton),
        lambda: card.set_training(True),
    )
    for end in ends:
        card.set_candidates(str(place / "base"), (BASE, tuned))
        card.measure()
        assert card.is_busy
        with qtbot.waitSignal(card.busy_changed):
            end()
        assert (card.is_busy, card.result) == (False, None)
