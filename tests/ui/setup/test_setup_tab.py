"""The Setup tab with real widgets: every field reaches the config, every problem its field, Start is honest."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from PySide6.QtCore import QMimeData, QPoint, QPointF, Qt, QUrl
from PySide6.QtGui import QDesktopServices, QDragEnterEvent, QDropEvent, QKeySequence
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QCheckBox, QLabel, QLineEdit, QMainWindow, QPushButton, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.spec import field_specs
from app.core.config.train_config import TrainConfig
from app.core.problem import Problem, Severity
from app.core.quantity import bytes_text
from app.core.setup.config_file import parse_config
from app.core.setup.duration import Duration
from app.core.system import starter
from app.core.system.setting import load_settings
from app.core.target.preset import PRESETS
from app.ui.data.inspector import SplitFigures
from app.ui.form.number_box import NumberBox
from app.ui.form.plain_editor import CheckEditor, ChoiceBox
from app.ui.form.store import ConfigStore
from app.ui.menu.edit_menu import EditMenu
from app.ui.setup.config_tab import ConfigTab, nothing_to_train
from app.ui.setup.estimate_panel import RunTime
from app.ui.setup.setup_tab import SetupTab
from app.ui.setup.start_bar import StartBar
from app.ui.target.module_dialog import ModuleDialog
from app.ui.target.section import PAPER
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.worker.inspector import Inspector
from tests.ui.child import child
from tests.ui.data.known_data import report, split_tree, tell_rows, tell_tokens
from tests.ui.tiny_form_model import write_model

ANSWER_MS = 60_000


def open_tab(inspector: Inspector) -> SetupTab:
    tab = SetupTab(ConfigStore(), inspector)
    tab.resize(1000, 900)
    tab.show()
    tab.activateWindow()
    return tab


@pytest.fixture(scope="module")
def inspector(qapp: QApplication) -> Iterator[Inspector]:  # noqa: ARG001
    """One for all tests: what a real worker told once is known from then on."""
    theme.apply_theme("light")
    found = Inspector()
    yield found
    found.stop()


@pytest.fixture(scope="module")
def shared(inspector: Inspector) -> Iterator[SetupTab]:
    """A tab for tests that only edit values; each begins with the defaults."""
    found = open_tab(inspector)
    yield found
    found.shutdown()
    found.close()


@pytest.fixture
def tab(qtbot: QtBot, inspector: Inspector) -> Iterator[SetupTab]:
    inspector.inspect("")
    found = open_tab(inspector)
    qtbot.addWidget(found)
    yield found
    found.shutdown()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("models") / "tiny-qwen2")


@pytest.fixture
def known(qtbot: QtBot, tab: SetupTab, model: Path) -> SetupTab:
    """The tab with the tiny model (4 layers of 7 matrices) inspected."""
    tab.store.set("model", str(model))
    qtbot.waitUntil(lambda: tab.selection.selection is not None, timeout=ANSWER_MS)
    return tab


def find(tab: QWidget, name: str, kind: type[Any] = QWidget) -> Any:
    if isinstance(tab, ConfigTab):
        tab.training.complete()  # as a person does who opens *More*
    return child(tab, kind, name)


def content_width(tab: SetupTab) -> int:
    content = tab.scroll_area.widget()
    assert content is not None
    return content.width()


def retype(qtbot: QtBot, widget: QWidget, text: str) -> None:
    widget.setFocus()
    qtbot.keyClick(widget, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClicks(widget, text)


# -- every field reaches the config ---------------------------------------------------------------------------

TYPED = {
    "model": "/some/model", "data": "/some/data.jsonl", "valid_data": "/some/valid.jsonl",
    "adapter_name": "my_voice", "resume_adapter_file": "/some/adapters.safetensors",
    "learning_rate": "5e-5", "epochs": "2.5", "lora_parameters.dropout": "0.25", "valid_fraction": "0.2",
    "test_fraction": "0.3", "max_seq_length": "512", "report_to": "tensorboard", "project_name": "mine",
}  # fmt: skip
SHOWN = (
    "model", "data", "valid_data", "learning_rate", "batch_size", "grad_accumulation_steps", "max_seq_length",
    "epochs", "iters", "optimizer", "adapter_name", "steps_per_report", "steps_per_eval", "save_every", "seed",
    "early_stopping.enabled", "early_stopping.patience", "mask_prompt", "mask_turns", "grad_checkpoint",
    "checkpoint_layers", "schedule",
    "warmup", "bias_correction", "weight_decay", "max_grad_norm", "val_batches", "neutral_tokens",
    "sampled_prompts", "batching", "final_adapter",
    "early_stopping.min_delta", "valid_fraction", "test_fraction", "adapter_dtype", "resume_adapter_file",
    "report_to", "project_name",
    "fine_tune_type", "lora_parameters.rank", "lora_parameters.scale", "lora_parameters.dropout", "num_layers",
)  # fmt: skip


def test_the_list_of_shown_fields_is_complete(tab: SetupTab) -> None:
    assert set(SHOWN) - set(tab.data_panel.fields) == set(tab.fields) - set(tab.data_panel.fields)


@pytest.mark.parametrize("path", SHOWN)
def test_editing_the_widget_changes_the_config(qtbot: QtBot, shared: SetupTab, path: str) -> None:
    tab = shared
    tab.store.replace(TrainConfig())
    tab.training.disclosure.open()
    tab.store.set("mask_prompt", path == "mask_turns")
    tab.store.set("grad_checkpoint", path == "checkpoint_layers")
    before, editor = tab.store.value(path), find(tab, path)
    if isinstance(editor, NumberBox):
        text = TYPED.get(path, "7")
        retype(qtbot, editor, text)
        expected: Any = float(text) if field_specs()[path].kind == "float" else int(text)
    elif isinstance(editor, CheckEditor):
        qtbot.mouseClick(editor, Qt.MouseButton.LeftButton, pos=QPoint(8, editor.height() // 2))
        expected = not before
    elif isinstance(editor, ChoiceBox):
        editor.setFocus()
        key = Qt.Key.Key_Down if editor.currentIndex() == 0 else Qt.Key.Key_Up
        qtbot.keyClick(editor, key)
        expected = editor.currentData()
    else:
        assert isinstance(editor, QLineEdit)
        retype(qtbot, editor, TYPED[path])
        expected = TYPED[path]
    if path == "lora_parameters.scale":
        expected /= 32  # the alpha that is typed stands as the scale, alpha ÷ rank
    assert tab.store.config.value(path) == expected
    assert expected != before


@pytest.mark.parametrize("kind, reason", [("lora", ""), ("dora", "float32"), ("full", "no adapter")])
def test_the_precision_of_the_adapter_is_a_choice_of_lora_only(tab: SetupTab, kind: str, reason: str) -> None:
    tab.store.set("fine_tune_type", kind)
    field = tab.training.fields["adapter_dtype"]
    assert field.isEnabled() == (kind == "lora")
    assert reason in field._hint.text()


@pytest.mark.parametrize("path", SHOWN)
def test_every_field_can_be_named_and_explained(shared: SetupTab, path: str) -> None:
    editor, spec = find(shared, path), field_specs()[path]
    assert editor.accessibleName() == spec.label
    assert spec.what in editor.accessibleDescription()
    assert editor.focusPolicy() & Qt.FocusPolicy.TabFocus


def test_a_config_from_a_file_is_shown_and_unknown_keys_are_kept(tab: SetupTab) -> None:
    tab.store.replace(parse_config("iters: 123\nlora_parameters: {rank: 8, scale: 20}\nkey: mine\n").config)
    assert find(tab, "iters").lineEdit().text() == "123"
    assert find(tab, "lora_parameters.rank").lineEdit().text() == "8"
    tab.check()
    assert "key: mine" in find(tab, "unknown_keys", QLabel).text()
    assert find(tab, "unknown_keys", QLabel).isVisibleTo(tab)


# -- iterations and epochs ------------------------------------------------------------------------------------


def test_epochs_and_iterations_each_show_the_other(qtbot: QtBot, tab: SetupTab) -> None:
    iterations, epochs = find(tab, "iters", NumberBox), find(tab, "epochs", NumberBox)  # makes all fields: a check
    tab.training.set_train_examples(200)
    assert iterations.lineEdit().text() == "600"
    assert tab.store.value("iters") != tab.store.default("iters")
    for path in ("iters", "epochs"):
        reset = tab.training.made_fields[path].reset_button
        assert reset.isHidden(), "neither was chosen: the iterations follow from the epochs, and go back with them"
    retype(qtbot, epochs, "2")
    assert (tab.store.config.iters, iterations.lineEdit().text()) == (400, "400")
    tab.store.set("batch_size", 4)
    assert tab.store.config.iters == 100
    retype(qtbot, iterations, "75")
    assert tab.store.config.epochs is None
    assert (epochs.lineEdit().text(), epochs.lineEdit().placeholderText()) == ("", "1.5")
    assert tab.training.made_fields["iters"].reset_button.isHidden()
    assert not tab.training.made_fields["epochs"].reset_button.isHidden()
    retype(qtbot, epochs, "3")
    again: float | None = tab.store.config.epochs
    assert (again, tab.store.config.iters) == (3.0, 150)


def test_what_the_form_works_out_itself_is_no_step_of_undo(qtbot: QtBot, known: SetupTab) -> None:
    """The iterations follow the epochs, a preset's name its matrices: all steps lead back, and forward again."""
    store, preset = known.store, find(known, "targets.preset", ChoiceBox)
    matrix = known.targets.matrix
    known.training.set_train_examples(200)

    def seen() -> tuple[TrainConfig, str]:
        known.check()
        return store.config, preset.currentText()

    def click_first_cell() -> None:
        qtbot.mouseClick(matrix, Qt.MouseButton.LeftButton, pos=matrix.cell_rect(0, 0).center().toPoint())

    acts: list[Callable[[], object]] = [
        lambda: store.set("batch_size", 4),
        lambda: retype(qtbot, find(known, "epochs"), "2"),
        click_first_cell,
        lambda: retype(qtbot, find(known, "iters"), "77"),
        lambda: store.set("targets", "mlp"),
        lambda: retype(qtbot, find(known, "learning_rate"), "0.0002"),
        click_first_cell,
        store.reset,
    ]
    states = [seen()]
    for act in acts:
        act()
        states.append(seen())
    assert len({str(state) for state in states}) == len(acts) + 1
    assert (states[3][1], states[7][1], states[8][1]) == (
        "Custom, from Full",
        "Custom, from MLP only",
        states[0][1],
    )
    for state in reversed(states[:-1]):
        store.undo()
        assert seen() == state
    for state in states[1:]:
        store.redo()
        assert seen() == state
    assert not store.can_redo
    store.undo()
    # What is worked out anew for other data is no step either.
    known.training.set_train_examples(50)
    assert store.can_redo


def test_undo_of_the_data_brings_back_their_iterations(tab: SetupTab) -> None:
    """Before it is known how many examples there are: those of the data that were left count no longer."""
    fresh = tab.store.config
    tab.store.set("data", "/d.jsonl")
    tab.training.set_train_examples(640)
    assert tab.store.config.iters == 1920 != fresh.iters
    tab.store.undo()
    assert tab.store.config == fresh
    tab.training.set_train_examples(None)
    assert tab.store.config == fresh
    tab.store.redo()
    tab.training.set_train_examples(640)  # as many, of other data than none
    assert tab.store.config.iters == 1920


def test_the_keys_of_undo_in_a_field_are_steps_of_the_form(qtbot: QtBot, tab: SetupTab) -> None:
    """Whatever has the keyboard, and also while a number is typed that was not left yet: one order of steps."""
    window = QMainWindow()
    window.setCentralWidget(tab)
    EditMenu(window.menuBar().addMenu("Edit"), window).set_form(lambda: tab.store)
    qtbot.addWidget(window, before_close_func=lambda _window: tab.setParent(None))
    window.show()
    with qtbot.waitActive(window):
        window.activateWindow()
    rate, batch, name = (find(tab, path) for path in ("learning_rate", "batch_size", "adapter_name"))

    def seen() -> tuple[object, ...]:
        config = tab.store.config
        shown = rate.text_value(), batch.text_value(), name.value()
        assert shown == (config.learning_rate, config.batch_size, config.adapter_name)
        return shown

    def press(keys: str) -> None:
        focused = QApplication.focusWidget()
        assert focused is not None
        QTest.keySequence(focused, QKeySequence(keys))

    states = [seen()]
    for field, text in ((rate, "3e-4"), (rate, "2e-4"), (name, "mine"), (batch, "4")):
        retype(qtbot, field, text)
        states.append(seen())
        if field is not batch:
            press("Tab")
    assert batch.hasFocus() or batch.isAncestorOf(QApplication.focusWidget())
    for _ in range(2):
        for state in reversed(states[:-1]):
            press("Ctrl+Z")
            assert seen() == state
        press("Ctrl+Z")
        assert seen() == states[0]
        for state in states[1:]:
            press("Ctrl+Shift+Z")
            assert seen() == state
    # What was typed and is no number goes first.
    retype(qtbot, batch, "4x")
    assert (batch.text_value(), tab.store.value("batch_size")) == (None, 4)
    press("Ctrl+Z")
    assert seen() == states[-1]
    press("Ctrl+Z")
    assert seen() == states[-2]


def test_a_value_that_follows_shows_no_way_back_after_undo(qtbot: QtBot, tab: SetupTab) -> None:
    tab.store.follow({"adapter_name": "starter · r32"})
    retype(qtbot, find(tab, "learning_rate"), "0.0002")
    tab.store.follow({"adapter_name": "starter · r32 · lr 0.0002"})
    tab.store.undo()
    tab.store.follow({"adapter_name": "starter · r32"})
    assert tab.store.value("adapter_name") == "starter · r32"
    assert tab.training.made_fields["adapter_name"].reset_button.isHidden()


def test_what_the_banner_of_the_data_says_is_not_said_above_it_too(
    tab: SetupTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Problem("data", "The data cannot be used yet.", hint="The first: the columns are unknown.")
    monkeypatch.setattr(SetupTab, "_found", lambda _: [told])
    said = find(tab, "data.problem", QLabel)
    tab.store.set("data", "/d.jsonl")
    tab.check()
    assert said.text() == "The data cannot be used yet. The first: the columns are unknown."
    tab.data_panel.summary.columns_button.show()
    tab.check()
    assert said.text() == "The data cannot be used yet."


# -- problems and Start ---------------------------------------------------------------------------------------


def test_start_is_held_back_by_errors_and_names_them(qtbot: QtBot, tab: SetupTab) -> None:
    bar = find(tab, "start_bar", StartBar)
    assert not bar.button.isEnabled()
    assert "Model" in bar.text
    assert "Training data" in bar.text
    retype(qtbot, find(tab, "batch_size"), "1000")
    qtbot.waitUntil(lambda: "Batch size" in bar.text)
    assert {p.path for p in tab.problems if p.severity is Severity.ERROR} == {"model", "data", "batch_size"}


def test_what_is_taken_back_out_of_sight_is_scrolled_to_and_the_keyboard_stays(tab: SetupTab) -> None:
    tab.resize(700, 500)
    find(tab, "batch_size").setFocus()
    tab.store.set("lora_parameters.scale", 3.0)
    tab.store.set("seed", 3)
    bar = tab.scroll_area.verticalScrollBar()
    bar.setValue(0)
    alpha = child(tab, QWidget, "lora_parameters.scale")
    tab.store.undo()
    tab.store.undo()
    top = alpha.mapTo(tab.scroll_area.viewport(), QPoint(0, 0)).y()
    assert 0 <= top <= tab.scroll_area.viewport().height() - alpha.height()
    assert QApplication.focusWidget() is find(tab, "batch_size")
    there = bar.value()
    tab.store.redo()
    assert bar.value() == there  # it is in view


def test_nothing_scrolls_while_some_of_what_is_taken_back_is_in_view(tab: SetupTab) -> None:
    tab.resize(700, 500)
    bar = tab.scroll_area.verticalScrollBar()
    tab.scroll_area.ensureWidgetVisible(find(tab, "batch_size"))
    there = bar.value()
    tab.store.set_many({"lora_parameters.scale": 3.0, "seed": 3, "batch_size": 3})
    tab.store.undo()
    assert tab.store.config.lora_parameters.scale != 3.0
    assert bar.value() == there
    tab.store.set_many({"lora_parameters.scale": 3.0, "seed": 3})
    tab.store.undo()
    assert bar.value() != there


def test_a_link_of_the_bar_leads_to_the_field(tab: SetupTab) -> None:
    tab.resize(700, 500)
    tab.store.set("schedule", "custom")
    tab.check()
    bar, editor = find(tab, "start_bar", StartBar), child(tab, QWidget, "schedule")
    assert not editor.isVisible()
    bar.shown_requested.emit("schedule")
    assert editor.isVisible()
    assert QApplication.focusWidget() is editor
    top = editor.mapTo(tab.scroll_area.viewport(), QPoint(0, 0)).y()
    assert 0 <= top <= tab.scroll_area.viewport().height() - editor.height()
    assert editor.property("problem") == "error"
    assert "lr_schedule" in find(tab, "schedule.problem", QLabel).text()


def test_what_leaves_nothing_to_train_is_said_with_what_to_do() -> None:
    kinds = (SimpleNamespace(kind=kind, max_seq_length=2048) for kind in ("prompts", "examples"))
    found = [nothing_to_train(cast("SplitFigures", figures)) for figures in kinds]
    assert [(one.path, one.message, one.hint) for one in found] == [
        (
            "max_seq_length",
            "No prompt leaves room for an answer within 2,048 tokens.",
            "Raise the maximum length, or allow only shorter answers.",
        ),
        (
            "max_seq_length",
            "No example has anything to train within 2,048 tokens.",
            "Raise the maximum length, or train more of each example.",
        ),
    ]


def test_a_warning_of_the_memory_leads_to_its_bar(known: SetupTab) -> None:
    known.resize(700, 500)
    known.scroll_area.verticalScrollBar().setValue(0)
    bar = known.estimate.memory
    bar.show()
    QApplication.processEvents()
    assert bar.visibleRegion().isEmpty()
    known.show_field("memory")
    assert not bar.visibleRegion().isEmpty()
    at = QApplication.focusWidget()
    known.show_field("no such field")
    assert QApplication.focusWidget() is at


def test_start_asks_once_nothing_is_wrong(qtbot: QtBot, tab: SetupTab) -> None:
    bar = find(tab, "start_bar", StartBar)
    bar.set_problems([])
    with qtbot.waitSignal(tab.start_requested):
        qtbot.mouseClick(bar.button, Qt.MouseButton.LeftButton)
    bar.set_running(True)
    assert not bar.button.isEnabled()


def test_buttons_ask_the_main_window(qtbot: QtBot, tab: SetupTab) -> None:
    for name, signal in (
        ("config.open", tab.open_requested),
        ("config.save", tab.save_requested),
        ("config.reset", tab.reset_requested),
    ):
        with qtbot.waitSignal(signal):
            qtbot.mouseClick(find(tab, name, QPushButton), Qt.MouseButton.LeftButton)


# -- the model ------------------------------------------------------------------------------------------------


def drop(target: QWidget, path: Path) -> bool:
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path))])
    where, copy = QPointF(20, 20), Qt.DropAction.CopyAction
    buttons, keys = Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    enter = QDragEnterEvent(where, copy, mime, buttons, keys)
    enter.ignore()
    QApplication.sendEvent(target, enter)
    if not enter.isAccepted():
        return False
    QApplication.sendEvent(target, QDropEvent(where, copy, mime, buttons, keys))
    return True


def test_a_dropped_model_is_inspected_and_shown(qtbot: QtBot, tab: SetupTab, model: Path) -> None:
    with qtbot.waitSignal(tab.inspector.inspected, timeout=ANSWER_MS):
        assert drop(tab.model_panel, model)
    assert tab.store.config.model == str(model)
    shown = " ".join(label.text() for label in tab.model_panel.findChildren(QLabel))
    for word in ("qwen2", "4 × 64", "256 tokens", "2,048 tokens", "not found", "none"):
        assert word in shown
    assert load_settings().recent_models[0] == str(model)


def test_what_is_no_model_is_left_to_the_window(tab: SetupTab, tmp_path: Path) -> None:
    assert not drop(tab.model_panel, tmp_path)
    (tmp_path / "tuned").mkdir()
    for name in ("adapters.safetensors", "adapter_config.json"):
        (tmp_path / "tuned" / name).write_text("{}")
        assert not drop(tab.model_panel, tmp_path / "tuned"), "an adapter is for Compare"
    assert tab.store.config.model == ""


def test_a_wrong_path_is_told_under_the_field(qtbot: QtBot, tab: SetupTab) -> None:
    retype(qtbot, find(tab, "model"), "/no/such/model")
    qtbot.waitUntil(lambda: "no folder" in find(tab, "model.problem", QLabel).text())
    assert find(tab, "model").property("problem") == "error"


def test_the_card_shows_the_model_only_while_it_is_one(qtbot: QtBot, tab: SetupTab, model: Path) -> None:
    """After a model that cannot be read, or none, it invites again; nothing of the one before stands there."""
    card = tab.model_panel

    def shown() -> list[bool]:
        return [not one.isHidden() for one in (card._empty, card._status, card._facts)]

    invites, tells = [True, False, False], [False, False, True]
    assert shown() == invites
    broken = model.parent / "broken"
    broken.mkdir(exist_ok=True)
    (broken / "config.json").write_text("{")
    for no_model in (str(broken), ""):
        with qtbot.waitSignal(tab.inspector.inspected, timeout=ANSWER_MS):
            tab.store.set("model", str(model))
        assert shown() == tells
        tab.store.set("model", no_model)
        qtbot.waitUntil(lambda: shown() == invites, timeout=ANSWER_MS)


def test_a_model_got_from_the_hub_becomes_the_model(qtbot: QtBot, tab: SetupTab, model: Path) -> None:
    qtbot.mouseClick(find(tab, "model.get", QPushButton), Qt.MouseButton.LeftButton)
    dialog = tab.model_panel.hub
    assert dialog is not None
    assert dialog.isVisible()
    dialog.model_chosen.emit(str(model))
    assert tab.store.config.model == str(model)
    dialog.reject()
    tab.model_panel.get_model()
    assert tab.model_panel.hub is dialog


# -- targets --------------------------------------------------------------------------------------------------


def test_the_numbers_are_those_of_the_model(known: SetupTab) -> None:
    selection = known.selection.selection
    assert selection is not None
    assert selection.adapted_modules == 28
    assert "7 matrices × all 4 layers" in find(known, "coverage.total", QLabel).text()
    assert f"{selection.trainable_parameters:,}" in find(known, "targets.help", QLabel).text()


def test_the_line_for_patterns_takes_room_only_where_there_are_some(known: SetupTab) -> None:
    chooser = known.targets.chooser
    assert not chooser._patterns.isVisibleTo(chooser)
    known.store.set("targets", "q_proj, v_proj")
    known.check()
    assert chooser._patterns.isVisibleTo(chooser)
    known.store.set("targets", "attention")
    known.check()
    assert not chooser._patterns.isVisibleTo(chooser)


def test_a_cell_that_is_left_out_is_left_out_of_the_figures(known: SetupTab) -> None:
    box = child(known, QCheckBox, "targets.group.attention")
    whole = box.text()
    known.selection.switch(["model.layers.2.self_attn.q_proj"], False)
    known.check()
    assert find(known, "coverage.total", QLabel).text() == "27 modules in all 4 layers"
    assert box.text().startswith("Attention  15 of 16 · ")
    assert box.text().rpartition(" · ")[2] != whole.rpartition(" · ")[2]
    known.selection.switch([f"model.layers.{layer}.self_attn.q_proj" for layer in (0, 1, 3)], False)
    known.check()
    assert find(known, "coverage.total", QLabel).text() == "6 matrices × all 4 layers"


def test_coverage_is_bounded_by_the_model(qtbot: QtBot, known: SetupTab) -> None:
    box = find(known, "num_layers", ChoiceBox)
    assert box.itemText(0) == "All 4 layers"
    items = box.model()
    tops = [index for index in range(box.count()) if str(box.itemText(index)).startswith("Top")]
    assert [items.item(index).isEnabled() for index in tops] == [False, False, False]
    assert "only 4 layers" in items.item(tops[0]).toolTip()
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Down)
    assert box.currentData() == "other"
    retype(qtbot, find(known, "num_layers.other"), "2")
    assert known.store.config.num_layers == 2
    retype(qtbot, find(known, "num_layers.other"), "9")
    qtbot.waitUntil(lambda: "4 layers" in find(known, "num_layers.problem", QLabel).text())
    retype(qtbot, find(known, "num_layers.other"), "2x")
    qtbot.waitUntil(lambda: not known.start_bar.button.isEnabled())
    assert find(known, "num_layers.problem", QLabel).text().startswith("“2x” is not a whole number.")
    qtbot.keyClick(find(known, "num_layers.other"), Qt.Key.Key_Backspace)
    qtbot.waitUntil(lambda: find(known, "num_layers.problem", QLabel).isHidden())
    retype(qtbot, find(known, "num_layers.other"), "x")
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Home)
    assert (known.store.config.num_layers, known.judge()) == (-1, []), "what is not seen is in nobody's way"


def test_a_click_in_the_matrix_edits_the_targets(qtbot: QtBot, known: SetupTab) -> None:
    matrix = known.targets.matrix
    column = matrix.cell_rect(0, 3).center().toPoint()
    qtbot.mouseClick(matrix, Qt.MouseButton.LeftButton, pos=QPoint(column.x(), 6))
    selection = known.selection.selection
    assert selection is not None
    assert selection.adapted_modules == 21
    assert not any(path.startswith("model.layers.3.") for path in selection.paths)


def test_the_last_matrix_stays(known: SetupTab) -> None:
    known.store.set("targets", "model.layers.0.mlp.up_proj")
    known.selection.switch(["model.layers.0.mlp.up_proj"], False)
    assert known.store.config.targets == "model.layers.0.mlp.up_proj"
    assert "At least one" in find(known, "coverage.say", QLabel).text()


def test_without_a_model_the_banner_says_what_the_targets_are(tab: SetupTab) -> None:
    what = find(tab, "target_section.what", QLabel)
    assert "Full-layer LoRA" in what.text()
    tab.store.set_many({"targets": "attention", "fine_tune_type": "dora", "num_layers": 8})
    assert "Full-layer" not in what.text()
    assert "DoRA" in what.text()
    assert "query, key, value and output" in what.text()
    assert "the last 8 layers" in what.text()
    tab.store.set("targets", "q_proj")
    assert "the targets name" in what.text()


def test_every_preset_says_what_memory_a_run_takes(qtbot: QtBot, known: SetupTab) -> None:
    preset, estimate = find(known, "targets.preset", ChoiceBox), known.estimate
    preset.showPopup()
    assert preset.view().isVisible()
    preset.hidePopup()
    inspection = known.selection.inspection
    assert inspection is not None
    sizes = []
    for index, name in enumerate(PRESETS):
        known.store.set("targets", name)
        qtbot.waitUntil(lambda: estimate.estimate is not None)
        assert known.selection.selection is not None
        assert estimate.estimate is not None
        sizes.append(estimate.memory_of(known.selection.selection))
        tip = preset.itemData(index, Qt.ItemDataRole.ToolTipRole)
        assert tip.endswith(f"about {bytes_text(sizes[-1])} of memory in training.")
        memory = tip.rpartition(", about ")[2]
        qtbot.waitUntil(partial(_says, find(known, "targets.help", QLabel), memory))
    assert sizes[0] > sizes[1] > sizes[3]


def _says(label: QLabel, text: str) -> bool:
    return text in label.text()


def test_presets_and_groups(qtbot: QtBot, known: SetupTab) -> None:
    preset = find(known, "targets.preset", ChoiceBox)
    preset.setFocus()
    qtbot.keyClick(preset, Qt.Key.Key_Down)
    assert known.store.config.targets == "attention"
    attention, mlp = find(known, "targets.group.attention", QCheckBox), find(known, "targets.group.mlp", QCheckBox)
    assert (attention.checkState(), mlp.checkState()) == (Qt.CheckState.Checked, Qt.CheckState.Unchecked)
    assert "16" in attention.text()
    qtbot.mouseClick(mlp, Qt.MouseButton.LeftButton, pos=QPoint(8, mlp.height() // 2))
    assert known.store.config.targets == "full"
    qtbot.mouseClick(attention, Qt.MouseButton.LeftButton, pos=QPoint(8, attention.height() // 2))
    assert known.store.config.targets == "mlp"
    assert preset.currentData() == "mlp"


def test_custom_patterns_show_their_matches(qtbot: QtBot, known: SetupTab) -> None:
    preset = find(known, "targets.preset", ChoiceBox)
    preset.setFocus()
    qtbot.keyClick(preset, Qt.Key.Key_End)
    patterns = child(known, QLineEdit, "targets")
    assert QApplication.focusWidget() is patterns
    retype(qtbot, patterns, "q_proj, v_prj")
    assert known.store.config.targets == "q_proj, v_prj"
    matches = find(known, "targets.matches", QLabel).text()
    assert "4 modules" in matches
    assert "nothing" in matches
    qtbot.waitUntil(lambda: "v_proj" in find(known, "targets.problem", QLabel).text())
    assert "Targets" in known.start_bar.text


def test_a_problem_of_the_targets_leads_to_what_edits_them_now(qtbot: QtBot, tab: SetupTab) -> None:
    with qtbot.waitActive(tab):
        tab.activateWindow()
    preset, patterns = find(tab, "targets.preset", ChoiceBox), child(tab, QLineEdit, "targets")
    for targets, right in (("attention", preset), ("q_proj, v_proj", patterns)):
        tab.store.set("targets", targets)
        find(tab, "batch_size").setFocus()
        tab.show_field("targets")
        assert QApplication.focusWidget() is right


def test_the_list_of_modules_is_searched_and_used(qtbot: QtBot, known: SetupTab) -> None:
    qtbot.mouseClick(find(known, "targets.modules", QPushButton), Qt.MouseButton.LeftButton)
    dialog = find(known, "module_dialog", ModuleDialog)
    qtbot.keyClicks(find(dialog, "modules.search", QLineEdit), "down_proj")
    assert dialog.table.model().rowCount() == 4
    dialog.table.selectRow(1)
    qtbot.mouseClick(find(dialog, "modules.use", QPushButton), Qt.MouseButton.LeftButton)
    assert known.store.config.targets == "mlp.down_proj"


def test_full_fine_tuning_has_no_adapter_to_shape(known: SetupTab) -> None:
    known.store.set("fine_tune_type", "full")
    for path in ("lora_parameters.rank", "lora_parameters.scale", "targets.preset"):
        assert not find(known, path).isEnabled()
    assert "Full fine-tuning" in find(known, "target_section.what", QLabel).text()


def test_alpha_has_two_readings(qtbot: QtBot, tab: SetupTab) -> None:
    alpha, reading = find(tab, "lora_parameters.scale", NumberBox), find(tab, "alpha_convention", ChoiceBox)
    hint = " ".join(label.text() for label in tab.fields["lora_parameters.scale"].findChildren(QLabel))
    assert "= scale 1 in mlx-lm" in hint
    assert (alpha.lineEdit().text(), tab.store.config.lora_parameters.scale) == ("32", 1)
    retype(qtbot, alpha, "64")
    assert tab.store.config.lora_parameters.scale == 2
    reading.setFocus()
    qtbot.keyClick(reading, Qt.Key.Key_Up)
    assert (alpha.lineEdit().text(), load_settings().alpha_convention) == ("2", "scale")
    retype(qtbot, find(tab, "lora_parameters.rank", NumberBox), "8")
    assert (alpha.lineEdit().text(), tab.store.config.lora_parameters.scale) == ("2", 2)
    qtbot.keyClick(reading, Qt.Key.Key_Down)
    assert (alpha.lineEdit().text(), load_settings().alpha_convention) == ("16", "peft")


def test_alpha_stays_when_the_rank_changes(qtbot: QtBot, tab: SetupTab) -> None:
    alpha, rank = find(tab, "lora_parameters.scale", NumberBox), find(tab, "lora_parameters.rank", NumberBox)
    retype(qtbot, rank, "8")
    assert (alpha.lineEdit().text(), tab.store.config.lora_parameters.scale) == ("32", 4)
    assert not tab.fields["lora_parameters.scale"].reset_button.isVisible()  # 32 is the default at any rank
    retype(qtbot, alpha, "16")
    assert tab.store.config.lora_parameters.scale == 2
    tab.fields["lora_parameters.scale"].reset()
    assert (alpha.lineEdit().text(), tab.store.config.lora_parameters.scale) == ("32", 4)
    tab.store.set("lora_parameters.rank", 16)  # as an opened config does, which names its scale
    assert (alpha.lineEdit().text(), tab.store.config.lora_parameters.scale) == ("64", 4)


def test_the_paper_opens_in_the_browser(tab: SetupTab, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url.toString()))
    link = find(tab, "target_section.link", QLabel)
    assert PAPER in link.text()
    link.linkActivated.emit(PAPER)
    assert opened == [PAPER]


# -- numbers and suggestions ----------------------------------------------------------------------------------


def test_the_numbers_stand_before_the_start(known: SetupTab) -> None:
    selection = known.selection.selection
    assert selection is not None
    figures = known.estimate.figures
    assert figures["modules"].text == "28"
    assert figures["parameters"].text == f"{selection.trainable_parameters:,}"
    known.store.set("lora_parameters.rank", 16)
    assert figures["parameters"].text == f"{selection.trainable_parameters // 2:,}"
    known.store.set("model", "")
    assert {figure.text for figure in figures.values()} == {"–"}


def test_a_suggestion_is_applied_only_when_asked(qtbot: QtBot, tab: SetupTab) -> None:
    tab.estimate.set_data(30)
    apply = find(tab, "suggestion.lora_parameters.rank", QPushButton)
    assert tab.store.config.lora_parameters.rank == 32
    assert "LoRA rank: 8" in apply.accessibleName()
    qtbot.mouseClick(apply, Qt.MouseButton.LeftButton)
    assert tab.store.config.lora_parameters.rank == 8
    assert not [
        b for b in tab.estimate.findChildren(QPushButton, apply.objectName()) if b.isVisibleTo(tab.estimate)
    ]


def test_memory_is_weighed_against_the_machine(
    qtbot: QtBot, known: SetupTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = find(known, "memory.verdict", QLabel)
    qtbot.waitUntil(lambda: verdict.text() == "Fits")
    found = known.estimate.estimate
    assert found is not None
    assert known.estimate.figures["optimizer"].text == bytes_text(found.optimizer)
    assert bytes_text(found.total) in find(known, "memory.text", QLabel).text()
    monkeypatch.setattr(known.inspector, "working_set_bytes", found.total)
    known.store.set_many({"batch_size": 16, "max_seq_length": 2048})
    qtbot.waitUntil(lambda: verdict.text() == "Will not fit")
    qtbot.waitUntil(lambda: known.findChild(QPushButton, "memory.remedy.0") is not None)
    assert {p.severity for p in known.problems if p.path == "memory"} == {Severity.WARNING}
    qtbot.mouseClick(find(known, "memory.remedy.0", QPushButton), Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: verdict.text() in ("Fits", "Tight"))
    qtbot.waitUntil(lambda: not any(p.path == "memory" for p in known.problems))


# -- the look and the pace ------------------------------------------------------------------------------------


@pytest.mark.parametrize("width, columns", [(1000, 4), (720, 3), (480, 2)])
def test_the_form_folds_with_the_width(qtbot: QtBot, tab: SetupTab, width: int, columns: int) -> None:
    tab.resize(width, 800)
    learning, epochs = find(tab, "learning_rate"), find(tab, "epochs")
    qtbot.waitUntil(lambda: content_width(tab) <= width)
    paths = ("learning_rate", "batch_size", "grad_accumulation_steps", "max_seq_length")

    def beside() -> int:
        """How many fields stand in one row with the first."""
        return sum(find(tab, p).mapTo(tab, QPoint()).y() == learning.mapTo(tab, QPoint()).y() for p in paths)

    qtbot.waitUntil(lambda: beside() == columns)
    assert epochs.mapTo(tab, QPoint(epochs.width(), 0)).x() <= width


def test_an_edit_shows_its_numbers_in_the_same_turn(tmp_path: Path, qtbot: QtBot, tab: SetupTab) -> None:
    deep = write_model(tmp_path / "deep", num_hidden_layers=64)
    tab.store.set("model", str(deep))
    qtbot.waitUntil(lambda: tab.selection.selection is not None, timeout=ANSWER_MS)
    QApplication.processEvents()
    for rank in (8, 16, 24):
        retype(qtbot, find(tab, "lora_parameters.rank"), str(rank))
        QApplication.processEvents()
        assert tab.selection.selection is not None
        assert f"{tab.selection.selection.trainable_parameters:,}" in find(tab, "targets.help", QLabel).text()


def cut_texts(tab: SetupTab) -> list[str]:
    """The visible texts that do not fit into their widgets."""
    cut = []
    for label in tab.findChildren(QLabel):
        if not label.isVisible() or not label.text() or isinstance(label, ElidedLabel):
            continue
        needed = label.heightForWidth(label.width()) if label.wordWrap() else label.sizeHint().height()
        if label.height() < needed or (not label.wordWrap() and label.width() < label.sizeHint().width()):
            cut.append(label.text())
    boxes = [*tab.findChildren(QCheckBox), *tab.findChildren(QPushButton)]
    return cut + [box.text() for box in boxes if box.isVisible() and box.width() < box.minimumSizeHint().width()]


@pytest.mark.parametrize("width", [520, 620, 660, 740, 900, 1200])
def test_no_text_is_cut_at_any_width(qtbot: QtBot, known: SetupTab, width: int) -> None:
    known.training.disclosure.open()
    known.store.set_many({"targets": "q_proj, v_prj", "warmup": 5000, "max_seq_length": 9000, "weight_decay": 0.1})
    known.resize(width, 900)
    qtbot.waitUntil(lambda: bool(known.problems) and content_width(known) <= width)
    known.check()
    QApplication.processEvents()
    QApplication.processEvents()
    assert cut_texts(known) == []


# -- good defaults --------------------------------------------------------------------------------------------


def test_a_new_setup_follows_its_data_until_somebody_sets_a_value(
    qtbot: QtBot, tab: SetupTab, tmp_path: Path
) -> None:
    chats, texts = tmp_path / "support-faq.jsonl", tmp_path / "novel.txt"
    row = '{{"messages": [{{"role": "user", "content": "q{0}"}}, {{"role": "assistant", "content": "a{0}"}}]}}\n'
    chats.write_text("".join(row.format(number) for number in range(100)))
    texts.write_text("\n\n".join(f"Chapter {number} of a long novel." for number in range(60)))
    tab.store.set("data", str(chats))
    qtbot.waitUntil(lambda: tab.data_panel.report is not None, timeout=ANSWER_MS)
    qtbot.waitUntil(lambda: tab.store.config.mask_prompt, timeout=ANSWER_MS)
    assert find(tab, "mask_prompt", CheckEditor).isChecked()
    tab.check()
    config = tab.store.config
    assert 10 <= config.iters // config.steps_per_eval <= 20
    assert find(tab, "steps_per_eval").text() == str(config.steps_per_eval)
    assert config.save_every == config.steps_per_eval
    assert config.adapter_name == "support-faq · r32"
    tab.store.set("save_every", 33)
    tab.store.set("epochs", 30.0)
    tab.check()
    assert tab.store.value("save_every") == 33
    assert 10 <= tab.store.value("iters") // tab.store.value("steps_per_eval") <= 20
    tab.store.set("data", str(texts))
    qtbot.waitUntil(lambda: tab.data_panel.report is not None, timeout=ANSWER_MS)
    qtbot.waitUntil(lambda: not tab.store.config.mask_prompt, timeout=ANSWER_MS)


def test_the_plan_counts_the_examples_that_have_something_to_learn(qtbot: QtBot, tab: SetupTab) -> None:
    """Of twelve examples seven lose their whole answer: an epoch of the run is as long as the other five."""
    tab.store.set("model", str(starter.model_dir()))
    qtbot.waitUntil(lambda: tab.selection.selection is not None, timeout=ANSWER_MS)
    inspector = tab.data_panel.inspector
    tab.store.set_many({"data": "/d/rows.jsonl", "epochs": 2.0, "batch_size": 4})
    tell_rows(inspector, report())
    tab.check()
    assert "6 iterations (2 epochs of 12 examples)" in tab.start_bar.text, "of twenty, two batches are set aside"
    tell_tokens(inspector, {"train": split_tree(12, untrained_examples=7), "valid": split_tree(4)})
    tab.check()
    assert "4 iterations (2 epochs of 5 examples)" in tab.start_bar.text
    assert find(tab, "iters").lineEdit().text() == "4"
    assert tab.training.fields["epochs"]._hint.text() == "2 iterations an epoch"
    assert tab.training.fields["iters"]._hint.text() == "From the epochs, 5 examples"
    tab.store.set("max_seq_length", 512)  # they are counted anew: until then nothing is known of them
    tab.check()
    assert "6 iterations (2 epochs of 12 examples)" in tab.start_bar.text
    tab.store.set("batching", "file_order")
    tell_tokens(inspector, {"train": split_tree(14), "valid": split_tree(4)})
    tab.check()
    assert "6 iterations (2 epochs of 14 examples)" in tab.start_bar.text, "mlx-lm leaves out the last two"


def test_no_time_is_told_until_the_tokens_are_counted(
    qtbot: QtBot, tab: SetupTab, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = Duration(1, 0, 0, 40, 0, 1, 0, is_most=False)
    tab.store.set_many({"model": str(starter.model_dir()), "data": str(starter.examples_dir())})
    monkeypatch.setattr(tab.estimate, "run_time", lambda *_: RunTime(spent, is_probed=False))
    qtbot.waitUntil(lambda: "takes about" in tab.start_bar.text, timeout=ANSWER_MS)
    assert "about 42\u00a0s, going by an earlier run" in tab.start_bar.text
    tab.data_panel.inspector.figures.clear()
    tab.check()
    qtbot.waitUntil(lambda: "It takes up to" in tab.start_bar.text, timeout=ANSWER_MS)
    assert "42\u00a0s" not in tab.start_bar.text
    monkeypatch.setattr(tab.estimate, "run_time", lambda *_: RunTime(spent, is_probed=True))
    tab.check()
    assert "about 42\u00a0s" in tab.start_bar.text  # of the longest batch, which was measured


def test_start_is_off_until_model_and_data_are_read(
    qtbot: QtBot, tab: SetupTab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = find(tab, "start", QPushButton)
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps({"text": f"Row {number}."}) + "\n" for number in range(50)))
    fresh = shutil.copytree(starter.model_dir(), tmp_path / "never-seen")
    tab.store.set_many({"model": str(fresh), "data": str(rows)})
    tab.check()
    assert (start.text(), start.isEnabled()) == ("Checking…", False)
    qtbot.waitUntil(start.isEnabled, timeout=ANSWER_MS)
    assert start.text() == "Start training"
    assert (tab.selection.selection is not None, tab.data_panel.report is not None) == (True, True)
    # What it will write, and what is free, is said before Start; too little room is a warning at Save every.
    assert re.search(r"It writes up to [\d.,]+\sMB; [\d.,]+\s[MGT]B are free\.", tab.start_bar.text)
    monkeypatch.setattr("app.core.setup.disk.free_bytes", lambda _folder: 1000)
    tab.check()
    found = [problem for problem in tab.problems if problem.path == "save_every"]
    assert [problem.severity for problem in found] == [Severity.WARNING]
    assert "only 1\u00a0kB are free" in found[0].message
    assert "1\u00a0kB are free" in tab.start_bar.text
