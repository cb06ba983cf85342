"""Pairs and prompts in the card "Data" and its dialog, with real workers: counted, cut, left out, shown."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.core.method.table import METHODS
from app.core.problem import Severity
from app.core.setup.memory_term import step_of
from app.core.system import starter
from app.ui.data.inspector import SplitFigures
from app.ui.data.panel import DataPanel
from app.ui.form.store import ConfigStore
from app.ui.method.choice import baseline
from app.ui.setup.enhanced_tab import EnhancedTab
from app.ui.widget import theme
from app.ui.worker.inspector import Inspector
from tests.ui.data_files import chat, write_rows, write_tokenizer

ANSWER_MS = 60_000
PAIRS: list[Any] = [
    {"prompt": f"How do I tune string {number}?", "chosen": "Slowly. " * (1 + number % 5), "rejected": "Fast."}
    for number in range(19)
]
LONG = {"prompt": "word " * 90, "chosen": "Yes.", "rejected": "No."}
QUESTIONS: list[Any] = [{"prompt": f"Add {number} and 1.", "answer": str(number + 1)} for number in range(19)]


@pytest.fixture
def panel(qtbot: QtBot, tmp_path: Path) -> Iterator[DataPanel]:
    theme.apply_theme("light")
    store = ConfigStore()
    store.set_many({"valid_fraction": 0.0, "test_fraction": 0.0, "max_seq_length": 900})
    found = DataPanel(store)
    found.set_model(str(write_tokenizer(tmp_path / "model")))
    qtbot.addWidget(found)
    found.resize(430, 560)
    found.show()
    yield found
    found.shutdown()


def counted(qtbot: QtBot, panel: DataPanel, kind: str, **fitting: int) -> SplitFigures:
    """The figures, as soon as they are of that kind and those lengths."""
    inspector = panel.inspector

    def are_there() -> bool:
        train = inspector.figures.get("train")
        fits = train is not None and all(getattr(train, name) == value for name, value in fitting.items())
        return train is not None and fits and train.kind == kind and not inspector.phase and not inspector.is_stale

    qtbot.waitUntil(are_there, timeout=ANSWER_MS)
    return inspector.figures["train"]


def test_pairs_are_told_with_the_lengths_of_their_parts(qtbot: QtBot, panel: DataPanel, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", [*PAIRS, LONG])
    panel._store.set_many({"data": str(data), "train_mode": "dpo"})
    train = counted(qtbot, panel, "pairs")
    summary = panel.summary
    assert summary.headline.text().startswith(f"20 pairs · {train.kept_tokens:,} tokens · ")
    assert summary.headline.text().endswith("% trained")
    chosen = train.parts["chosen"]
    said = f"chosen {chosen['median']:,.0f} (≤ {chosen['longest']:,})"
    assert said in summary.parts_label.text()
    assert summary.parts_label.isVisible()

    lengths = panel.look().lengths
    assert lengths.cut_label.text().startswith(f"Nothing is cut: the longest pair has {train.longest:,} tokens")
    assert lengths.figures["parts"].text.count(" · ") == 2
    assert [name for name, figure in lengths.figures.items() if not figure.isHidden()] == [
        "examples",
        "tokens",
        "trained",
        "parts",
        "iterations",
    ]

    lengths._on_line(64)
    counted(qtbot, panel, "pairs", limit=64)
    assert panel._store.value("max_seq_length") == 64
    assert "1 pair left out: the prompt leaves no room for an answer." in lengths.cut_label.text()
    assert panel.summary.pills[Severity.WARNING].isVisible()


def test_prompts_without_room_for_an_answer_are_named(qtbot: QtBot, panel: DataPanel, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "sums.jsonl", [*QUESTIONS, {"prompt": LONG["prompt"], "answer": "none"}])
    panel._store.set_many({"data": str(data), "train_mode": "grpo", "max_completion_length": 100})
    counted(qtbot, panel, "prompts")
    assert panel.summary.headline.text().startswith("20 prompts · ")
    assert "trained" not in panel.summary.headline.text()
    lengths = panel.look().lengths
    assert lengths.cut_label.text().startswith("All fit with an answer of 100 tokens")

    panel._store.set("max_completion_length", 850)
    counted(qtbot, panel, "prompts", limit=50)
    expected = "1 prompt longer than 50 left out: an answer of 850 tokens would not fit into 900 with them."
    assert lengths.cut_label.text() == expected
    assert lengths.figures["left_out"].text == "1"
    assert lengths.chart.line.value() == 50

    lengths._on_line(70)  # the line is that of prompts: the answer's room comes on top
    assert panel._store.value("max_seq_length") == 920


def test_another_kind_of_method_counts_anew(qtbot: QtBot, panel: DataPanel, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "chats.jsonl", [chat(number) for number in range(20)])
    panel._store.set("data", str(data))
    whole = counted(qtbot, panel, "examples")
    assert panel.summary.headline.text().startswith("20 examples · chat · ")
    assert not panel.summary.parts_label.isVisible()

    panel._store.set_many({"train_mode": "grpo", "max_completion_length": 64})
    assert not panel.inspector.figures
    prompts = counted(qtbot, panel, "prompts")
    assert prompts.longest < whole.longest
    assert panel.summary.headline.text().startswith("20 prompts · chat · ")

    panel._store.set("train_mode", "sft")
    assert counted(qtbot, panel, "examples").longest == whole.longest


def test_the_examples_page_shows_both_answers(qtbot: QtBot, panel: DataPanel, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", PAIRS)
    panel._store.set_many({"data": str(data), "train_mode": "orpo"})
    counted(qtbot, panel, "pairs")
    page = panel.look().examples
    qtbot.waitUntil(lambda: bool(page.example), timeout=ANSWER_MS)
    text = "".join(token.text for token in page.view.tokens)
    assert text.index("Chosen") < text.index("Slowly.") < text.index("Rejected") < text.index("Fast.")
    assert "trained" in page.counts_label.text()
    assert page.fields["mask_prompt"].isHidden()


def test_counting_pairs_can_be_given_up(qtbot: QtBot, panel: DataPanel, tmp_path: Path) -> None:
    data = write_rows(tmp_path / "pairs.jsonl", PAIRS * 2000)
    panel._store.set_many({"data": str(data), "train_mode": "dpo"})
    qtbot.waitUntil(lambda: panel.inspector.phase == "Counting tokens", timeout=ANSWER_MS)
    panel.summary.cancel_button.click()
    assert not panel.inspector.is_busy
    assert not panel.inspector.figures
    assert panel.summary.again_button.isVisible()


def test_start_is_held_back_where_nothing_would_be_left(qtbot: QtBot) -> None:
    tab = EnhancedTab(ConfigStore(defaults=baseline()), Inspector(), ConfigStore())
    qtbot.addWidget(tab)
    tab.show()
    tab.methods.cards["grpo"].button.click()
    tab.data_panel.use_starter()
    tab.store.set_many({"model": str(starter.model_dir()), "max_completion_length": 64, "max_seq_length": 70})
    try:
        counted(qtbot, tab.data_panel, "prompts")
        tab.check()
        [told] = [problem for problem in tab.problems if problem.path == "max_seq_length"]
        assert "No prompt leaves room" in told.message
        assert told.severity is Severity.ERROR
        tab.store.set("max_seq_length", 200)
        counted(qtbot, tab.data_panel, "prompts", max_seq_length=200)
        tab.check()
        assert not [problem for problem in tab.problems if problem.path == "max_seq_length"]
    finally:
        tab.shutdown()


@pytest.mark.parametrize("name", ["dpo", "grpo"])
def test_the_counted_lengths_reach_the_estimate(qtbot: QtBot, name: str) -> None:
    theme.apply_theme("light")
    tab = EnhancedTab(ConfigStore(defaults=baseline()), Inspector(), ConfigStore())
    qtbot.addWidget(tab)
    tab.show()
    method = METHODS[name]
    tab.methods.cards[name].button.click()
    tab.data_panel.use_starter()
    tab.store.set_many({"model": str(starter.model_dir()), "batch_size": 4, "max_completion_length": 64})
    try:
        train = counted(qtbot, tab.data_panel, method.data)
        unknown = step_of(tab.store.config)
        known = step_of(tab.store.config, train.longest_used)
        assert known.width < unknown.width / 4
        qtbot.waitUntil(lambda: tab.estimate.estimate is not None, timeout=ANSWER_MS)
        tab.check()
        steps = tab.estimate._steps
        assert steps is not None
        assert (steps.longest, steps.batches) == (train.longest_used, train.step_batches)
        # Pieces are padded to 32; a row of a prompt may hold a second answer of up to 64 tokens.
        assert max(size.width for size, _ in steps.steps) <= known.width + (64 if name == "grpo" else 32)
        assert (tab.estimate._tokens is None) == (name == "grpo")
        qtbot.waitUntil(lambda: not tab.estimate._turn.isActive(), timeout=ANSWER_MS)
        shown = tab.estimate.estimate
        tab.estimate._steps = None
        question = tab.estimate._question()
        assert shown is not None
        assert question is not None
        assert shown.total < question(False).total
    finally:
        tab.shutdown()
