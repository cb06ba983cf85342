"""The page "Split" over data that are known: the parts, where they come from, and what is to be said of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytestqt.qtbot import QtBot

from app.core.data.report import SplitReport
from app.ui.data.inspector import DataInspector
from app.ui.data.split_page import DataSplitPage
from app.ui.form.store import ConfigStore
from app.ui.widget import theme
from tests.ui.data.known_data import report, tell_rows

ASIDE = "set aside, seed 0"
NOT_VALID, NOT_TEST = "Not used: validation data are given.", "Not used: test data are given."


@pytest.fixture
def page(qtbot: QtBot, by_hand: list[object]) -> Iterator[DataSplitPage]:  # noqa: ARG001
    store = ConfigStore()
    found = DataSplitPage(store, DataInspector(store))
    qtbot.addWidget(found)
    found.show()
    store.set("data", "/d/rows.jsonl")
    yield found
    found._inspector.stop()


def counts(page: DataSplitPage) -> list[tuple[str, str]]:
    return [
        (count.text(), origin.text())
        for count, origin in zip(page.count_labels.values(), page._origin_labels.values(), strict=True)
    ]


def given(**splits: int) -> dict[str, SplitReport]:
    return {name: SplitReport(count, (f"/d/{name}.jsonl",)) for name, count in splits.items()}


def test_parts_and_their_origins(page: DataSplitPage) -> None:
    assert counts(page) == [("–", "")] * 3
    assert page.note_label.text() == ""
    tell_rows(page._inspector, report(examples=2000, splits=given(train=2000), columns=("messages", "author")))
    assert counts(page) == [("1,600", "train.jsonl"), ("200", ASIDE), ("200", ASIDE)]
    assert page.bar.toolTip() == "Training 1,600, Validation 200, Test 200"
    box = page.group_box
    assert [box.itemText(at) for at in range(box.count())] == ["None", "messages", "author"]
    page._store.set_many({"test_fraction": 0.0, "group_feature": "author"})
    assert counts(page) == [("1,800", "train.jsonl"), ("200", ASIDE), ("0", "none")]
    assert box.currentText() == "author"
    tell_rows(page._inspector, report(examples=300, splits=given(train=300)))
    assert [count for count, _ in counts(page)] == ["270", "30", "0"]
    page._store.set("batch_size", 64)  # of which a part has one, as long as that is no more than a fifth
    assert [count for count, _ in counts(page)] == ["240", "60", "0"]
    page._store.set("data", "/d/others.jsonl")
    assert counts(page) == [("–", "")] * 3
    assert (page.bar.widths(), page.note_label.text()) == ([0.0, 0.0, 0.0], "")


GIVEN: list[tuple[dict[str, int], list[tuple[str, bool]]]] = [
    ({"train": 20}, [("", True), ("", True)]),
    ({"train": 20, "valid": 3}, [(NOT_VALID, False), (NOT_VALID, False)]),
    ({"train": 20, "test": 3}, [("", True), (NOT_TEST, False)]),
    ({"train": 20, "valid": 3, "test": 2}, [(NOT_VALID, False), (NOT_TEST, False)]),
    ({"train": 20, "valid": 0, "test": 0}, [("", True), ("", True)]),
]


def test_what_is_given_is_not_set_aside(page: DataSplitPage) -> None:
    for splits, hints in GIVEN:
        tell_rows(page._inspector, report(splits=given(**splits)))
        fields = [page.fields[path] for path in ("valid_fraction", "test_fraction")]
        assert [(field._hint.text(), field.isEnabled()) for field in fields] == hints
        assert [field._hint.isVisible() for field in fields] == [bool(hint) for hint, _ in hints]


LEAKED = "Also in the training data: {}. The score would show memory, not skill; Problems lists them."
NO_VALID = "There is no validation data: overfitting cannot be seen, nor training stopped early."


SHARED: list[tuple[dict[str, Any], float, str, str]] = [
    ({}, 0.1, "No row is in two parts, and none is repeated.", "good"),
    ({"leaked": 1}, 0.1, LEAKED.format("1 held-out row"), "warning"),
    ({"duplicates": 1}, 0.1, "Repetitions of an earlier row: 1.", "warning"),
    ({}, 0.0, NO_VALID, "warning"),
    (
        {"leaked": 3, "duplicates": 2000},
        0.0,
        f"{LEAKED.format('3 held-out rows')} Repetitions of an earlier row: 2,000. {NO_VALID}",
        "warning",
    ),
]


def test_what_the_parts_share(page: DataSplitPage) -> None:
    for found, valid, said, role in SHARED:
        page._store.set("valid_fraction", valid)
        tell_rows(page._inspector, report(examples=200, splits=given(train=200), **found))
        assert (page.note_label.text(), page.note_label.property("role")) == (said, role)


def test_the_names_of_parts_have_the_colours_of_the_scheme(page: DataSplitPage) -> None:
    for found in (theme.DARK, theme.LIGHT):
        theme.apply_theme(found.scheme)
        sheets = [label.styleSheet() for label in page._name_labels.values()]
        colors = (found.train_line, found.valid_line, found.series[2])
        assert [color in sheet for color, sheet in zip(colors, sheets, strict=True)] == [True] * 3
