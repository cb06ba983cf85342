"""Paragraphs of a document: what every reader of one yields, and the ways in which a document cannot be read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import IO

from app.core.language import tr

DOCUMENT_LIMIT_BYTES = 1 << 30  # unpacked; what is held as a whole has limits of its own
HELD_LIMIT_BYTES = 128 << 20
_BLANKS = re.compile(r"[^\S\n]+")


class DocumentError(Exception):
    """A document that cannot be read: the kind of the finding, and why with what to do."""

    def __init__(self, reason: str, kind: str = "unsupported_file") -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


class Account:
    """What a reader says of a document as a whole once it has read it, in sentences."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def tell(self, sentence: str) -> None:
        """Adds a sentence."""
        self.said.append(sentence)


# A reader of documents: from an open file that can be sought in, to paragraphs without a mark of the format.
DocumentReader = Callable[[IO[bytes], Account], Iterator[str]]


def damaged_document(what: str, error: Exception | str = "") -> DocumentError:
    """The error of a document whose inside is not as it should be."""
    reason = " ".join(str(error).split())[:160].rstrip(".")
    return DocumentError(
        tr("The {what} is damaged{value}.", what=what, value=f": {reason}" if reason else ""), "damaged_file"
    )


def held_bytes(file: IO[bytes], what: str, limit: int = HELD_LIMIT_BYTES) -> bytes:
    """All bytes of a file that can only be read as a whole. Raises `DocumentError` for one that is too large."""
    data = file.read(limit + 1)
    if len(data) > limit:
        said = tr(
            "The {what} is larger than {limit}\u00a0MB. Save it in parts, or as plain text.",
            what=what,
            limit=limit >> 20,
        )
        raise DocumentError(said)
    return data


def tidied(text: str) -> str:
    """A paragraph without soft hyphens, blanks at the ends of its lines, and more than one blank in a row."""
    text = text.replace("\u00ad", "").replace("\u200b", "").replace("\ufeff", "")
    return "\n".join(_BLANKS.sub(" ", line).strip() for line in text.split("\n")).strip()
