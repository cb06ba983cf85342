"""The view of an answer: streamed as plain text, and rendered when it is whole.

Markdown without HTML, blocks of code that can be copied, thinking folded away. Nothing is loaded for it: pictures
are named, not shown, and a link is opened only by a click.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator, Sequence

from PySide6.QtCore import QTimer, QUrl
from PySide6.QtGui import (
    QColor,
    QDesktopServices,
    QFont,
    QGuiApplication,
    QTextBlockFormat,
    QTextCharFormat,
    QTextCursor,
    QTextDocument,
    QTextDocumentFragment,
    QTextFormat,
    QTextFragment,
    QTextFrameFormat,
    QTextLength,
    QTextOption,
    QTextTable,
)
from PySide6.QtWidgets import QFrame, QTextBrowser, QTextEdit, QWidget

from app.core.compare.answer_part import AnswerPart, answer_parts, with_lines
from app.core.compare.word_difference import words_of
from app.core.language import tr
from app.core.quantity import plural
from app.ui.widget import theme

RENDERED_MAX = 20_000  # characters; a longer answer is shown as it came
FLUSH_MS = 40
LONGEST_WORD = 2000  # characters
LONG_WORD = re.compile(rf"\S{{{LONGEST_WORD}}}")
OPENED = ("http", "https", "mailto")
MARKDOWN = QTextDocument.MarkdownFeature.MarkdownDialectGitHub | QTextDocument.MarkdownFeature.MarkdownNoHTML
NUL, NUL_SIGN = "\x00", "\u2400"
NO_WORDS = str.maketrans(dict.fromkeys("\ufdd0\ufdd1\ufffc", " "))  # Qt's marks of boxes and pictures
WRAP = QTextOption.WrapMode


class AnswerView(QTextBrowser):
    """Shows the turns of one column: earlier ones above, the last one as it comes.

    A prompt stands above its answer where there are several, and always if ``names_prompts``.
    """

    def __init__(self, parent: QWidget | None = None, *, names_prompts: bool = False) -> None:
        super().__init__(parent)
        self._names_prompts = names_prompts
        self.setOpenLinks(False)
        self.setAcceptDrops(False)
        self.setTabChangesFocus(True)
        self.setUndoRedoEnabled(False)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setStyleSheet("QTextBrowser { border: none; padding: 0; background: transparent; }")
        self.document().setDocumentMargin(0)
        self.document().setIndentWidth(theme.SPACE * 5 // 2)
        self._turns: list[tuple[str, str]] = []
        self._whole, self._plain = True, False
        self._wanted = 0  # a place to scroll to for which it is not high enough yet
        self.verticalScrollBar().rangeChanged.connect(self._scroll)
        self.verticalScrollBar().actionTriggered.connect(self._on_scrolled)
        self._waiting: list[str] = []
        self._open: set[str] = set()  # thinking that is unfolded, by its link
        self._codes: list[str] = []
        # Links of the view's own cannot be written by a model: it does not know this.
        self._scheme = f"luthier-{secrets.token_hex(8)}"
        self._own: list[tuple[int, int]] = []  # what is the view's own text, not the answer's
        self._answer_start = 0
        self._flush_timer = QTimer(self)
        self._flush_timer.setSingleShot(True)
        self._flush_timer.setInterval(FLUSH_MS)
        self._flush_timer.timeout.connect(self._flush)
        self.anchorClicked.connect(self._on_link)
        self.highlighted.connect(self._on_highlighted)
        theme.theme().changed.connect(self._redraw)

    def show_turns(self, turns: Sequence[tuple[str, str]], *, whole: bool) -> None:
        """Shows prompts with their answers; the last answer is still being written unless ``whole``."""
        if whole and self._whole and self._turns == list(turns):
            return  # it is there already
        self._turns, self._whole, self._wanted = list(turns), whole, 0
        self._open.clear()
        self._redraw()

    def scroll_to(self, place: int) -> None:
        """Scrolls there as soon as the answer is laid out so high, unless a person scrolls before."""
        self._wanted = place
        self._scroll()

    def _scroll(self) -> None:
        bar = self.verticalScrollBar()
        if 0 < self._wanted <= bar.maximum():
            bar.setValue(self._wanted)
            self._wanted = 0

    def _on_scrolled(self, _action: int) -> None:
        self._wanted = 0

    def append_text(self, text: str) -> None:
        """More of the last answer. It is drawn a few times a second, however fast it comes."""
        prompt, answer = self._turns[-1]
        self._turns[-1] = (prompt, answer + text)
        self._waiting.append(text)
        if not self._flush_timer.isActive():
            self._flush_timer.start()

    def set_plain(self, plain: bool) -> None:
        """Shows answers as they came, without rendering."""
        if plain != self._plain:
            self._plain = plain
            self._redraw()

    # -- differences ------------------------------------------------------------------------------------------

    def shown_text(self) -> str:
        """The last answer as it is shown, one character a place in the document (see `mark`)."""
        raw = self.document().toRawText()
        text = list(_utf16(raw.translate(NO_WORDS)))
        for start, end in self._own:
            text[start:end] = " " * (end - start)
        return "".join(text[self._answer_start :])

    def mark(self, spans: Sequence[tuple[int, int]]) -> None:
        """Marks stretches of `shown_text`."""
        style = QTextCharFormat()
        style.setBackground(QColor(theme.colors().selection))
        marks = []
        for start, end in spans:
            mark = QTextEdit.ExtraSelection()
            cursor = QTextCursor(self.document())
            cursor.setPosition(self._answer_start + start)
            cursor.setPosition(self._answer_start + end, QTextCursor.MoveMode.KeepAnchor)
            mark.cursor, mark.format = cursor, style
            marks.append(mark)
        self.setExtraSelections(marks)

    @property
    def marked(self) -> list[str]:
        """The stretches that are marked."""
        return [mark.cursor.selectedText() for mark in self.extraSelections()]

    # -- drawing ----------------------------------------------------------------------------------------------

    def loadResource(self, _kind: int, _name: QUrl | str) -> object:
        """Nothing is ever loaded, neither from the network nor from a disk."""
        return None

    def _redraw(self) -> None:
        at_end, place = self._at_end(), self.verticalScrollBar().value()
        self._flush_timer.stop()
        self._waiting.clear()
        self.setExtraSelections([])
        self.clear()
        self._codes, self._own = [], []
        cursor = QTextCursor(self.document())
        self._fit_wrapping("\n".join(prompt + "\n" + answer for prompt, answer in self._turns))
        cursor.beginEditBlock()
        for index, (prompt, answer) in enumerate(self._turns):
            if len(self._turns) > 1 or self._names_prompts:
                self._draw_prompt(cursor, prompt)
            self._answer_start = cursor.position()
            rendered = (self._whole or index < len(self._turns) - 1) and not self._plain
            if rendered and len(answer) <= RENDERED_MAX:
                self._draw_parts(cursor, answer_parts(answer.replace(NUL, NUL_SIGN)), index)
            else:
                cursor.insertText(answer.replace(NUL, NUL_SIGN), QTextCharFormat())
        cursor.endEditBlock()
        bar = self.verticalScrollBar()
        bar.setValue(bar.maximum() if at_end and len(self._turns) > 1 else place)

    def _draw_prompt(self, cursor: QTextCursor, prompt: str) -> None:
        c = theme.colors()
        _enter_frame(cursor, c.accent_soft, c.accent_soft)
        self._insert_own(cursor, prompt.replace(NUL, NUL_SIGN), QTextCharFormat())
        _leave_frame(cursor)

    def _draw_parts(self, cursor: QTextCursor, parts: list[AnswerPart], turn: int) -> None:
        for index, part in enumerate(parts):
            if part.kind == "thinking":
                self._draw_thinking(cursor, part.text, f"{turn}-{index}")
            elif part.kind == "code":
                self._draw_code(cursor, part)
            else:
                _begin_line(cursor)
                cursor.insertFragment(QTextDocumentFragment(_markdown(part.text)))

    def _draw_thinking(self, cursor: QTextCursor, text: str, name: str) -> None:
        is_open = name in self._open
        _begin_line(cursor)
        told = tr(
            "{value} Thinking · {words}", value="▾" if is_open else "▸", words=plural(len(words_of(text)), "word")
        )
        self._insert_own(cursor, told, self._link(f"think/{name}"))
        if is_open:
            c = theme.colors()
            _enter_frame(cursor, c.raised, c.border)
            muted = QTextCharFormat()
            muted.setForeground(QColor(c.muted))
            self._insert_own(cursor, text, muted)  # what a model thinks is not compared: only what it says
            _leave_frame(cursor)

    def _draw_code(self, cursor: QTextCursor, part: AnswerPart) -> None:
        c = theme.colors()
        _enter_frame(cursor, c.raised, c.border)
        small = QTextCharFormat()
        small.setForeground(QColor(c.muted))
        small.setProperty(QTextFormat.Property.FontPixelSize, 11)
        copy = self._link(f"copy/{len(self._codes)}")
        copy.setProperty(QTextFormat.Property.FontPixelSize, 11)
        self._insert_own(cursor, f"{part.language or 'Code'} · ", small)
        self._insert_own(cursor, tr("Copy"), copy)
        self._codes.append(part.text)
        mono = QTextCharFormat()
        mono.setFont(theme.mono_font())
        cursor.insertBlock(QTextBlockFormat(), mono)
        cursor.insertText(part.text, mono)
        _leave_frame(cursor)

    def _insert_own(self, cursor: QTextCursor, text: str, style: QTextCharFormat) -> None:
        start = cursor.position()
        cursor.insertText(text, style)
        self._own.append((start, cursor.position()))

    def _flush(self) -> None:
        begun = time.perf_counter()
        if self.wordWrapMode() is not WRAP.WrapAnywhere:
            self._fit_wrapping(self._turns[-1][1][-2 * LONGEST_WORD :])
        follows = self._at_end()
        cursor = QTextCursor(self.document())
        cursor.movePosition(QTextCursor.MoveOperation.End)
        cursor.insertText("".join(self._waiting).replace(NUL, NUL_SIGN), QTextCharFormat())
        self._waiting.clear()
        if follows:
            self.verticalScrollBar().setValue(self.verticalScrollBar().maximum())
        # A long paragraph is laid out anew with every piece: the longer that takes, the rarer it is done.
        self._flush_timer.setInterval(max(FLUSH_MS, int(4000 * (time.perf_counter() - begun))))

    def _fit_wrapping(self, text: str) -> None:
        """Lines break between words; where a word goes on for pages, looking for its end would take seconds."""
        fitting = WRAP.WrapAnywhere if LONG_WORD.search(text) else WRAP.WrapAtWordBoundaryOrAnywhere
        if fitting is not self.wordWrapMode():
            self.setWordWrapMode(fitting)

    def _at_end(self) -> bool:
        bar = self.verticalScrollBar()
        return bar.value() >= bar.maximum() - theme.SPACE

    def _link(self, path: str) -> QTextCharFormat:
        style = QTextCharFormat()
        style.setAnchor(True)
        style.setAnchorHref(f"{self._scheme}:/{path}")
        style.setForeground(QColor(theme.colors().accent))
        return style

    # -- links ------------------------------------------------------------------------------------------------

    def _on_link(self, url: QUrl) -> None:
        if url.scheme() != self._scheme:
            if url.scheme() in OPENED:
                QDesktopServices.openUrl(url)
            return
        what, name = url.path().strip("/").split("/")
        if what == "copy":
            QGuiApplication.clipboard().setText(self._codes[int(name)])
        else:
            self._open ^= {name}
            self._redraw()

    def _on_highlighted(self, url: QUrl) -> None:
        self.setToolTip("" if url.scheme() == self._scheme else url.toString())


def _markdown(text: str) -> QTextDocument:
    """A text part laid out in the window's fonts and colours, with pictures named instead of shown."""
    document = QTextDocument()
    document.setDefaultFont(theme.ui_font())
    document.setMarkdown(with_lines(text), MARKDOWN)
    _name_pictures(document)
    mono = QTextCharFormat()
    mono.setFontFamilies([theme.mono_font().family()])
    mono.setBackground(QColor(theme.colors().raised))
    for fragment in list(_fragments(document)):
        if fragment.charFormat().fontFixedPitch():
            _selected(document, fragment.position(), fragment.length()).mergeCharFormat(mono)
    _space_blocks(document)
    _dress_tables(document)
    return document


def _name_pictures(document: QTextDocument) -> None:
    for fragment in reversed(list(_fragments(document))):
        style = fragment.charFormat()
        if style.isImageFormat():
            picture = style.toImageFormat()
            alternative = picture.property(QTextFormat.Property.ImageAltText)
            named = QTextCharFormat()
            named.setForeground(QColor(theme.colors().muted))
            cursor = _selected(document, fragment.position(), fragment.length())
            cursor.insertText(tr("[Picture: {alternative}]", alternative=alternative or picture.name()), named)


def _space_blocks(document: QTextDocument) -> None:
    """Headings and paragraphs at the window's sizes and distances: Qt's are made for a page."""
    block = document.begin()
    while block.isValid():
        level = block.blockFormat().headingLevel()
        cursor = _selected(document, block.position(), max(0, block.length() - 1))
        space = QTextBlockFormat()
        space.setTopMargin(theme.SPACE if level else 0)
        space.setBottomMargin(0 if block.textList() else theme.SPACE // 2)
        if quoted := block.blockFormat().property(QTextFormat.Property.BlockQuoteLevel):
            space.setLeftMargin(theme.SPACE * 2 * int(quoted))
        cursor.mergeBlockFormat(space)
        if level:
            style = QTextCharFormat()
            style.setProperty(QTextFormat.Property.FontSizeAdjustment, 1 if level == 1 else 0)
            style.setFontWeight(QFont.Weight.DemiBold)
            cursor.mergeCharFormat(style)
        block = block.next()


def _dress_tables(document: QTextDocument) -> None:
    for frame in document.rootFrame().childFrames():
        if isinstance(frame, QTextTable):
            style = frame.format()
            style.setBorder(1)
            style.setBorderBrush(QColor(theme.colors().border_strong))
            style.setBorderCollapse(True)
            style.setCellPadding(theme.SPACE // 2)
            style.setCellSpacing(0)
            frame.setFormat(style)


def _fragments(document: QTextDocument) -> Iterator[QTextFragment]:
    block = document.begin()
    while block.isValid():
        place = block.begin()
        while not place.atEnd():
            yield place.fragment()
            place += 1
        block = block.next()


def _selected(document: QTextDocument, start: int, length: int) -> QTextCursor:
    cursor = QTextCursor(document)
    cursor.setPosition(start)
    cursor.setPosition(start + length, QTextCursor.MoveMode.KeepAnchor)
    return cursor


def _begin_line(cursor: QTextCursor) -> None:
    if cursor.block().length() > 1:
        cursor.insertBlock(QTextBlockFormat(), QTextCharFormat())


def _enter_frame(cursor: QTextCursor, background: str, border: str) -> None:
    """A box that the cursor is then in. Qt keeps an empty line before it where one box follows another: it is
    made invisible."""
    if cursor.block().length() == 1:
        flat = QTextBlockFormat()
        flat.setLineHeight(1, QTextBlockFormat.LineHeightTypes.FixedHeight.value)
        cursor.setBlockFormat(flat)
    style = QTextFrameFormat()
    style.setBackground(QColor(background))
    style.setBorder(1)
    style.setBorderBrush(QColor(border))
    style.setBorderStyle(QTextFrameFormat.BorderStyle.BorderStyle_Solid)
    style.setPadding(theme.SPACE)
    style.setTopMargin(theme.SPACE // 2)
    style.setBottomMargin(theme.SPACE // 2)
    style.setWidth(QTextLength(QTextLength.Type.PercentageLength, 100))
    cursor.insertFrame(style)
    cursor.setBlockFormat(QTextBlockFormat())


def _leave_frame(cursor: QTextCursor) -> None:
    """Puts the cursor behind the frame that it is in."""
    cursor.setPosition(cursor.currentFrame().lastPosition() + 1)
    cursor.setBlockFormat(QTextBlockFormat())
    cursor.setCharFormat(QTextCharFormat())


def _utf16(text: str) -> Iterator[str]:
    """A text's UTF-16 units, which Qt counts places by, as characters."""
    units = memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")
    return map(chr, units)
