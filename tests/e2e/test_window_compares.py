"""Full-layer against attention-only on the starter model, through the window: blind vote, figures, export."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QComboBox, QFileDialog, QLabel, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.core.compare.candidate import Candidate, run_candidates
from app.core.compare.judgement import VoteBook
from app.core.config.train_config import TrainConfig
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config
from app.core.system.starter import demo_config, examples_dir, model_dir
from app.ui.compare.figure_card import FigureCard
from app.ui.compare.figure_table import FigureTable
from app.ui.compare.tab import CompareTab
from app.ui.judging.judging_card import JudgingCard
from app.ui.run.session import RunState
from app.ui.widget.icon_button import IconButton
from app.ui.window.main_window import MainWindow
from tests.ui.child import child

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

WAIT_MS = 200_000
FEW = {
    "iters": 24,
    "steps_per_report": 4,
    "steps_per_eval": 24,
    "val_batches": 1,
    "save_every": 24,
    "learning_rate": 3e-4,
    "model": str(model_dir()),
    "data": str(examples_dir()),
}


@pytest.fixture
def window(window: MainWindow) -> MainWindow:
    window.resize(1440, 900)
    return window


def train(qtbot: QtBot, window: MainWindow, config: TrainConfig) -> RunDir:
    with qtbot.waitSignal(window.session.ended, timeout=WAIT_MS):
        window.session.start(config)
    assert window.session.state is RunState.COMPLETED
    assert window.session.run is not None
    return window.session.run


def choose(tab: CompareTab, column: int, candidate: Candidate) -> None:
    """As a person does: in the list of the column."""
    box = child(tab, QComboBox, f"answer.{column}.candidate")
    row = next(row for row in range(box.count()) if box.itemData(row) == candidate)
    box.setCurrentIndex(row)
    box.activated.emit(row)


def press(parent: QWidget, name: str) -> None:
    QTest.mouseClick(child(parent, QPushButton, name), Qt.MouseButton.LeftButton)


def test_full_layer_and_attention_only_are_compared_with_evidence(
    qtbot: QtBot, window: MainWindow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = load_config(demo_config()).config.with_values(FEW)
    full = train(qtbot, window, config.with_value("adapter_name", "full"))
    attention = train(
        qtbot,
        window,
        config.with_values({"adapter_name": "attention", "targets": "attention", "lora_parameters.keys": None}),
    )

    # Three columns: the base, and both runs.
    window.user_actions.compare_run()
    tab = window.compare_tab
    qtbot.waitUntil(tab.isVisible)
    tab.choose_run(full)
    tab.add_column()
    tab.refresh_runs()
    other = run_candidates(attention.path)[0]
    qtbot.waitUntil(lambda: any(found == other for found in tab._list.runs()))
    choose(tab, 2, other)
    assert [found.run for found in tab.candidates] == [None, full.path, attention.path]

    # A blind vote on what they say to a question that none was trained on.
    judging = child(tab, JudgingCard)
    judging.blind.click()
    assert tab.question.prompt.toPlainText(), "a held-out question is there"
    press(tab, "compare.ask")
    qtbot.waitUntil(lambda: judging.is_open, timeout=WAIT_MS)
    labels = [found.label for found in tab.candidates]
    shown = [tab.columns[index].title for index in tab._grid.order]
    assert shown == ["Answer A", "Answer B", "Answer C"]
    winner = tab._grid.order[1]
    press(judging, "judging.1")
    assert [column.title for column in tab.columns] == labels
    (vote,) = VoteBook().read().votes
    assert tab.conversation is not None
    assert (vote.winner, vote.blind, vote.answers) == (winner, True, tuple(tab.conversation.answers))
    assert f"{labels[winner]} won 1 of 1 vote" in child(judging, QLabel, "judging.verdict").text()

    # Figures on the test data of the runs.
    card = child(tab, FigureCard)
    assert card.data == examples_dir() / "test.jsonl"
    with qtbot.waitSignal(card.measured, timeout=WAIT_MS) as told:
        card.measure()
    base, of_full, of_attention = told.args[0]["columns"]
    assert of_full["loss"] < base["loss"]
    assert of_full["run"]["trainable_parameters"] > of_attention["run"]["trainable_parameters"] > 0
    rows = {row.label: row.cells for row in child(card, FigureTable).rows}
    assert {"Held-out loss", "Trained parameters", "Peak memory", "Training time"} <= set(rows)
    assert rows["Trained parameters"][1] != rows["Trained parameters"][2]
    verdicts = child(card, QLabel, "figures.verdict").text().splitlines()
    assert verdicts[0].startswith(f"{labels[1]}: Better on ")
    assert "the difference is beyond chance. Learned " in verdicts[0]
    assert float(rows["Forgot"][1]) > 0
    assert verdicts[1].startswith(f"{labels[2]}: ")

    # The vote leaves as a table.
    target = tmp_path / "votes.csv"
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(target), "CSV (*.csv)"))
    child(judging, IconButton, "judging.export").click()
    exported = list(csv.DictReader(target.read_text(encoding="utf-8").splitlines()))
    assert [row["candidate"] for row in exported if row["result"] == "won"] == [labels[winner]]
    assert len(exported) == 3
