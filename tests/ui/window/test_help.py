"""Help: fields and methods are found and gone to, the shortcuts are those of the menus, F1 explains a field."""

from __future__ import annotations

from html import escape

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QApplication, QLabel, QLineEdit, QListWidget, QScrollArea
from pytestqt.qtbot import QtBot

from app.core.config.spec import field_specs
from app.core.method.table import METHODS
from app.ui.form.help_popover import HelpButton, HelpPopover
from app.ui.form.store import form_store
from app.ui.platform.key_text import MAIN_KEYS
from app.ui.run.session import RunSession
from app.ui.window.appearance import Appearance
from app.ui.window.help_dialog import MENU_HELP, HelpDialog, ShortcutDialog, find_topics, help_topics, shortcuts_of
from app.ui.window.main_window import COMPARE_TAB, SETUP_TAB, MainWindow
from tests.ui.child import child
from tests.ui.fake_worker import FakeWorker


@pytest.fixture
def window(qtbot: QtBot, workers: list[FakeWorker], monkeypatch: pytest.MonkeyPatch) -> MainWindow:
    assert workers == []
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)
    found = MainWindow(form_store(), RunSession(), Appearance())
    qtbot.addWidget(found)
    found.show()
    return found


def test_every_field_and_method_is_explained() -> None:
    assert {topic.path for topic in help_topics()} == {*field_specs(), *(f"method.{name}" for name in METHODS)}
    assert all(topic.html for topic in help_topics())


def lines(path: str) -> list[str]:
    """The paragraphs of a topic's explanation."""
    (topic,) = (one for one in help_topics() if one.path == path)
    return [line.removesuffix("</p>") for line in topic.html.split("<p style='margin: 0 0 8px 0'>")[1:]]


def test_an_explanation_has_all_that_the_form_knows_of_a_field() -> None:
    rate = field_specs()["learning_rate"]
    assert lines("learning_rate") == [
        f"{escape(rate.what)}.", f"<b>Higher:</b> {escape(rate.higher)}", f"<b>Lower:</b> {escape(rate.lower)}",
        f"<b>Recommended:</b> {escape(rate.recommended)}", "<b>Default:</b> 0.0001",
        f"<b>Range:</b> {escape(rate.range_text)}", "<b>In configs:</b> learning_rate",
    ]  # fmt: skip
    for path, said in (
        ("grad_checkpoint", ["<b>Default:</b> off"]),
        ("model", []),
        ("fine_tune_type", ["<b>Default:</b> LoRA"]),
    ):
        assert [line for line in lines(path) if line.startswith("<b>Default")] == said
    kinds = "; ".join(text for _, text in field_specs()["fine_tune_type"].choices)
    assert f"<b>Choices:</b> {kinds}" in lines("fine_tune_type")
    dpo = METHODS["dpo"]
    data = [f"<b>Data:</b> {escape(dpo.rows)}"] if dpo.rows else []
    cost, paper = f"<b>Cost:</b> {escape(dpo.cost)}", f"<b>Paper:</b> arXiv {dpo.paper}"
    when = f"<b>Use it when:</b> {escape(dpo.when)}"
    assert lines("method.dpo") == [escape(dpo.what), when, *data, cost, paper]


def test_a_word_in_the_title_counts_most() -> None:
    assert find_topics("learning rate")[0].path == "learning_rate"
    assert find_topics("no such thing at all") == []


def test_a_field_is_found_and_gone_to(qtbot: QtBot, window: MainWindow) -> None:
    child(window, QAction, "help.search").trigger()
    dialog = child(window, HelpDialog)
    qtbot.keyClicks(child(dialog, QLineEdit, "help.search"), "learning rate")
    text = child(dialog, QLabel, "help.text").text()
    assert "Learning rate" in text
    assert "0.0001" in text
    dialog.go.click()
    assert window.focusWidget() is window.setup_tab.fields["learning_rate"].editor


def test_a_method_and_a_field_that_only_methods_have_are_gone_to(window: MainWindow) -> None:
    window._show_topic("method.dpo")
    assert window.focusWidget() is window.enhanced_tab.methods.cards["dpo"].button
    assert window.enhanced_tab.methods.method.name == "sft"
    window._show_topic("beta")
    told = " ".join(label.text() for label in window.messages.findChildren(QLabel))
    assert field_specs()["beta"].label in told


def test_what_menus_do_is_found_and_has_no_place_on_a_form(qtbot: QtBot, window: MainWindow) -> None:
    child(window, QAction, "help.search").trigger()
    dialog = child(window, HelpDialog)
    qtbot.keyClicks(child(dialog, QLineEdit, "help.search"), "pause")
    found = child(dialog, QListWidget)
    titles = [found.item(row).text() for row in range(found.count())]
    assert titles[:2] == ["Pause", "Pause and Free the Memory"]
    text = child(dialog, QLabel, "help.text").text()
    assert "Run › Pause" in text
    assert QKeySequence("Ctrl+Shift+P").toString(QKeySequence.SequenceFormat.NativeText) in text
    assert not dialog.go.isEnabled()


def test_entries_that_are_explained_are_in_the_menus(window: MainWindow) -> None:
    assert MENU_HELP.keys() <= {one.objectName() for one in window.findChildren(QAction)}


def test_the_keys_of_pages_are_listed_and_those_of_start_whatever_is_shown(window: MainWindow) -> None:
    rows = []
    for tab in (COMPARE_TAB, SETUP_TAB):
        window.show_tab(tab)
        rows.append(dict(row for _, part in shortcuts_of(window.menuBar()) for row in part))
    native = QKeySequence.SequenceFormat.NativeText
    main, start = (QKeySequence(keys).toString(native) for keys in (MAIN_KEYS, "Ctrl+R"))
    assert rows[0]["Start Training"] == rows[1]["Start Training"] == f"{main} or {start}"
    assert rows[0]["Rename the run"] == "F2"
    assert {"Tie", "All bad", "Switch the row", "Move to the Trash, or off the queue"} <= rows[0].keys()


def test_nothing_is_found(qtbot: QtBot, window: MainWindow) -> None:
    window.show_help()
    dialog = child(window, HelpDialog)
    qtbot.keyClicks(child(dialog, QLineEdit, "help.search"), "zzzz")
    assert child(dialog, QListWidget).count() == 0
    assert not dialog.go.isEnabled()


def test_all_shortcuts_are_listed(window: MainWindow) -> None:
    child(window, QAction, "help.shortcuts").trigger()
    dialog = child(window, ShortcutDialog)
    assert child(dialog, QScrollArea).horizontalScrollBar().maximum() == 0
    told = {label.text() for label in dialog.findChildren(QLabel)}
    native = QKeySequence.SequenceFormat.NativeText
    for action in window.findChildren(QAction):
        if not action.shortcut().isEmpty() and action.objectName():
            keys = " or ".join(one.toString(native) for one in action.shortcuts())
            assert keys in told, action.objectName()
            assert action.text().removesuffix("…") in told


@pytest.mark.parametrize("keys", [(Qt.Key.Key_F1, Qt.KeyboardModifier.NoModifier),
                                  (Qt.Key.Key_Slash, Qt.KeyboardModifier.ControlModifier)])  # fmt: skip
def test_a_key_explains_the_field(
    qtbot: QtBot, window: MainWindow, keys: tuple[Qt.Key, Qt.KeyboardModifier]
) -> None:
    field = window.setup_tab.fields["learning_rate"]
    window.activateWindow()
    window.setup_tab.show_field("learning_rate")
    qtbot.keyClick(field.editor, *keys)
    popover = child(window, HelpPopover)
    assert child(popover, QLabel).text() == "Learning rate"
    popover.close()


def test_question_marks_are_no_tab_stops(window: MainWindow) -> None:
    buttons = window.setup_tab.findChildren(HelpButton)
    assert buttons
    assert all(button.focusPolicy() is Qt.FocusPolicy.NoFocus for button in buttons)
    assert QApplication.focusWidget() not in buttons


def test_the_key_of_start_is_told_and_a_key_closes_the_window(qtbot: QtBot, window: MainWindow) -> None:
    bar = window.setup_tab.start_bar
    bar.set_problems([])
    bar.set_checking(False)
    keys = window.menu.start.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
    assert keys in bar.button.toolTip()
    window.activateWindow()
    qtbot.keyClick(window, Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)
    assert not window.isVisible()
