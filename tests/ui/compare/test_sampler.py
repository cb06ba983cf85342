"""How answers are drawn: what the form shows is what is asked with."""

from __future__ import annotations

import pytest
from pytestqt.qtbot import QtBot

from app.ui.compare.sampler import CompareSampler

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
    form.show_settings({"top_p": 1.5})
    assert form.hindrance() == "Top-p is out of its range."
