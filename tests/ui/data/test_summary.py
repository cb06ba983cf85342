"""The summary on the card "Data" over data that are known: what it says of each kind, and what it shows when."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtGui import QColor, QImage, QPaintEvent
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.core.data.report import SplitReport
from app.core.problem import Severity
from app.core.setup.plan import Parts
from app.core.source.collection import collect
from app.ui.data.inspector import DataInspector
from app.ui.data.split_bar import SplitBar, split_color
from app.ui.data.split_text import data_text, split_origin
from app.ui.data.summary import DataSummary
from app.ui.edit.row import RowCard
from app.ui.form.store import ConfigStore
from app.ui.widget import theme
from tests.ui.child import child
from tests.ui.data.known_data import finding, report, split_tree, tell_rows, tell_split, tell_tokens


@pytest.fixture
def summary(qtbot: QtBot, by_hand: list[object]) -> Iterator[DataSummary]:  # noqa: ARG001
    store = ConfigStore()
    store.set("data", "/d/rows.jsonl")
    found = DataSummary(store, DataInspector(store))
    qtbot.addWidget(found)
    found.show()
    yield found
    found._inspector.stop()


def headline(summary: DataSummary) -> tuple[str, str, bool]:
    return summary.headline.text(), summary.headline.property("role"), summary.headline.isVisible()


HEADLINES: list[tuple[dict[str, Any], dict[str, Any] | None, str]] = [
    ({}, None, "20 examples · chat"),
    ({"examples": 1, "rows": 2}, None, "1 example · chat"),
    ({"format": "sharegpt"}, None, "20 examples · ShareGPT chat"),
    ({"format": "alpaca", "target": "completion"}, None, "20 examples · Alpaca instructions"),
    ({"format": "preference", "target": "preference"}, None, "20 pairs"),
    ({"format": "chat", "target": "preference", "examples": 1}, None, "1 pair · chat"),
    ({"format": "labelled", "target": "labelled"}, None, "20 labelled answers"),
    ({"format": "grpo", "target": "prompt"}, None, "20 prompts"),
    ({"format": "unknown", "target": ""}, None, "20 examples"),
    ({"examples": 0, "rows": 1}, None, "1 row, none of which can be used yet"),
    ({}, {"kept_tokens": 99_999}, "20 examples · chat · 99,999 tokens · 40\u00a0% trained"),
    ({}, {"kept_tokens": 100_000}, "20 examples · chat · 100\u00a0k tokens · 40\u00a0% trained"),
    ({}, {"kept_tokens": 1, "trained_share": 0.9994}, "20 examples · chat · 1 token · 99.9\u00a0% trained"),
    ({}, {"kept_tokens": 1, "trained_share": 0.9995}, "20 examples · chat · 1 token"),
    ({"format": "grpo", "target": "prompt"}, {"kind": "prompts"}, "20 prompts · 1,500 tokens"),
]


def test_the_headline(summary: DataSummary) -> None:
    for rows, tokens, said in HEADLINES:
        summary._inspector.set_model("/m" if tokens else "")
        tell_rows(summary._inspector, report(**rows))
        if tokens:
            tell_split(summary._inspector, **tokens)
        assert headline(summary) == (said, "label", True)


def test_the_headline_counts_the_tokens_of_all_parts(summary: DataSummary) -> None:
    summary._inspector.set_model("/m")
    tell_rows(summary._inspector, report())
    tell_tokens(summary._inspector, {"train": split_tree(12), "valid": split_tree(4, trained_share=1.0)})
    assert headline(summary)[0] == "20 examples · chat · 3,000 tokens · 40\u00a0% trained"
    assert not summary.parts_label.isVisible()
    tell_split(summary._inspector, parts={"prompt": {"median": 1234.5, "longest": 4321},
                                          "answer": {"median": 7.0, "longest": 9}})  # fmt: skip
    assert summary.parts_label.text() == "Median tokens: prompt 1,234 (≤ 4,321) · answer 7 (≤ 9)"
    assert summary.parts_label.isVisible()


def test_a_check_that_is_under_way_or_given_up(summary: DataSummary) -> None:
    inspector = summary._inspector

    def shown() -> tuple[bool, str, tuple[int, int]]:
        bar = summary.bar
        return summary.progress.isVisible(), summary.phase_label.text(), (bar.value(), bar.maximum())

    assert shown() == (True, "Reading the data …", (-1, 0))
    inspector._show_progress("Reading", 0.0)
    assert shown() == (True, "Reading · 0%", (0, 1000))
    inspector._show_progress("Reading", 0.4567)
    assert shown() == (True, "Reading · 46%", (457, 1000))
    assert headline(summary)[0] == ""
    assert not summary.headline.isVisible()
    assert not summary.again_button.isVisible()
    QTest.mouseClick(summary.cancel_button, Qt.MouseButton.LeftButton)
    assert (summary.progress.isVisible(), summary.phase_label.text()) == (False, "")
    assert headline(summary) == ("The data were not checked.", "muted", True)
    assert summary.again_button.isVisible()
    assert not summary.clean_label.isVisible()
    QTest.mouseClick(summary.again_button, Qt.MouseButton.LeftButton)
    assert inspector.is_reading
    assert not summary.again_button.isVisible()
    summary.say("No such file.", "error")
    assert headline(summary) == ("No such file.", "error", True)


def test_pills_and_what_they_ask_for(qtbot: QtBot, summary: DataSummary) -> None:
    inspector = summary._inspector
    findings = [finding("no_answer", 3), finding("duplicate", 5), finding("layout")]

    def shown() -> tuple[list[bool], bool, bool]:
        pills = [summary.pills[severity].isVisible() for severity in (Severity.ERROR, Severity.WARNING)]
        return pills, summary.left_out_label.isVisible(), summary.clean_label.isVisible()

    assert shown() == ([False, False], False, False)
    tell_rows(inspector, report(*findings))
    assert shown() == ([True, True], False, False)
    for severity in (Severity.ERROR, Severity.WARNING):
        with qtbot.waitSignal(summary.problems_requested) as asked:
            QTest.mouseClick(summary.pills[severity], Qt.MouseButton.LeftButton)
        assert asked.args == [severity]
    summary._store.set("skip_bad_rows", True)
    tell_rows(inspector, report(*findings))
    assert shown() == ([True, True], True, False)
    tell_rows(inspector, report(findings[1]))
    assert shown() == ([False, True], False, False)
    tell_rows(inspector, report(findings[2]))  # a note is no problem
    assert shown() == ([False, False], False, True)
    inspector.set_model("/m")
    assert shown() == ([False, False], False, False), "while tokens are counted, nobody knows"
    tell_split(inspector)
    assert shown() == ([False, False], False, True)


def test_the_banner_says_what_to_choose_or_why_tokens_are_not_counted(qtbot: QtBot, summary: DataSummary) -> None:
    inspector = summary._inspector

    def shown() -> tuple[bool, str, str]:
        button = summary.columns_button
        return summary.banner.isVisible(), summary.banner_label.text(), button.text() if button.isVisible() else ""

    tell_rows(inspector, report(finding("no_answer", 2)))
    assert not summary.banner.isVisible()
    assert not summary.tells_fault
    hint = "Choose which column is the prompt, the answer, the messages or the text."
    for kind, reason, said, button in (
        ("unknown_format", "Nobody knows.", hint, "Choose columns…"),
        ("not_supervised", "These are pairs.", "These are pairs.", "Choose columns…"),
        ("no_sheet", "There are A and B.", "There are A and B.", "Choose…"),
        ("no_speaker", "Ada and Bo speak.", "Ada and Bo speak.", "Choose…"),
        ("wrong_encoding", "It is no UTF-8.", "It is no UTF-8.", "Choose…"),
    ):
        tell_rows(inspector, report(finding("no_answer", 2), finding(kind, reason=reason)))
        assert shown() == (True, said, button)
        assert summary.tells_fault
    with qtbot.waitSignal(summary.columns_requested):
        QTest.mouseClick(child(summary, QPushButton, "data.columns"), Qt.MouseButton.LeftButton)
    tell_rows(inspector, report())
    assert not summary.banner.isVisible()
    inspector.token_problem = "It has no tokenizer."
    inspector.reported.emit()
    assert shown() == (True, "Tokens are not counted. It has no tokenizer.", "")
    assert not summary.tells_fault


def test_what_documents_hold_and_the_first_row(summary: DataSummary) -> None:
    inspector = summary._inspector

    def cards() -> list[RowCard]:
        QCoreApplication.sendPostedEvents()  # a layout shows what is put into it in the next turn
        return [card for card in summary.findChildren(RowCard) if card.isVisible()]

    tell_rows(inspector, report(finding("layout"), finding("contents", reason="A book of 3 pages.")))
    assert (summary.contents_label.text(), summary.contents_label.isVisible()) == ("A book of 3 pages.", True)
    [card] = cards()
    assert card.accessibleName() == "The first example"
    assert [label.text() for label in card.findChildren(type(summary.phase_label))] == ["Q0", "A0"]
    inspector.reported.emit()
    assert cards() == [card], "the same report, the same card"
    books = [finding("contents", reason=f"A book of {n} pages.") for n in (3, 4, 5)]
    tell_rows(inspector, report(*books[:2], preview=()))
    assert summary.contents_label.text() == "A book of 3 pages. And 1 more file."
    assert cards() == []
    tell_rows(inspector, report(*books))
    assert summary.contents_label.text() == "A book of 3 pages. And 2 more files."
    tell_rows(inspector, report(preview=({"messages": [{"role": "user", "content": str(n)} for n in range(5)]},)))
    assert (summary.contents_label.text(), summary.contents_label.isVisible()) == ("", False)
    [card] = cards()
    assert len(card.findChildren(type(summary.phase_label))) == 3


def parts_shown(summary: DataSummary) -> list[tuple[str, str]]:
    return [(number.text(), origin.text()) for _, number, origin in summary._split_labels.values()]


def test_the_parts_are_counted_with_where_they_come_from(summary: DataSummary) -> None:
    inspector = summary._inspector
    assert not summary.parts.isVisible()
    tell_rows(inspector, report(examples=2000, splits={"train": SplitReport(2000, ("/d/rows.jsonl",))}))
    assert summary.parts.isVisible()
    aside = "set aside, seed 0"
    assert parts_shown(summary) == [("1,600", "rows.jsonl"), ("200", aside), ("200", aside)]
    summary._store.set_many({"seed": 3, "test_fraction": 0.0})
    aside = "set aside, seed 3"
    assert parts_shown(summary) == [("1,800", "rows.jsonl"), ("200", aside), ("0", "none")]
    summary._store.set("valid_fraction", 0.5)
    assert parts_shown(summary)[1] == ("1,000", aside)
    inspector.set_model("/m")
    tell_tokens(inspector, {"train": split_tree(990), "test": split_tree(3)})
    assert [count for count, _ in parts_shown(summary)] == ["990", "0", "3"], "what was prepared counts"
    summary._store.set("valid_fraction", 0.1)  # which is being counted
    assert [count for count, _ in parts_shown(summary)] == ["1,800", "200", "0"]
    assert summary.split_bar.toolTip() == "Training 1,800, Validation 200, Test 0"
    for found in (theme.DARK, theme.LIGHT):
        theme.apply_theme(found.scheme)
        names = [name.styleSheet() for name, _, _ in summary._split_labels.values()]
        colors = (found.train_line, found.valid_line, found.series[2])
        assert [color in sheet for color, sheet in zip(colors, names, strict=True)] == [True] * 3


def test_files_that_were_put_together_are_counted(summary: DataSummary, tmp_path: Any) -> None:
    files = [tmp_path / f"{name}.jsonl" for name in "abcd"]
    for file in files:
        file.write_text("{}\n")
    store, given = summary._store, SplitReport(5, tuple(map(str, files)))
    store.set("data", str(collect(files)))
    assert data_text(store.config.data) == "4 files"
    assert data_text(str(files[0])) == "a.jsonl"
    for count, said in ((1, "a.jsonl"), (2, "4 files"), (4, "4 files")):
        tell_rows(summary._inspector, report(splits={"train": SplitReport(5, given.files[:count])}))
        assert parts_shown(summary)[0][1] == said
    origins = [
        split_origin(report(splits={"train": SplitReport(5, given.files[:count])}), store, "train")
        for count in range(5)
    ]
    assert origins == ["set aside, seed 0", "a.jsonl", "a.jsonl, b.jsonl", "a.jsonl, b.jsonl and 1 more",
                       "a.jsonl, b.jsonl and 2 more"]  # fmt: skip


@pytest.fixture
def bar(qtbot: QtBot) -> Iterator[SplitBar]:
    page = QWidget()
    qtbot.addWidget(page)
    found = SplitBar(page, height=10)
    found.setFixedWidth(300)
    page.resize(320, 40)
    page.show()
    yield found
    page.close()


def drawn(image: QImage, split: str) -> list[int]:
    """The columns in which a row through the middle has the colour of a split."""
    wanted, y = QColor(split_color(split)).rgb(), image.height() // 2
    return [x for x in range(image.width()) if image.pixel(x, y) == wanted]


def test_the_bar_is_divided_as_the_examples_are(bar: SplitBar) -> None:
    assert bar.widths() == [0.0, 0.0, 0.0]
    assert bar.sizeHint().height() == bar.height() == 10
    bar.set_parts(Parts(2000, 700, 300))
    assert bar.widths() == pytest.approx([200, 70, 30])
    assert bar.accessibleName() == "Examples: Training 2,000, Validation 700, Test 300"
    assert bar.toolTip() == "Training 2,000, Validation 700, Test 300"
    image = bar.grab().toImage()
    ends = [(min(columns), max(columns)) for columns in (drawn(image, name) for name in ("train", "valid", "test"))]
    # A gap of a pixel and a half before each but the first.
    assert ends == [pytest.approx((0, 199), abs=2), pytest.approx((202, 269), abs=1),
                    pytest.approx((272, 299), abs=2)]  # fmt: skip
    bar.set_parts(Parts(10_000, 1, 0))  # the smallest part can still be seen
    assert bar.widths() == pytest.approx([300 * 300 / 305, 300 * 5 / 305, 0], rel=1e-3)
    theme.apply_theme("dark")
    assert len(drawn(bar.grab().toImage(), "train")) > 280


def test_other_examples_and_another_scheme_draw_the_bar_anew(qtbot: QtBot) -> None:
    painted = list[tuple[int, str]]()

    class Seen(SplitBar):
        def paintEvent(self, event: QPaintEvent) -> None:
            painted.append((self._parts.train, theme.colors().scheme))
            super().paintEvent(event)

    seen = Seen()
    qtbot.addWidget(seen)
    seen.show()
    qtbot.waitUntil(lambda: painted == [(0, "light")])
    seen.set_parts(Parts(3, 2, 1))
    qtbot.waitUntil(lambda: painted[-1] == (3, "light"))
    theme.theme().colors = theme.DARK
    theme.theme().changed.emit()
    qtbot.waitUntil(lambda: painted[-1] == (3, "dark"))
    theme.theme().colors = theme.LIGHT
