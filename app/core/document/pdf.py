"""PDF documents: their text page by page, lines put together to paragraphs, headers and page numbers left out."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from app.core.document.paragraph import Account, DocumentError, damaged_document, tidied
from app.core.language import tr
from app.core.quantity import plural

if TYPE_CHECKING:
    from pypdf import PdfReader

PAGE_LIMIT = 20_000
TEXT_LIMIT_CHARACTERS = 64 << 20
TIME_LIMIT_S = 600
EDGE_LINES = 3  # at the top and at the bottom of a page, where headers and footers stand
REPEATED_PAGES = 3  # on fewer a line at an edge may be chance
SHORT_PAGE_CHARACTERS = 20
_NUMBER = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(
    r"[-–—\s]*(page|seite|p\.)?\s*(\d{1,5}|[ivxlc]{1,7})\s*((/|of|von|sur|de)\s*\d{1,5})?[-–—\s]*", re.I
)
_ENDS = (".", "!", "?", ":", ";", "…", "”", "»", '"', ")", "。", "！", "？")
_ITEM = re.compile(r"\s*([-•*▪◦–]|\(?\d{1,3}[.)]|\(?[a-z][.)])\s")
_HYPHEN = re.compile(r"[^\W\d_]-$")


def pdf_paragraphs(file: IO[bytes], account: Account) -> Iterator[str]:
    """The paragraphs of a PDF. Raises `DocumentError` for one that is encrypted or has no text."""
    with _quiet():
        pages = _page_lines(file)
    empty = sum(1 for lines in pages if sum(map(len, lines)) < SHORT_PAGE_CHARACTERS)
    if not any(any(lines) for lines in pages):
        said = tr("This PDF has no text: its pages are pictures (a scan). Have the text recognised (OCR) first.")
        raise DocumentError(said)
    repeated = _repeated(pages)
    dropped = sum(_drop_edges(lines, repeated) for lines in pages)
    told = [plural(len(pages), "page")]
    if empty:
        told.append(tr("{empty} of them with hardly any text (pictures?)", empty=empty))
    if dropped:
        what = plural(dropped, "header, footer or page number", "headers, footers and page numbers")
        told.append(tr("{what} left out", what=what))
    account.tell(tr("It has {told}.", told=", ".join(told)))
    yield from _paragraphs(pages)


def _page_lines(file: IO[bytes]) -> list[list[str]]:
    """The lines of each page."""
    reader = _opened(file)
    pages: list[list[str]] = []
    total, end = 0, time.monotonic() + TIME_LIMIT_S
    from pypdf.errors import PyPdfError

    try:
        count = len(reader.pages)
        if count > PAGE_LIMIT:
            raise DocumentError(
                tr(
                    "This PDF has {count:,} pages, more than {page_limit:,}. Save it in parts.",
                    count=count,
                    page_limit=PAGE_LIMIT,
                )
            )
        for number in range(count):
            text = reader.pages[number].extract_text() or ""
            pages.append([tidied(line) for line in text.replace("\x00", "").split("\n")])
            total += len(text)
            if total > TEXT_LIMIT_CHARACTERS or time.monotonic() > end:
                said = tr(
                    "Reading this PDF was given up at page {number:,}: it takes too long or is too large.",
                    number=number + 1,
                )
                raise DocumentError(tr("{said} Save its text as a .txt file.", said=said))
    except DocumentError:
        raise
    except (PyPdfError, *_FAULTS) as error:
        raise damaged_document("PDF", error) from error
    return pages


# What a library lets through of a document that is not as it should be.
_FAULTS = (ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, OverflowError,
           RecursionError, NotImplementedError, OSError, EOFError, ArithmeticError, MemoryError)  # fmt: skip


def _opened(file: IO[bytes]) -> PdfReader:
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, PyPdfError

    locked = tr("This PDF is encrypted. Open it with its password and print it to a new PDF, or save its text.")
    try:
        reader = PdfReader(file, strict=False)
        if reader.is_encrypted and not reader.decrypt(""):
            raise DocumentError(locked)
    except DependencyError as error:
        raise DocumentError(locked) from error
    except (PyPdfError, *_FAULTS) as error:
        raise damaged_document("PDF", error) from error
    return reader


@contextmanager
def _quiet() -> Iterator[None]:
    """The library's log says of every oddity what a person can do nothing about."""
    import logging

    log = logging.getLogger("pypdf")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(before)


# -- headers and footers -------------------------------------------------------------------------------------------


def _edges(lines: list[str]) -> list[int]:
    """Where the outermost lines of a page stand that hold something."""
    full = [at for at, line in enumerate(lines) if line]
    return list(dict.fromkeys([*full[:EDGE_LINES], *full[-EDGE_LINES:]]))


def _pattern(line: str) -> str:
    return _NUMBER.sub("#", line).casefold()


def _repeated(pages: list[list[str]]) -> set[str]:
    """What stands at the edge of a third of all pages (odd and even ones have headers of their own), whatever its
    numbers."""
    counts: Counter[str] = Counter()
    inside: Counter[str] = Counter()  # lines of a table are alike too, and stand everywhere
    for lines in pages:
        edges = _edges(lines)
        counts.update({_pattern(lines[at]) for at in edges})
        inside.update(_pattern(line) for at, line in enumerate(lines) if line and at not in edges)
    least = max(REPEATED_PAGES, len(pages) / 3)
    return {pattern for pattern, count in counts.items() if count >= least and 4 * inside[pattern] < count}


def _drop_edges(lines: list[str], repeated: set[str]) -> int:
    """Empties the lines of a page that are its header, footer or number, from the edges inwards."""
    edges, dropped = _edges(lines), 0
    for order in (edges, edges[::-1]):
        for at in order:
            is_number = len(edges) > 1 and at in (edges[0], edges[-1]) and _PAGE_NUMBER.fullmatch(lines[at])
            if not lines[at]:
                continue
            if _pattern(lines[at]) not in repeated and not is_number:
                break
            lines[at], dropped = "", dropped + 1
    return dropped


# -- paragraphs ----------------------------------------------------------------------------------------------------


def _paragraphs(pages: list[list[str]]) -> Iterator[str]:
    """Lines that were broken for the page's width are put together; a sentence goes on across pages."""
    held = ""
    for lines in pages:
        width = _width(lines)
        lead = True  # of a page nothing was read yet
        broken = True
        for line in lines:
            if not line:
                broken = True
                continue
            goes_on = bool(held) and (_is_open(held) if lead else not broken)
            if goes_on and not _ITEM.match(line):
                held = _joined(held, line)
            else:
                if held:
                    yield held
                held = line
            lead = False
            broken = len(line) < 0.7 * width and (line.endswith(_ENDS) or len(line) < 0.5 * width)
    if held:
        yield held


def _width(lines: list[str]) -> int:
    """How long a full line of the page is."""
    lengths = sorted(len(line) for line in lines if line)
    return lengths[int(0.9 * (len(lengths) - 1))] if lengths else 0


def _is_open(text: str) -> bool:
    """True for a paragraph that ends in the middle of a sentence."""
    return not text.endswith(_ENDS)


def _joined(text: str, line: str) -> str:
    if _HYPHEN.search(text) and line[:1].islower():
        return text[:-1] + line
    is_east = bool(text) and ord(text[-1]) > 0x2E7F and ord(line[0]) > 0x2E7F
    return text + ("" if is_east else " ") + line
