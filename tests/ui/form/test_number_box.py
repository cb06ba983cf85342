"""A number's editor: how numbers are written and read, how far an arrow goes, and where the unit stands."""

from __future__ import annotations

from dataclasses import replace

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QFont
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.core.config.spec import field_specs
from app.core.config.train_config import FieldSpec
from app.ui.form.number_box import NumberBox, number_text, stepped
from tests.ui.child import child


@pytest.mark.parametrize(
    "value, text",
    [
        (None, ""), (0, "0"), (0.0, "0"), (-3.0, "-3"), (10**12, "1000000000000"), (999_999_999.0, "999999999"),
        (1e9, "1e9"), (-1e9, "-1e9"), (2.5e9, "2.5e9"), (0.001, "0.001"), (0.00099, "9.9e-4"),
        (-0.00025, "-2.5e-4"),        (0.25, "0.25"), (1234.5, "1234.5"), (123456789012.5, "1.234567890125e11"),
    ],
)  # fmt: skip
def test_a_number_as_people_write_it(value: float | None, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(
    "value, steps, step, integer, expected",
    [
        (0, -1, None, True, -1), (0, 1, None, False, 0.1), (0.0, -1, None, False, -0.1), (1, -1, None, False, 0.9),
        (1, -1, None, True, 0), (2, 3, None, True, 5), (9, 1, None, False, 10), (10, 1, None, False, 11),
        (10, -1, None, False, 9), (100, 1, None, True, 110), (100, -1, None, True, 99), (105, 1, None, True, 110),
        (105, -1, None, True, 100), (1e-4, -2, None, False, 8e-5),
        (-5, 1, None, True, -4), (-5, -1, None, True, -6),
        (0.35, 1, 0.05, False, 0.4), (0.35, -1, 0.05, False, 0.3), (0.32, 1, 0.05, False, 0.35),
        (0.32, -1, 0.05, False, 0.3), (0.3, 2, 0.1, False, 0.5), (-100, -1, None, True, -110),
        (-100, 1, None, True, -99), (0.05, 0, 0.05, False, 0.05),
    ],
)  # fmt: skip
def test_how_far_an_arrow_goes(
    value: float, steps: int, step: float | None, integer: bool, expected: float
) -> None:
    assert stepped(value, steps, step, integer) == pytest.approx(expected, rel=1e-12)


def made(qtbot: QtBot, path: str) -> tuple[NumberBox, list[object]]:
    """The editor of a field, and what it tells."""
    box, told = NumberBox(field_specs()[path]), list[object]()
    qtbot.addWidget(box)
    box.edited.connect(told.append)
    box.unreadable.connect(lambda text: told.append(f"unreadable {text}"))
    return box, told


@pytest.mark.parametrize(
    "path, start, steps, shown",
    [
        ("batch_size", "64", 1, "64"), ("batch_size", "1", -5, "1"), ("batch_size", "abc", 1, "2"),
        ("learning_rate", "1e-9", -1, "9e-10"), ("learning_rate", "1e-4", -1, "9e-5"),
        ("lora_parameters.dropout", "0.95", 3, "0.95"), ("lora_parameters.dropout", "0.02", -1, "0"),
        ("lora_parameters.dropout", "0.97", 1, "0.97"), ("lora_parameters.dropout", "0", 2, "0.1"),
        ("epochs", "3", 1, "3.5"), ("epochs", "0.5", -1, "0.5"), ("epochs", "0.7", -1, "0.5"),
        ("epsilon", "", 1, "0.1"), ("epsilon", "0.8", 1, "0.9"), ("epsilon", "0.95", 1, "0.95"),
        ("warmup", "0", 1, "0.01"), ("max_grad_norm", "1", 1, "1.5"), ("weight_decay", "0.01", 2, "0.03"),
        ("early_stopping.min_delta", "0.02", -1, "0.01"), ("valid_fraction", "0.1", 1, "0.15"),
        ("test_fraction", "0.1", -1, "0.05"), ("seed", "0", 1, "1"), ("max_seq_length", "2048", 1, "2100"),
        # From beyond a border that is excluded itself, a step back.
        ("epochs", "-2", 1, "3"), ("epochs", "-2", -1, "-2"), ("learning_rate", "-1", 1, "1e-4"),
        ("lora_parameters.dropout", "3", -1, "0"), ("lora_parameters.dropout", "3", 1, "3"),
        ("batch_size", "-2", 1, "1"), ("batch_size", "900", -1, "64"),
    ],
)  # fmt: skip
def test_arrows_stay_within_what_the_field_takes(
    qtbot: QtBot, path: str, start: str, steps: int, shown: str
) -> None:
    box, told = made(qtbot, path)
    box.lineEdit().setText(start)
    box.stepBy(steps)
    assert box.lineEdit().text() == shown
    assert box.lineEdit().selectedText() == shown
    expected = float(shown)
    assert (told, box.value(), box.text_value()) == ([expected], expected, expected)
    assert isinstance(box.value(), int) is (field_specs()[path].kind == "int")
    assert box.stepEnabled() == box.StepEnabledFlag.StepUpEnabled | box.StepEnabledFlag.StepDownEnabled


@pytest.mark.parametrize(
    "path, text, told",
    [
        ("batch_size", "4_0", [40]), ("batch_size", "2.0", [2]), ("batch_size", "2.5", []),
        ("batch_size", "-", []), ("batch_size", "x", ["unreadable x"]), ("batch_size", "1e", []),
        ("batch_size", "1x", ["unreadable 1x"]),
        ("batch_size", "1ee", ["unreadable 1ee"]), ("batch_size", "", []), ("batch_size", " ", []),
        ("max_seq_length", "4,096", [4096]), ("max_seq_length", "1\u202f024", [1024]),
        ("max_seq_length", "1 024", [1024]), ("learning_rate", "1E-5", [1e-5]), ("learning_rate", "1e-", []),
        ("learning_rate", "inf", ["unreadable inf"]), ("learning_rate", "1e999", []),
        ("learning_rate", "−2", [-2.0]), ("learning_rate", "−", []), ("learning_rate", ".", []),
        ("epsilon", "", [None]), ("epsilon", " ", [None]), ("weight_decay", ".5", [0.5]),
    ],
)  # fmt: skip
def test_what_is_told_while_one_types(qtbot: QtBot, path: str, text: str, told: list[object]) -> None:
    box, heard = made(qtbot, path)
    box.lineEdit().setText(text)
    box.lineEdit().textEdited.emit(text)
    assert heard == told
    assert box.value() == (heard[0] if heard and not isinstance(heard[0], str) else None)


def test_what_is_left_standing_is_told_where_it_is_no_number(qtbot: QtBot) -> None:
    box, told = made(qtbot, "batch_size")
    optional, other = made(qtbot, "epsilon")
    for text, read in (("7", True), ("1e", False), ("", False), ("2.5", False)):
        box.lineEdit().setText(text)
        assert box.is_read is read
        box.editingFinished.emit()
    assert told == ["unreadable 1e", "unreadable ", "unreadable 2.5"]
    for text, read in (("", True), ("  ", True), ("0.2", True), ("-", False)):
        optional.lineEdit().setText(text)
        assert optional.is_read is read
        optional.editingFinished.emit()
    assert other == ["unreadable -"]


def test_a_text_that_means_the_value_is_left_as_it_was_typed(qtbot: QtBot) -> None:
    box, told = made(qtbot, "learning_rate")
    box.lineEdit().setText("0.00010")
    box.set_value(1e-4)
    assert box.lineEdit().text() == "0.00010"
    box.set_value(2e-4)
    assert (box.lineEdit().text(), box.value()) == ("2e-4", 2e-4)
    box.set_value(None)
    assert (box.lineEdit().text(), box.value(), box.text_value()) == ("", None, None)
    box.set_placeholder("by itself")
    assert box.lineEdit().placeholderText() == "by itself"
    assert told == []


def test_escape_leaves_a_number_that_was_taken(qtbot: QtBot) -> None:
    box, told = made(qtbot, "batch_size")
    box.show()
    box.set_value(4)
    QTest.keyClick(box, Qt.Key.Key_Escape)
    assert told == []
    QTest.keyClicks(box, "x")
    QTest.keyClick(box, Qt.Key.Key_Escape)
    assert (told[-1], box.lineEdit().text()) == (4, "4")


def test_the_unit_stands_beside_the_number_and_makes_room_for_it(qtbot: QtBot) -> None:
    box, _ = made(qtbot, "batch_size")
    box.resize(200, box.sizeHint().height())
    box.show()
    box.set_value(12)
    unit = child(box, QLabel)
    right = box.lineEdit().x() + box.lineEdit().width()
    assert (unit.text(), unit.isVisible()) == ("examples", True)
    assert unit.testAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents), "a click on it is one on the number"
    assert unit.x() + unit.width() == right - 2
    assert abs(unit.y() + unit.height() / 2 - box.height() / 2) <= 1
    box.set_value(1)
    assert (unit.text(), unit.x() + unit.width()) == ("example", right - 2)
    box.lineEdit().setText("1" * 40)
    assert not unit.isVisible()
    box.lineEdit().clear()
    assert unit.isVisible()
    box.lineEdit().setPlaceholderText("as long as the room that there is")
    box.resize(201, box.height())
    assert not unit.isVisible()
    box.set_value(12)
    assert unit.isVisible()
    box.resize(unit.width() + 40, box.height())
    assert not unit.isVisible()
    box.resize(200, box.height())
    assert unit.isVisible()
    before = unit.width()
    font = QFont(box.font())
    font.setPixelSize(18)
    unit.setFont(font)
    box.setFont(font)
    assert unit.width() > before
    assert unit.x() + unit.width() == box.lineEdit().x() + box.lineEdit().width() - 2


def test_a_number_without_a_unit_shows_none(qtbot: QtBot) -> None:
    spec: FieldSpec = replace(field_specs()["batch_size"], unit="")
    box = NumberBox(spec)
    qtbot.addWidget(box)
    box.resize(200, 30)
    box.show()
    box.set_value(1)
    assert child(box, QLabel).text() == ""
    assert (box.sizeHint().width(), box.minimumSizeHint().width()) == (140, 84)
    assert box.focusPolicy() is Qt.FocusPolicy.StrongFocus
