"""Editing one config value: typing, arrows, wheel, reset, and what is wrong with it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QWheelEvent
from PySide6.QtWidgets import QApplication, QLabel, QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.spec import field_specs
from app.core.problem import Problem, Severity
from app.ui.form.field import Field
from app.ui.form.help_popover import HelpButton, HelpPopover
from app.ui.form.number_box import ONE_OF, NumberBox, number_text, stepped
from app.ui.form.path_editor import PathEditor
from app.ui.form.plain_editor import CheckEditor, ChoiceBox, TextEditor
from app.ui.form.store import ConfigStore
from tests.ui.child import child


@pytest.fixture
def store() -> ConfigStore:
    return ConfigStore()


def shown(qtbot: QtBot, field: Field) -> None:
    """The field in a window of its own, with something else that can have the focus."""
    window = QWidget()
    field.kept_window = window  # type: ignore[attr-defined]  # Python must not drop what Qt shows
    layout = QVBoxLayout(window)
    layout.addWidget(field)
    other = QWidget(window)
    other.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
    layout.addWidget(other)
    qtbot.addWidget(window)
    with qtbot.waitExposed(window):
        window.show()
    other.setFocus()


def number(qtbot: QtBot, store: ConfigStore, path: str) -> tuple[Field, NumberBox]:
    field = Field(path, store)
    shown(qtbot, field)
    assert isinstance(field.editor, NumberBox)
    return field, field.editor


def retype(qtbot: QtBot, box: QWidget, text: str) -> None:
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    qtbot.keyClicks(box, text)


@pytest.mark.parametrize("text, value", [("1e-5", 1e-5), ("2.5e-4", 2.5e-4), ("0.01", 0.01), ("3E-6", 3e-6)])
def test_a_learning_rate_keeps_its_notation(qtbot: QtBot, store: ConfigStore, text: str, value: float) -> None:
    field, box = number(qtbot, store, "learning_rate")
    retype(qtbot, box, text)
    assert store.config.learning_rate == value
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert box.lineEdit().text() == text
    assert field.own_problem is None


def test_small_defaults_are_shown_as_people_write_them(qtbot: QtBot, store: ConfigStore) -> None:
    _, box = number(qtbot, store, "learning_rate")
    assert box.lineEdit().text() == "1e-4"


@given(st.floats(min_value=1e-12, max_value=1e12) | st.integers(0, 2**32).map(float))
def test_what_is_shown_reads_back_as_the_same_number(value: float) -> None:
    assert float(number_text(value)) == value


@pytest.mark.parametrize(
    "value, steps, step, integer, expected",
    [
        (1e-4, 1, None, False, 2e-4),
        (1e-4, -1, None, False, 9e-5),
        (9e-5, 1, None, False, 1e-4),
        (1000, 1, None, True, 1100),
        (1000, -1, None, True, 990),
        (1024, 1, None, True, 1100),
        (1, 1, None, True, 2),
        (0, 1, None, True, 1),
        (0.1, 2, 0.05, False, 0.2),
        (32.0, 1, None, False, 33.0),
    ],
)
def test_arrows_go_to_the_next_round_number(
    value: float, steps: int, step: float | None, integer: bool, expected: float
) -> None:
    assert stepped(value, steps, step, integer) == expected


def test_arrow_keys_step_within_the_range(qtbot: QtBot, store: ConfigStore) -> None:
    _, box = number(qtbot, store, "batch_size")
    box.setFocus()
    qtbot.keyClick(box, Qt.Key.Key_Up)
    assert store.config.batch_size == 2
    for _ in range(3):
        qtbot.keyClick(box, Qt.Key.Key_Down)
    assert store.config.batch_size == 1


def test_large_numbers_fit(qtbot: QtBot, store: ConfigStore) -> None:
    _, box = number(qtbot, store, "seed")
    retype(qtbot, box, str(2**32 - 1))
    assert store.config.seed == 2**32 - 1


def test_separators_are_understood(qtbot: QtBot, store: ConfigStore) -> None:
    _, box = number(qtbot, store, "max_seq_length")
    retype(qtbot, box, "4,096")
    assert store.config.max_seq_length == 4096


def test_a_comma_is_no_thousand_that_is_left_out(qtbot: QtBot, store: ConfigStore) -> None:
    """0,05 trained at rate 5."""
    field, box = number(qtbot, store, "learning_rate")
    retype(qtbot, box, "0,05")
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert store.config.learning_rate == 1e-4
    assert field.own_problem is not None
    assert (field.own_problem.message, field.own_problem.hint) == (
        "“0,05” is not a number.",
        "A comma stands between thousands; decimals have a point. "
        "Learning rate takes more than 0, at most 1,000,000.",
    )


@pytest.mark.parametrize("text", ["999", "0", "abc", "", "1e", "2.5"])
def test_an_unusable_number_stays_and_is_told(qtbot: QtBot, store: ConfigStore, text: str) -> None:
    field, box = number(qtbot, store, "batch_size")
    retype(qtbot, box, "8")
    retype(qtbot, box, text)
    if not text:
        qtbot.keyClick(box, Qt.Key.Key_Backspace)
    qtbot.keyClick(box, Qt.Key.Key_Return)
    assert box.lineEdit().text() == text
    assert field.own_problem is not None
    assert field.own_problem.severity is Severity.ERROR
    assert box.property("problem") == "error"
    line = child(field, QLabel, "batch_size.problem")
    assert isinstance(line, QLabel)
    assert line.isVisible()
    assert "1 to 64" in line.text()
    retype(qtbot, box, "4")
    after: Problem | None = field.own_problem
    assert (after, store.config.batch_size) == (None, 4)
    assert not line.isVisible()


def test_escape_brings_the_last_good_number_back(qtbot: QtBot, store: ConfigStore) -> None:
    field, box = number(qtbot, store, "batch_size")
    retype(qtbot, box, "abc")
    qtbot.keyClick(box, Qt.Key.Key_Escape)
    assert (box.lineEdit().text(), field.own_problem) == ("1", None)


def test_what_is_typed_into_a_field_is_one_step_until_it_is_left(qtbot: QtBot, store: ConfigStore) -> None:
    _, box = number(qtbot, store, "max_seq_length")
    before = store.config
    retype(qtbot, box, "1024")
    typed = store.config
    assert typed.max_seq_length == 1024
    qtbot.keyClick(box, Qt.Key.Key_Return)
    retype(qtbot, box, "512")
    store.undo()
    assert store.config == typed
    store.undo()
    assert (store.config, store.can_undo) == (before, False)


def test_what_is_typed_and_typed_back_is_no_step(qtbot: QtBot, store: ConfigStore) -> None:
    _, box = number(qtbot, store, "seed")
    store.set("seed", 7)
    retype(qtbot, box, "75")
    qtbot.keyClick(box, Qt.Key.Key_Backspace)
    assert box.value() == 7
    store.undo()
    assert (store.value("seed"), store.can_undo) == (0, False)


def test_clicks_are_steps_each(qtbot: QtBot, store: ConfigStore) -> None:
    field = Field("grad_checkpoint", store)
    shown(qtbot, field)
    for _ in range(2):
        qtbot.mouseClick(field.editor, Qt.MouseButton.LeftButton, pos=QPoint(8, field.editor.height() // 2))
    assert store.value("grad_checkpoint") is False
    store.undo()
    assert store.value("grad_checkpoint") is True


def wheel(widget: QWidget) -> None:
    middle = QPointF(widget.rect().center())
    event = QWheelEvent(
        middle, QPointF(widget.mapToGlobal(middle.toPoint())), QPoint(), QPoint(0, 120), Qt.MouseButton.NoButton,
        Qt.KeyboardModifier.NoModifier, Qt.ScrollPhase.NoScrollPhase, False,
    )  # fmt: skip
    QApplication.sendEvent(widget, event)


@pytest.mark.parametrize("path, before, after", [("batch_size", 1, 2), ("optimizer", "adamw", "adam")])
def test_the_wheel_turns_only_what_has_the_focus(
    qtbot: QtBot, store: ConfigStore, path: str, before: object, after: object
) -> None:
    store.set(path, before)
    field = Field(path, store)
    shown(qtbot, field)
    wheel(field.editor)
    assert store.value(path) == before
    field.editor.setFocus()
    wheel(field.editor)
    assert store.value(path) == after


def test_reset_appears_with_a_change_and_takes_it_back(qtbot: QtBot, store: ConfigStore) -> None:
    field, box = number(qtbot, store, "lora_parameters.rank")
    assert not field.reset_button.isVisible()
    retype(qtbot, box, "64")
    assert field.reset_button.isVisible()
    qtbot.mouseClick(field.reset_button, Qt.MouseButton.LeftButton)
    assert store.config.lora_parameters.rank == 32
    assert box.lineEdit().text() == "32"
    assert not field.reset_button.isVisible()


def test_switch_and_choice(qtbot: QtBot, store: ConfigStore) -> None:
    switch, choice = Field("mask_prompt", store), Field("optimizer", store)
    shown(qtbot, switch)
    shown(qtbot, choice)
    assert isinstance(switch.editor, CheckEditor)
    assert isinstance(choice.editor, ChoiceBox)
    qtbot.keyClick(switch.editor, Qt.Key.Key_Space)
    qtbot.keyClick(choice.editor, Qt.Key.Key_Down)
    assert (store.config.mask_prompt, store.config.optimizer) == (True, "adamw")
    store.set_many({"mask_prompt": False, "optimizer": "sgd"})
    assert (switch.editor.isChecked(), choice.editor.currentText()) == (False, "SGD")


def test_the_gravest_problem_colours_the_border(qtbot: QtBot, store: ConfigStore) -> None:
    field, box = number(qtbot, store, "max_seq_length")
    field.set_problems([Problem("", "note", Severity.NOTE), Problem("", "careful", Severity.WARNING, "Less.")])
    assert box.property("problem") == "warning"
    line = child(field, QLabel, "max_seq_length.problem")
    assert isinstance(line, QLabel)
    assert line.text() == "careful Less.\nnote"
    field.set_problems([])
    assert (box.property("problem"), line.isVisible()) == ("", False)


def test_help_says_what_higher_lower_and_recommended(qtbot: QtBot, store: ConfigStore) -> None:
    field, _ = number(qtbot, store, "learning_rate")
    button = child(field, HelpButton, "learning_rate.help")
    assert isinstance(button, HelpButton)
    assert "Recommended" in button.toolTip()
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    popover = child(button, HelpPopover)
    assert isinstance(popover, HelpPopover)
    assert popover.isVisible()
    texts = " ".join(label.text() for label in popover.findChildren(QLabel))
    for word in ("Size of each optimizer step", "Higher:", "Lower:", "Recommended:", "learning_rate"):
        assert word in texts
    popover.close()


@pytest.mark.parametrize("resettable", [True, False])
def test_the_arrow_back_is_there_where_there_is_a_way_back(
    resettable: bool, qtbot: QtBot, store: ConfigStore
) -> None:
    field = Field("iters", store, resettable=resettable)
    shown(qtbot, field)
    assert not field.reset_button.isVisible()
    store.set("iters", store.default("iters") + 1)
    field.refresh()
    assert field.reset_button.isVisible() == resettable
    if resettable:
        field.reset_button.click()
        assert store.value("iters") == store.default("iters")
        assert not field.reset_button.isVisible()


def test_a_unit_beside_a_one_is_of_one_thing(qtbot: QtBot, store: ConfigStore) -> None:
    _, box = number(qtbot, store, "batch_size")
    told = []
    for text in ("1", "12", "1"):
        retype(qtbot, box, text)
        told += [label.text() for label in box.findChildren(QLabel)]
    assert told == ["example", "examples", "example"]


def test_every_unit_has_its_word_for_one() -> None:
    units = {spec.unit for spec in field_specs().values() if spec.unit.isalpha() and spec.unit.endswith("s")}
    assert units - {"s"} <= ONE_OF.keys()


@pytest.mark.parametrize("path, is_end", [("adapter_name", False), ("model", True)])
def test_of_a_long_text_the_beginning_is_shown_and_of_a_path_its_end(qtbot: QtBot, path: str, is_end: bool) -> None:
    store = ConfigStore()
    field = Field(path, store)
    qtbot.addWidget(field)
    text = "/a/long/path/of/models/starter · grpo · r32 · attention"
    store.set(path, text)
    line = field.editor.line if isinstance(field.editor, PathEditor) else field.editor
    assert isinstance(line, TextEditor)
    assert line.cursorPosition() == (len(text) if is_end else 0)
    # What is typed is not torn from under the cursor.
    field.show()
    line.setFocus()
    line.setCursorPosition(3)
    store.set(path, text)
    assert line.cursorPosition() == 3
