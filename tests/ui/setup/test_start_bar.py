"""The bar with Start: what it calls the fields that it links to."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QPoint
from PySide6.QtWidgets import QVBoxLayout, QWidget
from pytestqt.qtbot import QtBot

from app.core.problem import Problem, Severity
from app.core.system.setting import load_settings, save_settings
from app.ui.setup.start_bar import StartBar, problem_name
from app.ui.widget import theme


@pytest.mark.parametrize(("reading", "name"), [("peft", "LoRA alpha"), ("scale", "LoRA scale")])
def test_the_scale_is_called_as_its_field_is(reading: str, name: str, home: object) -> None:  # noqa: ARG001
    save_settings(load_settings().model_copy(update={"alpha_convention": reading}))
    assert problem_name(Problem("lora_parameters.scale", "It is hot.")) == name
    assert problem_name(Problem("learning_rate", "It is hot.")) == "Learning rate"


def test_what_holds_start_back_or_what_it_will_do_is_said_beside_the_buttons(qtbot: QtBot) -> None:
    bar, c = StartBar(), theme.colors()
    qtbot.addWidget(bar)
    keys = bar.button.toolTip()
    assert keys.startswith("Start the run in a worker of its own (")
    every = (bar.button, bar.queue_button, bar.remote_button)
    tips = [one.toolTip() for one in every]
    assert tips[1:] == [
        "Train this setup as it is now, after the runs that wait",
        "Choose where: a machine by ssh, or a service with GPUs; what it costs is said first",
    ]

    def shown() -> tuple[str, str, str, list[bool]]:
        """What is said, the warnings if they are there, what Start is called, and which buttons can be pressed."""
        warnings = "" if bar._warnings.isHidden() else bar._warnings.text()
        return bar.text, warnings, bar.button.text(), [one.isEnabled() for one in every]

    bar.set_plan("Trains it.")
    assert shown() == ("Trains it.", "", "Start training", [True] * 3)
    bar.set_checking(True)
    reading = "The model and the data are being read…"
    assert shown() == (reading, "", "Checking…", [False] * 3)
    assert {one.toolTip() for one in every} == {"The model and the data are still being read"}
    bar.set_running(True)
    going = "A run is going on: stop it, or queue this one."
    assert shown() == (going, "", "Checking…", [False] * 3)
    bar.set_checking(False)
    assert shown() == (going, "", "Start training", [False, True, True])
    bar.set_running(False)
    warned = Problem("memory", "It is tight.", Severity.WARNING)
    bar.set_problems([warned, warned, Problem("seed", "It is odd.", Severity.WARNING)])
    links = [f"<a href='{path}' style='color:{c.warning}'>{name}</a>" for path, name in
             (("memory", "Memory"), ("seed", "Seed"))]  # fmt: skip
    assert shown() == ("Trains it.", f"3 warnings: {', '.join(links)}", "Start training", [True] * 3)
    paths = ("model", "data", "lora_parameters.keys", "batch_size", "iters", "a<b")
    bar.set_problems([warned, *(Problem(path, f"No <{path}>.", hint="Do.") for path in paths)])
    said, warnings, _, can = shown()
    names = ("Model", "Training data", "Targets", "Batch size")
    named = [
        f"<a href='{path}' style='color:{c.error}'>{name}</a>" for path, name in zip(paths, names, strict=False)
    ]
    assert said == f"<span style='color:{c.muted}'>Before the start: </span>{', '.join(named)} and 2 more"
    assert (warnings, can) == ("", [False] * 3)
    assert {one.toolTip() for one in every} == {"\n".join(f"{path}: No <{path}>. Do." for path in paths)}
    bar.set_problems([Problem("a<b", "No <b>.")])
    assert bar.text.endswith(f"<a href='a&lt;b' style='color:{c.error}'>No &lt;b&gt;.</a>"), (
        "a field of its own name"
    )
    bar.set_problems([])
    assert [one.toolTip() for one in every] == tips


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
