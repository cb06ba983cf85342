"""The example view: paragraphs, the cut, and long texts laid out a little at a time."""

from __future__ import annotations

from pytestqt.qtbot import QtBot

from app.ui.data.example_view import ExampleView
from app.ui.data.token_text import PARAGRAPH_CHARACTERS, Token, TokenList, paragraphs
from app.ui.widget import theme


def test_tokens_become_paragraphs_of_runs() -> None:
    tokens = [
        Token(1, "<s>", "special"), Token(2, "one\n", "masked"), Token(3, "two ", "trained", True),
        Token(4, "three", "trained", True), Token(5, "four", "truncated"),
    ]  # fmt: skip
    found = list(paragraphs(tokens, "cut"))
    assert [(part.text, part.rule) for part in found] == [
        ("<s>one", ""), ("two three", ""), ("", "cut"), ("four", ""),
    ]  # fmt: skip
    assert [(run.start, run.end, run.kind) for run in found[0].runs] == [(0, 3, "special"), (3, 6, "masked")]
    assert [(run.start, run.end) for run in found[1].runs] == [(0, 9)]
    assert [found[1].token_at(offset) for offset in (0, 3, 4, 8)] == [2, 2, 3, 3]
    assert found[3].token_at(1) == 4


def test_the_text_stays_whole_whatever_it_is() -> None:
    tokens = [Token(n, text, "masked") for n, text in enumerate(["a\n\nb", "", "\n", "é" * 9000, "c"])]
    found = list(paragraphs(tokens))
    assert "".join(part.text for part in found) == "".join(t.text for t in tokens).replace("\n", "")
    assert max(len(part.text) for part in found) <= PARAGRAPH_CHARACTERS


def test_a_long_example_does_not_hold_up_the_window(qtbot: QtBot) -> None:
    theme.apply_theme("light")
    view = ExampleView()
    qtbot.addWidget(view)
    view.resize(700, 400)
    view.show()
    trees = [
        {"id": n, "text": f"word{n % 89}" + ("\n" if n % 40 == 39 else " "), "kind": "masked", "trained": False}
        for n in range(20_000)
    ]
    view.show_tokens(TokenList(trees))
    assert 0 < view.shown_paragraphs < 500
    qtbot.waitUntil(lambda: view.is_complete)
    assert view.verticalScrollBar().maximum() > 500 * 22 - 400
    view.verticalScrollBar().setValue(view.verticalScrollBar().maximum())
    assert view.grab().toImage().width() > 0
