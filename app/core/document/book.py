"""EPUB books: their chapters in the order in which they are read."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import IO, Any
from urllib.parse import unquote

from app.core.document.package import Package, xml_tree
from app.core.document.paragraph import Account, DocumentError
from app.core.document.web_page import block_texts, page_root
from app.core.language import tr
from app.core.quantity import plural

_BOOK = tr("EPUB book")
_CHAPTER_LIMIT_BYTES = 32 << 20
_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbncx+xml", "text/x-oeb1-document")
# What only makes the letters of a font hard to take out.
_FONTS = (b"http://www.idpf.org/2008/embedding", b"http://ns.adobe.com/pdf/enc#RC")


def book_paragraphs(file: IO[bytes], account: Account) -> Iterator[str]:
    """The paragraphs of a book, chapter by chapter, without its table of contents."""
    package = Package(file, _BOOK)
    if _is_locked(package):
        raise DocumentError(tr("This EPUB book is locked (DRM), so that its text cannot be read."))
    chapters = _chapters(package)
    if not chapters:
        raise DocumentError(tr("This EPUB book names no chapters."), "damaged_file")
    account.tell(tr("It has {parts}, read in the book's order.", parts=plural(len(chapters), "part")))
    for name in chapters:
        root = page_root(package.read(name, _CHAPTER_LIMIT_BYTES))
        if root is not None:
            yield from block_texts(root)


def _is_locked(package: Package) -> bool:
    found = package.read("META-INF/encryption.xml")
    if not found:
        return False
    tree = xml_tree(found, _BOOK)
    methods = [element.get("Algorithm", "").encode() for element in tree.iter("{*}EncryptionMethod")]
    return any(method not in _FONTS for method in methods)


def _chapters(package: Package) -> list[str]:
    """The names of the parts that are read, in order."""
    container = package.read("META-INF/container.xml")
    roots = [] if not container else [e.get("full-path") for e in xml_tree(container, _BOOK).iter("{*}rootfile")]
    opf = next((name for name in roots if name in package.names), None)
    opf = opf or next((name for name in package.names if name.endswith(".opf")), None)
    if opf is None:
        return []
    tree, folder = xml_tree(package.read(opf), _BOOK), posixpath.dirname(opf)
    items: dict[str, Any] = {item.get("id"): item for item in tree.iter("{*}item")}
    found = []
    for entry in tree.iter("{*}itemref"):
        item = items.get(entry.get("idref"))
        if item is None or entry.get("linear") == "no" or "nav" in (item.get("properties") or "").split():
            continue
        name = posixpath.normpath(posixpath.join(folder, unquote(item.get("href") or "")))
        if item.get("media-type", _PAGES[0]) in _PAGES and name in package.names:
            found.append(name)
    return list(dict.fromkeys(found))
