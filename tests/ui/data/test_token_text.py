"""Tokens as text: paragraphs and the runs in them, how each kind looks, and where what is looked for stands."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor
from PySide6.QtWidgets import QLabel
from pytestqt.qtbot import QtBot

from app.ui.data.example_view import MARGIN, ExampleView, Legend
from app.ui.data.token_text import (
    LINE_HEIGHT,
    PARAGRAPH_CHARACTERS,
    PARAGRAPH_GAP,
    RULE_HEIGHT,
    Paragraph,
    Run,
    Token,
    TokenList,
    Typesetter,
    paragraphs,
    plain_tokens,
)
from app.ui.widget import theme


def told(found: Iterator[Paragraph]) -> list[tuple[str, list[int], int, str]]:
    return [(part.text, part.starts, part.first, part.rule) for part in found]


def masked(*texts: str) -> list[Token]:
    return [Token(n, text, "masked") for n, text in enumerate(texts)]


def test_a_paragraph_knows_where_its_tokens_begin() -> None:
    assert told(paragraphs(masked("ab", "", "c\nd", "\n", "ef"))) == [
        ("abc", [0, 2, 2], 0, ""), ("d", [0, 1], 2, ""), ("ef", [0, 0], 3, ""),
    ]  # fmt: skip
    assert told(paragraphs([])) == []
    assert told(paragraphs(masked("a\n\n", "b"))) == [("a", [0], 0, ""), ("", [0], 0, ""), ("b", [0, 0], 0, "")]
    part = Paragraph(text="abcd", starts=[0, 2, 3], first=7)
    assert [part.token_at(offset) for offset in (0, 1, 2, 3, 9)] == [7, 7, 8, 9, 9]
    assert Paragraph(first=4).token_at(0) == 4
    assert list(Paragraph().lines()) == []


def test_a_rule_stands_once_before_what_is_cut_off() -> None:
    kept, over = Token(1, "a", "masked"), Token(2, "b", "truncated")
    assert told(paragraphs([kept, over, over], "cut")) == [
        ("a", [0], 0, ""), ("", [], 1, "cut"), ("bb", [0, 1], 1, ""),
    ]  # fmt: skip
    assert told(paragraphs([over, kept], "cut")) == [("", [], 0, "cut"), ("ba", [0, 1], 0, "")]
    assert told(paragraphs([kept, over])) == [("ab", [0, 1], 0, "")], "none without a caption"


def test_long_lines_are_broken() -> None:
    most = PARAGRAPH_CHARACTERS

    def lengths(*texts: str) -> list[tuple[int, int]]:
        return [(len(part.text), part.first) for part in paragraphs(masked(*texts))]

    assert lengths("a" * most) == [(most, 0)]
    assert lengths("a" * (most + 1)) == [(most, 0), (1, 0)]
    assert lengths("a" * (most - 1), "b", "c") == [(most, 0), (1, 2)]
    assert lengths("a" * (2 * most) + "\nb") == [(most, 0), (most, 0), (1, 0)]


def test_neighbours_of_one_look_are_one_run_but_control_tokens_are_each_their_own() -> None:
    tokens = [
        Token(1, "ab", "masked"), Token(2, "c", "masked"), Token(3, "d", "trained", True),
        Token(4, "e", "special"), Token(5, "f", "special"), Token(6, "g", "special", True),
    ]  # fmt: skip
    [part] = paragraphs(tokens)
    assert part.runs == [
        Run(0, 3, "masked", False), Run(3, 4, "trained", True), Run(4, 5, "special", False),
        Run(5, 6, "special", False), Run(6, 7, "special", True),
    ]  # fmt: skip


def test_tokens_are_made_as_they_are_asked_for() -> None:
    trees = [
        {"id": "7", "text": "a", "kind": "trained", "trained": 1},
        {"id": 8, "text": 9, "kind": "masked", "trained": 0},
    ]
    found = TokenList(trees)
    assert (len(found), found[0], found[1]) == (2, Token(7, "a", "trained", True), Token(8, "9", "masked"))
    assert [*found[1:]] == [found[1]]


def test_a_row_that_no_tokenizer_has_seen_is_who_says_what() -> None:
    found = plain_tokens([("user", "Q"), ("", "A")])
    assert [(token.text, token.kind) for token in found] == [
        ("user", "special"), ("\n", "plain"), ("Q\n\n", "plain"), ("A\n\n", "plain"),
    ]  # fmt: skip
    assert {(token.id, token.trained) for token in found} == {(-1, False)}


@pytest.mark.usefixtures("qapp")
def test_each_kind_has_its_look_in_both_schemes() -> None:
    for c in (theme.DARK, theme.LIGHT):
        theme.apply_theme(c.scheme)
        setter = Typesetter()
        looks = {
            key: (form.foreground().color().name(), form.fontStrikeOut()) for key, form in setter._formats.items()
        }
        muted, cut = (c.muted, False), (c.muted, True)
        assert looks == {
            ("trained", False): (c.text, False), ("trained", True): (c.text, False), ("masked", False): muted,
            ("masked", True): muted, ("truncated", False): cut, ("truncated", True): cut, ("special", False): muted,
            ("special", True): (c.accent, False), ("plain", False): (c.text, False),
            ("plain", True): (c.text, False),
        }  # fmt: skip
    assert setter._formats["special", True].font().family() == setter.special_font.family()
    assert setter.text_font.pixelSize() == theme.ui_font(1).pixelSize()
    assert setter.special_font.pixelSize() == theme.mono_font(-1).pixelSize()


@pytest.mark.usefixtures("qapp")
def test_lines_have_one_height_whatever_stands_in_them() -> None:
    setter = Typesetter()
    rule, empty = Paragraph(rule="cut"), Paragraph()
    [words] = paragraphs(
        [Token(1, "word ", "masked"), Token(2, "<|end|>", "special"), Token(3, " word" * 40, "masked")]
    )
    for part in (rule, empty, words):
        setter.set_out(part, 200)
    count = len(list(words.lines()))
    assert count > 3
    assert (rule.height, empty.height, words.height) == (
        RULE_HEIGHT, LINE_HEIGHT + PARAGRAPH_GAP, count * LINE_HEIGHT + PARAGRAPH_GAP,
    )  # fmt: skip
    assert rule.layout is None
    middles = [line.y() + line.height() / 2 for line in words.lines()]
    assert middles == pytest.approx([LINE_HEIGHT * (n + 0.5) for n in range(count)], abs=0.6)
    assert all(line.width() == 200 for line in words.lines())


@pytest.fixture
def view(qtbot: QtBot) -> ExampleView:
    found = ExampleView()
    qtbot.addWidget(found)
    found.resize(400, 200)
    found.show()
    return found


def show(qtbot: QtBot, view: ExampleView, *texts: str, cut: str = "") -> None:
    view.show_tokens(
        [Token(n, text, "truncated" if text.startswith("~") else "masked") for n, text in enumerate(texts)], cut
    )
    qtbot.waitUntil(lambda: view.is_complete)


def test_what_is_marked_is_scrolled_to_unless_it_is_seen(qtbot: QtBot, view: ExampleView) -> None:
    show(qtbot, view, *(f"line {n}\n" for n in range(100)))
    bar, height = view.verticalScrollBar(), LINE_HEIGHT + PARAGRAPH_GAP
    page = view.viewport().height()
    assert (bar.minimum(), bar.maximum()) == (0, round(2 * MARGIN + 100 * height - page))
    assert (bar.pageStep(), bar.singleStep()) == (page, LINE_HEIGHT)
    view.set_marked("line 3")
    assert bar.value() == 0
    view.set_marked("LINE 50")
    assert bar.value() == MARGIN + 50 * height - 2 * LINE_HEIGHT
    view.set_marked("line 51")
    assert bar.value() == MARGIN + 50 * height - 2 * LINE_HEIGHT, "it is seen"
    view.set_marked("line 2")
    assert bar.value() == max(MARGIN + 2 * height - 2 * LINE_HEIGHT, 0)
    view.set_marked("nowhere")
    assert bar.value() == MARGIN + 2 * height - 2 * LINE_HEIGHT
    view.set_marked("")
    bar.setValue(700)
    view.set_marked("line 99")
    assert bar.value() == bar.maximum()
    show(qtbot, view, *(f"other {n}\n" for n in range(100)))
    assert bar.value() == 0, "another example begins at its beginning"


def test_a_letter_that_becomes_two_is_not_marked_beside_its_place(qtbot: QtBot, view: ExampleView) -> None:
    show(qtbot, view, "İ and a word")
    plain = view.viewport().grab().toImage()
    view.set_marked("word")
    assert view.viewport().grab().toImage() == plain


def test_the_token_at_a_point(qtbot: QtBot, view: ExampleView) -> None:
    show(qtbot, view, "first ", "second\n", "third", "~cut", cut="Cut here")
    first, middle = view._paragraphs[0], MARGIN + LINE_HEIGHT / 2
    assert first.layout is not None
    line = next(first.lines())
    end = MARGIN + line.naturalTextWidth()

    def at(x: float, y: float) -> int | None:
        return view.token_at(QPointF(x, y))

    height = LINE_HEIGHT + PARAGRAPH_GAP
    assert [at(x, middle) for x in (MARGIN - 1, MARGIN + 1, end - 3, end + 3)] == [None, 0, 1, None]
    assert [at(MARGIN + 1, y) for y in (2, MARGIN + height + 5, MARGIN + 2 * height + RULE_HEIGHT / 2)] == [
        None,
        2,
        None,
    ]
    assert at(MARGIN + 1, MARGIN + 2 * height + RULE_HEIGHT + 5) == 3
    assert at(MARGIN + 1, 150) is None
    show(qtbot, view, *(f"{n}\n" for n in range(50)))
    view.verticalScrollBar().setValue(10 * height)
    assert at(MARGIN + 1, middle) == 10


def test_a_token_in_words(view: ExampleView) -> None:
    tokens = [
        Token(5, "a\n", "trained", True), Token(0, "b", "masked"), Token(7, "c", "truncated"),
        Token(8, "<s>", "special"), Token(9, "</s>", "special", True),
    ]  # fmt: skip
    view.show_tokens(tokens * 300)
    assert [view.describe(number) for number in (0, 1, 2, 3, 1204)] == [
        "Token 1 · id 5 · 'a\\n'\ntrained: the model learns to say this",
        "Token 2 · id 0 · 'b'\nread, but not trained",
        "Token 3 · id 7 · 'c'\nbeyond the maximum length: cut off",
        "Token 4 · id 8 · '<s>'\ncontrol token, not trained",
        "Token 1,205 · id 9 · '</s>'\ncontrol token, trained",
    ]


def test_a_line_is_no_wider_than_is_easy_to_read(qtbot: QtBot, view: ExampleView) -> None:
    show(qtbot, view, "word " * 400)
    for width, wanted in ((400, None), (1600, 820), (60, 40)):
        view.resize(width, 200)
        qtbot.waitUntil(lambda: view.is_complete)
        line = next(view._paragraphs[0].lines())
        assert line.width() == (wanted or view.viewport().width() - 2 * MARGIN)
    view.resize(400, 200)
    qtbot.waitUntil(lambda: view.is_complete)
    laid = view._paragraphs[0].layout
    bar = view.verticalScrollBar()
    before = bar.maximum()
    view.resize(400, 150)
    assert view._paragraphs[0].layout is laid, "another height breaks no line anew"
    assert bar.maximum() == before + 50
    theme.apply_theme("dark")
    qtbot.waitUntil(lambda: view.is_complete)
    assert view._paragraphs[0].layout is not laid
    assert f"background: {theme.DARK.card}" in view.styleSheet()
    assert f"focus {{ border-color: {theme.DARK.accent}; }}" in view.styleSheet()


def test_the_rule_is_drawn_behind_its_caption_up_to_where_lines_end(qtbot: QtBot, view: ExampleView) -> None:
    show(qtbot, view, "kept", "~cut", cut="Cut here")
    image = view.viewport().grab().toImage()
    rule = view._paragraphs[1]
    wanted = QColor(theme.colors().error)

    def reddish(x: int, y: int) -> bool:
        color = image.pixelColor(x, y)
        return abs(color.red() - wanted.red()) + abs(color.green() - wanted.green()) < 60

    y = round(rule.top + RULE_HEIGHT / 2)
    dashes = [x for x in range(image.width()) if any(reddish(x, y + by) for by in (0, 1))]
    assert dashes
    assert max(dashes) == pytest.approx(view.viewport().width() - MARGIN, abs=6)
    rows = [row for row in range(image.height()) if any(reddish(x, row) for x in range(MARGIN, MARGIN + 40))]
    assert min(rows) > rule.top
    assert max(rows) < rule.top + RULE_HEIGHT
    assert rows[-1] - rows[0] > 5, "the caption's letters"


def test_the_legend_shows_each_look_with_what_it_means(qtbot: QtBot) -> None:
    legend = Legend()
    qtbot.addWidget(legend)
    legend.show()
    samples = legend.findChildren(QLabel)
    assert [(one.text(), one.toolTip()) for one in samples] == [
        ("Trained", "trained: the model learns to say this"), ("Not trained", "read, but not trained"),
        ("Cut off", "beyond the maximum length: cut off"), ("Control token", "control token"),
    ]  # fmt: skip
    for c in (theme.DARK, theme.LIGHT):
        theme.apply_theme(c.scheme)
        sheets = [one.styleSheet() for one in samples]
        assert [f"color: {c.text}" in sheet for sheet in sheets] == [True, False, False, False]
        assert [f"color: {c.muted}" in sheet for sheet in sheets] == [False, True, True, True]
        assert ["line-through" in sheet for sheet in sheets] == [False, False, True, False]
        pictures = [one.grab().toImage() for one in samples]
        backs = [picture.pixelColor(picture.width() // 2, 4).name() for picture in pictures]
        assert len(set(backs)) >= 3
        assert backs[2] == c.error_soft
