"""The example view: paragraphs, the cut, and long texts laid out a little at a time."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QEvent, QPoint, Qt, QTimer
from PySide6.QtGui import QContextMenuEvent, QFontMetricsF, QHelpEvent, QImage
from PySide6.QtWidgets import QApplication, QMenu, QToolTip
from pytestqt.qtbot import QtBot

from app.ui.data.example_view import MARGIN, ExampleView
from app.ui.data.token_text import PARAGRAPH_CHARACTERS, Paragraph, Token, TokenList, paragraphs
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


def test_each_run_is_dressed_over_its_own_characters(qtbot: QtBot) -> None:
    view = ExampleView()
    qtbot.addWidget(view)
    view.resize(700, 400)
    view.show()
    view.show_tokens([Token(1, "ab", "special"), Token(2, "cde ", "masked"), Token(3, "f", "trained", True)])
    qtbot.waitUntil(lambda: view._paragraphs[0].layout is not None)
    layout = view._paragraphs[0].layout
    assert layout is not None
    assert [(one.start, one.length) for one in layout.formats()] == [(0, 2), (2, 4), (6, 1)]


def test_the_text_is_copied_from_the_menu_at_the_pointer(qtbot: QtBot) -> None:
    view = ExampleView()
    qtbot.addWidget(view)
    view.show()
    view.show_tokens([Token(1, "one\n", "masked"), Token(2, "two", "trained", True)])
    opened: list[tuple[list[str], QPoint]] = []

    def choose() -> None:
        menu = QApplication.activePopupWidget()
        if isinstance(menu, QMenu):
            opened.append(([action.text() for action in menu.actions()], menu.pos()))
            qtbot.keyClick(menu, Qt.Key.Key_Down)
            qtbot.keyClick(menu, Qt.Key.Key_Return)
            menu.close()

    QTimer.singleShot(0, choose)
    place = QPoint(310, 120)
    asked = QContextMenuEvent(QContextMenuEvent.Reason.Mouse, QPoint(5, 5), place)
    QApplication.clipboard().setText("before")
    QApplication.sendEvent(view.viewport(), asked)
    assert opened == [(["Copy the text"], place)]
    assert QApplication.clipboard().text() == "one\ntwo"


def test_what_a_token_is_is_told_where_the_pointer_rests(qtbot: QtBot) -> None:
    view = ExampleView()
    qtbot.addWidget(view)
    view.resize(700, 400)
    view.show()

    def told(number: int) -> str:
        view.show_tokens([Token(number, "lute", "masked")])
        qtbot.waitUntil(lambda: view.is_complete)
        at = QPoint(24, 30)
        QApplication.sendEvent(view.viewport(), QHelpEvent(QEvent.Type.ToolTip, at, view.mapToGlobal(at)))
        return QToolTip.text() if QToolTip.isVisible() else ""

    assert told(0) == view.describe(0) != ""  # the first of a vocabulary
    QToolTip.hideText()
    qtbot.waitUntil(lambda: not QToolTip.isVisible())
    assert told(-1) == ""  # none of the model's


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


def differing(before: QImage, after: QImage, rows: range) -> list[int]:
    """The columns in which two pictures differ in these rows."""
    return [x for x in range(before.width()) if any(before.pixel(x, y) != after.pixel(x, y) for y in rows)]


def strokes(before: QImage, after: QImage, rows: range) -> list[int]:
    """The first column of each stretch of them."""
    found = differing(before, after, rows)
    return [x for x in found if x - 1 not in found]


def test_what_is_drawn_stands_where_the_text_says(qtbot: QtBot) -> None:
    """Edges between tokens of a line, none before its first or behind its last; a mark round each occurrence."""
    theme.apply_theme("light")
    view = ExampleView()
    qtbot.addWidget(view)
    view.resize(700, 200)
    view.show()
    words = ["alpha", "beta", "gamma\n", "alpha", "delta"]
    view.show_tokens([Token(n, word, "masked") for n, word in enumerate(words)])
    qtbot.waitUntil(lambda: view.is_complete)
    first, second = (paragraph for paragraph in view._paragraphs if paragraph.text)
    assert first.layout is not None
    advance = QFontMetricsF(first.layout.font()).horizontalAdvance

    def rows(paragraph: Paragraph) -> range:
        return range(round(paragraph.top), round(paragraph.top + paragraph.height))

    plain = view.viewport().grab().toImage()
    view.set_edges(True)
    edges = view.viewport().grab().toImage()
    assert strokes(plain, edges, rows(first)) == pytest.approx(
        [MARGIN + advance("alpha"), MARGIN + advance("alphabeta")], abs=2
    )
    assert strokes(plain, edges, rows(second)) == pytest.approx([MARGIN + advance("alpha")], abs=2)
    view.set_edges(False)
    view.set_marked("BETA")
    marked = view.viewport().grab().toImage()
    assert differing(plain, marked, rows(second)) == []
    left, *_, right = differing(plain, marked, rows(first))
    assert left == pytest.approx(MARGIN + advance("alpha"), abs=2)
    assert right == pytest.approx(MARGIN + advance("alphabeta"), abs=2)


def test_a_word_is_marked_wherever_it_stands(qtbot: QtBot) -> None:
    """Also where it stands twice in a row, and in every line over which it is wrapped."""
    theme.apply_theme("light")
    view = ExampleView()
    qtbot.addWidget(view)
    view.resize(700, 200)
    view.show()
    view.show_tokens([Token(1, "oaoaob", "masked")])
    qtbot.waitUntil(lambda: view.is_complete)
    (paragraph,) = (one for one in view._paragraphs if one.text)
    assert paragraph.layout is not None
    advance = QFontMetricsF(paragraph.layout.font()).horizontalAdvance
    rows = range(round(paragraph.top), round(paragraph.top + paragraph.height))
    plain = view.viewport().grab().toImage()

    def ends(word: str) -> list[int]:
        """The columns of upright strokes: those in which much more differs than a frame's upper and lower line."""
        view.set_marked(word)
        marked = view.viewport().grab().toImage()
        heights = {x: sum(plain.pixel(x, y) != marked.pixel(x, y) for y in rows) for x in range(plain.width())}
        found = [x for x in heights if heights[x] > len(rows) / 3]
        return [x for x in found if x - 1 not in found]

    assert ends("OA") == pytest.approx(
        [MARGIN + advance(text) + side for text, side in (("", -2), ("oa", -1), ("oaoa", 1))], abs=3
    )
    overlapping = ends("oao")  # at 0 and at 2: the second begins before the first ends
    assert overlapping == pytest.approx([MARGIN + advance(text) for text in ("", "oa", "oao", "oaoao")], abs=3)
    assert ends("x") == []


def test_a_token_that_begins_a_wrapped_line_has_no_edge(qtbot: QtBot) -> None:
    view = ExampleView()
    qtbot.addWidget(view)
    view.show()
    view.show_tokens([Token(1, "lighthouses ", "masked"), Token(2, "lighthouses", "masked")])
    view.resize(view.width() - view.viewport().width() + 2 * MARGIN + 140, 200)
    qtbot.waitUntil(lambda: view.is_complete and len(list(view._paragraphs[0].lines())) == 2)
    plain = view.viewport().grab().toImage()
    view.set_edges(True)
    assert differing(plain, view.viewport().grab().toImage(), range(plain.height())) == []


def test_trained_tokens_have_a_back_in_each_line_that_they_take(qtbot: QtBot) -> None:
    """Wrapped into three lines: the masked words stand bare, and no back reaches beyond its own words."""
    theme.apply_theme("light")
    view = ExampleView()
    qtbot.addWidget(view)
    view.show()
    words = ["lighthouses ", "lighthouses ", "lighthouse"]
    view.resize(view.width() - view.viewport().width() + 2 * MARGIN + 140, 200)

    def shown(trained: list[int]) -> QImage:
        view.show_tokens(
            [
                Token(n, word, "trained", True) if n in trained else Token(n, word, "masked")
                for n, word in enumerate(words)
            ]
        )
        qtbot.waitUntil(lambda: view.is_complete and len(list(view._paragraphs[0].lines())) == 3)
        return view.viewport().grab().toImage()

    bare = shown([])
    (paragraph,) = (one for one in view._paragraphs if one.text)
    assert paragraph.layout is not None
    advance = QFontMetricsF(paragraph.layout.font()).horizontalAdvance
    lines = [range(round(paragraph.top + line.y()) + 3, round(paragraph.top + line.y() + line.height()) - 3)
             for line in paragraph.lines()]  # fmt: skip
    for trained in ([0], [1], [2], [0, 1], [1, 2]):
        picture = shown(trained)
        for number, rows in enumerate(lines):
            if number not in trained:
                assert differing(bare, picture, rows) == [], (trained, number)
                continue
            left, *_, right = differing(bare, picture, rows)
            assert left == pytest.approx(MARGIN, abs=2)
            assert right == pytest.approx(MARGIN + advance(words[number].rstrip()), abs=advance(" ") + 2)


def test_what_is_scrolled_to_is_drawn_at_its_place(qtbot: QtBot) -> None:
    """Scrolled by two lines, the same is drawn as at the top, only that much higher, up to the lower edge."""
    theme.apply_theme("light")
    view = ExampleView()
    qtbot.addWidget(view)
    view.resize(300, 120)
    view.show()
    view.show_tokens([Token(n, f"line {n}\n", "trained", True) for n in range(30)])
    qtbot.waitUntil(lambda: view.is_complete)
    top = view.viewport().grab().toImage()
    moved = round(view._paragraphs[2].top - view._paragraphs[0].top)
    view.verticalScrollBar().setValue(moved)
    scrolled = view.viewport().grab().toImage()
    height = view.viewport().height()
    first = round(view._paragraphs[2].top)
    assert all(
        scrolled.pixel(x, y) == top.pixel(x, y + moved)
        for x in range(0, view.viewport().width(), 3)
        for y in range(first - moved, height - moved - 2)
    )
    blank = QImage(scrolled)
    blank.fill(scrolled.pixel(view.viewport().width() - 3, height - 1))
    assert differing(blank, scrolled, range(height - 26, height)), "the last visible line is drawn"
