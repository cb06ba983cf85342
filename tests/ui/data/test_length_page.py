"""The page "Lengths" over figures that are known: what is cut, left out, and drawn, for each kind of rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtGui import QColor
from pytestqt.qtbot import QtBot

from app.core.language import tr
from app.ui.data.inspector import DataInspector
from app.ui.data.length_page import DataLengthPage
from app.ui.form.store import ConfigStore
from app.ui.widget import theme
from tests.ui.data.known_data import report, split_tree, tell_rows, tell_split, tell_tokens

PARTS = {
    "prompt": {"median": 1200.0, "longest": 1500}, "chosen": {"median": 20.4, "longest": 44},
    "rejected": {"median": 8.0, "longest": 9},
}  # fmt: skip


@pytest.fixture
def page(qtbot: QtBot, by_hand: list[object]) -> Iterator[DataLengthPage]:  # noqa: ARG001
    store = ConfigStore()
    found = DataLengthPage(store, DataInspector(store))
    qtbot.addWidget(found)
    found.show()
    yield found
    found._inspector.stop()


def known(page: DataLengthPage, kind: str = "examples", examples: int = 16, **changes: Any) -> None:
    """Figures of a kind of rows, from the choice of data on."""
    page._store.set("data", "/d/rows.jsonl")
    page._inspector.set_model("/m")
    tell_rows(page._inspector, report())
    tell_split(page._inspector, examples, kind, **changes)


def cut(page: DataLengthPage) -> tuple[str, str]:
    return page.cut_label.text(), page.cut_label.property("role")


def test_why_there_are_no_lengths_is_told(page: DataLengthPage) -> None:
    inspector = page._inspector
    told = [page.state_label.text()]
    page._store.set("data", "/d/rows.jsonl")
    told.append(page.state_label.text())
    for share in (-1.0, 0.0, 0.426):
        inspector._show_progress("Reading", share)
        told.append(page.state_label.text())
    tell_rows(inspector, report())
    told.append(page.state_label.text())
    inspector.set_model("/m")
    told.append(page.state_label.text())
    inspector._token_worker.cancel()
    inspector._show_progress("", -1.0)
    told.append(page.state_label.text())
    inspector.token_problem = "It has no tokenizer."
    inspector._show_progress("", -1.0)
    told.append(page.state_label.text())
    assert told == [
        "There are no data to look at yet.", "Reading the data …", "Reading …", "Reading · 0%", "Reading · 43%",
        "Choose a model: lengths are counted in its tokens.", "Counting tokens …",
        "There are no examples to count yet.", "It has no tokenizer.",
    ]  # fmt: skip
    assert (page.chart.isVisible(), page.state_label.isVisible()) == (False, True)
    tell_split(inspector)
    assert (page.chart.isVisible(), page.state_label.isVisible()) == (True, False)
    assert page.split == "train"


def test_the_totals_of_examples(page: DataLengthPage) -> None:
    known(page, examples=1200, median_length=90.0, padding_share={"bucket": 0.5, "pack": 0.125})
    page._store.set_many({"batch_size": 4, "batching": "pack"})
    tell_split(page._inspector, 1200, padding_share={"bucket": 0.5, "pack": 0.125})
    shown = {name: (one.text, one.toolTip()) for name, one in page.figures.items() if one.isVisible()}
    assert shown == {
        "examples": ("1,200", ""),
        "tokens": ("1,500", "Tokens of all examples, without what the maximum length cuts off"),
        "trained": ("600", "Tokens that count in the loss: 40.0%"),
        "median": ("90", ""),
        "padding": ("12.5\u00a0%", "Share of what is computed that is no token, at batch size 4"),
        "iterations": ("8", "At batch size 4"),
    }
    assert page.figures["examples"].accessibleName() == "examples: 1,200"
    assert all(one.isEnabled() for one in page.figures.values())
    page._store.set("batch_size", 2)  # and they are counted anew
    assert not any(one.isEnabled() for one in page.figures.values())
    assert cut(page) == ("Counting …", "muted")
    page._store.set("data", "")
    assert page.figures["tokens"].text == "–"
    assert page.figures["trained"].toolTip() == "Tokens that count in the loss"
    assert cut(page) == ("", "muted")


def test_the_totals_of_pairs(page: DataLengthPage) -> None:
    known(page, "pairs", parts=PARTS, longest=70)
    shown = {name: (one.text, one.toolTip()) for name, one in page.figures.items() if one.isVisible()}
    assert list(shown) == ["examples", "tokens", "trained", "parts", "iterations"]
    tip = "Tokens that are read: of a pair the prompt with each answer, as far as it is not cut"
    assert shown["tokens"] == ("1,500", tip)
    longest = "prompt 1,500, chosen 44, rejected 9"
    assert shown["parts"] == ("1,200 · 20 · 8", f"Median lengths in tokens; the longest: {longest}")
    assert page.figures["parts"].accessibleName() == "prompt · chosen · rejected: 1,200 · 20 · 8"
    assert page.figures["examples"].accessibleName() == "pairs: 16"
    known(page, "answers", parts={"prompt": PARTS["prompt"], "answer": PARTS["chosen"]})
    assert page.figures["parts"].accessibleName() == "prompt · answer: 1,200 · 20"
    assert page.figures["examples"].accessibleName() == "answers: 16"


DONE: list[tuple[str, dict[str, int], str, str]] = [
    ("examples", {"longest": 1}, "Nothing is cut: the longest example has 1 token.", "muted"),
    (
        "examples",
        {"over_length": 1, "cut_tokens": 500, "max_seq_length": 1024},
        "1 example longer than 1,024: 500 tokens (25\u00a0%) cut off.",
        "warning",
    ),
    (
        "examples",
        {"over_length": 3, "cut_tokens": 1, "tokens": 0, "untrained_examples": 1},
        "3 examples longer than 2,048: 1 token (100\u00a0%) cut off. 1 example left with nothing to train.",
        "warning",
    ),
    ("pairs", {}, "Nothing is cut: the longest pair has 300 tokens with its prompt.", "muted"),
    ("answers", {"longest": 2}, "Nothing is cut: the longest answer has 2 tokens with its prompt.", "muted"),
    (
        "pairs",
        {"over_length": 3, "untrained_examples": 1, "cut_tokens": 40, "limit": 64},
        "2 pairs longer than 64: 40 tokens at the end of answers cut off. "
        "1 pair left out: the prompt leaves no room for an answer.",
        "warning",
    ),
    (
        "answers",
        {"over_length": 1, "untrained_examples": 1},
        "1 answer left out: the prompt leaves no room for an answer.",
        "warning",
    ),
    (
        "prompts",
        {},
        "All fit with an answer of 100 tokens: the longest prompt has 300 tokens.",
        "muted",
    ),
    (
        "prompts",
        {"untrained_examples": 2, "limit": -5, "max_seq_length": 95},
        "2 prompts longer than 0 left out: an answer of 100 tokens would not fit into 95 with them.",
        "warning",
    ),
]


def test_what_the_maximum_length_does(page: DataLengthPage) -> None:
    for kind, figures, said, role in DONE:
        page._store.set("max_completion_length", 100)
        known(page, kind, **figures)
        assert cut(page) == (said, role)


def test_the_totals_of_prompts(page: DataLengthPage) -> None:
    known(page, "prompts", untrained_examples=1200)
    shown = {name: (one.text, one.toolTip()) for name, one in page.figures.items() if one.isVisible()}
    assert list(shown) == ["examples", "tokens", "median", "left_out", "iterations"]
    assert shown["left_out"] == ("1,200", "Prompts that leave no room for an answer")


def test_a_part_of_which_nothing_is_known_cannot_be_chosen(page: DataLengthPage) -> None:
    box = page.split_box
    choices = [box.model().index(at, 0) for at in range(3)]

    def offered() -> list[bool]:
        return [bool(box.model().flags(choice) & box.model().flags(choice).ItemIsEnabled) for choice in choices]

    assert offered() == [True, False, False]  # one is always looked at
    known(page)
    tell_tokens(page._inspector, {"train": split_tree(16), "test": split_tree(4)})
    assert offered() == [True, False, True]
    box.set_value("test")
    box.activated.emit(2)
    assert (page.split, page.figures["examples"].text) == ("test", "4")


def test_the_chart_shows_what_is_kept_and_what_is_cut(page: DataLengthPage) -> None:
    chart = page.chart
    assert not chart.is_line_shown
    known(page, max_seq_length=100)
    page._store.set("max_seq_length", 100)
    tell_split(page._inspector)
    kept, over = (
        [list(map(float, item.opts[name])) for name in ("x0", "x1", "height")] for item in (chart._kept, chart._cut)
    )
    assert (kept, over) == ([[0, 100], [100, 200], [9, 5]], [[200], [300], [2]])
    assert chart.cut_bars() == 1
    ranges = chart._plot.getViewBox().viewRange()
    assert ranges[0] == pytest.approx([0, 300 * 1.06])
    assert ranges[1] == pytest.approx([0, 9 * 1.12])
    assert (chart.is_line_shown, chart.line.value(), chart.label.format) == (True, 100, "maximum 100")
    page._store.set("max_seq_length", 600)  # twice the longest, which is still in the picture
    assert chart.is_line_shown
    assert chart._plot.getViewBox().viewRange()[0] == pytest.approx([0, 600 * 1.06])
    page._store.set("max_seq_length", 608)
    assert not chart.is_line_shown
    assert chart._plot.getViewBox().viewRange()[0] == pytest.approx([0, 300 * 1.06])
    assert all(item in chart._plot.items for item in (chart._kept, chart._cut, chart.line))
    assert (chart.line.angle, chart.line.movable, chart.view.accessibleName()) == (
        90, True, "Lengths of the examples in tokens",
    )  # fmt: skip
    axes = [chart._plot.getAxis(side) for side in ("bottom", "left")]
    assert [axis.labelText for axis in axes] == ["tokens in an example", "examples"]
    assert [axis.zValue() < chart._kept.zValue() < chart.line.zValue() for axis in axes] == [True, True]
    assert chart._plot.getViewBox().mouseEnabled() == [False, False]
    page._inspector.figures = {}
    page.refresh()
    assert ([*chart._kept.opts["height"]], chart.is_line_shown) == ([], False)


def test_the_line_of_prompts_leaves_room_for_an_answer(page: DataLengthPage) -> None:
    page._store.set_many({"max_seq_length": 512, "max_completion_length": 112})
    known(page, "prompts")
    chart = page.chart
    assert (chart.line.value(), chart.label.format) == (400, "room for a prompt 400")
    axes = [chart._plot.getAxis(side).labelText for side in ("bottom", "left")]
    assert axes == ["tokens in a prompt", "prompts"]
    page._store.set("max_completion_length", 212)
    assert chart.line.value() == 300
    chosen: list[int] = []
    chart.maximum_chosen.connect(chosen.append)
    chart.line.setValue(200.6)
    chart.line.sigPositionChangeFinished.emit(chart.line)
    assert (chosen, page._store.config.max_seq_length) == ([201], 413)
    chart.line.sigPositionChangeFinished.emit(chart.line)  # let go where it was
    assert chosen == [201]
    chart.line.setValue(-50)
    assert chart.line.value() == 8  # a shorter one would hold nothing
    assert page.slider.accessibleName() == tr("Maximum length")


def test_the_chart_follows_the_scheme(page: DataLengthPage) -> None:
    known(page)
    chart = page.chart
    for found in (theme.DARK, theme.LIGHT):
        theme.apply_theme(found.scheme)
        brushes = [QColor(item.opts["brush"]) for item in (chart._kept, chart._cut)]
        assert [brush.name() for brush in brushes] == [found.train_line, found.error]
        assert [round(brush.alphaF(), 2) for brush in brushes] == [0.75, 0.55]
        assert [item.opts["pen"].color().name() for item in (chart._kept, chart._cut)] == [found.card] * 2
        assert chart.line.pen.color().name() == found.error
        assert chart.line.hoverPen.widthF() == 2 * chart.line.pen.widthF()
        assert QColor(chart.label.color).name() == found.error
