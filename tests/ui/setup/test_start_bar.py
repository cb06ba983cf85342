"""The bar with Start: what it calls the fields that it links to."""

from __future__ import annotations

import pytest
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
