"""The dialog "Data" with real workers and a real tokenizer: each page shows what is true and reaches the config."""

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtWidgets import QApplication, QFileDialog
from pytestqt.qtbot import QtBot

from app.core.config.spec import field_specs
from app.core.problem import Severity
from app.core.source.finding import KINDS
from app.ui.data.dialog import DataDialog
from app.ui.data.inspector import DataInspector
from app.ui.form.number_box import NumberBox
from app.ui.form.plain_editor import CheckEditor, ChoiceBox
from app.ui.form.store import ConfigStore
from app.ui.widget import theme
from app.ui.widget.length_slider import length_at, position_of
from tests.ui.data_files import LONG, SYSTEM, chat, write_broken, write_chats, write_table, write_tokenizer

ANSWER_MS = 60_000
LIMIT = 300  # tokens; the example with the tool call is longer


class Bench:
    """A dialog with its store and inspector; one for the module, because workers take their time to start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.chats = write_chats(folder / "chats.jsonl")
        self.store = ConfigStore()
        self.store.set_many({"data": str(self.chats), "mask_prompt": True, "max_seq_length": LIMIT})
        self.inspector = DataInspector(self.store)
        self.inspector.set_model(str(write_tokenizer(folder / "model")))
        self.dialog = DataDialog(self.store, self.inspector)
        self.dialog.show()

    def wait(self, qtbot: QtBot, condition: Callable[[], bool]) -> None:
        qtbot.waitUntil(condition, timeout=ANSWER_MS)

    def known(self, qtbot: QtBot) -> None:
        self.wait(qtbot, lambda: self.inspector.report is not None and not self.inspector.phase)

    def open(self, qtbot: QtBot, page: Any) -> Any:
        self.dialog.pages.setCurrentWidget(page)
        self.known(qtbot)
        return page


@pytest.fixture(scope="module")
def bench(qapp: QApplication, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:  # noqa: ARG001
    theme.apply_theme("light")
    found = Bench(tmp_path_factory.mktemp("bench"))
    yield found
    found.dialog.shutdown()
    found.inspector.stop()
    found.dialog.close()


@pytest.fixture
def faulty(qtbot: QtBot, tmp_path: Path) -> Iterator[tuple[DataDialog, ConfigStore, DataInspector]]:
    """A dialog over a file with faults, without a model."""
    store = ConfigStore()
    store.set("data", str(write_broken(tmp_path / "broken.jsonl")))
    inspector = DataInspector(store)
    dialog = DataDialog(store, inspector)
    qtbot.addWidget(dialog)
    dialog.show()
    qtbot.waitUntil(lambda: inspector.report is not None, timeout=ANSWER_MS)
    yield dialog, store, inspector
    dialog.shutdown()
    inspector.stop()


# -- every field reaches the config ---------------------------------------------------------------------------

FIELDS = {
    "mask_prompt", "mask_turns", "max_seq_length", "batch_size", "skip_bad_rows", "data_format", "chat_feature",
    "prompt_feature", "completion_feature", "system_feature", "text_feature", "valid_fraction", "test_fraction",
    "seed", "group_feature", "sheet", "answers_by", "encoding", "skip_bad_answers",
}  # fmt: skip
TYPED = {"valid_fraction": "0.2", "test_fraction": "0.3", "max_seq_length": "512", "batch_size": "7", "seed": "7"}


@pytest.fixture
def form(qtbot: QtBot) -> tuple[DataDialog, ConfigStore]:
    """A dialog without data, whose columns are known."""
    store = ConfigStore()
    dialog = DataDialog(store, DataInspector(store))
    qtbot.addWidget(dialog)
    for box in (*dialog.columns.boxes.values(), dialog.split.group_box):
        box.set_columns(("first", "second"))
    dialog.show()
    return dialog, store


def test_the_list_of_fields_is_complete(form: tuple[DataDialog, ConfigStore]) -> None:
    assert set(form[0].fields) == FIELDS


@pytest.mark.parametrize("path", sorted(FIELDS))
def test_editing_the_widget_changes_the_config(
    qtbot: QtBot, form: tuple[DataDialog, ConfigStore], path: str
) -> None:
    dialog, store = form
    field = dialog.fields[path]
    pages = [dialog.pages.widget(at) for at in range(6)]
    page = next(page for page in pages if page is not None and page.isAncestorOf(field))
    dialog.pages.setCurrentWidget(page)
    formats = {"chat_feature": "chat", "text_feature": "text", "data_format": "auto"}
    store.set("data_format", formats.get(path, "completion"))
    shown_where_chosen: dict[str, Any] = {
        "sheet": "second", "answers_by": "second", "encoding": "cp1250", "skip_bad_answers": True,
    }  # fmt: skip
    if path in shown_where_chosen:  # or where there is a choice
        store.set(path, shown_where_chosen[path])
    field.setEnabled(True)
    before, editor = store.value(path), field.editor
    assert editor.isVisible()
    assert editor.accessibleName() == field_specs()[path].label
    editor.setFocus()
    if isinstance(editor, NumberBox):
        qtbot.keyClick(editor, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
        qtbot.keyClicks(editor, TYPED[path])
        expected: Any = float(TYPED[path])
    elif isinstance(editor, CheckEditor):
        qtbot.mouseClick(editor, Qt.MouseButton.LeftButton, pos=QPoint(8, editor.height() // 2))
        expected = not before
    else:
        assert isinstance(editor, ChoiceBox)
        qtbot.keyClick(editor, Qt.Key.Key_Down if editor.currentIndex() == 0 else Qt.Key.Key_Up)
        expected = editor.currentData()
    assert store.value(path) == expected
    assert expected != before


# -- examples -------------------------------------------------------------------------------------------------


def kinds(bench: Bench) -> set[str]:
    return {token.kind for token in bench.dialog.examples.view.tokens}


def trained_text(bench: Bench) -> str:
    return "".join(token.text for token in bench.dialog.examples.view.tokens if token.kind == "trained")


def find_tool_chat(qtbot: QtBot, bench: Bench) -> Any:
    """The example with the tool call, by search; the split puts it anywhere."""
    page = bench.open(qtbot, bench.dialog.examples)
    bench.wait(qtbot, lambda: page.previewer.is_open and bool(page.example))
    for split in ("train", "valid", "test"):
        page.split_box.set_value(split)
        page._on_split(split)
        page.search_edit.setText("cremona")
        qtbot.keyClick(page.search_edit, Qt.Key.Key_Return)
        bench.wait(qtbot, lambda: page._hits.text() not in ("", "Searching …"))
        if page._hits.text() != "No match":
            bench.wait(qtbot, lambda: "Cremona" in page.view.text)
            return page
    raise AssertionError("the example is in no part")


def test_an_example_shows_what_is_trained_masked_and_cut(qtbot: QtBot, bench: Bench) -> None:
    page = find_tool_chat(qtbot, bench)
    tokens = page.view.tokens
    assert kinds(bench) == {"trained", "masked", "truncated", "special"} or kinds(bench) == {
        "masked", "truncated", "special",
    }  # fmt: skip
    assert {at for at, token in enumerate(tokens) if token.kind == "truncated"} == set(range(LIMIT, len(tokens)))
    masked = "".join(token.text for token in tokens if token.kind == "masked")
    assert SYSTEM in masked
    assert "humidity" in masked
    assert LONG.strip() in page.view.text
    assert f"{len(tokens):,} tokens" in page.counts_label.text()
    assert f"{len(tokens) - LIMIT:,} cut off" in page.counts_label.text()
    assert page._origin.text() == "chats.jsonl, line 1"


def test_the_mask_is_a_choice_and_is_shown_at_once(qtbot: QtBot, bench: Bench) -> None:
    page = find_tool_chat(qtbot, bench)
    bench.store.set("mask_turns", "all")
    bench.wait(qtbot, lambda: "<tool_call>" in trained_text(bench))
    bench.known(qtbot)
    assert "training tokens are trained" in page.share_label.text()
    bench.store.set("mask_prompt", False)
    bench.wait(qtbot, lambda: SYSTEM in trained_text(bench))
    assert not page.fields["mask_turns"].isEnabled()
    assert page.fields["mask_turns"].toolTip().startswith("Everything is trained")
    bench.store.set_many({"mask_prompt": True, "mask_turns": "last"})


def test_examples_are_paged_by_buttons_and_number(qtbot: QtBot, bench: Bench) -> None:
    page = bench.open(qtbot, bench.dialog.examples)
    bench.wait(qtbot, lambda: page.previewer.is_open)
    page.search_edit.clear()
    page.split_box.set_value("train")
    page._on_split("train")
    bench.wait(qtbot, lambda: page.number_edit.text() == "1" and page.example["split"] == "train")
    assert page.count == 32
    assert not page.back_button.isEnabled()
    first = page.view.text
    qtbot.mouseClick(page.next_button, Qt.MouseButton.LeftButton)
    bench.wait(qtbot, lambda: page.view.text != first)
    assert page.number_edit.text() == "2"
    page.number_edit.setText("32")
    qtbot.keyClick(page.number_edit, Qt.Key.Key_Return)
    bench.wait(qtbot, lambda: page.example["index"] == 31)
    assert not page.next_button.isEnabled()
    assert page._of.text() == "of 32"
    for asked, shown in ((99, 31), (-3, 0)):
        page.show_index(asked)
        bench.wait(qtbot, lambda: page.example["index"] == page.index)
        assert page.index == shown
    assert page.view.text == first


def test_one_goes_back_to_the_example_before(qtbot: QtBot, bench: Bench) -> None:
    page = bench.open(qtbot, bench.dialog.examples)
    bench.wait(qtbot, lambda: page.previewer.is_open and bool(page.example))
    page.show_index(2)
    bench.wait(qtbot, lambda: page.example["index"] == 2)
    for index, is_first in ((1, False), (0, True)):
        qtbot.mouseClick(page.back_button, Qt.MouseButton.LeftButton)
        bench.wait(qtbot, lambda: page.example["index"] == page.index)
        assert page.index == index
        assert page.number_edit.text() == str(index + 1)
        assert page.back_button.isEnabled() is not is_first


def test_the_example_that_is_shown_is_edited_where_it_stands(qtbot: QtBot, bench: Bench) -> None:
    page = bench.open(qtbot, bench.dialog.examples)
    bench.wait(qtbot, lambda: page.previewer.is_open and bool(page.example))
    page.show_index(3)
    bench.wait(qtbot, lambda: page.example["index"] == 3)
    place = page._origin.text()
    qtbot.mouseClick(page.edit_button, Qt.MouseButton.LeftButton)
    edit = bench.dialog.edit
    bench.wait(qtbot, lambda: bool(edit.rows.rows))
    assert bench.dialog.pages.currentWidget() is edit
    line = edit.rows.rows[edit.list.currentIndex().row()].line
    assert place == f"chats.jsonl, line {line}"
    row = json.loads(bench.chats.read_text().splitlines()[line - 1])
    assert json.loads(edit.text_edit.toPlainText()) == row
    assert row["messages"][-1]["content"].strip() in page.view.text


def test_the_edges_of_tokens_are_drawn_while_they_are_asked_for(qtbot: QtBot, bench: Bench) -> None:
    page = bench.open(qtbot, bench.dialog.examples)
    bench.wait(qtbot, lambda: page.previewer.is_open and bool(page.example) and page.view.is_complete)
    pictures = [page.view.viewport().grab().toImage()]
    for _ in range(2):
        qtbot.mouseClick(page.edges_button, Qt.MouseButton.LeftButton)
        pictures.append(page.view.viewport().grab().toImage())
    assert pictures[1] != pictures[0]
    assert pictures[2] == pictures[0]


def test_what_is_cut_off_is_told_in_the_colour_of_the_theme(qtbot: QtBot, bench: Bench) -> None:
    page = find_tool_chat(qtbot, bench)
    assert theme.LIGHT.error in page.counts_label.text()
    theme.apply_theme("dark")
    assert theme.DARK.error in page.counts_label.text()
    assert theme.LIGHT.error not in page.counts_label.text()
    assert " cut off" in page.counts_label.text()


def test_a_preview_whose_worker_dies_says_so_and_is_opened_anew(qtbot: QtBot, bench: Bench) -> None:
    page = bench.open(qtbot, bench.dialog.examples)
    bench.wait(qtbot, lambda: page.previewer.is_open and bool(page.counts_label.text()))
    page.previewer._worker._runner._worker.kill()
    bench.wait(qtbot, lambda: page._state.isVisible())
    assert "ended" in page._state.text()
    assert page.counts_label.text() == ""
    assert page.count == 0
    page.refresh()
    bench.wait(qtbot, lambda: page.previewer.is_open and page.view.isVisible())
    assert page.count > 0


def test_without_a_model_the_rows_are_shown_as_they_stand(
    qtbot: QtBot,
    faulty: tuple[DataDialog, ConfigStore, DataInspector],
) -> None:
    page = faulty[0].examples
    assert "How do I tune string 0?" in page.view.text
    assert "Choose a model to see tokens" in page.counts_label.text()
    page.show_next()
    assert not page.legend.isVisible()
    assert "string 2?" in page.view.text  # the row between is broken
    page.edit_button.click()
    assert faulty[0].pages.currentWidget() is faulty[0].edit
    qtbot.waitUntil(lambda: bool(faulty[0].edit.rows.rows), timeout=ANSWER_MS)
    assert "string 2?" in faulty[0].edit.text_edit.toPlainText()


# -- lengths --------------------------------------------------------------------------------------------------


def test_lengths_totals_and_what_is_cut(qtbot: QtBot, bench: Bench) -> None:
    page = bench.open(qtbot, bench.dialog.lengths)
    bench.store.set("max_seq_length", 64)
    bench.known(qtbot)
    bench.wait(qtbot, lambda: bench.inspector.figures["train"].max_seq_length == 64)
    figures = bench.inspector.figures["train"]
    assert page.figures["examples"].text == "32"
    assert page.figures["tokens"].text == f"{figures.kept_tokens:,}"
    assert page.figures["iterations"].text == "32"
    assert figures.over_length > 1
    assert f"{figures.cut_tokens:,} tokens" in page.cut_label.text()
    assert page.chart.is_line_shown
    assert page.chart.cut_bars() == sum(1 for edge in figures.edges[:-1] if edge > 64)
    assert page.chart.cut_bars() > 0
    bench.store.set_many({"max_seq_length": 100_000, "batch_size": 4})
    assert not page.chart.is_line_shown
    bench.wait(qtbot, lambda: page.figures["iterations"].text == "8")
    assert page.cut_label.text().startswith("Nothing is cut")
    assert page.figures["padding"].text.endswith("%")
    bench.store.set_many({"max_seq_length": LIMIT, "batch_size": 1})


def test_the_lengths_of_each_part_are_shown(qtbot: QtBot, bench: Bench) -> None:
    page = bench.open(qtbot, bench.dialog.lengths)
    bench.wait(qtbot, lambda: set(bench.inspector.figures) == {"train", "valid", "test"})
    page.refresh()
    counts = [page.figures["examples"].text]
    for _ in range(2):
        qtbot.keyClick(page.split_box, Qt.Key.Key_Down)
        counts.append(page.figures["examples"].text)
    assert counts == ["32", "4", "4"]  # of 40, a tenth each is set aside
    page.split_box.set_value("train")
    page.refresh()


def test_the_maximum_is_set_by_slider_and_line(qtbot: QtBot, form: tuple[DataDialog, ConfigStore]) -> None:
    dialog, store = form
    page = dialog.lengths
    dialog.pages.setCurrentWidget(page)
    store.set("max_seq_length", 1024)
    page.slider.setFocus()
    qtbot.keyClick(page.slider, Qt.Key.Key_Right)
    assert store.config.max_seq_length == length_at(position_of(1024) + 1) == 1120
    page.chart.set_maximum(1120, "maximum")
    page.chart.line.setPos(700.4)
    page.chart.line.sigPositionChangeFinished.emit(page.chart.line)
    assert store.config.max_seq_length == 700
    assert page.slider.value() == position_of(700)


# -- problems -------------------------------------------------------------------------------------------------


def listed(dialog: DataDialog) -> list[str]:
    proxy = dialog.problems.proxy
    return [str(proxy.index(row, 2).data()) for row in range(proxy.rowCount())]


def test_problems_are_listed_filtered_and_exported(
    faulty: tuple[DataDialog, ConfigStore, DataInspector], tmp_path: Path
) -> None:
    dialog, _, inspector = faulty
    dialog.show_problems()
    page = dialog.problems
    labels = [KINDS[kind].label for kind in ("broken_json", "no_answer", "empty_line")]
    assert listed(dialog) == labels
    dialog.show_problems(Severity.WARNING)
    assert listed(dialog) == labels[2:]
    for pill in page.pills.values():
        pill.setChecked(True)
    page.kind_box.setCurrentIndex(page.kind_box.findData("no_answer"))
    page._filter()
    assert listed(dialog) == labels[1:2]
    page.view.selectRow(0)
    assert "Let the row end with a turn of the assistant." in page.hint_label.text()
    assert inspector.report is not None
    page.export(tmp_path / "out.csv", inspector.report)
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 4
    assert "saved" in page.hint_label.text()
    (tmp_path / "file").touch()
    page.export(tmp_path / "file" / "out.csv", inspector.report)
    assert "cannot be written" in page.hint_label.text()


def test_the_problems_are_exported_where_the_person_says(
    qtbot: QtBot,
    faulty: tuple[DataDialog, ConfigStore, DataInspector],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faulty[0].show_problems()
    page, target = faulty[0].problems, tmp_path / "mine.csv"
    chosen, before = ["", str(target)], page.hint_label.text()
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (chosen.pop(0), ""))
    qtbot.mouseClick(page.export_button, Qt.MouseButton.LeftButton)
    assert page.hint_label.text() == before
    qtbot.mouseClick(page.export_button, Qt.MouseButton.LeftButton)
    assert page.hint_label.text() == f"3 lines saved as {target}."
    _, *rows = csv.reader(target.read_text(encoding="utf-8-sig").splitlines())
    assert {cell for row in rows for cell in row} >= {"2", "4", "6"}  # their lines


def test_bad_rows_are_left_out_only_with_a_word(
    qtbot: QtBot, faulty: tuple[DataDialog, ConfigStore, DataInspector]
) -> None:
    dialog, store, inspector = faulty
    assert inspector.report is not None
    assert not inspector.report.usable
    dialog.show_problems()
    box = dialog.problems.fields["skip_bad_rows"].editor
    assert isinstance(box, CheckEditor)
    qtbot.mouseClick(box, Qt.MouseButton.LeftButton, pos=QPoint(8, box.height() // 2))
    assert store.config.skip_bad_rows
    qtbot.waitUntil(lambda: inspector.report is not None, timeout=ANSWER_MS)
    assert inspector.report is not None
    assert inspector.report.usable
    assert inspector.report.error_count == 2


# -- columns and split ----------------------------------------------------------------------------------------


def test_columns_are_chosen_with_a_live_preview(qtbot: QtBot, tmp_path: Path) -> None:
    store = ConfigStore()
    store.set("data", str(write_table(tmp_path / "faq.csv")))
    inspector = DataInspector(store)
    dialog = DataDialog(store, inspector)
    qtbot.addWidget(dialog)
    dialog.show()
    dialog.show_columns()
    page = dialog.columns
    qtbot.waitUntil(lambda: inspector.report is not None, timeout=ANSWER_MS)
    assert page.banner.isVisible()
    assert "not recognised" in page.caption.text()
    store.set_many({"data_format": "completion", "prompt_feature": "thema", "completion_feature": "antwort"})
    assert "Read as prompt and answer" in page.caption.text()
    assert not page.banner.isVisible()
    assert "prompt" in page.boxes["prompt_feature"].itemText(page.boxes["prompt_feature"].count() - 1) or (
        page.boxes["prompt_feature"].currentText() == "thema"
    )
    assert page.fields["prompt_feature"].isVisible()
    assert not page.fields["chat_feature"].isVisible()
    inspector.stop()


def test_the_split_is_counted_at_once(qtbot: QtBot, bench: Bench) -> None:
    page = bench.open(qtbot, bench.dialog.split)
    assert [label.text() for label in page.count_labels.values()] == ["32", "4", "4"]
    bench.store.set_many({"valid_fraction": 0.25, "test_fraction": 0.0})
    assert [label.text() for label in page.count_labels.values()] == ["30", "10", "0"]
    widths = page.bar.widths()
    assert widths[0] == pytest.approx(3 * widths[1])
    bench.known(qtbot)
    assert page.note_label.text() == "No row is in two parts, and none is repeated."
    assert page.note_label.property("role") == "good"
    bench.store.set_many({"valid_fraction": 0.1, "test_fraction": 0.1})


def test_repeated_rows_are_told(qtbot: QtBot, tmp_path: Path) -> None:
    data = write_chats(tmp_path / "data.jsonl", 20)
    valid = tmp_path / "held_out.jsonl"
    valid.write_text("".join(data.read_text().splitlines(keepends=True)[2:5]))
    store = ConfigStore()
    store.set_many({"data": str(data), "valid_data": str(valid)})
    inspector = DataInspector(store)
    dialog = DataDialog(store, inspector)
    qtbot.addWidget(dialog)
    qtbot.waitUntil(lambda: inspector.report is not None, timeout=ANSWER_MS)
    assert dialog.split.note_label.text().startswith("Also in the training data: 3 held-out rows.")
    assert dialog.split.note_label.property("role") == "warning"
    assert not dialog.split.fields["valid_fraction"].isEnabled()
    inspector.stop()


# -- editing --------------------------------------------------------------------------------------------------


def test_rows_are_repaired_dropped_and_added_into_a_new_file(
    qtbot: QtBot, faulty: tuple[DataDialog, ConfigStore, DataInspector], tmp_path: Path
) -> None:
    dialog, store, inspector = faulty
    before = Path(store.config.data).read_bytes()
    dialog.show_problems(Severity.ERROR)
    dialog.problems.view.selectRow(0)
    qtbot.mouseClick(dialog.problems.edit_button, Qt.MouseButton.LeftButton)
    page = dialog.edit
    qtbot.waitUntil(lambda: bool(page.rows.rows), timeout=ANSWER_MS)
    assert dialog.pages.currentWidget() is page
    assert page.text_edit.toPlainText() == '{"messages": [{"role": "user"'
    assert "breaks off" in page.fault_label.text() or "not JSON" in page.fault_label.text()
    assert not page.keep_button.isEnabled()
    page.text_edit.setPlainText(json.dumps(chat(100)))
    qtbot.mouseClick(page.keep_button, Qt.MouseButton.LeftButton)
    assert page.state_label.text() == "1 changed"
    page.list.setCurrentIndex(page.rows.index(5))
    qtbot.mouseClick(page.drop_button, Qt.MouseButton.LeftButton)
    qtbot.mouseClick(page.add_button, Qt.MouseButton.LeftButton)
    page.text_edit.setPlainText(json.dumps(chat(101)))
    qtbot.mouseClick(page.keep_button, Qt.MouseButton.LeftButton)
    assert page.state_label.text() == "1 changed, 1 dropped, 1 added"
    target = tmp_path / "repaired.jsonl"
    with qtbot.waitSignal(page.saved, timeout=ANSWER_MS):
        page.save(target)
    assert Path(store.config.data).read_bytes() == before
    rows = [json.loads(line) for line in target.read_text().splitlines()]
    assert rows == [chat(n) if n != 1 else chat(100) for n in (0, 1, 2, 4, 6, 7, 8, 9, 10, 11)] + [chat(101)]
    qtbot.mouseClick(page.use_button, Qt.MouseButton.LeftButton)
    assert store.config.data == str(target)
    qtbot.waitUntil(lambda: inspector.report is not None, timeout=ANSWER_MS)
    assert inspector.report is not None
    assert inspector.report.usable


def test_a_save_that_cannot_be_done_is_told(
    qtbot: QtBot, faulty: tuple[DataDialog, ConfigStore, DataInspector], tmp_path: Path
) -> None:
    dialog, store, _ = faulty
    page = dialog.edit
    dialog.show_row(store.config.data, 3)
    qtbot.waitUntil(lambda: bool(page.rows.rows), timeout=ANSWER_MS)
    page.drop()
    with qtbot.waitSignal(page.source.failed, timeout=ANSWER_MS):
        page.save(tmp_path / "new.jsonl")
    assert ":2" in page.state_label.text()
    assert "Repair or drop the row." in page.state_label.text()
    assert not (tmp_path / "new.jsonl").exists()
    assert page.save_button.isEnabled()


def test_the_token_under_the_pointer_is_told(qtbot: QtBot, bench: Bench) -> None:
    page = find_tool_chat(qtbot, bench)
    bench.wait(qtbot, lambda: page.view.is_complete)
    assert page.view.token_at(QPointF(24, 30)) == 0
    assert page.view.token_at(QPointF(24, 20_000)) is None
    special = next(at for at, token in enumerate(page.view.tokens) if token.kind == "special")
    assert "control token" in page.view.describe(special)
    qtbot.keyClick(page.view, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QApplication.clipboard().text() == page.view.text


def test_closing_ends_the_preview_and_opening_brings_it_back(qtbot: QtBot, bench: Bench) -> None:
    page = bench.dialog.examples
    bench.dialog.pages.setCurrentWidget(page)
    bench.wait(qtbot, lambda: page.previewer.is_open)
    bench.dialog.reject()
    assert not page.previewer.is_open
    bench.dialog.show()
    bench.wait(qtbot, lambda: page.previewer.is_open)
