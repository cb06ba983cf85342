"""Refusals: files that hold no readable rows, known by how they begin, each with what to do instead."""

from __future__ import annotations

import re
import struct
import zipfile
import zlib
from collections import Counter
from dataclasses import dataclass
from typing import IO

from app.core.language import tr
from app.core.source.alphabet import is_readable

POINTER = tr(
    "This is only a pointer to the data ({kind}), not the data. Fetch it with `{fetch}`, or download the file."
)
_POINTERS = (
    (
        rb"version https://(git-lfs|hawser)\.github\.com/spec/",
        POINTER.format(kind=tr("Git LFS"), fetch="git lfs pull"),
    ),
    (rb"(\.\./|/)[^\n]*annex/objects/\S+\s*$", POINTER.format(kind="git-annex", fetch="git annex get")),
)
POINTER_LIMIT_BYTES = 1024  # the pointers' own limit

_PICKLE = tr("This is a Python pickle. It can run code when it is opened, so it is not read.")
A_MODEL = tr("This is a model, not data.")
_PROGRAM = tr("This is a program.")
_PICTURE = tr("This is a picture.")
_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x80\x02", _PICKLE),
    (b"\x80\x03", _PICKLE),
    (b"\x80\x04", _PICKLE),
    (b"\x80\x05", _PICKLE),
    (b"\x89HDF", tr("This is an HDF5 file.")),
    (
        b"SQLite format 3\x00",
        tr(
            "This is an SQLite database. Export a table of it as CSV, for example with `sqlite3 "
            '-header -csv FILE "SELECT * FROM TABLE" > rows.csv`.'
        ),
    ),
    (b"BZh", tr("This is a bzip2 archive. Unpack it first.")),
    (b"\xfd7zXZ", tr("This is an xz archive. Unpack it first.")),
    (b"7z\xbc\xaf", tr("This is a 7-Zip archive. Unpack it first.")),
    (b"Rar!", tr("This is a RAR archive. Unpack it first.")),
    (b"\x89PNG", _PICTURE),
    (b"\xff\xd8\xff", _PICTURE),
    (b"GIF8", _PICTURE),
    (b"II*\x00", _PICTURE),
    (b"MM\x00*", _PICTURE),
    (b"\xd0\xcf\x11\xe0", tr("This is an old Office document. Save it as CSV or text.")),
    (b"\x93NUMPY", tr("This is a NumPy array, not rows of text.")),
    (b"\x7fELF", _PROGRAM),
    (b"\xcf\xfa\xed\xfe", _PROGRAM),
    (b"\xca\xfe\xba\xbe", _PROGRAM),
    (b"GGUF", A_MODEL),
    (b"FEA1", tr("This is a Feather file of the first version. Save it as Parquet.")),
)
_SAFETENSORS = re.compile(rb".{4}\0{4}\{\s*[\"}]", re.DOTALL)  # how long the header is, then the header: JSON
BINARY = tr("This is a binary file, not rows of text.")
HEADER = 4096  # characters
AT_EACH_END = 1 << 16  # characters at the start of a text and at its end
MOST_UNREADABLE = 0.03  # of the characters of a text; what is none reads as 5 to 20 % of them in any encoding
FEW_UNREADABLE = 8  # … which a short text may have
_OF_PROGRAMS = "\v\f\x1b"  # pages and colours, as programs print them
_CONTROLS = frozenset(map(chr, (*range(32), 127))) - frozenset(f"\t\n\r{_OF_PROGRAMS}")
ZIP_START = b"PK\x03\x04"
# What opening a damaged archive raises.
ARCHIVE_ERRORS = (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, RuntimeError, EOFError,
                  struct.error, zlib.error)  # fmt: skip
# What a ZIP archive is by the name of a file in it.
_ARCHIVES: tuple[tuple[str, str], ...] = (
    ("xl/", tr("This is an Excel workbook. Save it as CSV UTF-8.")),
    ("ppt/", tr("This is a presentation. Save its text as a .txt file.")),
    ("content.xml", tr("This is an OpenDocument file. Save its text as a .txt file.")),
    ("Index/", tr("This is a document of Numbers or Pages. Export a table as CSV, a text as plain text.")),
)
_PLAIN = tr("This is a ZIP archive. Unpack it first.")
_PACKED = ("word/document", "META-INF/container.xml")
_MARKUP: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"<\?xml\s"), tr("This is an XML document: its tags would be trained.")),
)  # fmt: skip


def pointer_of(head: bytes, size: int) -> str:
    """What a file of ``size`` bytes stands for that only names where its data is; empty for all others."""
    if size > POINTER_LIMIT_BYTES:
        return ""
    return next((said for pattern, said in _POINTERS if re.match(pattern, head)), "")


def refusal_of(head: bytes, packed: PackedNames) -> str:
    """Why a file that begins so (decompressed) is not read, and what to do; empty for what may be data."""
    if head.startswith(ZIP_START):
        return _archive(packed.names)
    if _SAFETENSORS.match(head):
        return A_MODEL
    return next((said for start, said in _STARTS if head.startswith(start)), "")


def is_binary(text: str, *, is_guessed: bool) -> bool:
    """Whether what a file begins with was never a text. ``is_guessed`` where it is neither UTF-8 nor of an encoding
    that somebody chose: then it may also hold no characters that there are not."""
    if text.count("\0", 0, HEADER) > FEW_UNREADABLE:  # lengths and numbers of a header
        return True
    text = text if len(text) <= 2 * AT_EACH_END else text[:AT_EACH_END] + text[-AT_EACH_END:]
    unreadable = sum(
        count for one, count in Counter(text).items() if one in _CONTROLS or (is_guessed and _is_no_character(one))
    )
    return unreadable > max(FEW_UNREADABLE, MOST_UNREADABLE * len(text))


def _is_no_character(one: str) -> bool:
    """Beyond the first 65,536 are characters that this Python is too old for: noise has none of them."""
    return one == "\ufffd" or not (is_readable(one) or one in _OF_PROGRAMS or one > "\uffff")


def markup_of(head: str) -> str:
    """What a text is whose marks would be trained with it; empty for a plain one."""
    start = head.lstrip("\ufeff \t\r\n")[:4096]
    if (start.startswith("<?xml") or start.startswith("<!")) and (found := re.search(r"<html[\s>]", start)):
        start = start[found.start() :]
    return next((said for pattern, said in _MARKUP if pattern.match(start)), "")


@dataclass(frozen=True, slots=True)
class PackedNames:
    """The names of the files in a ZIP archive, and the kind that OpenDocument and EPUB write into it; empty for
    what is none, or damaged."""

    names: tuple[str, ...] = ()
    kind: str = ""


def packed_names(file: IO[bytes]) -> PackedNames:
    """What a file that begins as a ZIP archive does holds."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = tuple(archive.namelist())
            if "mimetype" not in names:
                return PackedNames(names)
            with archive.open("mimetype") as part:
                return PackedNames(names, part.read(100).decode("ascii", "replace"))
    except ARCHIVE_ERRORS:
        return PackedNames()


def is_plain_archive(names: tuple[str, ...]) -> bool:
    """True for an archive of files, which is no document, book or workbook."""
    return _archive(names) == _PLAIN and not any(name.startswith(_PACKED) for name in names)


def _archive(names: tuple[str, ...]) -> str:
    for part, said in _ARCHIVES:
        if any(name.startswith(part) for name in names):
            return said
    return _PLAIN
