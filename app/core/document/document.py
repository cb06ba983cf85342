"""A document: of which kind it is by how it begins, and the reader of each kind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from app.core.document.book import book_paragraphs
from app.core.document.office import odt_paragraphs, word_paragraphs
from app.core.document.paragraph import DocumentReader
from app.core.document.pdf import pdf_paragraphs
from app.core.document.rich_text import rich_text_paragraphs
from app.core.document.subtitle import SUBTITLE_START
from app.core.document.web_page import page_paragraphs
from app.core.language import tr

DocumentKind = Literal["", "word", "odt", "pdf", "epub", "rtf", "html", "subtitles"]
DOCUMENT_SUFFIXES = (
    ".docx", ".odt", ".pdf", ".epub", ".rtf", ".html", ".htm", ".xhtml", ".srt", ".vtt", ".tmx",
)  # fmt: skip
_PAGE_START = re.compile(r"(<\?xml[^>]*\?>|<!--.*?-->|\s)*(<!doctype\s+html|<html[\s>])", re.IGNORECASE | re.DOTALL)
_PAGE_SUFFIXES = (".html", ".htm", ".xhtml")


@dataclass(frozen=True, slots=True)
class DocumentForm:
    """A kind of document: what it is called, and what reads it."""

    label: str
    reader: DocumentReader | None  # None: read as lines of text


DOCUMENTS: dict[DocumentKind, DocumentForm] = {
    "word": DocumentForm(tr("A Word document"), word_paragraphs),
    "odt": DocumentForm(tr("An OpenDocument text"), odt_paragraphs),
    "pdf": DocumentForm(tr("A PDF"), pdf_paragraphs),
    "epub": DocumentForm(tr("An EPUB book"), book_paragraphs),
    "rtf": DocumentForm(tr("An RTF document"), rich_text_paragraphs),
    "html": DocumentForm(tr("An HTML page"), page_paragraphs),
    "subtitles": DocumentForm(tr("Subtitles"), None),
}


def binary_document(head: bytes, parts: Sequence[str], mimetype: str) -> DocumentKind:
    """The kind of a document that is no plain text, by its first bytes and the names of what is packed in it."""
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.lstrip()[:5] == b"{\\rtf":
        return "rtf"
    if any(name.startswith("word/document") for name in parts):
        return "word"
    if "opendocument.text" in mimetype:
        return "odt"
    return "epub" if "META-INF/container.xml" in parts or "epub" in mimetype else ""


def text_document(head: str, suffix: str) -> DocumentKind:
    """The kind of a document that a text is; empty for a plain one."""
    if SUBTITLE_START.match(head):
        return "subtitles"
    if _PAGE_START.match(head.lstrip("\ufeff")) or (suffix in _PAGE_SUFFIXES and "<" in head):
        return "html"
    return ""
