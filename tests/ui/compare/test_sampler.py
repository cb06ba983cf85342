"""How answers are drawn: what the form shows is what is asked with; and how much of an adapter is put on."""

from __future__ import annotations

import pytest
from PySide6.QtCore import Qt
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.ui.compare.sampler import CompareSampler, sampler_fields
from app.ui.compare.strength_slider import TIP, StrengthSlider
from app.ui.form.number_box import NumberBox
from tests.ui.child import child

USUAL = {
    "max_tokens": 50,
    "temp": 0.7,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.05,
    "repetition_penalty": 1.3,
    "seed": 5,
}


@pytest.mark.parametrize(
    "change", [{}, {"repetition_penalty": None}, {"temp": 0.0, "top_k": 0}, {"seed": 2**32 - 1}]
)
def test_settings_that_are_shown_are_those_that_were_given(change: dict[str, float | None], qtbot: QtBot) -> None:
    form = CompareSampler()
    qtbot.addWidget(form)
    form.show_settings(USUAL | change)
    assert form.settings() == USUAL | change
    assert form.hindrance() == ""


def test_what_is_not_given_stays(qtbot: QtBot) -> None:
    form = CompareSampler()
    qtbot.addWidget(form)
    form.show_settings(USUAL)
    form.show_settings({"temp": 0.2})
    assert form.settings() == USUAL | {"temp": 0.2}


def test_a_number_out_of_its_range_is_told(qtbot: QtBot) -> None:
    form = CompareSampler()
    qtbot.addWidget(form)
    for name, label, wrong, right in (
        ("max_tokens", "Maximum tokens", (0, 100_001), (1, 100_000)),
        ("temp", "Temperature", (-0.5, 10.5), (0.0, 10.0)),
        ("top_p", "Top-p", (-0.5, 1.5), (0.0, 1.0)),
        ("top_k", "Top-k", (-1, 100_001), (0, 100_000)),
        ("min_p", "Min-p", (-0.5, 1.5), (0.0, 1.0)),
        ("repetition_penalty", "Repetition penalty", (0.0, 10.5), (0.01, 10.0)),
        ("seed", "Seed", (-1, 2**32), (0, 2**32 - 1)),
    ):
        for value in wrong:
            form.show_settings({name: value})
            assert form.hindrance() == f"{label} is out of its range."
        for value in right:
            form.show_settings({name: value})
            assert form.hindrance() == ""
    child(form, NumberBox, "compare.temp").clear()
    assert form.hindrance() == "Temperature is out of its range."
    assert child(form, NumberBox, "compare.temp").toolTip().startswith("0 always takes the likeliest token; higher")


def test_another_form_has_the_fields_that_it_names_at_its_own_defaults(qtbot: QtBot) -> None:
    fields = sampler_fields("chat", temp=0.7, max_tokens=512)
    assert [(one.path, one.default, one.label) for one in fields] == [
        ("chat.max_tokens", 512, "Maximum tokens"), ("chat.temp", 0.7, "Temperature"),
    ]  # fmt: skip
    form = CompareSampler(fields=fields)
    qtbot.addWidget(form)
    assert form.settings() == {"max_tokens": 512, "temp": 0.7}
    usual = CompareSampler()
    qtbot.addWidget(usual)
    assert usual.settings() == {
        "max_tokens": 256, "temp": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": None,
        "seed": 0,
    }  # fmt: skip


def test_a_strength_is_told_once_it_is_chosen(qtbot: QtBot) -> None:
    found = StrengthSlider()
    qtbot.addWidget(found)
    found.show()
    told: list[float] = []
    found.changed.connect(lambda: told.append(found.strength))

    def said() -> tuple[float, str, str]:
        shown = [label.text() for label in found.findChildren(QLabel)]
        assert shown[0] == "Strength"
        return found.strength, shown[1], found.slider.toolTip()

    assert said() == (1.0, "1.00 ×", f"{TIP}. Now: 1.00")
    assert (found.slider.minimum(), found.slider.maximum()) == (0, 30)
    for key, strength in ((Qt.Key.Key_PageUp, 1.25), (Qt.Key.Key_Left, 1.2), (Qt.Key.Key_End, 1.5)):
        qtbot.keyClick(found.slider, key)
        assert told.pop() == strength
    for asked, strength in ((7.0, 1.5), (-1.0, 0.0), (0.33, 0.35), (0.75, 0.75)):
        found.set_strength(asked)
        assert said() == (strength, f"{strength:.2f} ×", f"{TIP}. Now: {strength:.2f}")
    found.slider.setSliderDown(True)
    found.slider.setValue(10)
    assert said()[:2] == (0.5, "0.50 ×"), "it is shown on the way"
    found.slider.setValue(15)
    found.slider.setSliderDown(False)
    assert told == [], "it is back where it was"
