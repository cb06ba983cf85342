"""The answers of a run, as texts to be read: those of base and tuned model, and the newest sampled ones."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QLabel, QStackedLayout, QTextBrowser
from pytestqt.qtbot import QtBot

from app.core.compare.before_after import BeforeAfter
from app.core.protocol import event
from app.ui.run.before_after_view import PART_CHARACTERS, BeforeAfterView, before_after_html
from app.ui.run.sample_view import ANSWER_CHARACTERS, SampleView, sampled_html
from app.ui.widget import theme
from tests.ui.child import child


def lines(html: str) -> list[str]:
    """What a reader sees of a text, paragraph by paragraph."""
    browser = QTextBrowser()
    browser.setHtml(html)
    return browser.toPlainText().split("\n")


@pytest.mark.parametrize(
    "before, after, passed, seen",
    [
        (" Nobody.\nAt all. ", "Ada & <i>.", 0,
         ["Held-out question", "Who <b>?", "Before, the base", "Nobody.", "At all.", "After this run",
          "Ada & <i>."]),
        ("Ada.", " Ada.\n", 0, ["Held-out question", "Who <b>?", "Before and after alike", "Ada."]),
        (" ", "Ada.", 2, ["Held-out question, after 2 that both answered alike", "Who <b>?", "Before, the base",
                          "(an empty answer)", "After this run", "Ada."]),
        ("y" * PART_CHARACTERS, "x" * (PART_CHARACTERS + 1), 0,
         ["Held-out question", "Who <b>?", "Before, the base", "y" * PART_CHARACTERS, "After this run",
          "x" * PART_CHARACTERS + " …"]),
    ],
)  # fmt: skip
def test_the_answers_of_base_and_tuned_model_stand_below_their_question(
    qapp: object, before: str, after: str, passed: int, seen: list[str]
) -> None:
    assert qapp is not None
    html = before_after_html(BeforeAfter("Who <b>?", "", before, after, "adapters", 1, passed))
    assert lines(html) == seen


def test_the_tuned_answer_is_the_one_that_stands_out(qtbot: QtBot) -> None:
    view = BeforeAfterView()
    qtbot.addWidget(view)
    view.show_found(BeforeAfter("Who?", "", "Nobody.", "Ada.", "adapters", 1))
    for scheme in (theme.LIGHT, theme.DARK):
        theme.apply_theme(scheme.scheme)
        html = view.browser.toHtml()
        before, after = html.index("Before, the base"), html.index("After this run")
        assert html[:after].rindex(scheme.accent) > before
        assert scheme.accent not in html[:before]
        assert html[:before].count(scheme.muted) == 2, "the question and the base's answer"


def test_where_there_are_no_answers_yet_they_are_offered_or_it_is_said_why_not(qtbot: QtBot) -> None:
    view = BeforeAfterView()
    qtbot.addWidget(view)
    view.show()
    note, stack = child(view, QLabel, "before_after.note"), view.layout()
    assert isinstance(stack, QStackedLayout)
    offer = "Ask the base and the tuned model one question that the run was not trained on."
    assert (note.text(), note.property("role"), view.ask.isVisible()) == (offer, "muted", True)
    view.say("No room.", can_ask=False, role="error")
    assert (note.text(), note.property("role"), view.ask.isVisible()) == ("No room.", "error", False)
    found = BeforeAfter("Who?", "", "Nobody.", "Ada.", "adapters", 1)
    view.show_found(found)
    assert (view.found, stack.currentIndex(), view.browser.isVisible()) == (found, 1, True)
    assert view.browser.toPlainText().endswith("Ada.")
    view.show_found(None)
    assert (view.found, stack.currentIndex(), view.browser.toPlainText()) == (None, 0, "")
    assert (note.text(), note.property("role"), view.ask.isVisible()) == (offer, "muted", True)


def sample(said: str, reward: float, **more: object) -> dict[str, object]:
    return {"prompt": "2 < 3?", "answer": "5 & 6", "completion": said, "tokens": 2, "reward": reward} | more


def test_sampled_answers_stand_below_their_prompt_the_best_first(qapp: object) -> None:
    assert qapp is not None
    found = event.Sampled(
        iteration=1700,
        samples=[
            sample("no", 0.25, rewards={"a<b": 0.25, "short": -1.0}, cut=True),
            sample("yes", 1.0, rewards={"one": 1.0}, tokens=1),
            sample(" ", -0.5, rewards={}),
            sample("x" * (ANSWER_CHARACTERS + 1), 0.0),
        ],
    )
    assert lines(sampled_html(found)) == [
        "Iteration 1,700", "2 < 3?", "Reference answer: 5 & 6",
        "1.000 1 token", "yes",
        "0.250 a<b 0.250 · short −1.000 · 2 tokens, cut", "no",
        "0.000 2 tokens", "x" * ANSWER_CHARACTERS + " …",
        "−0.500 2 tokens", "empty",
    ]  # fmt: skip
    assert f"color:{theme.colors().warning}'>empty" in sampled_html(found)
    bare: list[dict[str, object]] = [{"reward": 0.5}, {"completion": "y" * ANSWER_CHARACTERS}]
    assert lines(sampled_html(event.Sampled(iteration=2, samples=bare))) == [
        "Iteration 2", "0.500 0 tokens", "empty", "0.000 0 tokens", "y" * ANSWER_CHARACTERS,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "rewards, good", [([1.0, 0.5, 1.0], 2), ([0.0, -1.0], 0), ([-1.0, -0.5], 0)], ids=["two", "none", "below"]
)
def test_the_best_of_the_rewards_is_green_where_it_is_one(qapp: object, rewards: list[float], good: int) -> None:
    assert qapp is not None
    html = sampled_html(event.Sampled(iteration=1, samples=[sample("a", reward) for reward in rewards]))
    assert html.count(theme.colors().good) == good


def test_answers_to_held_out_prompts_each_have_theirs(qapp: object) -> None:
    assert qapp is not None
    found = event.Sampled(
        iteration=1700,
        samples=[
            {"prompt": "Who <b>?", "answer": "Ada & Co.", "completion": "Nobody", "cut": True},
            {"prompt": "Why?", "completion": " ", "cut": False},
        ],
    )
    assert lines(sampled_html(found)) == [
        "Iteration 1,700, held-out prompts",
        "Who <b>?", "Nobody (cut)", "Reference answer: Ada & Co.",
        "Why?", "empty",
    ]  # fmt: skip
    c = theme.colors()
    assert [
        f"color:{c.warning}'>empty" in sampled_html(found),
        f"color:{c.muted}'>(cut)" in sampled_html(found),
    ] == [
        True,
        True,
    ]


def test_a_hidden_list_of_answers_is_written_when_it_is_seen_and_the_reader_stays_where_he_was(
    qtbot: QtBot,
) -> None:
    view = SampleView()
    qtbot.addWidget(view)
    view.resize(200, 100)
    first = event.Sampled(iteration=1, samples=[sample(f"first {number}", 1.0) for number in range(30)])
    view.show_sampled(first)
    assert view.browser.toPlainText() == ""
    view.show()
    assert "first 29" in view.browser.toPlainText()
    bar = view.browser.verticalScrollBar()
    bar.setValue(57)
    view.show_sampled(first.model_copy(update={"iteration": 2}))
    assert "Iteration 2" in view.browser.toPlainText()
    assert bar.value() == 57
    theme.apply_theme("dark")
    assert theme.DARK.muted in view.browser.toHtml()
    view.show_sampled(None)
    assert view.browser.toPlainText() == ""
