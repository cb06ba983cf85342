"""A path's editor: typed, found in the system's panels, or picked from a menu; and the plain editors beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QFileDialog, QLineEdit, QMenu, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.spec import field_specs
from app.ui.form.editor import Editor, editor_height, make_editor, name_editor
from app.ui.form.number_box import NumberBox
from app.ui.form.path_editor import ComposedEditor, PathEditor
from app.ui.form.plain_editor import CheckEditor, ChoiceBox, TextEditor
from app.ui.form.plain_part import note_label, quiet_button
from app.ui.widget.icon_button import IconButton
from tests.ui.child import child

SPECS = field_specs()


def made(qtbot: QtBot, path: str = "data", **how: Any) -> tuple[PathEditor, list[object]]:
    editor, told = PathEditor(SPECS[path], **how), list[object]()
    qtbot.addWidget(editor)
    editor.edited.connect(told.append)
    return editor, told


def test_a_path_is_what_is_typed_without_the_spaces_around_it(qtbot: QtBot) -> None:
    editor, told = made(qtbot, placeholder="A file")
    optional, _ = made(qtbot, "resume_adapter_file")
    assert (editor.value(), optional.value(), editor.line.placeholderText()) == ("", None, "A file")
    editor.line.setText("  /d/rows.jsonl ")
    editor.line.edited.emit("  /d/rows.jsonl ")
    assert (editor.value(), told) == ("/d/rows.jsonl", ["/d/rows.jsonl"])
    editor.set_value("/a/b")
    assert (editor.line.text(), editor.line.toolTip(), editor.line.cursorPosition()) == ("/a/b", "/a/b", 4)
    editor.set_value(None)
    assert (editor.value(), editor.line.toolTip(), len(told)) == ("", "", 1)
    editor.set_placeholder("Another")
    assert editor.line.placeholderText() == "Another"
    editor.choose("/c")
    assert (editor.line.text(), told[1:]) == ("/c", ["/c"])
    assert editor.focusProxy() is editor.line
    assert not editor.findChildren(QMenu)


@pytest.mark.parametrize(
    "how, start, begun, chosen, taken",
    [
        ({}, "/a/rows.jsonl", ("file", "/a/rows.jsonl"), "/b/c", "/b/c"),
        ({}, "/a/rows.jsonl", ("file", "/a/rows.jsonl"), "", None),
        ({"folder": True}, "/a/models/tiny", ("folder", "/a/models"), "/b/c", "/b/c"),
        ({"folder": True}, "hub/name", ("folder", "LAST/"), "/b", "/b"),
        ({"new": True}, "/a/out/run", ("folder", "/a/out"), "/b", "/b/run"),
        ({"new": True, "folder": True}, "/a/out/run", ("folder", "/a/out"), "", None),
    ],
)
def test_the_panel_begins_where_the_path_is(
    qtbot: QtBot,
    monkeypatch: pytest.MonkeyPatch,
    how: dict[str, Any],
    start: str,
    begun: tuple[str, str],
    chosen: str,
    taken: str | None,
) -> None:
    opened: list[tuple[str, str, str]] = []

    def panel(kind: str) -> Any:
        def ask(_parent: QWidget, caption: str, place: str, *_filters: str) -> Any:
            opened.append((kind, caption, place))
            return chosen if kind == "folder" else (chosen, "")

        return ask

    monkeypatch.setattr(QFileDialog, "getOpenFileName", panel("file"))
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", panel("folder"))
    editor, told = made(qtbot, **how)
    editor.set_value(start)
    button = child(editor, IconButton, "data.browse")
    assert button.toolTip() == "Browse for training data"
    button.click()
    [(kind, caption, place)] = opened
    assert (kind, caption) == (begun[0], SPECS["data"].label)
    assert place == begun[1] or (begun[1] == "LAST/" and Path(place).is_absolute())
    assert told == ([] if taken is None else [taken])
    assert editor.value() == (start if taken is None else taken)


def test_recent_paths_are_picked_from_a_menu_that_is_filled_each_time(qtbot: QtBot) -> None:
    times: list[int] = []

    def fill(menu: QMenu) -> None:
        times.append(1)
        menu.addSection("Recent")
        menu.addAction(f"number {len(times)}").setData(f"/{len(times)}")
        menu.addAction("no path")

    editor, told = made(qtbot, fill_menu=fill)
    assert child(editor, IconButton, "data.recent").toolTip() == "Recent and known: training data"
    for _ in range(2):
        editor.menu.popup(QPoint(0, 0))
        names = [action.text() for action in editor.menu.actions()]
        editor.menu.close()
    assert names == ["Recent", "number 2", "no path"]
    for action in editor.menu.actions()[1:]:
        editor.menu.triggered.emit(action)
    assert (told, editor.value()) == (["/2"], "/2")
    assert editor.menu.toolTipsVisible()


KINDS: dict[str, type[Editor]] = {
    "batch_size": NumberBox, "learning_rate": NumberBox, "mask_prompt": CheckEditor, "optimizer": ChoiceBox,
    "data": PathEditor, "adapter_name": TextEditor,
}  # fmt: skip


@pytest.mark.parametrize("path", KINDS)
def test_each_kind_of_field_has_its_editor_which_is_named(qtbot: QtBot, path: str) -> None:
    editor = make_editor(SPECS[path])
    qtbot.addWidget(editor)
    assert type(editor) is KINDS[path]
    named = editor.line if isinstance(editor, ComposedEditor) else editor
    assert (named.objectName(), named.accessibleName(), named.accessibleDescription()) == (
        path, SPECS[path].label, SPECS[path].help,
    )  # fmt: skip
    if not isinstance(editor, CheckEditor):
        assert named.minimumHeight() == named.maximumHeight() == editor_height()
    else:
        assert editor.text() == SPECS[path].label
    own = TextEditor()
    qtbot.addWidget(own)
    name_editor(own, SPECS[path])
    assert (own.objectName(), own.maximumHeight()) == (path, editor_height())


def test_a_choice_is_told_when_a_person_makes_it(qtbot: QtBot) -> None:
    box, told = ChoiceBox(((1, "one"), (None, "none"), ("x", "an x"))), list[object]()
    qtbot.addWidget(box)
    box.edited.connect(told.append)
    box.opening.connect(lambda: told.append("opening"))
    assert box.value() == 1
    for value, shown in (("x", "an x"), (None, "none"), ("gone", ""), (1, "one")):
        box.set_value(value)
        assert (box.currentText(), box.currentIndex() == -1) == (shown, not shown)
    assert told == []
    box.show()
    QTest.keyClick(box, Qt.Key.Key_Down)
    assert told == [None]
    box.showPopup()
    assert told == [None, "opening"]
    box.hidePopup()


def test_a_text_keeps_its_cursor_while_it_is_the_same(qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    text, told = TextEditor(page), list[object]()
    text.edited.connect(told.append)
    page.show()
    text.set_value("a long name")
    assert (text.value(), text.cursorPosition()) == ("a long name", 0)
    text.setCursorPosition(4)
    text.set_value("a long name")
    assert text.cursorPosition() == 4
    text.set_value(None)
    assert text.value() == ""
    page.activateWindow()
    text.setFocus()
    qtbot.waitUntil(text.hasFocus)
    text.set_value(12)
    assert (text.value(), text.cursorPosition(), told) == ("12", 2, [])
    QTest.keyClicks(text, "3")
    assert told == ["123"]


def test_a_tick_is_told_when_a_person_sets_it(qtbot: QtBot) -> None:
    tick, told = CheckEditor("Yes"), list[object]()
    qtbot.addWidget(tick)
    tick.edited.connect(told.append)
    for value, ticked in (("yes", True), (None, False), (1, True)):
        tick.set_value(value)
        assert tick.value() is ticked
    assert told == []
    tick.click()
    assert (tick.value(), told) == (False, [False])


def test_small_parts_of_pages(qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    label, quiet = note_label("A note", page, "warning"), quiet_button("a.name", "Do", "Does it", page)
    assert (label.text(), label.property("role"), label.wordWrap()) == ("A note", "warning", True)
    assert note_label("A note", page).property("role") == "small"
    assert (quiet.objectName(), quiet.text(), quiet.toolTip(), quiet.autoDefault()) == (
        "a.name", "Do", "Does it", False,
    )  # fmt: skip
    assert isinstance(child(PathEditor(SPECS["data"], page), QLineEdit), TextEditor)
