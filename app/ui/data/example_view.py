"""The example view: one example token by token, what is trained, what is not, what is cut off."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Any

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, QTimer
from PySide6.QtGui import (
    QColor,
    QContextMenuEvent,
    QGuiApplication,
    QHelpEvent,
    QKeyEvent,
    QKeySequence,
    QPainter,
    QPaintEvent,
    QPen,
    QResizeEvent,
    QTextLine,
)
from PySide6.QtWidgets import QAbstractScrollArea, QHBoxLayout, QLabel, QMenu, QToolTip, QWidget

from app.core.language import tr
from app.ui.data.token_text import LINE_HEIGHT, Paragraph, Run, Token, Typesetter, paragraphs
from app.ui.widget import theme

MARGIN = 20  # px
MAX_TEXT_WIDTH = 820  # px; longer lines are hard to read
LAYOUT_SLICE_S = 0.008  # of laying out before the window gets its turn again
TOKEN_KIND_WORDS = {
    "trained": tr("trained: the model learns to say this"),
    "masked": tr("read, but not trained"),
    "truncated": tr("beyond the maximum length: cut off"),
    "special": tr("control token"),
    "plain": "text",
}


class ExampleView(QAbstractScrollArea):
    """Shows `Token`s. Only what is visible is drawn; long texts are laid out a little at a time.

    ``set_marked`` marks where a text occurs. Hovering tells the token, Ctrl+C copies the text.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("example_view")
        self.setAccessibleName(tr("Example as the model sees it"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.viewport().setMouseTracking(True)
        self.tokens: Sequence[Token] = ()
        self.shows_edges = False
        self._paragraphs: list[Paragraph] = []
        self._coming: Iterator[Paragraph] | None = None  # those that are not made yet
        self._done = 0  # paragraphs that are laid out
        self._marked = ""
        self._setter = Typesetter()
        self._timer = QTimer(self)
        self._timer.setInterval(0)
        self._timer.timeout.connect(self._set_out_some)
        theme.theme().changed.connect(self._dress)
        self._dress()

    # -- what it shows ----------------------------------------------------------------------------------------

    def show_tokens(self, tokens: Sequence[Token], cut: str = "") -> None:
        """Shows an example from its beginning; ``cut`` is the caption where the truncated part begins."""
        self.tokens = tokens
        self._paragraphs, self._coming = [], paragraphs(tokens, cut)
        self.verticalScrollBar().setValue(0)
        self._set_out_anew()

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(token.text for token in self.tokens)

    @property
    def shown_paragraphs(self) -> int:
        """How many paragraphs are laid out so far."""
        return self._done

    @property
    def is_complete(self) -> bool:
        """True when everything is laid out."""
        return self._coming is None and self._done == len(self._paragraphs)

    def set_marked(self, text: str) -> None:
        """Marks each occurrence of a text, whatever the case; "" marks nothing."""
        self._marked = text.casefold()
        self.viewport().update()
        self._show_mark()

    def set_edges(self, shown: bool) -> None:
        """Shows where one token ends and the next begins."""
        self.shows_edges = shown
        self.viewport().update()

    def copy(self) -> None:
        """Puts the whole text on the clipboard."""
        QGuiApplication.clipboard().setText(self.text)

    # -- laying out -------------------------------------------------------------------------------------------

    def _set_out_anew(self) -> None:
        self._done = 0
        self._set_out_some()

    def _set_out_some(self) -> None:
        end = time.perf_counter() + LAYOUT_SLICE_S
        width = min(self.viewport().width() - 2 * MARGIN, MAX_TEXT_WIDTH)
        top = self._bottom()
        while (paragraph := self._next()) is not None:
            self._setter.set_out(paragraph, max(width, 40))
            paragraph.top = top
            top += paragraph.height
            self._done += 1
            if time.perf_counter() > end:
                break
        if self.is_complete:
            self._timer.stop()
            self._show_mark()
        elif not self._timer.isActive():
            self._timer.start()
        self._set_range()
        self.viewport().update()

    def _next(self) -> Paragraph | None:
        """The next paragraph to lay out; None when there is no more."""
        if self._done == len(self._paragraphs) and self._coming is not None:
            made = next(self._coming, None)
            if made is None:
                self._coming = None
            else:
                self._paragraphs.append(made)
        return self._paragraphs[self._done] if self._done < len(self._paragraphs) else None

    def _bottom(self) -> float:
        """Where the next paragraph begins."""
        last = self._paragraphs[self._done - 1] if self._done else None
        return last.top + last.height if last is not None else MARGIN

    def _set_range(self) -> None:
        height = self._bottom() + MARGIN + (len(self._paragraphs) - self._done) * LINE_HEIGHT
        page = self.viewport().height()
        self.verticalScrollBar().setRange(0, max(0, round(height) - page))
        self.verticalScrollBar().setPageStep(page)
        self.verticalScrollBar().setSingleStep(LINE_HEIGHT)

    def _show_mark(self) -> None:
        """Scrolls to the first marked place if it is out of sight."""
        if not self._marked:
            return
        for paragraph in self._paragraphs[: self._done]:
            if self._marked in paragraph.text.casefold():
                bar = self.verticalScrollBar()
                if not bar.value() <= paragraph.top <= bar.value() + self.viewport().height() - 2 * LINE_HEIGHT:
                    bar.setValue(round(paragraph.top) - 2 * LINE_HEIGHT)
                return

    # -- drawing ----------------------------------------------------------------------------------------------

    def _dress(self) -> None:
        c = theme.colors()
        self.setStyleSheet(
            f"QAbstractScrollArea#example_view {{ background: {c.card}; border: 1px solid {c.border};"
            f" border-radius: 8px; }} QAbstractScrollArea#example_view:focus {{ border-color: {c.accent}; }}"
        )
        self._setter = Typesetter()
        self._set_out_anew()

    def paintEvent(self, _painted: QPaintEvent) -> None:
        painter = QPainter(self.viewport())
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        offset = self.verticalScrollBar().value()
        laid = self._paragraphs[: self._done]
        first = max(bisect_right(laid, float(offset), key=_top) - 1, 0)
        for paragraph in laid[first:]:
            y = paragraph.top - offset
            if y > self.viewport().height():
                break
            self._draw(painter, paragraph, QPointF(MARGIN, y))

    def _draw(self, painter: QPainter, paragraph: Paragraph, at: QPointF) -> None:
        if paragraph.rule:
            self._draw_rule(painter, paragraph.rule, at.y() + paragraph.height / 2)
            return
        for line in paragraph.lines():
            begin, end = line.textStart(), line.textStart() + line.textLength()
            for run in paragraph.runs:
                if run.start < end and run.end > begin:
                    self._draw_back(painter, line, run, at)
            self._draw_marks(painter, paragraph, line, at)
            if self.shows_edges:
                self._draw_edges(painter, paragraph, line, at)
        if paragraph.layout is not None:
            paragraph.layout.draw(painter, at)

    def _draw_back(self, painter: QPainter, line: QTextLine, run: Run, at: QPointF) -> None:
        if run.kind in ("plain", "masked"):
            return
        draw_back(painter, _span(line, run.start, run.end, at), run.kind, run.trained)

    def _draw_marks(self, painter: QPainter, paragraph: Paragraph, line: QTextLine, at: QPointF) -> None:
        if not self._marked:
            return
        text, begin = paragraph.text.casefold(), line.textStart()
        if len(text) != len(paragraph.text):
            return  # folding changed the length, so that places cannot be told
        place = text.find(self._marked)
        while place >= 0:
            if place < begin + line.textLength() and place + len(self._marked) > begin:
                span = _span(line, place, place + len(self._marked), at)
                painter.setPen(QPen(QColor(theme.colors().warning), 1.5))
                painter.setBrush(Qt.BrushStyle.NoBrush)
                painter.drawRoundedRect(span.adjusted(-1, 1, 1, -1), 3, 3)
            place = text.find(self._marked, place + 1)

    def _draw_edges(self, painter: QPainter, paragraph: Paragraph, line: QTextLine, at: QPointF) -> None:
        painter.setPen(QPen(QColor(theme.colors().border_strong), 1))
        end = line.textStart() + line.textLength()
        for start in paragraph.starts:
            if line.textStart() < start < end:
                x = round(at.x() + _x(line, start)) + 0.5
                y = at.y() + line.y() + line.height() / 2
                painter.drawLine(QPointF(x, y - 8), QPointF(x, y + 8))

    def _draw_rule(self, painter: QPainter, caption: str, y: float) -> None:
        c = theme.colors()
        painter.setFont(theme.ui_font(-1))
        width = painter.fontMetrics().horizontalAdvance(caption)
        painter.setPen(QColor(c.error))
        painter.drawText(QPointF(MARGIN, y + 4), caption)
        right = MARGIN + min(self.viewport().width() - 2 * MARGIN, MAX_TEXT_WIDTH)
        painter.setPen(QPen(QColor(c.error), 1, Qt.PenStyle.DashLine))
        painter.drawLine(QPointF(MARGIN + width + 10, y + 0.5), QPointF(right, y + 0.5))

    # -- Qt ---------------------------------------------------------------------------------------------------

    def token_at(self, position: QPointF) -> int | None:
        """The number of the token under a point of the viewport; None if there is none."""
        y = position.y() + self.verticalScrollBar().value()
        laid = self._paragraphs[: self._done]
        index = bisect_right(laid, y, key=_top) - 1
        if index < 0 or laid[index].rule or y > laid[index].top + laid[index].height:
            return None
        paragraph = laid[index]
        row = int((y - paragraph.top) // LINE_HEIGHT)
        for number, line in enumerate(paragraph.lines()):
            x = position.x() - MARGIN
            if number == row and 0 <= x <= line.naturalTextWidth():
                offset: int = line.xToCursor(x, QTextLine.CursorPosition.CursorOnCharacter)
                return paragraph.token_at(offset)
        return None

    def viewportEvent(self, event: QEvent) -> bool:
        if event.type() == QEvent.Type.ToolTip and isinstance(event, QHelpEvent):
            number = self.token_at(QPointF(event.pos()))
            if number is None or self.tokens[number].id < 0:
                QToolTip.hideText()
            else:
                QToolTip.showText(event.globalPos(), self.describe(number), self)
            return True
        return super().viewportEvent(event)

    def describe(self, number: int) -> str:
        """A token in words."""
        token = self.tokens[number]
        kind = TOKEN_KIND_WORDS[token.kind]
        if token.kind == "special":
            kind += tr(", trained") if token.trained else tr(", not trained")
        return tr(
            "Token {number:,} · id {id:,} · {text!r}\n{kind}",
            number=number + 1,
            id=token.id,
            text=token.text,
            kind=kind,
        )

    def keyPressEvent(self, event: QKeyEvent) -> None:
        if event.matches(QKeySequence.StandardKey.Copy):
            self.copy()
            return
        super().keyPressEvent(event)

    def contextMenuEvent(self, event: QContextMenuEvent) -> None:
        menu = QMenu(self)
        menu.addAction(tr("Copy the text")).triggered.connect(self.copy)
        menu.exec(event.globalPos())
        menu.deleteLater()

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        if event.size().width() != event.oldSize().width():
            self._set_out_anew()
        else:
            self._set_range()

    def sizeHint(self) -> QSize:
        return QSize(640, 320)


def _top(paragraph: Paragraph) -> float:
    return paragraph.top


def _x(line: QTextLine, offset: int) -> float:
    found: Any = line.cursorToX(offset)  # x, and the offset that it is the place of
    return float(found[0] if isinstance(found, tuple) else found)


def _span(line: QTextLine, start: int, end: int, at: QPointF) -> QRectF:
    """The rectangle of some characters in a line."""
    begin, stop = line.textStart(), line.textStart() + line.textLength()
    left, right = _x(line, max(start, begin)), _x(line, min(end, stop))
    middle = at.y() + line.y() + line.height() / 2
    return QRectF(at.x() + left, middle - LINE_HEIGHT / 2 + 1, right - left, LINE_HEIGHT - 2)


def draw_back(painter: QPainter, area: QRectF, kind: str, trained: bool) -> None:
    """What lies behind the characters of a run of that kind."""
    c = theme.colors()
    painter.setPen(Qt.PenStyle.NoPen)
    if kind == "trained" or (kind == "special" and trained):
        back = QColor(c.accent)
        back.setAlphaF(0.26 if c.scheme == "dark" else 0.17)
        painter.setBrush(back)
        painter.drawRoundedRect(area, 3, 3)
    elif kind == "truncated":
        painter.setBrush(QColor(c.error_soft))
        painter.drawRoundedRect(area, 3, 3)
    if kind == "special":
        painter.setPen(QPen(QColor(c.accent if trained else c.border_strong), 1))
        painter.setBrush(Qt.BrushStyle.NoBrush if trained else QColor(c.raised))
        painter.drawRoundedRect(area.adjusted(0.5, 2.5, -0.5, -2.5), 4, 4)


class Legend(QWidget):
    """What the looks of tokens mean."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE * 2)
        for kind, trained, text in (
            ("trained", True, tr("Trained")),
            ("masked", False, tr("Not trained")),
            ("truncated", False, tr("Cut off")),
            ("special", False, tr("Control token")),
        ):
            layout.addWidget(_Sample(kind, trained, text, self))
        layout.addStretch(1)


class _Sample(QLabel):
    """One word in the look that it names."""

    def __init__(self, kind: str, trained: bool, text: str, parent: QWidget) -> None:
        super().__init__(text, parent)
        self._kind, self._trained = kind, trained
        self.setToolTip(TOKEN_KIND_WORDS[kind])
        self.setContentsMargins(6, 0, 6, 0)
        self.setFixedHeight(LINE_HEIGHT)
        theme.theme().changed.connect(self._dress)
        self._dress()

    def _dress(self) -> None:
        c = theme.colors()
        color = c.text if self._kind == "trained" else c.muted
        strike = "text-decoration: line-through;" if self._kind == "truncated" else ""
        self.setStyleSheet(f"QLabel {{ color: {color}; font-size: {theme.text_px(12)}px; {strike} }}")

    def paintEvent(self, event: QPaintEvent) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if self._kind == "masked":
            painter.setPen(QPen(QColor(theme.colors().border), 1))
            painter.drawRoundedRect(QRectF(self.rect()).adjusted(0.5, 2.5, -0.5, -2.5), 4, 4)
        else:
            draw_back(painter, QRectF(self.rect()).adjusted(0, 1, 0, -1), self._kind, self._trained)
        painter.end()
        super().paintEvent(event)
