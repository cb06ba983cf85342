"""The page "Columns" over data that are known: which fields there are, what is suggested, and what comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.core.data.format import Features, Format
from app.core.data.mapping import Mapping
from app.ui.data.column_page import ColumnBox, DataColumnPage, mapping_text, trained_turns
from app.ui.data.inspector import DataInspector
from app.ui.edit.row import RowCard
from app.ui.form.store import ConfigStore
from tests.ui.data.known_data import finding, report, tell_rows

ASKED = {"question": "Why?", "answer": "So.", "topic": "Wood"}
LABELLED = [{"prompt": f"Q{n}", "completion": f"A{n}", "label": n % 2 == 0} for n in range(8)]


@pytest.fixture
def page(qtbot: QtBot, by_hand: list[object]) -> Iterator[DataColumnPage]:  # noqa: ARG001
    store = ConfigStore()
    found = DataColumnPage(store, DataInspector(store))
    qtbot.addWidget(found)
    found.show()
    yield found
    found._inspector.stop()


def known(page: DataColumnPage, *rows: dict[str, Any], **changes: Any) -> None:
    if not page._store.config.data:
        page._store.set("data", "/d/rows.jsonl")
    preview = {"preview": rows, "columns": tuple(rows[0])} if rows else {}
    tell_rows(page._inspector, report(**(preview | changes)))


def items(box: ColumnBox) -> list[str]:
    return [box.itemText(at) for at in range(box.count())]


def fields(page: DataColumnPage) -> set[str]:
    return {path for path, field in page.fields.items() if not field.isHidden()}


def caption(page: DataColumnPage) -> tuple[str, str]:
    return page.caption.text(), page.caption.property("role")


def shown_rows(page: DataColumnPage) -> list[list[str]]:
    area = page._area.widget()
    assert area is not None
    return [[label.text() for label in card.findChildren(QLabel)] for card in area.findChildren(RowCard)]


def test_a_name_that_is_no_column_stays_and_is_marked(qtbot: QtBot) -> None:
    told: list[Any] = []
    box, other = ColumnBox(none_text="None"), ColumnBox()
    for one in (box, other):
        qtbot.addWidget(one)
        one.edited.connect(told.append)
        one.set_value("author")
    assert (items(box), items(other)) == (["None", "author"], ["author"])
    box.set_columns(("a", "b"), {"b": "b (2 messages)"})
    assert items(box) == ["None", "a", "b (2 messages)", "author (not in the data)"]
    assert (box.value(), box.currentText()) == ("author", "author (not in the data)")
    box.set_columns(("author", "b"))
    assert items(box) == ["None", "author", "b"]
    assert box.currentText() == "author"
    box.set_value("")
    assert (box.value(), box.currentText(), items(box)) == ("", "None", ["None", "author", "b"])
    empty = ColumnBox()
    qtbot.addWidget(empty)
    empty.set_columns(("a",))
    assert (empty.value(), items(empty)) == (None, ["a"])
    assert told == []


COLUMNS_OF: list[tuple[str, set[str]]] = [
    ("auto", set()),
    ("chat", {"chat_feature", "system_feature"}),
    ("completion", {"prompt_feature", "completion_feature", "system_feature"}),
    ("text", {"text_feature"}),
]


def test_a_format_has_its_own_columns(page: DataColumnPage) -> None:
    for data_format, paths in COLUMNS_OF:
        page._store.set("data_format", data_format)
        assert fields(page) == {"data_format", *paths}


def test_fields_are_there_where_there_is_a_choice_or_one_was_made(page: DataColumnPage) -> None:
    assert fields(page) == {"data_format"}
    page._store.set("prompt_feature", "question")
    assert fields(page) == {"data_format", "prompt_feature"}
    page._store.set("prompt_feature", "prompt")
    known(page, sheets=("One",))
    assert fields(page) == {"data_format"}, "one sheet is no choice"
    known(page, sheets=("One", "Two"), speakers={"Ada": 1200, "Bo": 1})
    assert fields(page) == {"data_format", "sheet", "answers_by"}
    assert items(page.boxes["sheet"]) == ["The first", "One", "Two"]
    assert items(page.boxes["answers_by"]) == ["Automatic", "Ada (1,200 messages)", "Bo (1 message)"]
    page._store.set_many({"sheet": "Two", "answers_by": "Bo"})
    known(page)
    assert fields(page) == {"data_format", "sheet", "answers_by"}, "what was chosen can be taken back"
    page._store.set_many({"sheet": "", "answers_by": "", "encoding": "cp1252"})
    known(page)
    assert fields(page) == {"data_format", "encoding"}


def test_answers_labelled_bad_can_be_left_out_where_there_are_some(page: DataColumnPage) -> None:
    known(page, *LABELLED, format="labelled", target="")
    assert fields(page) == {"data_format", "skip_bad_answers"}
    page._store.set("train_mode", "kto")
    known(page, *LABELLED, format="labelled", target="labelled")
    assert fields(page) == {"data_format"}, "a method that learns from both"
    page._store.set_many({"train_mode": "sft", "skip_bad_answers": True})
    known(page, *LABELLED, format="completion", target="completion")
    assert fields(page) == {"data_format", "skip_bad_answers"}
    assert shown_rows(page) == [["user", f"Q{n}", "assistant", f"A{n}"] for n in (0, 2, 4)]
    page._store.set("skip_bad_answers", False)
    assert [row[1] for row in shown_rows(page)] == ["Q0", "Q1", "Q2"]


DECODED: list[tuple[list[str], str, str, bool]] = [
    ([], "", "muted", False),
    (["empty_line", "layout"], "", "muted", False),
    (["encoding"], "A.", "muted", True),
    (["encoding", "doubtful_encoding"], "B.\nA.", "warning", True),
    (["mojibake"], "", "warning", True),
    (["encoding"] * 2, "A.", "muted", True),
    (["wrong_encoding", "bad_encoding", "doubtful_encoding", "encoding"], "A.\nB.\nC.", "warning", True),
]


def test_how_texts_are_decoded_is_told_where_it_is_not_plain(page: DataColumnPage) -> None:
    for kinds, said, role, shown in DECODED:
        reasons: dict[str, str] = {}
        found = [finding(kind, reason=reasons.setdefault(kind, f"{'ABCD'[len(reasons)]}.")) for kind in kinds]
        page._store.set("data", "/d/rows.jsonl")
        tell_rows(page._inspector, report(*found))
        label = page.encoding_label
        assert (label.text(), label.property("role"), label.isVisible()) == (said, role, bool(said))
        assert ("encoding" in fields(page)) == shown


def texts(rows: Iterable[list[str]]) -> list[str]:
    return [" ".join(row) for row in rows]


def test_what_becomes_of_the_rows_is_told(page: DataColumnPage) -> None:
    assert caption(page) == ("No data are chosen.", "muted")
    page._store.set("data", "/d/rows.jsonl")
    assert caption(page) == ("There are no rows to show yet.", "muted")
    known(page, ASKED, ASKED, ASKED, ASKED)
    assert caption(page)[0] == "Read as prompt and answer. The first rows as they will be trained:"
    assert caption(page)[1] == "muted"
    assert texts(shown_rows(page)) == ["user Why? assistant So."] * 3
    long = {"messages": [{"role": role, "content": f"{n}"} for n in range(3) for role in ("user", "assistant")]}
    known(page, long)
    assert caption(page)[0] == "Read as chat. The first rows as they will be trained:"
    assert texts(shown_rows(page)) == ["user 0 assistant 0 user 1 assistant 1"]
    known(page, {"frage": "Was?", "preis": "3"}, format="unknown", target="")
    said = "These columns are not recognised. Choose a format and its columns above."
    assert caption(page) == (said, "warning")
    known(page, long)
    pair = {"prompt": "Q", "chosen": "A", "rejected": "B"}
    known(page, pair, format="preference", target="")
    assert caption(page) == (
        "These rows are preference pairs. What can be done with them stands under Problems.", "warning",
    )  # fmt: skip
    known(page, {"text": "A song."}, format="text", target="text")
    assert texts(shown_rows(page)) == ["text A song."]
    page._store.set("data", "/d/others.jsonl")  # of which nothing is known yet
    assert (caption(page)[0], shown_rows(page)) == ("There are no rows to show yet.", [])


def test_columns_are_suggested_while_none_fits(page: DataColumnPage) -> None:
    row = {"frage": "Was kostet es?", "antwort": "Drei Euro.", "preis": 3}
    assert not page.banner.isVisible()
    assert page.suggestion is None
    known(page, row, row, format="unknown", target="")
    assert page.banner.isVisible()
    assert page.suggestion_label.text() == "Suggested: “frage” as the prompt, “antwort” as the answer."
    QTest.mouseClick(page.use_button, Qt.MouseButton.LeftButton)
    config = page._store.config
    assert (config.data_format, config.prompt_feature, config.completion_feature) == (
        "completion", "frage", "antwort",
    )  # fmt: skip
    known(page, row, row)
    assert not page.banner.isVisible()
    assert page.suggestion is not None, "though there is one"
    assert page.boxes["prompt_feature"].currentText() == "frage"
    page._store.set("seed", 5)
    known(page, {"preis": 3}, format="unknown", target="")
    page._store.set("data_format", "auto")
    assert (page.suggestion, page.banner.isVisible()) == (None, False)
    before = page._store.config
    page.use_suggestion()
    assert page._store.config is before


@pytest.mark.parametrize(
    "mapping, said",
    [
        (Mapping("chat", chat="talk", system="persona"), "“talk” as the messages, “persona” as the system."),
        (Mapping("completion", prompt="q", completion="a"), "“q” as the prompt, “a” as the answer."),
        (Mapping("text", text="body"), "“body” as the text."),
    ],
)
def test_a_mapping_in_words(mapping: Mapping, said: str) -> None:
    assert mapping_text(mapping) == said


@pytest.mark.parametrize(
    "row, kind, turns",
    [
        ({"prompt": "Q", "completion": "A"}, Format.COMPLETION, [("user", "Q"), ("assistant", "A")]),
        (
            {"prompt": "Q", "completion": "A", "system": "Be brief."},
            Format.COMPLETION,
            [("system", "Be brief."), ("user", "Q"), ("assistant", "A")],
        ),
        (
            {"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}]},
            Format.SHAREGPT,
            [("user", "Q"), ("assistant", "A")],
        ),
        ({"text": "A song."}, Format.TEXT, [("text", "A song.")]),
        ({"preis": 3, "von": None}, None, [("preis", "3"), ("von", "")]),
        (
            {"prompt": "Q", "chosen": "A", "rejected": "B"},
            None,
            [("prompt", "Q"), ("chosen", "A"), ("rejected", "B")],
        ),
    ],
)
def test_a_row_as_it_is_trained(row: dict[str, Any], kind: Format | None, turns: list[tuple[str, str]]) -> None:
    assert trained_turns(row, Features()) == (kind, turns)
