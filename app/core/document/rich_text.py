"""RTF documents: their text without control words, pictures, headers and footers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import IO

from app.core.document.paragraph import Account, damaged_document, held_bytes, tidied
from app.core.language import tr

RTF_LIMIT_BYTES = 64 << 20
# Groups beside the text, which the library would read as text.
_BESIDE = re.compile(r"\\(header|footer)[lrf]?(?![a-z])")
_CELLS = re.compile(r"\|(?=\n|$)")


def rich_text_paragraphs(file: IO[bytes], account: Account) -> Iterator[str]:
    """The paragraphs of an RTF document; a row of a table is a line."""
    from striprtf.striprtf import rtf_to_text

    source = held_bytes(file, tr("RTF document"), RTF_LIMIT_BYTES).decode("latin-1")
    if _group_end(source, source.find("{")) is None:
        account.tell(tr("Its last bracket is missing: the end of the text may be, too."))
    source, count = _without_groups(source)
    if count:
        account.tell(tr("Headers and footers are left out."))
    try:
        text = rtf_to_text(source, encoding="cp1252", errors="replace")
    except (ValueError, IndexError, KeyError, LookupError, OverflowError, RecursionError) as error:
        raise damaged_document(tr("RTF document"), error) from error
    for line in text.split("\n"):
        cells = _CELLS.sub("", line).split("|") if line.endswith("|") else [line]
        if found := "\t".join(tidied(cell) for cell in cells).strip():
            yield found


def _without_groups(source: str) -> tuple[str, int]:
    """The document without the groups that hold headers and footers, and how many there were."""
    kept, at, count = [], 0, 0
    while (found := _BESIDE.search(source, at)) is not None:
        start = source.rfind("{", at, found.start())
        if start < 0 or source[start + 1 : found.start()].strip():  # no group of its own
            kept.append(source[at : found.end()])
            at = found.end()
            continue
        kept.append(source[at:start])
        at, count = _group_end(source, start) or len(source), count + 1
    return "".join([*kept, source[at:]]), count


def _group_end(source: str, start: int) -> int | None:
    """Where a group ends; None for one that is cut off."""
    depth = 0
    for mark in re.compile(r"\\.|[{}]", re.DOTALL).finditer(source, start):
        depth += {"{": 1, "}": -1}.get(mark[0], 0)
        if depth == 0:
            return mark.end()
    return None
