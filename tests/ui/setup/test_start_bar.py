"""The bar with Start: what it calls the fields that it links to."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.core.problem import Problem
from app.core.system.setting import load_settings, save_settings
from app.ui.setup.start_bar import StartBar, problem_name


@pytest.mark.parametrize(("reading", "name"), [("peft", "LoRA alpha"), ("scale", "LoRA scale")])
def test_the_scale_is_called_as_its_field_is(reading: str, name: str, home: object) -> None:  # noqa: ARG001
    save_settings(load_settings().model_copy(update={"alpha_convention": reading}))
    assert problem_name(Problem("lora_parameters.scale", "It is hot.")) == name
    assert problem_name(Problem("learning_rate", "It is hot.")) == "Learning rate"


def test_start_leaves_the_keyboard_to_nobody(qtbot: QtBot) -> None:
    bar = StartBar()
    qtbot.addWidget(bar)
    bar.show()
    with qtbot.waitActive(bar):
        bar.activateWindow()
    bar.set_checking(False)
    bar.button.setFocus()
    assert bar.button.hasFocus()
    bar.set_running(True)
    assert bar.focusWidget() is None or not bar.focusWidget().hasFocus()


def test_start_keeps_its_place_when_its_sentence_takes_more_lines(qtbot: QtBot) -> None:
    page = QWidget()
    page.resize(760, 400)
    bar, layout = StartBar(), QVBoxLayout(page)
    layout.addStretch(1)
    layout.addWidget(bar)
    qtbot.addWidget(page)
    page.show()
    places = set()
    for words in (3, 40, 80):
        bar._label.setText("word " * words)
        qtbot.waitUntil(lambda: bar.height() >= bar._label.heightForWidth(bar._label.width()))
        places.add(bar.button.mapTo(page, QPoint(0, 0)).y())
    assert len(places) == 1


def test_a_short_sentence_stands_beside_the_buttons_and_a_long_one_above_them(qtbot: QtBot) -> None:
    page = QWidget()
    page.resize(640, 400)
    bar, layout = StartBar(), QVBoxLayout(page)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addStretch(1)
    layout.addWidget(bar)
    qtbot.addWidget(page)
    page.show()

    def is_beside() -> bool:
        return bar._label.geometry().right() < bar.remote_button.x() and bar.height() < 2.5 * bar.button.height()

    places = set()
    for said, beside in (("It can begin.", True), ("word " * 60, False), ("It can begin.", True)):
        bar.set_plan(said)
        qtbot.waitUntil(is_beside if beside else lambda: bar._label.y() < bar.remote_button.y() and not is_beside())
        places.add(bar.button.mapTo(page, QPoint(0, 0)).toTuple())
    assert len(places) == 1
