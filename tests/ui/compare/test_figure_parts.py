"""What the figures card is made of, and what it says of a worker that answers by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel, QMenu, QProgressBar, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.core.compare.candidate import BASE, Candidate
from app.core.compare.figure_row import FigureRow
from app.core.config.train_config import TrainConfig
from app.core.method.reward import BUILT_IN, explanation
from app.core.protocol import event
from app.core.protocol.job import AskedScores, EvaluateJob, read_job
from app.core.setup.config_file import save_config
from app.ui.compare.figure_card import FigureCard
from app.ui.compare.figure_table import FigureTable, FigureView
from app.ui.compare.moved_view import MovedView
from app.ui.compare.score_choice import ScoreChoice
from app.ui.form.number_box import NumberBox
from app.ui.widget import theme
from tests.ui.child import child
from tests.ui.dragging import drop
from tests.ui.fake_worker import FakeWorker

ROLE = Qt.ItemDataRole
TUNED = Candidate("friendly", Path("/a/tuned"), strength=0.5)
DIFFERENCE = {
    "difference": -0.5, "low": -0.6, "high": -0.4, "better": 30, "worse": 10, "same": 0, "lower_is_better": True,
}  # fmt: skip
PEARS = {"prompt": "What is\na pear?", "answer": "A  fruit.", "reference": 2.5, "loss": 0.25, "line": 1200,
         "file": "/data/valid.jsonl"}  # fmt: skip
LONG = {"prompt": "", "answer": "x" * 1300, "reference": 0.5, "loss": 3.0, "line": 2, "file": "/data/valid.jsonl"}


def column(loss: float, **others: Any) -> dict[str, Any]:
    moved: dict[str, list[dict[str, Any]]] = {"better": [], "worse": []}
    known = {"adapter": None, "loss": loss, "perplexity": 2.0, "difference": None, "moved": moved}
    return known | others


def result(**others: Any) -> dict[str, Any]:
    """What the worker comes to for the base and one adapter."""
    tuned = column(0.75, adapter="/a/tuned", strength=0.5, difference=DIFFERENCE)
    found = {"columns": [column(1.25), tuned], "examples": 40, "tokens": [600, 634], "scored": None}
    return found | others


def test_figures_stand_at_the_right_and_are_explained_under_the_pointer(qtbot: QtBot) -> None:
    table = FigureTable()
    view = FigureView(table)
    qtbot.addWidget(view)
    view.resize(500, 400)
    view.show()
    rows = [FigureRow("Loss", ("1.2", "0.7"), "Lower is better"), FigureRow("Two", ("–", "2"))]
    table.show(("Base model", "a name"), rows)
    left, right = Qt.AlignmentFlag.AlignLeft, Qt.AlignmentFlag.AlignRight
    middle = Qt.AlignmentFlag.AlignVCenter
    found = {}
    for role in (ROLE.DisplayRole, ROLE.ToolTipRole, ROLE.TextAlignmentRole, ROLE.ForegroundRole, ROLE.EditRole):
        found[role] = [table.data(table.index(0, at), role) for at in range(3)]
        heads = [table.headerData(at, Qt.Orientation.Horizontal, role) for at in range(3)]
        found[role] += heads if role != ROLE.ForegroundRole else []
    aligned = [left | middle, right | middle, right | middle]
    names = ["Figure", "Base model", "a name"]
    assert found == {
        ROLE.DisplayRole: ["Loss", "1.2", "0.7", *names],
        ROLE.ToolTipRole: ["Lower is better", "1.2: Lower is better", "0.7: Lower is better", *names],
        ROLE.TextAlignmentRole: aligned * 2,
        ROLE.ForegroundRole: [QColor(theme.LIGHT.muted), None, None],
        ROLE.EditRole: [None] * 6,
    }
    assert table.headerData(0, Qt.Orientation.Vertical, ROLE.ToolTipRole) is None
    assert not view.verticalScrollBar().isVisible()
    assert view.viewport().height() == 2 * view.rowHeight(0), "the page scrolls, not the table"
    widths = [view.columnWidth(at) for at in range(3)]
    assert widths[0] == theme.text_width(theme.SPACE * 17)
    assert abs(widths[1] - widths[2]) <= 1, "columns share what is left"
    assert sum(widths) == view.viewport().width()
    with qtbot.waitSignal(table.dataChanged):
        theme.apply_theme("dark")


def test_what_moved_is_told_with_its_losses_and_its_place(qtbot: QtBot) -> None:
    view = MovedView()
    qtbot.addWidget(view)
    moved = column(1.0, moved={"better": [PEARS], "worse": [LONG]})
    view.show_result({"columns": [column(1.0), moved]}, ["Base model", "friendly"])
    assert [(one.text(), one.toolTip()) for one in view.findChildren(QLabel)] == [
        ("friendly: better than Base model", ""),
        ("2.50 → 0.25\nline 1,200", "Loss in nats a token, before and after. valid.jsonl:1200"),
        ("What is a pear?\n→ A fruit.", "What is\na pear?\n→ A  fruit."),
        ("friendly: worse than Base model", ""),
        ("0.50 → 3.00\nline 2", "Loss in nats a token, before and after. valid.jsonl:2"),
        ("x" * 239 + "…", "→ " + "x" * 1197),
    ]
    assert {one.textFormat() for one in view.findChildren(QLabel)} == {Qt.TextFormat.PlainText}
    before = view.findChildren(QLabel)
    view.show_result(None, [])
    assert not any(one.isVisibleTo(view) for one in before)
    edge = LONG | {"answer": "y" * 240}
    view.show_result({"columns": [column(1.0), column(1.0, moved={"better": [], "worse": [edge]})]}, ["a", "b"])
    shown = [one.text() for one in view.findChildren(QLabel) if one.isVisibleTo(view)]
    assert shown == ["b: worse than a", "0.50 → 3.00\nline 2", "y" * 240]


@pytest.fixture
def choice(qtbot: QtBot) -> ScoreChoice:
    found = ScoreChoice()
    qtbot.addWidget(found)
    found.show()
    return found


def named(choice: ScoreChoice) -> tuple[str, str, str]:
    """What the button of the functions says, is called, and tells under the pointer."""
    button = child(choice, QPushButton, "figures.functions")
    return button.text(), button.accessibleName(), button.toolTip()


def test_scores_are_asked_for_by_the_functions_that_are_ticked(choice: ScoreChoice) -> None:
    told: list[AskedScores] = []
    choice.changed.connect(lambda: told.append(choice.asked()))
    button, limit = child(choice, QPushButton, "figures.functions"), child(choice, NumberBox, "figures.limit")
    assert [one.isVisible() for one in (button, limit)] == [False, False]
    assert named(choice) == ("exact_match", "Scores: exact_match", "exact_match")
    assert choice.asked() == AskedScores()
    choice.switch.click()
    assert [one.isVisible() for one in (button, limit)] == [True, True]
    assert told.pop() == AskedScores(functions=("exact_match",), limit=50, max_tokens=128)
    menu = child(choice, QMenu)
    assert menu.toolTipsVisible()
    tips = {action.text(): action.toolTip() for action in menu.actions()}
    assert tips == {name: explanation(name) for name in BUILT_IN}
    exact = next(action for action in menu.actions() if action.text() == "exact_match")
    exact.trigger()
    assert named(choice) == ("Choose functions", "Scores: none", "Which reward functions score the answers")
    assert told.pop() == AskedScores()
    choice.set_functions(["mine", "short"])
    assert choice.functions == [], "who chose none is asked for none"
    tips = {action.text(): action.toolTip() for action in menu.actions()}
    assert (len(tips), tips["mine"], tips["short"]) == (len(BUILT_IN) + 1, *["From the run's reward file"] * 2)
    assert [action.text() for action in menu.actions()][:2] == ["mine", "short"]
    choice.switch.click()
    choice.choose("mine", "short")
    assert choice.switch.isChecked()
    assert named(choice) == ("mine and 1 more", "Scores: mine, short", "mine\nshort")
    choice.set_functions(["other"])
    assert choice.functions == ["short"], "what is there no more is chosen no more"


@pytest.mark.parametrize(
    "limit, tokens, said",
    [
        ("0", "", "Prompts takes 1 to 10,000."),
        ("20000", "1", "Prompts takes 1 to 10,000."),
        ("1", "100001", "Maximum tokens takes 1 to 100,000."),
        ("1", "", "Maximum tokens takes 1 to 100,000."),
        ("7", "1", ""),
    ],
)
def test_a_number_beyond_its_range_is_told_and_not_taken_for_another(
    qtbot: QtBot, choice: ScoreChoice, limit: str, tokens: str, said: str
) -> None:
    choice.switch.click()
    for name, text in (("figures.limit", limit), ("figures.max_tokens", tokens)):
        box = child(choice, NumberBox, name)
        box.selectAll()
        qtbot.keyClicks(box, text) if text else box.clear()
    assert choice.hindrance() == said
    if not said:
        found = choice.asked()
        assert (found.limit, found.max_tokens) == (7, 1)
    choice.switch.click()
    assert choice.hindrance() == "", "nothing is scored"


@pytest.fixture
def card(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> Iterator[FigureCard]:
    FakeWorker.made = []
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    found = FigureCard()
    qtbot.addWidget(found)
    found.resize(640, 500)
    found.show()
    yield found
    found.shutdown()


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"prompt": "a", "completion": "b"}))
    return path


def shown(card: FigureCard) -> dict[str, str]:
    """Each sentence that stands there, by its name."""
    names = ("source", "warning", "verdict", "count", "note")
    labels = {name: child(card, QLabel, f"figures.{name}") for name in names}
    return {name: label.text() for name, label in labels.items() if label.isVisible() and label.text()}


def test_what_the_worker_says_of_figures_is_shown(qtbot: QtBot, card: FigureCard, examples: Path) -> None:
    line, button = child(card, QWidget, "figures.data"), card.measuring.button
    missing = "Choose what is compared, above."
    assert (shown(card), button.toolTip(), button.isEnabled()) == ({"note": missing}, missing, False)
    card.set_candidates("/base", (BASE, TUNED), examples)
    assert (shown(card), button.toolTip()) == ({}, "Measure every column on these examples")
    busy: list[bool] = []
    card.busy_changed.connect(busy.append)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: len(FakeWorker.made) == 1)
    assert (busy, shown(card)) == ([True], {"note": "Starting the worker…"})
    assert [one.isEnabled() for one in (line, card.scores)] == [False, False]
    card.measure()
    (worker,) = FakeWorker.made
    job = read_job(worker.job_dir)
    assert isinstance(job, EvaluateJob)
    assert (job.model, job.adapters, job.strengths) == ("/base", (None, "/a/tuned"), (1.0, 0.5))
    assert (job.data, job.scores) == (examples, AskedScores())
    worker.say(event.Progressed(phase="Measuring /a/tuned", done=3, total=8))
    assert shown(card) == {"note": "Measuring “friendly”…"}
    bar = child(card, QProgressBar)
    assert (bar.value(), bar.maximum()) == (3, 8)
    for _ in range(2):
        worker.say(event.Warned(message="/a/tuned was cut."))
    worker.say(event.Result(name="evaluate", data=result()))
    with qtbot.waitSignal(card.measured) as told:
        worker.end(event.Finished())
    assert told.args == [result()]
    assert shown(card) == {
        "warning": "“friendly” was cut.",
        "verdict": "friendly × 0.5: Better on 30 of 40, worse on 10; the difference is beyond chance.",
        "count": "40 examples, 1,234 target tokens.",
    }
    assert [one.isEnabled() for one in (line, card.scores)] == [True, True]
    assert (busy, card._disclosure.isVisible()) == ([True, False], False)
    heads = [card._table.headerData(at, Qt.Orientation.Horizontal) for at in range(3)]
    assert heads == ["Figure", "Base model", "friendly × 0.5"]
    renamed = Candidate("polite", TUNED.adapter, strength=0.5)
    card.set_candidates("/base", (BASE, renamed))
    assert shown(card)["verdict"].startswith("polite × 0.5: Better"), "it is the same, and called otherwise"
    card.measure()
    assert (card.result, shown(card)) == (None, {"note": "Starting the worker…"})
    qtbot.waitUntil(lambda: len(FakeWorker.made) == 2)
    scored = {"prompts": 2, "of": 4, "max_tokens": 1000, "functions": []}
    moved = column(1.0, moved={"better": [], "worse": [PEARS]}, difference=DIFFERENCE)
    data = result(columns=[column(1.0), moved], examples=1, tokens=[1], scored=scored)
    FakeWorker.made[1].say(event.Result(name="evaluate", data=data))
    FakeWorker.made[1].end(event.Finished())
    said = "1 example, 1 target token. Scores: 2 of 4 prompts, answered greedily, up to 1,000 tokens."
    assert (shown(card)["count"], "warning" in shown(card)) == (said, False)
    assert card._disclosure.isVisible()
    card.measure()
    qtbot.waitUntil(lambda: len(FakeWorker.made) == 3)
    FakeWorker.made[2].end(event.Failed(message="/a/tuned does not fit."), 2)
    assert (shown(card), card.measuring.note.property("role")) == ({"note": "“polite” does not fit."}, "error")


def test_what_stands_in_the_way_of_figures_is_said(card: FigureCard, examples: Path, tmp_path: Path) -> None:
    card.set_candidates("/base", (BASE,))
    assert shown(card)["note"] == "Choose a file of examples that nothing was trained on, or drop it here."
    assert not drop(card, tmp_path), "a folder is for the window"
    assert not drop(card, examples, examples), "figures are of one file"
    assert drop(card, examples)
    assert (card.data, shown(card), card.measuring.button.isEnabled()) == (examples, {}, True)
    card.choose_data(tmp_path / "gone.jsonl")
    assert shown(card)["note"] == f"{tmp_path / 'gone.jsonl'} does not exist."
    card.measure()
    assert (card.is_busy, FakeWorker.made) == (False, [])
    card.choose_data(examples)
    card.scores.choose()
    assert shown(card)["note"] == "Choose the functions that score the answers."
    card.scores.choose("short")
    assert (shown(card), card.measuring.button.isEnabled()) == ({}, True)


OWN = "@register_reward_function()\ndef kind(prompts, completions, answer, types=None):\n    return []\n"


@pytest.mark.parametrize("rewards, own", [(OWN, ["kind"]), ("def (", []), (None, [])])
def test_a_run_brings_what_it_measures_on_and_another_run_its_own(
    card: FigureCard, tmp_path: Path, examples: Path, rewards: str | None, own: list[str]
) -> None:
    runs = []
    for name in ("one", "two"):
        run, data = tmp_path / name, tmp_path / f"data {name}"
        (run / "adapters").mkdir(parents=True)
        data.mkdir()
        (data / "test.jsonl").write_text(examples.read_text())
        if rewards is not None:
            (run / "rewards.py").write_text(rewards)
        config = TrainConfig(data=str(data), train_mode="grpo", reward_functions_file=str(run / "rewards.py"))
        save_config(config, run / "config.yaml")
        runs.append(run)
        card.set_candidates("/base", (BASE, Candidate(name, run / "adapters", run)))
        assert (card.data, shown(card)) == (data / "test.jsonl", {})
        offered = [action.text() for action in child(card.scores, QMenu).actions()]
        assert offered == [*own, *BUILT_IN]
    card.choose_data(examples)
    card.set_candidates("/base", (BASE, Candidate("one", runs[0] / "adapters", runs[0])))
    assert card.data == examples, "what was chosen here stays"
    (runs[1] / "config.yaml").write_text("[")
    card.set_candidates("/base", (BASE, Candidate("two", runs[1] / "adapters", runs[1])))
    assert card.data == examples
    assert [action.text() for action in child(card.scores, QMenu).actions()] == [*BUILT_IN]
