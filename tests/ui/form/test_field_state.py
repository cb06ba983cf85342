"""A field in every state: what its reset says, what is wrong with it, what it takes, and who hears of that."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel, QWidget
from pytestqt.qtbot import QtBot

from app.core.problem import Problem, Severity
from app.ui.form.field import Field
from app.ui.form.number_box import NumberBox
from app.ui.form.path_editor import PathEditor
from app.ui.form.plain_editor import CheckEditor, ChoiceBox, TextEditor
from app.ui.form.store import ConfigStore
from app.ui.widget.elided_label import ElidedLabel
from tests.ui.child import child


@pytest.fixture
def store() -> ConfigStore:
    return ConfigStore()


def made(qtbot: QtBot, store: ConfigStore, path: str, **how: Any) -> Field:
    field = Field(path, store, **how)
    qtbot.addWidget(field)
    field.resize(300, 80)
    field.show()
    return field


@pytest.mark.parametrize(
    "path, value, text",
    [
        ("learning_rate", 3e-4, "Back to 0.0001"), ("epochs", 5.0, "Back to 3"), ("batch_size", 4, "Back to 1"),
        ("optimizer", "sgd", "Back to Adam"), ("bias_correction", False, "Back to on"),
        ("mask_prompt", True, "Back to off"), ("adapter_name", "mine", "Back to mlx_finetune"),
        ("resume_adapter_file", "/a", "Back to nothing"), ("seed", 5, "Back to 0"),
    ],
)  # fmt: skip
def test_the_way_back_says_where_it_leads(
    qtbot: QtBot, store: ConfigStore, path: str, value: object, text: str
) -> None:
    field = made(qtbot, store, path)
    assert not field.reset_button.isVisible()
    store.set(path, value)
    assert (field.reset_button.toolTip(), field.reset_button.accessibleName()) == (text, text)
    assert field.reset_button.isVisible()
    QTest.mouseClick(field.reset_button, Qt.MouseButton.LeftButton)
    assert (store.is_default(path), field.reset_button.isVisible()) == (True, False)


def test_what_is_shown_may_be_another_number_than_is_kept(qtbot: QtBot, store: ConfigStore) -> None:
    kept: list[Any] = []

    def commit(value: Any) -> Problem | None:
        kept.append(value)
        return Problem("learning_rate", "Never.") if value > 9 else store.set("learning_rate", value / 1000)

    field = made(qtbot, store, "learning_rate", shown=lambda value: value * 1000, commit=commit)
    box = field.editor
    assert isinstance(box, NumberBox)
    assert box.value() == pytest.approx(0.1)
    store.set("learning_rate", 0.002)
    assert (box.lineEdit().text(), field.reset_button.toolTip()) == ("2", "Back to 0.1")
    told: list[int] = []
    field.own_problem_changed.connect(lambda: told.append(1))
    for text in ("5", "10"):
        box.lineEdit().setText(text)
        box.lineEdit().textEdited.emit(text)
    assert (kept, store.config.learning_rate) == ([5, 10], 0.005)
    assert field.own_problem == Problem("learning_rate", "Never.")
    assert told == [1]
    assert field.can_undo
    field.undo()
    assert [box.lineEdit().text(), field.own_problem, field.can_undo, told] == ["5", None, False, [1, 1]]


@pytest.mark.parametrize(
    "path, text, said",
    [
        ("batch_size", "x", "“x” is not a whole number. Batch size takes 1 to 64."),
        ("batch_size", "", "A number is needed here. Batch size takes 1 to 64."),
        ("learning_rate", "fast", "“fast” is not a number. Learning rate takes more than 0, at most 1,000,000."),
    ],
)
def test_a_text_that_is_no_number_says_what_is_taken(
    qtbot: QtBot, store: ConfigStore, path: str, text: str, said: str
) -> None:
    field = made(qtbot, store, path)
    box = field.editor
    assert isinstance(box, NumberBox)
    box.lineEdit().setText(text)
    assert field.can_undo, "though nobody was told yet"
    box.editingFinished.emit()
    line = child(field, QLabel, f"{path}.problem")
    assert (line.text(), line.property("role"), line.isVisible()) == (said, "error", True)
    assert field.own_problem is not None
    assert field.own_problem.path == path
    store.changed.emit("seed")
    assert field.own_problem is not None, "another field has changed"
    store.changed.emit("")
    assert [field.own_problem, line.isVisible()] == [None, False]


def test_only_what_is_typed_is_undone_in_a_field(qtbot: QtBot, store: ConfigStore) -> None:
    kinds = {"grad_checkpoint": CheckEditor, "optimizer": ChoiceBox, "adapter_name": TextEditor, "data": PathEditor}
    fields = {path: made(qtbot, store, path) for path in kinds}
    assert [type(field.editor) for field in fields.values()] == list(kinds.values())
    for field in fields.values():
        field._set_own(Problem(field.path, "No."))
    assert [path for path, field in fields.items() if field.can_undo] == ["adapter_name", "data"]
    assert [path for path, field in fields.items() if field.is_switch] == ["grad_checkpoint"]


def test_problems_stand_below_the_gravest_first_and_the_field_s_own_before_all(
    qtbot: QtBot, store: ConfigStore
) -> None:
    field = made(qtbot, store, "batch_size")
    line = child(field, QLabel, "batch_size.problem")

    def state() -> tuple[str, str, str, bool]:
        return line.text(), line.property("role"), field.editor.property("problem") or "", line.isVisible()

    found = [Problem("", text, severity) for text, severity in (
        ("n", Severity.NOTE), ("e", Severity.ERROR), ("w", Severity.WARNING),
    )]  # fmt: skip
    for count, shown in (
        (3, ("e\nw\nn", "error", "error", True)), (1, ("n", "note", "note", True)), (0, ("", "note", "", False)),
    ):  # fmt: skip
        field.set_problems(found[:count])
        assert state() == shown
    field.set_problems(found)
    field._set_own(Problem("batch_size", "mine", Severity.WARNING))
    assert state() == ("mine", "warning", "warning", True)
    field._set_own(None)
    assert state() == ("e\nw\nn", "error", "error", True)


def test_an_empty_place_invites_but_what_a_file_said_of_it_is_told(qtbot: QtBot, store: ConfigStore) -> None:
    field = made(qtbot, store, "data")
    line = child(field, QLabel, "data.problem")
    needed, of_file = Problem("data", "Choose data."), Problem("data", "It is gone.", file="a.yaml")
    field.set_problems([needed, of_file])
    assert line.text() == "It is gone."
    store.set("data", "/d")
    field.set_problems([needed, of_file])
    assert line.text() == "Choose data.\nIt is gone."
    assert field.editor.line.property("problem") == "error"  # type: ignore[union-attr]


def test_its_parts_are_there_as_they_were_asked_for(qtbot: QtBot, store: ConfigStore) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    field = Field("batch_size", store, page, hint="As many as fit.")
    bare = Field("optimizer", store, page, labelled=False)
    page.show()
    label = child(field, ElidedLabel)
    assert (field.objectName(), field.path) == ("batch_size.field", "batch_size")
    assert (label.text(), label.property("role"), label.buddy()) == ("Batch size", "label", field.editor)
    hint = field._hint
    assert (hint.text(), hint.property("role"), hint.isHidden(), hint.wordWrap()) == (
        "As many as fit.", "small", False, True,
    )  # fmt: skip
    assert hint.textInteractionFlags() == Qt.TextInteractionFlag.TextSelectableByMouse
    field.set_hint("")
    assert hint.isHidden()
    field.set_label("Rows")
    assert label.text() == "Rows"
    assert not child(bare, ElidedLabel).isVisible()
    assert bare.takes_text() == ""
    assert field.takes_text() == "Batch size takes 1 to 64."
    bare.set_choices([("sgd", "one"), ("adam", "two")])
    box = bare.editor
    assert isinstance(box, ChoiceBox)
    assert ([box.itemText(at) for at in range(box.count())], box.currentText()) == (["one", "two"], "two")
    page.activateWindow()
    bare.focus()
    qtbot.waitUntil(box.hasFocus)
    own = TextEditor()
    given = Field("adapter_name", store, page, editor=own)
    assert (given.editor, own.objectName(), own.accessibleName()) == (own, "adapter_name", given.spec.label)


def test_a_number_that_may_be_missing_is_taken_out(qtbot: QtBot, store: ConfigStore) -> None:
    field, needed = made(qtbot, store, "epochs"), made(qtbot, store, "batch_size")
    for one in (field, needed):
        box = one.editor
        assert isinstance(box, NumberBox)
        box.edited.emit(None)
    assert (store.config.epochs, store.config.batch_size, needed.own_problem) == (None, 1, None)
