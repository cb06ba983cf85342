"""The card of the question: one prompt or a set of them, what stands in the way, and what can be done now."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QTextOption
from PySide6.QtWidgets import QAbstractButton, QCheckBox, QLabel, QLineEdit
from pytestqt.qtbot import QtBot

from app.core.compare.held_out import LINES_READ, HeldOut
from app.core.compare.kept_comparison import KeptQuestion
from app.core.compare.prompt_set import LONGEST_SET
from app.ui.compare.question import CompareQuestion, PromptBox
from app.ui.form.number_box import NumberBox
from tests.ui.child import child

SETTINGS = {
    "max_tokens": 256, "temp": 0.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, "repetition_penalty": None, "seed": 0,
}  # fmt: skip
HELD_OUT = [HeldOut("One?", "Sing."), HeldOut("Two?")]
BUTTONS = ("ask", "stop", "new", "follow_up", "held_out", "set", "set.clear")


@pytest.fixture
def card(qtbot: QtBot) -> CompareQuestion:
    found = CompareQuestion()
    qtbot.addWidget(found)
    found.resize(700, 300)
    found.show()
    return found


def prompts_file(folder: Path, *prompts: str) -> Path:
    path = folder / f"{len(prompts)} prompts.jsonl"
    path.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    return path


def set_name(card: CompareQuestion) -> str:
    return child(card, QLabel, "compare.set.name").text()


def note(card: CompareQuestion) -> tuple[str, str]:
    """What stands beside the button, and as what."""
    label = child(card, QLabel, "compare.note")
    return label.text(), label.property("role")


def usable(card: CompareQuestion) -> dict[str, bool]:
    """Whether each button that is seen can be pressed."""
    buttons = {name: child(card, QAbstractButton, f"compare.{name}") for name in BUTTONS}
    return {name: button.isEnabled() for name, button in buttons.items() if button.isVisible()}


def test_what_can_be_done_is_what_is_seen(card: CompareQuestion, tmp_path: Path, qtbot: QtBot) -> None:
    card.show_state(busy=False, hindrance="Write a prompt.", answered=False)
    ask = child(card, QAbstractButton, "compare.ask")
    assert usable(card) == {"ask": False, "set": True}
    assert (ask.toolTip(), note(card)) == ("Write a prompt.", ("Write a prompt.", "small"))
    card.show_state(busy=False, hindrance="", answered=True)
    assert usable(card) == {"ask": True, "new": True, "follow_up": True, "set": True}
    assert (ask.toolTip(), note(card)) == ("Ask every column (Ctrl+Return)", ("", "small"))
    card.show_note("It failed.", role="error")
    card.show_state(busy=False, hindrance="", answered=True)
    assert note(card) == ("It failed.", "error"), "what is no hint stays"
    card.show_state(busy=True, hindrance="", answered=False)
    assert usable(card) == {"stop": True, "set": False}
    card.show_note("2 of 6 answers")
    card.show_state(busy=True, hindrance="", answered=False)
    card.drop_note("another")
    assert note(card) == ("2 of 6 answers", "small")
    card.drop_note("2 of 6 answers")
    assert note(card) == ("", "small")
    card.choose_set(prompts_file(tmp_path, "a", "b"))
    assert (set_name(card), card.hindrance()) == ("2 prompts.jsonl · reading…", "The prompts are being read.")
    assert [card.prompt.isVisible(), card.prompts()] == [False, []]
    qtbot.waitUntil(lambda: card.hindrance() == "")
    card.show_state(busy=False, hindrance="", answered=True)
    assert usable(card) == {"ask": True, "new": True, "set": True, "set.clear": True}
    assert (set_name(card), ask.text()) == ("2 prompts.jsonl · 2 prompts", "Compare 2 prompts")
    card.show_state(busy=True, hindrance="", answered=False)
    assert usable(card) == {"stop": True, "set": False, "set.clear": False}
    child(card, QAbstractButton, "compare.set.clear").setEnabled(True)
    child(card, QAbstractButton, "compare.set.clear").click()
    card.show_state(busy=False, hindrance="", answered=False)
    assert (card.prompt.isVisible(), ask.text(), usable(card)) == (True, "Compare", {"ask": True, "set": True})
    assert card.hindrance() == "Write a prompt."


def test_it_follows_up_where_there_is_something_to_follow_and_no_set(card: CompareQuestion) -> None:
    tick = child(card, QCheckBox, "compare.follow_up")
    card.show_state(busy=False, hindrance="", answered=True)
    assert not card.follows_up
    with_set: list[bool] = []
    card.edited.connect(lambda: with_set.append(card.follows_up))
    tick.click()
    assert with_set == [True], "it is told at once"
    card.show_state(busy=True, hindrance="", answered=False)
    assert not card.follows_up
    card.show_state(busy=False, hindrance="", answered=True)
    card.set_held_out(HELD_OUT)
    card._use_held_out()
    assert not card.follows_up
    card.ask_held_out()
    assert (tick.isChecked(), card.prompt_set) == (False, []), "a question held out is asked on its own"


def test_what_stands_in_the_card_comes_back(card: CompareQuestion, tmp_path: Path, qtbot: QtBot) -> None:
    card.prompt.setPlainText("a\u00a0b")
    card.system.setText(" Sing. ")
    child(card, QCheckBox, "compare.follow_up").setChecked(True)
    box = child(card, NumberBox, "compare.seed")
    box.selectAll()
    qtbot.keyClicks(box, "7")
    one = KeptQuestion("a\u00a0b", " Sing. ", True, SETTINGS | {"seed": 7}, "", False)
    assert (card.kept(), card.system_text) == (one, "Sing.")
    card.set_held_out(HELD_OUT)
    card._use_held_out()
    held_out = KeptQuestion(one.prompt, one.system, True, one.settings, "", True)
    assert card.kept() == held_out
    assert [(one.text, one.opening) for one in card.prompts()] == [
        ("One?", ({"role": "system", "content": "Sing."},)), ("Two?", ()),
    ]  # fmt: skip
    path = prompts_file(tmp_path, "a", "b")
    card.choose_set(path)
    of_file = KeptQuestion(one.prompt, one.system, True, one.settings, str(path), False)
    assert card.kept() == of_file
    other = CompareQuestion()
    qtbot.addWidget(other)
    other.show_kept(held_out)
    assert other.prompts()[0].text == "a\u00a0b", "its run has none by now"
    other.set_held_out(HELD_OUT)
    for kept, count in ((held_out, 2), (one, 1), (of_file, 2)):
        other.show_kept(kept)
        qtbot.waitUntil(lambda: not other.hindrance())
        assert (other.kept(), len(other.prompts())) == (kept, count)
    with qtbot.waitSignal(other.edited):
        other.begin_anew()
    assert (other.prompts(), other.kept().prompt_file, other.data) == ([], "", None)


def test_held_out_questions_are_offered_in_their_order(card: CompareQuestion) -> None:
    offered = child(card, QAbstractButton, "compare.held_out")
    assert card.is_untouched
    card.set_held_out([], fills=True)
    assert (offered.isVisible(), card.prompt.toPlainText()) == (False, "")
    card.set_held_out(HELD_OUT)
    assert (offered.isVisible(), card.prompt.toPlainText()) == (True, ""), "nobody asked for it"
    card.set_held_out(HELD_OUT, fills=True)
    assert (card.prompt.toPlainText(), card.system.text()) == ("One?", "Sing.")
    card.set_held_out(list(HELD_OUT), fills=True)
    offered.click()
    assert (card.prompt.toPlainText(), card.system.text()) == ("Two?", "")
    assert card.prompt.hasFocus()
    card.set_held_out([HeldOut("Three?"), *HELD_OUT], fills=True)
    assert card.prompt.toPlainText() == "Two?", "what stands there stays"
    offered.click()
    assert card.prompt.toPlainText() == "Three?", "other questions begin with their first"
    assert not card.is_untouched


def test_a_set_beyond_the_longest_is_said_to_be_cut_and_a_bad_one_is_forgotten(
    card: CompareQuestion, tmp_path: Path, qtbot: QtBot
) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text('{"prompt": "a"}\n{}\n')
    faults: list[str] = []
    card.failed.connect(faults.append)
    card.choose_set(bad)
    qtbot.waitUntil(lambda: len(faults) == 1)
    assert (card.data, card.prompts()) == (None, [])
    assert (card.prompt.isVisible(), child(card, QLabel, "compare.set.name").isVisible()) == (True, False)
    card.choose_set(prompts_file(tmp_path, *(f"{number}?" for number in range(LONGEST_SET + 1))))
    qtbot.waitUntil(lambda: not card.hindrance())
    assert (len(card.prompts()), set_name(card)) == (500, "501 prompts.jsonl · the first 500 prompts")
    card.choose_set(prompts_file(tmp_path, *(f"{number}?" for number in range(LONGEST_SET))))
    qtbot.waitUntil(lambda: not card.hindrance())
    assert set_name(card) == "500 prompts.jsonl · 500 prompts"
    for count, said in ((LINES_READ, "the first 200 prompts"), (2, "2 prompts")):
        card.set_held_out([HeldOut(f"{number}?") for number in range(count)])
        card._use_held_out()
        assert set_name(card) == f"The run's held-out questions · {said}"
    card.choose_set(prompts_file(tmp_path, "a"))
    card.choose_set(prompts_file(tmp_path, "b", "c"))
    qtbot.waitUntil(lambda: not card.hindrance())
    assert [one.text for one in card.prompts()] == ["b", "c"]
    assert (len(faults), set_name(card)) == (1, "2 prompts.jsonl · 2 prompts")
    card.choose_set(prompts_file(tmp_path, "a"))
    card.clear_set()
    qtbot.wait(5)
    assert (card.prompts(), card.data) == ([], None), "what is being read is given up"
    assert card.accepts(bad.rename(tmp_path / "BAD.JSONL"))
    assert not card.accepts(tmp_path / "gone.jsonl")
    assert not card.accepts(Path(__file__))


def test_a_number_out_of_its_range_stands_in_the_way(card: CompareQuestion, qtbot: QtBot) -> None:
    card.prompt.setPlainText("a")
    assert card.hindrance() == ""
    line = child(child(card, NumberBox, "compare.top_p"), QLineEdit)
    line.selectAll()
    with qtbot.waitSignal(card.edited):
        qtbot.keyClicks(line, "2")
    assert card.hindrance() == "Top-p is out of its range."


def test_lines_begun_with_shift_are_lines_and_stay_in_sight(qtbot: QtBot) -> None:
    box = PromptBox()
    qtbot.addWidget(box)
    box.resize(200, 64)
    box.show()
    for key in (Qt.Key.Key_Return, Qt.Key.Key_Enter) * 8:
        qtbot.keyClick(box, key, Qt.KeyboardModifier.ShiftModifier)
        qtbot.keyClicks(box, "a")
    assert box.document().toRawText() == "\u2029a" * 16
    assert box.viewport().rect().contains(box.cursorRect())
    qtbot.keyClick(box, Qt.Key.Key_Return)
    qtbot.keyClick(box, "B", Qt.KeyboardModifier.ShiftModifier)
    assert box.toPlainText().endswith("a\nB")
    wrap = QTextOption.WrapMode
    modes = []
    for change, text in ((box.setPlainText, "x" * 2000), (box.setPlainText, "x"), (box.replace_text, "x" * 2000)):
        change(text)
        modes.append(box.wordWrapMode())
    box.replace_text("x")
    modes.append(box.wordWrapMode())
    box.undo()
    assert box.toPlainText() == "x" * 2000
    anywhere, words = wrap.WrapAnywhere, wrap.WrapAtWordBoundaryOrAnywhere
    assert modes == [anywhere, words, anywhere, anywhere], "Undo brings such a word back"
