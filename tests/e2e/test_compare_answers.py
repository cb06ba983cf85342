"""The Compare tab with a real worker: every column answers as stock mlx-lm does, from one base in memory."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlx_lm import generate, load
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QAbstractButton, QApplication
from pytestqt.qtbot import QtBot

from app.core.compare.candidate import BASE, Candidate, candidate_of
from app.core.compare.shelf import ComparisonShelf
from app.core.system.starter import model_dir
from app.ui.compare.answerer import Answerer
from app.ui.compare.tab import CompareTab
from app.ui.widget import theme
from tests.ui.child import child
from tests.worker.answering_model import make_adapter, make_model

pytestmark = pytest.mark.slow

ANSWER_MS = 90_000  # a worker process imports MLX and loads the model
KINDS = ("lora", "dora", "full")
TOKENS = 12


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return make_model(tmp_path / "base")


@pytest.fixture
def tab(qtbot: QtBot, qapp: QApplication) -> Iterator[CompareTab]:
    if not qapp.styleSheet():
        theme.apply_theme("light")
    answerer = Answerer()
    found = CompareTab(answerer)
    qtbot.addWidget(found)
    found.show()
    yield found
    answerer.shutdown()


def ask(qtbot: QtBot, tab: CompareTab, prompt: str) -> list[str]:
    """Asks as a person does; the answers of all columns."""
    tab.prompt.setPlainText(prompt)
    QTest.mouseClick(child(tab, QAbstractButton, "compare.ask"), Qt.MouseButton.LeftButton)
    assert tab.session.is_busy
    qtbot.waitUntil(lambda: not tab.session.is_busy, timeout=ANSWER_MS)
    return [column.answer for column in tab.columns]


def stock(base: Path, adapter: Path | None, *turns: str) -> str:
    """What mlx-lm answers to a conversation whose turns are the user's and the model's in alternation."""
    model, tokenizer = load(str(base), adapter_path=str(adapter) if adapter is not None else None)
    roles = ("user", "assistant") * len(turns)
    messages = [{"role": role, "content": text} for role, text in zip(roles, turns, strict=False)]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    tokens = tokenizer.encode(text, add_special_tokens=False)
    return generate(model, tokenizer, tokens, max_tokens=TOKENS)


def test_four_columns_answer_as_stock_mlx_lm_also_in_a_conversation(
    qtbot: QtBot, tab: CompareTab, base: Path, tmp_path: Path
) -> None:
    adapters = [None, *(make_adapter(base, tmp_path / kind, kind) for kind in KINDS)]
    first = adapters[1]
    assert first is not None
    tab.choose_adapter(first)
    assert tab.base == str(base)
    for column, adapter in enumerate(adapters):
        if column == len(tab.columns):
            tab.add_column()
        if adapter is not None:
            tab.columns[column].chooser.choose(Candidate(adapter.name, adapter))
    tab.question.more.open()
    child(tab, QAbstractButton, "compare.differences").setChecked(True)
    box = next(box for spec, box in tab.question.sampler._boxes.items() if spec.path == "compare.max_tokens")
    box.lineEdit().setText(str(TOKENS))
    answers = ask(qtbot, tab, 'Who "made" {this} 🎻\x00?')
    assert answers == [stock(base, adapter, 'Who "made" {this} 🎻\x00?') for adapter in adapters]
    assert len(set(answers)) == 4
    assert all("tokens/s" in column.status and "peak" in column.status for column in tab.columns)
    assert tab.columns[1].view.marked

    QTest.mouseClick(child(tab, QAbstractButton, "compare.follow_up"), Qt.MouseButton.LeftButton)
    again = ask(qtbot, tab, "Why?")
    for adapter, before, answer in zip(adapters, answers, again, strict=True):
        assert answer == stock(base, adapter, 'Who "made" {this} 🎻\x00?', before, "Why?")


def test_an_adapter_of_another_model_says_what_differs_and_the_base_answers(
    qtbot: QtBot, tab: CompareTab, base: Path, tmp_path: Path
) -> None:
    wide = make_model(tmp_path / "wide", hidden_size=128)
    tab.choose_adapter(make_adapter(wide, tmp_path / "foreign"))
    tab._base.choose(str(base))
    tab.question.more.open()
    answers = ask(qtbot, tab, "a")
    assert answers[0].startswith(stock(base, None, "a"))
    assert "128 × 4" in tab.columns[1].status
    assert answers[1] == ""


def test_what_a_window_that_is_killed_was_answered_is_there_at_the_next_start(
    qtbot: QtBot, home: Path, base: Path
) -> None:
    """A real worker answers on and on; then the window's process is gone without a word."""
    assert home.is_dir()
    script, shelf = Path(__file__).with_name("compare_process.py"), ComparisonShelf()
    window = subprocess.Popen([sys.executable, script, str(base)])
    try:
        qtbot.waitUntil(lambda: any(texts_on(shelf)), timeout=ANSWER_MS)
    finally:
        window.kill()
        window.wait()
    said = texts_on(shelf)
    answerer = Answerer()
    again = CompareTab(answerer)
    qtbot.addWidget(again)
    qtbot.waitUntil(lambda: bool(again.session.pages))
    assert [column.answer for column in again.columns] == said
    assert again.columns[0].status.endswith("stopped")
    assert (again.settings["temp"], again.settings["seed"], again.base) == (1.0, 3, str(base))
    answerer.shutdown()


def test_the_starter_answers_and_its_answers_are_kept_through_another_choice_and_a_restart(
    qtbot: QtBot, tab: CompareTab, base: Path, tmp_path: Path
) -> None:
    tab.columns[1].chooser.choose(BASE)
    tab._base.choose(str(model_dir()))
    tab.question.sampler.show_settings({"max_tokens": TOKENS})
    said = ask(qtbot, tab, "What is a lute?")
    assert said == [stock(model_dir(), None, "What is a lute?")] * 2
    tab.choose_adapter(make_adapter(base, tmp_path / "lora", "lora"))
    told = ask(qtbot, tab, "hello")
    assert told[0] == stock(base, None, "hello")
    assert told[0] != told[1]
    tab.keeper.flush()
    answerer = Answerer()
    again = CompareTab(answerer)
    qtbot.addWidget(again)
    qtbot.waitUntil(lambda: bool(again.session.pages))
    assert [column.answer for column in again.columns] == told
    (earlier,) = again.keeper.earlier()
    again.keeper.open(earlier.key)
    qtbot.waitUntil(lambda: [column.answer for column in again.columns] == said)
    assert again.base == str(model_dir())
    assert [head.columns[1] for head in again.keeper.earlier()] == [candidate_of(tmp_path / "lora")]
    answerer.shutdown()


def texts_on(shelf: ComparisonShelf) -> list[str]:
    """The answers of the first page on disk, by a reader of its own."""
    lines = shelf.path_of(shelf.shown).read_text().splitlines() if shelf.shown else []
    return [reply["text"] for line in lines[1:2] for reply in json.loads(line)["turns"][0]["replies"]]
