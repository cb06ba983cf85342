"""Text of others made harmless for a terminal: what came with a model, a file's name or an error draws nothing."""

from __future__ import annotations

import os
import re

# Everything that a terminal obeys instead of showing it: C0 but for tab and newline, DEL, C1, and the marks that
# turn the direction of what follows (CVE-2021-42574); and what stands in Python's text for bytes that are no text.
_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_UNDECODED = re.compile("[\ud800-\udfff]")
REPLACEMENT = "\ufffd"


def harmless_text(text: str) -> str:
    """The text with a replacement character for each one that a terminal would obey, or cannot write."""
    if _UNDECODED.search(text):
        text = (
            os.fsencode(text).decode("utf-8", "replace") if _is_a_name(text) else _UNDECODED.sub(REPLACEMENT, text)
        )
    return _OBEYED.sub(REPLACEMENT, text)


def holds_no_text(name: object) -> bool:
    """Whether a path holds bytes that are no text; MLX neither reads nor writes there."""
    return _UNDECODED.search(str(name)) is not None


def _is_a_name(text: str) -> bool:
    """Whether every surrogate stands for a byte, as in names of files (PEP 383)."""
    return all("\udc80" <= one <= "\udcff" for one in _UNDECODED.findall(text))
