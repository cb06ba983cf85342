"""Token text: an example's tokens as paragraphs of runs, laid out line by line where a view asks for them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, overload

from PySide6.QtCore import QPointF
from PySide6.QtGui import QColor, QFont, QTextCharFormat, QTextLayout, QTextLine, QTextOption

from app.ui.widget import theme

TokenKind = Literal["trained", "masked", "truncated", "special", "plain"]
PARAGRAPH_CHARACTERS = 4000  # longer ones are broken, so that no single layout takes long
LINE_HEIGHT = 22  # px
PARAGRAPH_GAP = 2  # px
RULE_HEIGHT = 28  # px


@dataclass(frozen=True, slots=True)
class Token:
    """One token: its id (−1 for plain text), the text it adds, its kind, and whether it is trained."""

    id: int
    text: str
    kind: TokenKind
    trained: bool = False

    @classmethod
    def of(cls, tree: dict[str, Any]) -> Token:
        """From the preview worker's form."""
        return cls(int(tree["id"]), str(tree["text"]), tree["kind"], bool(tree["trained"]))


@dataclass(frozen=True, slots=True)
class Run:
    """Neighbouring characters of one look, ``start`` to before ``end`` within a paragraph."""

    start: int
    end: int
    kind: TokenKind
    trained: bool


@dataclass(slots=True)
class Paragraph:
    """A line of the text up to its newline.

    ``starts`` are the offsets at which tokens begin, ``first`` is the number of the first of them; ``rule`` is a
    caption when this is no text but a line drawn across.
    """

    text: str = ""
    runs: list[Run] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    first: int = 0
    rule: str = ""
    layout: QTextLayout | None = None
    top: float = 0.0
    height: float = 0.0

    def token_at(self, offset: int) -> int:
        """The number of the token that a character belongs to."""
        return self.first + max(bisect_right(self.starts, offset) - 1, 0)

    def lines(self) -> Iterator[QTextLine]:
        """Its lines, once it was laid out."""
        if self.layout is not None:
            for number in range(self.layout.lineCount()):
                yield self.layout.lineAt(number)


class TokenList(Sequence[Token]):
    """The tokens of an example as the preview worker sends them, each made when it is asked for."""

    def __init__(self, trees: Sequence[dict[str, Any]]) -> None:
        self._trees = trees

    def __len__(self) -> int:
        return len(self._trees)

    @overload
    def __getitem__(self, index: int) -> Token: ...
    @overload
    def __getitem__(self, index: slice) -> TokenList: ...
    def __getitem__(self, index: int | slice) -> Token | TokenList:
        if isinstance(index, slice):
            return TokenList(self._trees[index])
        return Token.of(self._trees[index])


def paragraphs(tokens: Iterable[Token], cut: str = "") -> Iterator[Paragraph]:
    """Tokens as paragraphs; before the first truncated one stands a rule with the caption ``cut``."""
    part, pieces, length, was_cut = Paragraph(), list[str](), 0, not cut
    for number, token in enumerate(tokens):
        if token.kind == "truncated" and not was_cut:
            was_cut = True
            if length:
                yield _whole(part, pieces)
            yield Paragraph(rule=cut, first=number)
            part, pieces, length = Paragraph(first=number), [], 0
        for piece, is_new in _pieces(token.text):
            if is_new or length + len(piece) > PARAGRAPH_CHARACTERS:
                yield _whole(part, pieces)
                part, pieces, length = Paragraph(first=number), [], 0
            part.starts.append(length)
            if piece:
                _extend(part.runs, length, length + len(piece), token)
                pieces.append(piece)
                length += len(piece)
    if length:
        yield _whole(part, pieces)


def _whole(part: Paragraph, pieces: list[str]) -> Paragraph:
    part.text = "".join(pieces)
    return part


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """The lines of a token's text, long ones in several pieces; and whether a new paragraph begins there."""
    if "\n" not in text and len(text) <= PARAGRAPH_CHARACTERS:
        yield text, False
        return
    for index, line in enumerate(text.split("\n")):
        for start in range(0, max(len(line), 1), PARAGRAPH_CHARACTERS):
            yield line[start : start + PARAGRAPH_CHARACTERS], index > 0 or start > 0


def _extend(runs: list[Run], start: int, end: int, token: Token) -> None:
    last = runs[-1] if runs else None
    alike = last is not None and (last.kind, last.trained) == (token.kind, token.trained)
    if last is not None and alike and token.kind != "special":
        runs[-1] = Run(last.start, end, token.kind, token.trained)
    else:
        runs.append(Run(start, end, token.kind, token.trained))


def plain_tokens(turns: Iterable[tuple[str, str]]) -> list[Token]:
    """A row that no tokenizer has seen: who says what, as text."""
    tokens: list[Token] = []
    for speaker, text in turns:
        if speaker:
            tokens += [Token(-1, speaker, "special"), Token(-1, "\n", "plain")]
        tokens.append(Token(-1, f"{text}\n\n", "plain"))
    return tokens


class Typesetter:
    """Lays paragraphs out in a width, with the fonts and colours of the present scheme."""

    def __init__(self) -> None:
        self.text_font = theme.ui_font(1)
        self.special_font = theme.mono_font(-1)
        # A ligature would draw "<|" as one sign, which is not what the token is.
        self.special_font.setFeature(QFont.Tag("calt"), 0)
        self.special_font.setFeature(QFont.Tag("liga"), 0)
        self._option = QTextOption()
        self._option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        self._formats = {
            (kind, trained): self._format(kind, trained)
            for kind in ("trained", "masked", "truncated", "special", "plain")
            for trained in (False, True)
        }

    def _format(self, kind: str, trained: bool) -> QTextCharFormat:
        c = theme.colors()
        found = QTextCharFormat()
        colors = {"trained": c.text, "plain": c.text, "masked": c.muted, "truncated": c.muted}
        color = colors.get(kind, c.accent if trained else c.muted)
        found.setForeground(QColor(color))
        if kind == "truncated":
            found.setFontStrikeOut(True)
        if kind == "special":
            found.setFont(self.special_font)
            found.setFontWeight(QFont.Weight.Medium)
        return found

    def set_out(self, paragraph: Paragraph, width: float) -> None:
        """Breaks a paragraph into lines of ``width`` pixels and gives it its height."""
        if paragraph.rule:
            paragraph.height = RULE_HEIGHT
            return
        layout = QTextLayout(paragraph.text, self.text_font)
        layout.setTextOption(self._option)
        layout.setCacheEnabled(True)
        layout.setFormats([self._range(run) for run in paragraph.runs])
        layout.beginLayout()
        height = 0.0
        while (line := layout.createLine()).isValid():
            line.setLineWidth(width)
            line.setPosition(QPointF(0, height + (LINE_HEIGHT - line.height()) / 2))
            height += LINE_HEIGHT
        layout.endLayout()
        paragraph.layout, paragraph.height = layout, max(height, LINE_HEIGHT) + PARAGRAPH_GAP

    def _range(self, run: Run) -> QTextLayout.FormatRange:
        found = QTextLayout.FormatRange()
        found.start, found.length = run.start, run.end - run.start
        found.format = self._formats[run.kind, run.trained]
        return found
