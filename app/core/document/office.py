"""Text documents of Word and OpenDocument: what stands in their body, tables a line a row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from app.core.document.package import Package, let_go, xml_events
from app.core.document.paragraph import Account, DocumentError, tidied
from app.core.language import tr
from app.core.quantity import plural

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_STRICT = "{http://purl.oclc.org/ooxml/wordprocessingml/main}"
_WORD, _ODT = tr("Word document"), tr("OpenDocument text")
# Text that is shown twice, or was taken out: the other form of a drawing, moved text, readings above characters.
_LEFT_OUT = frozenset(("Fallback", "moveFrom", "del", "rt", "sectPr", "pPr", "rPr"))
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_ODT_LEFT_OUT = frozenset(
    ("tracked-changes", "annotation", "note", "table-of-content", "alphabetical-index", "ruby-text")
)
_ODT_BLANKS = {"s": " ", "tab": "\t", "line-break": "\n"}  # however many in a row: one is left of them


class _Table:
    """A table that is being read: its lines, and the cells of the row at hand."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.row: list[str] = []
        self.cell: list[str] = []


class _Body:
    """Puts paragraphs and tables in order; what is complete waits in ``done``."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.tables: list[_Table] = []

    def paragraph(self, text: str) -> None:
        """A paragraph of the body, or of the cell at hand."""
        text = tidied(text)
        if text:
            (self.tables[-1].cell if self.tables else self.done).append(text)

    def begin(self, tag: str) -> None:
        """A table, or a part of one, begins."""
        if tag == "table":
            self.tables.append(_Table())
        elif self.tables and tag == "row":
            self.tables[-1].row = []
        elif self.tables and tag == "cell":
            self.tables[-1].cell = []

    def end(self, tag: str) -> None:
        """A table, or a part of one, ends."""
        if not self.tables:
            return
        table = self.tables[-1]
        if tag == "cell":
            table.row.append(" ".join(" ".join(table.cell).split()))
        elif tag == "row" and any(table.row):
            table.lines.append("\t".join(table.row).rstrip())
        elif tag == "table":
            self.tables.pop()
            if table.lines:
                (self.tables[-1].cell if self.tables else self.done).append("\n".join(table.lines))

    def taken(self) -> Iterator[str]:
        """What is complete, once."""
        yield from self.done
        self.done = []


_WORD_PARTS = {"tbl": "table", "tr": "row", "tc": "cell"}
_ODT_PARTS = {"table": "table", "table-row": "row", "table-cell": "cell"}


def word_paragraphs(file: IO[bytes], account: Account) -> Iterator[str]:
    """The paragraphs of a Word document: inserted text with, deleted text without; a table is a line a row."""
    package = Package(file, _WORD)
    name = next((n for n in package.names if n.startswith("word/document") and n.endswith(".xml")), "")
    if not name:
        raise DocumentError(tr("This Word document has no text."))
    notes = package.read("word/footnotes.xml").count(b"<w:footnote ") - 2  # those that separate
    if notes > 0:
        account.tell(tr("{footnotes} left out.", footnotes=plural(notes, "footnote")))
    body, texts, left_out = _Body(), [[]], 0  # type: tuple[_Body, list[list[str]], int]
    with package.open(name) as stream:
        for event, element in xml_events(stream, _WORD, ("start", "end")):
            tag = element.tag.rpartition("}")[2]
            if tag in _LEFT_OUT:
                left_out += 1 if event == "start" else -1
            elif left_out:
                continue
            elif event == "start":
                if tag == "p" and _is_word(element.tag):
                    texts.append([])
                body.begin(_WORD_PARTS.get(tag, ""))
            elif tag == "t":
                texts[-1].append(element.text or "")
            elif tag in _BREAKS:
                texts[-1].append(_BREAKS[tag])
            elif tag == "p" and _is_word(element.tag):
                body.paragraph("".join(texts.pop()))
            else:
                body.end(_WORD_PARTS.get(tag, ""))
            if event == "end" and not body.tables and tag in ("p", "tbl") and len(texts) == 1:
                let_go(element)
                yield from body.taken()
    yield from body.taken()


def _is_word(tag: str) -> bool:
    return tag.startswith((_W, _STRICT))


def odt_paragraphs(file: IO[bytes], account: Account) -> Iterator[str]:
    """The paragraphs of an OpenDocument text, without notes, comments, contents and what was deleted."""
    package = Package(file, _ODT)
    if b"encryption-data" in package.read("META-INF/manifest.xml"):
        raise DocumentError(tr("This OpenDocument text is encrypted. Save it without a password."))
    if "content.xml" not in package.names:
        raise DocumentError(tr("This OpenDocument text has no text."))
    body, left_out, notes = _Body(), 0, 0
    with package.open("content.xml") as stream:
        for event, element in xml_events(stream, _ODT, ("start", "end")):
            tag = element.tag.rpartition("}")[2]
            if tag in _ODT_LEFT_OUT:
                left_out += 1 if event == "start" else -1
                notes += event == "start" and tag == "note"
            elif left_out:
                continue
            elif event == "start":
                body.begin(_ODT_PARTS.get(tag, ""))
            elif tag in ("p", "h"):
                body.paragraph("".join(_odt_text(element)))
                if not body.tables:
                    yield from body.taken()
                    element.clear(keep_tail=True)
            else:
                body.end(_ODT_PARTS.get(tag, ""))
                yield from body.taken()
    if notes:
        account.tell(tr("{notes} left out.", notes=plural(notes, "note")))


def _odt_text(element: Any) -> Iterator[str]:
    tag = element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""
    if tag in _ODT_LEFT_OUT or tag == "frame":
        return
    yield _ODT_BLANKS.get(tag, "")
    yield element.text or ""
    for child in element:
        yield from _odt_text(child)
        yield child.tail or ""
