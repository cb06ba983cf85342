"""The view of an answer: rendered when whole, harmless whatever is in it, differences marked at their words."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QUrl
from PySide6.QtGui import (
    QDesktopServices,
    QFont,
    QGuiApplication,
    QTextFormat,
    QTextLength,
    QTextOption,
    QTextTable,
)
from PySide6.QtWidgets import QAbstractSlider
from pytestqt.qtbot import QtBot

from app.core.compare.word_difference import differing_spans
from app.ui.compare.answer_view import RENDERED_MAX, AnswerView
from app.ui.widget import theme

HOSTILE = [
    'say "hi"',
    "{x} {{y}} {% z %}",
    "🎻🎶",
    "a\x00b",
    "<b>bold</b><script>x</script>",
    "\u2028\ufdd0",
    "x" * 100_000,
]


@pytest.fixture
def view(qtbot: QtBot) -> AnswerView:
    found = AnswerView()
    qtbot.addWidget(found)
    found.resize(320, 400)
    found.show()
    return found


def click(view: AnswerView, words: str) -> None:
    """Follows the link that has these words in it."""
    found = view.document().find(words)
    assert not found.isNull()
    found.setPosition(found.selectionStart() + 1)
    view.anchorClicked.emit(QUrl(found.charFormat().anchorHref()))


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    found: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: found.append(url.toString()))
    return found


def test_a_whole_answer_is_rendered_and_a_streaming_one_is_not(qtbot: QtBot, view: AnswerView) -> None:
    view.show_turns([("", "")], whole=False)
    view.append_text("a **lu")
    view.append_text("te**")
    qtbot.waitUntil(lambda: view.toPlainText() == "a **lute**")
    view.show_turns([("", "a **lute**")], whole=True)
    assert view.toPlainText() == "a lute"
    view.set_plain(True)
    assert view.toPlainText() == "a **lute**"
    view.set_plain(False)
    view.show_turns([("A?", "**a**"), ("B?", "**b**")], whole=False)
    assert view.toPlainText().split() == ["A?", "a", "B?", "**b**"], "only the last one is being written"


def test_what_came_stands_there_once_however_it_is_drawn(qtbot: QtBot, view: AnswerView) -> None:
    view.show_turns([("", "")], whole=False)
    view.append_text("a")
    view.set_plain(True)
    assert view.toPlainText() == "a"
    for more, said in (("b", "ab"), ("c", "abc")):
        view.append_text(more)
        qtbot.waitUntil(lambda said=said: view.toPlainText().endswith(said[-1]))  # type: ignore[misc]
        assert view.toPlainText() == said
    view.show_turns([("", "x\x00y")], whole=True)
    assert view.toPlainText() == "x\u2400y"


def test_headings_lists_tables_and_code_look_like_themselves(view: AnswerView) -> None:
    view.show_turns([("", "# Title\n\n- one\n- two\n\n| a | b |\n|-|-|\n| 1 | 2 |\n\nsome `code`")], whole=True)
    block = view.document().begin()
    assert block.blockFormat().headingLevel() == 1
    assert block.next().textList() is not None
    assert any(isinstance(frame, QTextTable) for frame in view.document().rootFrame().childFrames())
    code = view.document().find("code").charFormat()
    assert code.fontFamilies() == [theme.mono_font().family()]
    assert code.background().color().name() == theme.LIGHT.raised
    (table,) = [one for one in view.document().rootFrame().childFrames() if isinstance(one, QTextTable)]
    style = table.format()
    assert (style.border(), style.borderBrush().color().name()) == (1, theme.LIGHT.border_strong)
    assert (style.borderCollapse(), style.cellPadding(), style.cellSpacing()) == (True, theme.SPACE // 2, 0)


def test_headings_stand_out_and_quotes_stand_in(view: AnswerView) -> None:
    view.show_turns([("", "# Title\n\nwords\n\n- item\n\n> said\n>\n>> twice\n\n## Part")], whole=True)
    found, block = {}, view.document().begin()
    while block.isValid():
        space, style = block.blockFormat(), view.document().find(block.text()).charFormat()
        size = style.property(QTextFormat.Property.FontSizeAdjustment)
        is_bold = style.fontWeight() == QFont.Weight.DemiBold
        found[block.text()] = (space.topMargin(), space.bottomMargin(), space.leftMargin(), size, is_bold)
        block = block.next()
    assert found == {
        "Title": (8, 4, 0, 1, True),
        "words": (0, 4, 0, None, False),
        "item": (0, 0, 0, None, False),
        "said": (0, 4, 16, None, False),
        "twice": (0, 4, 32, None, False),
        "Part": (8, 4, 0, 0, True),
    }


def test_lines_stay_as_they_came(view: AnswerView) -> None:
    answer = "The **capital.**\nSo _sings_\n_the_ 🎻,\n**“hey”**\nhttps://a.de\n\nAnd:\n- one\n- two"
    view.show_turns([("", answer)], whole=True)
    lines = [line.strip() for line in view.toPlainText().split("\n")]
    assert lines == ["The capital.", "So sings", "the 🎻,", "“hey”", "https://a.de", "And:", "one", "two"]
    assert view.document().blockCount() == 4, "a paragraph of five lines, one of a line, two items"
    assert view.document().find("https").charFormat().anchorHref() == "https://a.de"


def test_code_is_copied_as_it_was_written(view: AnswerView) -> None:
    view.show_turns([("", "First\n```py\nif x:\n    y = '<b>'\n```\nthen\n```\nlast\n```")], whole=True)
    click(view, "Copy")
    assert QGuiApplication.clipboard().text() == "if x:\n    y = '<b>'"
    texts = [line for line in view.toPlainText().split("\n") if line]
    assert texts == ["First", "py · Copy", "if x:", "    y = '<b>'", "then", "Code · Copy", "last"]
    second = view.document().find("Copy", view.document().find("Code"))
    view.anchorClicked.emit(QUrl(second.charFormat().anchorHref()))
    assert QGuiApplication.clipboard().text() == "last"
    mono = view.document().find("y = '").charFormat().font()
    assert mono.family() == theme.mono_font().family()
    (box, _) = view.document().rootFrame().childFrames()
    style = box.frameFormat()
    assert (style.border(), style.borderBrush().color().name()) == (1, theme.LIGHT.border)
    assert (style.padding(), style.topMargin(), style.bottomMargin()) == (8, 4, 4)
    whole = style.width()
    assert (whole.type(), whole.rawValue()) == (QTextLength.Type.PercentageLength, 100)


def test_thinking_is_folded_away_until_it_is_asked_for(view: AnswerView) -> None:
    view.show_turns([("", "<think>three short words</think>Yes.")], whole=True)
    assert "short" not in view.toPlainText()
    assert "Thinking · 3 words" in view.toPlainText()
    click(view, "Thinking")
    assert view.toPlainText().split("\n")[:2] == ["▾ Thinking · 3 words", "three short words"]
    assert view.shown_text().strip() == "Yes.", "what a model thinks is not compared"
    view.show_turns([("", "<think>three short words</think>Yes.")], whole=True)
    assert "short" in view.toPlainText(), "the same again leaves it open"
    click(view, "Thinking")
    assert view.toPlainText().split("\n") == ["▸ Thinking · 3 words", "Yes."]
    click(view, "Thinking")
    view.show_turns([("", "<think>other short words</think>Yes.")], whole=True)
    assert "short" not in view.toPlainText(), "another answer is folded"
    view.show_turns([("", "First.\n<think>one two</think>Yes.")], whole=True)
    assert view.toPlainText().split("\n") == ["First.", "▸ Thinking · 2 words", "Yes."]


def test_nothing_is_loaded_and_html_is_text(view: AnswerView, monkeypatch: pytest.MonkeyPatch) -> None:
    went = opened(monkeypatch)
    view.show_turns(
        [("", "![a lute](http://example.org/x.png)\n\n<img src='file:///etc/passwd'> <b>no</b>")],
        whole=True,
    )
    assert view.toPlainText().startswith("[Picture: a lute]")
    assert view.document().find("Picture").charFormat().foreground().color().name() == theme.LIGHT.muted
    assert "<b>no</b>" in view.toPlainText()
    assert "\ufffc" not in view.document().toRawText()
    for kind in (1, 2, 3):
        assert view.loadResource(kind, QUrl("file:///etc/hostname")) is None
    assert went == []


def test_a_link_is_opened_by_a_click_and_only_into_the_browser(
    view: AnswerView, monkeypatch: pytest.MonkeyPatch
) -> None:
    went = opened(monkeypatch)
    view.show_turns(
        [("", "[web](https://example.org/a) [file](file:///etc/passwd) [own](luthier:/copy/9)")], whole=True
    )
    assert went == []
    click(view, "web")
    click(view, "file")
    assert went == ["https://example.org/a"]
    text = view.toPlainText()
    assert text == "web file own"


def test_a_forged_link_of_the_view_does_nothing(view: AnswerView) -> None:
    QGuiApplication.clipboard().setText("before")
    view.show_turns(
        [("", "[a](luthier:/copy/9) [b](luthier:/copy/x) [c](luthier:/think) [d](luthier:x)")], whole=True
    )
    for words in "abcd":
        click(view, words)
    assert QGuiApplication.clipboard().text() == "before"


@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_is_in_it_it_is_just_text(view: AnswerView, text: str) -> None:
    view.show_turns([(text, text), (text, "")], whole=False)
    view.append_text(text)
    view.show_turns([(text, text), (text, text)], whole=True)
    shown = view.shown_text()
    assert len(shown) >= min(len(text), 3)
    view.mark(differing_spans("", shown))
    assert bool(view.marked) is bool(shown.strip())
    anywhere = QTextOption.WrapMode.WrapAnywhere
    assert (view.wordWrapMode() == anywhere) is (len(text) > 2000), "the end of such a word is looked for in vain"
    view.show_turns([("", "short")], whole=True)
    assert (view.wordWrapMode() == anywhere, view.marked) == (False, [])


def test_a_very_long_answer_is_not_rendered(view: AnswerView) -> None:
    view.show_turns([("", "**a** " + "b " * RENDERED_MAX)], whole=True)
    assert view.toPlainText().startswith("**a**")


def test_differences_stand_at_their_words_also_behind_emoji_code_and_earlier_turns(view: AnswerView) -> None:
    answer = "🎻🎻 **A lute**\n```py\nx = 1\n```\n<think>Hm.</think>\nis old."
    view.show_turns([("First?", "A lute is old."), ("Second?", answer)], whole=True)
    shown = view.shown_text()
    assert "Copy" not in shown
    assert "Thinking" not in shown
    view.mark(differing_spans("A lute x = 2 is new.", shown))
    assert view.marked == ["🎻🎻", "1", "old"]


def test_earlier_turns_stand_above_with_their_prompts(view: AnswerView) -> None:
    view.show_turns([("First?", "One."), ("Second?", "Two.")], whole=True)
    text = view.toPlainText()
    places = [text.index(words) for words in ("First?", "One.", "Second?", "Two.")]
    assert places == sorted(places)
    view.show_turns([("First?", "One.")], whole=True)
    assert view.toPlainText() == "One."


def test_another_theme_draws_it_anew(view: AnswerView) -> None:
    view.show_turns([("", "```\nx\n```")], whole=True)

    def color() -> str:
        frame = view.document().rootFrame().childFrames()[0]
        return frame.frameFormat().property(QTextFormat.Property.BackgroundBrush).color().name()

    assert color() == theme.LIGHT.raised
    theme.apply_theme("dark")
    assert color() == theme.DARK.raised


def test_reading_on_is_not_torn_back_by_what_comes(qtbot: QtBot, view: AnswerView) -> None:
    view.show_turns([("", "line\n\n" * 200)], whole=False)
    view.verticalScrollBar().setValue(0)
    view.append_text("more")
    qtbot.waitUntil(lambda: view.toPlainText().endswith("more"))
    assert view.verticalScrollBar().value() == 0
    bar = view.verticalScrollBar()
    bar.setValue(bar.maximum())
    before = bar.maximum()
    view.append_text("\n\nmore" * 20)
    qtbot.waitUntil(lambda: bar.maximum() > before)
    assert bar.value() == bar.maximum(), "who reads at the end goes along"
    view.show_turns([("A?", "line\n\n" * 200), ("B?", "line\n\n" * 200)], whole=True)
    assert bar.value() == bar.maximum()
    bar.setValue(0)
    view.show_turns([("", "line\n\n" * 200)], whole=True)
    assert bar.value() == 0, "a first answer is read from its beginning"


def test_a_word_of_pages_that_comes_bit_by_bit_is_broken_anywhere(qtbot: QtBot, view: AnswerView) -> None:
    view.show_turns([("", "")], whole=False)
    for _ in range(2):
        view.append_text("x" * 1500)
        length = len(view._turns[-1][1])
        qtbot.waitUntil(lambda length=length: len(view.toPlainText()) == length)  # type: ignore[misc]
    assert view.wordWrapMode() == QTextOption.WrapMode.WrapAnywhere


def test_a_place_to_go_back_to_is_given_up_once_a_person_scrolls(qtbot: QtBot, view: AnswerView) -> None:
    bar = view.verticalScrollBar()
    for scrolls, reached in ((False, 3_000), (True, 0)):
        view.show_turns([("", "line\n\n" * 60)], whole=False)
        bar.setValue(0)
        view.scroll_to(3_000)
        assert (0 < bar.maximum() < 3_000, bar.value()) == (True, 0), "it is not so high yet"
        if scrolls:
            bar.triggerAction(QAbstractSlider.SliderAction.SliderToMinimum)
        view.append_text("line\n\n" * 400)
        qtbot.waitUntil(lambda: bar.maximum() > 3_000)
        assert bar.value() == reached


def test_where_a_link_leads_is_told_under_the_pointer_and_nothing_of_the_views_own(view: AnswerView) -> None:
    view.show_turns([("", "<think>hm</think>[web](https://example.org/a)")], whole=True)
    view.highlighted.emit(QUrl("https://example.org/a"))
    assert view.toolTip() == "https://example.org/a"
    own = view.document().find("Thinking")
    assert not own.isNull()
    own.setPosition(own.selectionStart() + 1)
    view.highlighted.emit(QUrl(own.charFormat().anchorHref()))
    assert view.toolTip() == ""
    view.highlighted.emit(QUrl("https://example.org/b"))
    view.highlighted.emit(QUrl())
    assert view.toolTip() == ""
