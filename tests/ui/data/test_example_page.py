"""The page "Examples" with a worker that answers by hand: what is asked of it, what it shows, and what is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.protocol import event
from app.core.protocol.command import Configure, SearchExamples, ShowExample
from app.ui.data.example_page import DataExamplePage
from app.ui.data.inspector import DataInspector
from app.ui.data.previewer import Previewer
from app.ui.form.store import ConfigStore
from app.ui.widget import theme
from tests.ui.data.known_data import report, tell_rows, tell_split
from tests.ui.fake_worker import FakeWorker

SPLITS = {"train": 1200, "valid": 3}


@pytest.fixture
def page(qtbot: QtBot, by_hand: list[FakeWorker]) -> Iterator[DataExamplePage]:  # noqa: ARG001
    store = ConfigStore()
    found = DataExamplePage(store, DataInspector(store))
    qtbot.addWidget(found)
    found.resize(900, 500)
    found.show()
    yield found
    found.shutdown()
    found._inspector.stop()


def rows(page: DataExamplePage, model: str = "", **changes: Any) -> None:
    page._store.set("data", "/d/rows.jsonl")
    page._inspector.set_model(model)
    tell_rows(page._inspector, report(**changes))


def result(name: str, **data: Any) -> event.Result:
    return event.Result(name=name, data=data)


def opened(qtbot: QtBot, page: DataExamplePage, workers: list[FakeWorker]) -> FakeWorker:
    """The preview's worker, that has the data ready."""
    rows(page, "/m")
    qtbot.waitUntil(lambda: any(one.task == "preview" for one in workers))
    [worker] = [one for one in workers if one.task == "preview"]
    worker.say(result("preview", splits=SPLITS))
    return worker


def example(index: int = 0, split: str = "train", **changes: Any) -> event.Result:
    tokens = [{"id": n, "text": f"t{n} ", "kind": "masked", "trained": False} for n in range(4)]
    counts = {"tokens": 1300, "trained": 300, "truncated": 100}
    told = {"split": split, "index": index, "tokens": tokens, "file": "/d/rows.jsonl", "line": 1200 + index,
            "counts": counts, "shown": 1300, "problems": [], "refused": ""}  # fmt: skip
    return result("example", **(told | changes))


def asked(worker: FakeWorker) -> list[tuple[str, int]]:
    return [(one.split, one.index) for one in worker.commands if isinstance(one, ShowExample)]


def told(page: DataExamplePage) -> str:
    """What is said instead of an example; nothing while one is shown."""
    return page._state.text() if page._state.isVisible() else ""


def test_what_keeps_examples_from_being_seen(page: DataExamplePage) -> None:
    assert told(page) == "There are no data to look at yet."
    page._store.set("data", "/d/rows.jsonl")
    assert told(page) == "Reading the data"
    tell_rows(page._inspector, report(preview=()))
    assert told(page) == "There is no row to show."
    page._inspector.set_model("/m")
    assert told(page) == "Reading the data …"
    for done, total, said in ((0, 0, "Tokenizing …"), (0, 9, "Tokenizing · 0%"), (1, 4, "Tokenizing · 25%")):
        page.previewer._worker.emitted.emit(event.Progressed(phase="Tokenizing", done=done, total=total))
        assert told(page) == said
    page.counts_label.setText("before")
    page.previewer.failed.emit("It is on fire.")
    assert (told(page), page.counts_label.text()) == ("It is on fire.", "")


def test_rows_are_shown_as_they_stand_while_nobody_can_read_them(page: DataExamplePage) -> None:
    asked_for: list[tuple[str, int]] = []
    page.edit_requested.connect(lambda *place: asked_for.append(place))
    page._on_edit()
    rows(page)
    assert told(page) == ""
    assert page.view.text == "user\nQ0\n\nassistant\nA0\n\n"
    assert [page.split_box.itemText(at) for at in range(page.split_box.count())] == ["First rows"]
    assert (page.split, page.count, page.number_edit.text(), page._of.text()) == ("train", 3, "1", "of 3")
    said = "Choose a model to see tokens; these are the rows as they stand in the file."
    assert page.counts_label.text() == said
    assert (page._origin.text(), page._origin.toolTip()) == ("rows.jsonl, line 1", "/d/rows.jsonl:1")
    assert (page.legend.isVisible(), page.edges_button.isVisible()) == (False, False)
    for _ in range(3):  # further than there are any
        page.show_next()
    assert page.view.text.startswith("user\nQ2\n")
    assert (page.number_edit.text(), page._origin.text()) == ("3", "rows.jsonl, line 4")
    assert (page.back_button.isEnabled(), page.next_button.isEnabled()) == (True, False)
    page.edit_button.click()
    assert asked_for == [("/d/rows.jsonl", 4)]
    rows(page, preview=({"text": "Only one."},), preview_lines=(9,))
    assert (page.index, page.view.text) == (0, "text\nOnly one.\n\n")
    assert (page.back_button.isEnabled(), page.next_button.isEnabled()) == (False, False)
    page.number_edit.setText("")
    page.number_edit.editingFinished.emit()
    assert page.index == 0
    page._inspector.set_model("/m")
    tell_rows(page._inspector, report(format="unknown", target=""))
    assert page.counts_label.text().startswith("Choose columns to see tokens; these are")
    assert page.count == 0, "which none can be gone through by number"


def test_examples_are_asked_for_and_shown(qtbot: QtBot, page: DataExamplePage, by_hand: list[FakeWorker]) -> None:
    worker = opened(qtbot, page, by_hand)
    assert [page.split_box.itemText(at) for at in range(2)] == ["Training · 1,200", "Validation · 3"]
    assert (page.split, asked(worker)) == ("train", [("train", 0)])
    worker.say(example())
    assert told(page) == ""
    assert [token.text for token in page.view.tokens] == ["t0 ", "t1 ", "t2 ", "t3 "]
    assert (page.legend.isVisible(), page.edges_button.isVisible()) == (True, True)
    assert (page._origin.text(), page._of.text()) == ("rows.jsonl, line 1,200", "of 1,200")
    assert not page.back_button.isEnabled()
    QTest.mouseClick(page.next_button, Qt.MouseButton.LeftButton)
    worker.say(example(1))
    assert page.back_button.isEnabled()
    page.number_edit.setText("7")
    page.number_edit.editingFinished.emit()
    worker.say(example(6))
    QTest.mouseClick(page.back_button, Qt.MouseButton.LeftButton)
    page.split_box.set_value("valid")
    page.split_box.activated.emit(1)
    assert asked(worker)[1:] == [("train", 1), ("train", 6), ("train", 5), ("valid", 0)]
    page.show_index(99)
    assert asked(worker)[-1] == ("valid", 2)
    worker.say(example(2, "valid"))
    assert (page.number_edit.text(), page._of.text(), page.next_button.isEnabled()) == ("3", "of 3", False)
    worker.say(example(refused="The template refuses it."))
    assert told(page) == "The template refuses it."
    worker.say(event.Warned(message="There is no such example."))
    assert told(page) == "There is no such example."
    worker.say(result("preview", splits={"train": 5}))  # other data, without that part
    assert (page.split, asked(worker)[-1]) == ("train", ("train", 2))
    assert [page.split_box.itemText(at) for at in range(page.split_box.count())] == ["Training · 5"]


COUNTED: list[tuple[dict[str, Any], str]] = [
    ({"counts": {}}, ""),
    (
        {"counts": {"tokens": 1, "trained": 1, "truncated": 0}, "shown": 1},
        "<b>1 token</b> · 1 trained (100\u00a0%)",
    ),
    (
        {"counts": {"tokens": 1300, "trained": 300, "truncated": 100}, "problems": ["Odd.", "Bad."]},
        "<b>1,300 tokens</b> · 300 trained (25\u00a0%) · "
        "<span style='color: #ERROR'>100 cut off</span> · Odd. · Bad.",
    ),
    (
        {"counts": {"tokens": 9000, "trained": 0, "truncated": 0}, "shown": 8000},
        "<b>9,000 tokens</b> · 0 trained (0\u00a0%) · the first 8,000 are shown",
    ),
    (
        {"counts": {"tokens": 7, "trained": 0, "truncated": 7}, "shown": 7},
        "<b>7 tokens</b> · 0 trained (0\u00a0%) · <span style='color: #ERROR'>7 cut off</span>",
    ),
]


def test_the_tokens_of_an_example_are_counted(page: DataExamplePage) -> None:
    for changes, said in COUNTED:
        page.previewer.shown.emit(example(**changes).data)
        assert page.counts_label.text() == said.replace("#ERROR", theme.colors().error)


def test_of_prompts_nothing_is_trained_before_the_run(page: DataExamplePage) -> None:
    assert [field.isVisible() for field in page.fields.values()] == [True, True]
    page._store.set("train_mode", "grpo")
    page.previewer.shown.emit(example(counts={"tokens": 7, "trained": 0, "truncated": 0}, shown=7).data)
    assert page.counts_label.text() == "<b>7 tokens</b>"
    assert [field.isVisible() for field in page.fields.values()] == [False, False]


def test_texts_are_divided_anew_by_the_maximum_length(
    qtbot: QtBot, page: DataExamplePage, by_hand: list[FakeWorker]
) -> None:
    worker = opened(qtbot, page, by_hand)
    page._store.set("max_seq_length", 64)
    assert isinstance(worker.commands[-2], Configure)
    assert not worker.killed
    tell_rows(page._inspector, report(target="text"))
    assert worker.killed


def test_a_search_goes_from_match_to_match(qtbot: QtBot, page: DataExamplePage, by_hand: list[FakeWorker]) -> None:
    worker = opened(qtbot, page, by_hand)

    def search() -> list[tuple[str, str]]:
        QTest.keyClick(page.search_edit, Qt.Key.Key_Return)
        return [(one.split, one.text) for one in worker.commands if isinstance(one, SearchExamples)]

    assert search() == [], "for nothing"
    page.search_edit.setText(" a ")
    assert page.view._marked == "", "a single letter stands everywhere"
    page.search_edit.setText("  Lute ")
    assert page.view._marked == "lute"
    page.show_index(5)
    assert search() == [("train", "Lute")]
    assert page._hits.text() == "Searching …"
    del worker.commands[:]
    worker.say(result("search", indices=[2, 5, 9], more=False))
    hits = [page._hits.text()]
    for _ in range(3):
        search()
        hits.append(page._hits.text())
    assert hits == ["2 of 3", "3 of 3", "1 of 3", "2 of 3"]
    assert asked(worker) == [("train", 5), ("train", 9), ("train", 2), ("train", 5)]
    worker.say(result("search", indices=[2, 4], more=True))  # none behind: the first of all
    assert (page._hits.text(), asked(worker)[-1]) == ("1 of 2+", ("train", 2))
    page.split_box.activated.emit(0)
    assert page._hits.text() == ""
    del worker.commands[:]
    assert search() == [("train", "Lute")], "matches are of a part"
    worker.say(result("search", indices=[], more=False))
    assert page._hits.text() == "No match"
    page.search_edit.setText("viol")
    assert page._hits.text() == ""
    page.previewer.close()
    del worker.commands[:]
    assert search() == []
    assert page._hits.text() == ""


def test_the_share_of_all_that_is_trained(page: DataExamplePage) -> None:
    label = page.share_label
    assert label.text() == ""
    rows(page, "/m")
    tell_split(page._inspector)
    assert label.text() == "40\u00a0% of 1,500 training tokens are trained"
    page._store.set("mask_prompt", True)
    assert label.text() == "Counting …"
    tell_split(page._inspector, kind="prompts")
    assert label.text() == ""
    page._store.set("data", "")
    assert label.text() == ""


CHOSEN: list[tuple[bool, str, bool, str]] = [
    (False, "chat", False, "Everything is trained: there are no answers to choose among"),
    (True, "completion", False, "Each example has one answer: there is none to choose"),
    (True, "chat", True, ""),
]


def test_answers_are_chosen_where_there_are_several(page: DataExamplePage) -> None:
    for masked, target, enabled, tip in CHOSEN:
        page._store.set("mask_prompt", masked)
        rows(page, target=target)
        field = page.fields["mask_turns"]
        assert (field.isEnabled(), field.toolTip()) == (enabled, tip)


def test_a_preview_is_prepared_anew_for_other_rows_only(qtbot: QtBot, by_hand: list[FakeWorker]) -> None:
    previewer = Previewer()
    heard: list[object] = []
    previewer.opened.connect(heard.append)
    previewer.failed.connect(heard.append)
    config = TrainConfig(model="/m", data="/d/rows.jsonl")

    def live(worker: FakeWorker) -> list[dict[str, Any]]:
        return [one.values for one in worker.commands if isinstance(one, Configure)]

    def made(config: TrainConfig, *, is_text: bool = False) -> FakeWorker | None:
        """The worker that a config starts, if it starts one."""
        before = len(by_hand)
        previewer.open(config, is_text=is_text)
        qtbot.wait(2)
        return by_hand[-1] if len(by_hand) > before else None

    first = made(config)
    assert first is not None
    assert not previewer.is_open
    assert made(config.with_value("seed", 0)) is None
    assert made(config.with_value("mask_prompt", True)) is None
    assert (live(first), heard) == ([], []), "the worker is not there yet"
    first.say(result("preview", splits=SPLITS))
    assert (previewer.is_open, heard) == (True, [SPLITS])
    other = config.with_values({"mask_prompt": True, "max_seq_length": 64})
    assert made(other) is None
    assert live(first) == [
        {"mask_prompt": True, "mask_turns": "last", "max_seq_length": 64,
         "max_completion_length": config.max_completion_length},
    ]  # fmt: skip
    assert heard == [SPLITS] * 2, "what is shown is asked for anew"
    assert made(other) is None
    assert (len(live(first)), len(heard)) == (1, 2)
    for path, value in (("model", "/n"), ("seed", 3), ("batch_size", 4), ("group_feature", "author"),
                        ("valid_fraction", 0.3), ("encoding", "cp1252")):  # fmt: skip
        other = other.with_value(path, value)
        assert made(other) is not None, path
    assert made(other, is_text=True) is not None
    assert made(other.with_value("max_seq_length", 128), is_text=True) is not None, "which cuts texts into examples"
    last = by_hand[-1]
    last.say(result("preview", splits=SPLITS))
    last.end(event.Failed(message="It is on fire."))
    assert (previewer.is_open, previewer.splits, heard[-1]) == (False, {}, "It is on fire.")
    assert made(other) is not None, "it was opened for nothing"
    by_hand[-1].say(result("preview", splits=SPLITS))
    del heard[:]
    by_hand[-1].end(event.Finished())
    assert (previewer.splits, heard) == ({}, [])
    previewer.close()
    assert made(other) is not None
    previewer.stop()
