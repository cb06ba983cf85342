"""Recommendations: what a change is called, and that one is made only when it is asked for."""

from __future__ import annotations

from typing import Any

import pytest
from PySide6.QtWidgets import QLabel, QPushButton
from pytestqt.qtbot import QtBot

from app.core.setup.recommendation import Suggestion
from app.ui.setup.suggestion_list import SuggestionList, change_text
from tests.ui.child import child


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("grad_checkpoint", True, "Gradient checkpointing: on"),
        ("grad_checkpoint", False, "Gradient checkpointing: off"),
        ("targets", "minimal", "Targets: Minimal (Q + V)"),
        ("targets", "q_proj, v_proj", "Targets: q_proj, v_proj"),
        ("fine_tune_type", "dora", "Type: DoRA"),
        ("fine_tune_type", "other", "Type: other"),
        ("lora_parameters.rank", 8, "LoRA rank: 8"),
        ("learning_rate", 0.0002, "Learning rate: 2e-4"),
        ("adapter_name", "mine", "Adapter name: mine"),
    ],
)
def test_a_change_is_called_as_the_form_calls_it(path: str, value: Any, said: str) -> None:
    assert change_text(path, value) == said


def test_each_is_shown_with_its_reason_and_applied_by_its_button(qtbot: QtBot) -> None:
    shown, asked = SuggestionList(), list[tuple[str, object]]()
    qtbot.addWidget(shown)
    shown.applied.connect(lambda path, value: asked.append((path, value)))
    assert shown.isHidden()
    found = [Suggestion("lora_parameters.rank", 8, "Little data."), Suggestion("grad_checkpoint", True, "It fits.")]
    shown.show_suggestions(found)
    assert not shown.isHidden()
    assert [label.text() for label in shown.findChildren(QLabel)] == [
        "<b>LoRA rank: 8</b> Little data.", "<b>Gradient checkpointing: on</b> It fits.",
    ]  # fmt: skip
    rank, check = (child(shown, QPushButton, f"suggestion.{one.path}") for one in found)
    assert (rank.text(), rank.accessibleName(), rank.toolTip()) == (
        "Apply", "Apply: LoRA rank: 8", "LoRA rank: 8",
    )  # fmt: skip
    check.click()
    rank.click()
    assert asked == [("grad_checkpoint", True), ("lora_parameters.rank", 8)]
    shown.show_suggestions(tuple(found))
    assert child(shown, QPushButton, "suggestion.grad_checkpoint") is check, "what is the same stays"
    shown.show_suggestions([])
    assert shown.isHidden()
