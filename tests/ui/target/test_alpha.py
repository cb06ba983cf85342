"""Alpha in two readings: what is shown, what is stored, and the other reading beside it, worked out by hand."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import QApplication, QLineEdit, QWidget
from pytestqt.qtbot import QtBot

from app.core.system.setting import keep_settings, load_settings
from app.ui.form.store import ConfigStore
from app.ui.target.alpha import Alpha
from tests.ui.child import child

SCALE, RANK = "lora_parameters.scale", "lora_parameters.rank"


@pytest.fixture
def page(qtbot: QtBot) -> QWidget:
    found = QWidget()
    qtbot.addWidget(found)
    return found


def made(page: QWidget, reading: str, rank: int = 8, scale: float = 2.0) -> tuple[Alpha, ConfigStore]:
    keep_settings(alpha_convention=reading)
    store = ConfigStore()
    store.set_many({RANK: rank, SCALE: scale})
    return Alpha(store, page), store


def hint(alpha: Alpha) -> str:
    return alpha.field._hint.text()


@pytest.mark.parametrize(
    "reading, shown, label, other",
    [
        ("peft", 16.0, "LoRA alpha", "= scale 2 in mlx-lm"),  # 2 × 8
        ("scale", 2.0, "LoRA scale", "= alpha 16 in PEFT"),
    ],
)
def test_one_scale_is_two_numbers(page: QWidget, reading: str, shown: float, label: str, other: str) -> None:
    alpha, _ = made(page, reading)
    assert alpha.reading.value() == reading
    assert alpha.name == label
    assert alpha.shown(2.0) == shown
    assert alpha.is_peft == (reading == "peft")
    assert hint(alpha) == other


def test_a_third_is_what_was_typed(page: QWidget) -> None:
    alpha, store = made(page, "peft", rank=3)
    assert alpha.store_alpha(32) is None
    assert store.value(SCALE) == pytest.approx(32 / 3)
    assert alpha.shown(store.value(SCALE)) == 32
    assert hint(alpha) == "= scale 10.6667 in mlx-lm"


@pytest.mark.parametrize("reading, scale", [("peft", 0.5), ("scale", 2.0)])
def test_a_new_rank_keeps_alpha_read_as_pefts_and_else_the_scale(page: QWidget, reading: str, scale: float) -> None:
    alpha, store = made(page, reading)
    assert alpha.store_rank(32) is None
    assert (store.value(RANK), store.value(SCALE)) == (32, scale)
    assert hint(alpha) == {"peft": "= scale 0.5 in mlx-lm", "scale": "= alpha 64 in PEFT"}[reading]


@pytest.mark.parametrize("reading, factor", [("peft", 8), ("scale", 1)])
def test_what_it_does_not_take_is_said_in_its_own_reading(page: QWidget, reading: str, factor: int) -> None:
    alpha, store = made(page, reading)
    limit = alpha.field.spec.maximum
    assert limit is not None
    problem = alpha.store_alpha(limit * factor * 2)
    assert problem is not None
    assert problem.message == f"{limit * factor * 2:g} is not usable."
    assert problem.hint == f"{alpha.name} takes more than 0, at most {limit * factor:,.0f}."
    assert store.value(SCALE) == 2.0


@pytest.mark.parametrize(("reading", "said"), [("peft", "LoRA alpha"), ("scale", "LoRA scale")])
def test_a_word_is_refused_with_what_its_reading_takes(
    qtbot: QtBot, page: QWidget, reading: str, said: str
) -> None:
    alpha, store = made(page, reading)
    page.show()
    alpha.field.show()
    line = child(alpha.field, QLineEdit)
    line.clear()
    qtbot.keyClicks(line, "e")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    problem = alpha.field.own_problem
    assert problem is not None
    assert problem.message == "“e” is not a number."
    assert problem.hint == f"{said} takes more than 0, at most {'80,000' if reading == 'peft' else '10,000'}."
    assert store.value(SCALE) == 2.0


def test_the_default_is_an_alpha_of_32(page: QWidget) -> None:
    alpha, _ = made(page, "peft", rank=8)
    assert alpha.field.default_value() == 4.0
    other, _ = made(page, "scale", rank=8)
    assert other.field.default_value() == 1.0


def test_a_choice_is_kept_and_followed_by_other_forms_when_they_are_looked_at(page: QWidget) -> None:
    first, _ = made(page, "peft")
    second, _ = made(page, "peft")
    first.reading.edited.emit("scale")
    assert load_settings().alpha_convention == "scale"
    assert not first.is_peft
    assert second.is_peft
    for kind in (QEvent.Type.Show, QEvent.Type.WindowActivate):
        QApplication.sendEvent(second.reading_part, QEvent(kind))
        assert second.name == "LoRA scale"
        assert second.reading.value() == "scale"
        assert hint(second) == "= alpha 16 in PEFT"
