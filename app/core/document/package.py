"""A package: a document that is a ZIP archive of XML, its parts opened within limits."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

from app.core.document.paragraph import DOCUMENT_LIMIT_BYTES, DocumentError, damaged_document
from app.core.language import tr

# What opening or reading a damaged archive raises.
PACKAGE_ERRORS = (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError,
                  struct.error, zlib.error, KeyError)  # fmt: skip
XML_RATIO_LIMIT = 400  # XML of real documents is packed to a twentieth at most, sometimes to a hundredth
XML_RATIO_FROM_BYTES = 64 << 20
PART_LIMIT_BYTES = 64 << 20


class Package:
    """The parts of a document by name. Raises `DocumentError` for a bomb and for damage."""

    def __init__(self, file: IO[bytes], what: str) -> None:
        self._what = what
        try:
            self._archive = zipfile.ZipFile(file)
        except PACKAGE_ERRORS as error:
            raise damaged_document(what, error) from error
        parts = self._archive.infolist()
        self.names = [part.filename for part in parts]
        size, packed = sum(part.file_size for part in parts), sum(part.compress_size for part in parts)
        if size > DOCUMENT_LIMIT_BYTES or (size > XML_RATIO_FROM_BYTES and size > XML_RATIO_LIMIT * max(packed, 1)):
            said = tr(
                "The {what} is {size:,}\u00a0MB when unpacked, far more than its text can be; it is not opened.",
                what=what,
                size=size >> 20,
            )
            raise DocumentError(said)

    @contextmanager
    def open(self, name: str) -> Iterator[IO[bytes]]:
        """A part as a stream."""
        try:
            with self._archive.open(name) as part:
                yield part
        except PACKAGE_ERRORS as error:
            raise damaged_document(self._what, error) from error

    def read(self, name: str, limit: int = PART_LIMIT_BYTES) -> bytes:
        """A part as a whole, empty where there is none."""
        if name not in self.names:
            return b""
        with self.open(name) as part:
            data = part.read(limit + 1)
        if len(data) > limit:
            raise DocumentError(
                tr(
                    "`{name}` in the {what} is larger than {limit}\u00a0MB.",
                    name=name[:60],
                    what=self._what,
                    limit=limit >> 20,
                )
            )
        return data


def xml_events(stream: IO[bytes], what: str, events: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    """The elements of an XML stream as they begin and end. Nothing outside it is read, no entity is put in."""
    from lxml import etree

    walk = etree.iterparse(
        stream, events=events, resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False,
        remove_comments=True, remove_pis=True,
    )  # fmt: skip
    try:
        yield from walk
    except etree.XMLSyntaxError as error:
        raise damaged_document(what, error) from error


def xml_tree(data: bytes, what: str) -> Any:
    """The root of a small XML file."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        return etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise damaged_document(what, error) from error


def let_go(element: Any) -> None:
    """Forgets an element that was read, and all before it, so that memory does not grow."""
    element.clear()
    parent = element.getparent()
    while parent is not None and element.getprevious() is not None:
        del parent[0]
