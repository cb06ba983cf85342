"""The rows of the reward functions: what counts, with what weight and share, and the user's own among them."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.core.method.reward import Declared
from app.ui.method.reward_editor import RewardEditor, built_in_names
from app.ui.method.reward_row import RewardRow
from tests.ui.child import child


@pytest.fixture
def editor(qtbot: QtBot) -> RewardEditor:
    found = RewardEditor()
    qtbot.addWidget(found)
    found.show()
    return found


def share(row: RewardRow) -> tuple[str, bool, bool]:
    """What stands beside the slider, and whether both are there."""
    return row.share_text, row.slider.isVisible(), child(row, QLabel, f"reward.{row.name}.share").isVisible()


def test_what_counts_has_its_weight_and_its_share_of_all(editor: RewardEditor) -> None:
    told: list[object] = []
    editor.edited.connect(told.append)
    editor.set_value((("short", 3.0), ("contains_answer", -1.0)))
    short, right = editor.rows["short"], editor.rows["contains_answer"]
    assert editor.value() == tuple((row.name, row.weight) for row in editor.rows.values() if row.is_on)
    assert dict(editor.value()) == {"short": 3.0, "contains_answer": -1.0}
    assert (share(short), share(right)) == (("× 3 · 75\u00a0%", True, True), ("× -1 · 25\u00a0%", True, True))
    assert short.slider.toolTip() == "Scores count × 3"
    assert (short.slider.minimum(), short.slider.maximum(), short.slider.value()) == (0, 60, 60)
    assert (right.slider.minimum(), right.slider.maximum(), right.slider.value()) == (-20, 40, -20)
    other = next(row for name, row in editor.rows.items() if name not in ("short", "contains_answer"))
    assert (other.is_on, other.weight, share(other)[1:]) == (False, 1.0, (False, False))
    assert told == [], "nobody chose it by hand"
    short.slider.setValue(11)
    assert (short.weight, dict(editor.value())["short"]) == (0.55, 0.55)
    assert share(short)[0].startswith("× 0.55 · 35")
    short.check.click()
    assert share(short)[1:] == (False, False)
    assert (told[-1], share(right)[0]) == ((("contains_answer", -1.0),), "× -1 · 100\u00a0%")
    right.check.click()
    assert (told[-1], right.share_text) == ((), "× -1"), "there is no sum to be a part of"
    assert len(told) == 3


def test_ones_own_come_before_built_in_ones_and_what_is_nowhere_can_be_taken_out(editor: RewardEditor) -> None:
    def others() -> dict[str, str]:
        built_in = built_in_names()
        rows = {name: row for name, row in editor.rows.items() if name not in built_in}
        return {name: row.findChildren(QLabel)[-1].text() for name, row in rows.items()}

    assert others() == {}
    editor.set_value((("polite", 0.123), ("r1_count_xml", 2.0)))
    assert others() == {"polite": "There is no such function"}
    assert dict(editor.value()) == {"count_tags": 2.0, "polite": 0.123}, "a weight between two steps stays"
    editor.set_own([Declared("polite", 1, "1 if it says please."), Declared("r1_count_xml", 5, "")])
    assert others() == {"polite": "Your own: 1 if it says please.", "r1_count_xml": "Your own"}
    assert dict(editor.value()) == {"polite": 0.123, "r1_count_xml": 2.0}
    polite = editor.rows["polite"]
    editor.set_value((("polite", 1.0),))
    assert editor.rows["polite"] is polite, "what is the same stays"
    editor.set_own([])
    assert others() == {"polite": "There is no such function"}
    editor.rows["polite"].check.click()
    editor.set_value(editor.value())
    assert (others(), editor.value()) == ({}, ())
