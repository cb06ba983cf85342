"""Texts that say nothing: blank ones, and the words that programs write where a value is missing.

Such a word is a text like any other in a row, and would be learned as one.
"""

from __future__ import annotations

from collections.abc import Iterable

from app.core.visible import INVISIBLE, is_blank

# As pandas, R, SQL, Python, JavaScript and spreadsheets (in English and in German) write them.
_WORDS = frozenset(
    (
        "nan", "NaN", "NaT", "<NA>", "NA", "NULL", "null", "\\N", "None", "undefined", "[object Object]", "#N/A",
        "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#NV", "#BEZUG!", "#WERT!", "#ZAHL!",
    )
)  # fmt: skip
_LONGEST = max(map(len, _WORDS))
_INVISIBLE = frozenset(INVISIBLE)


def word_for_nothing(texts: Iterable[str]) -> str:
    """The first of some texts that is such a word and nothing else; empty where none is."""
    for text in texts:
        word = text.strip()
        if len(word) <= _LONGEST and word in _WORDS:
            return word
    return ""


def says_nothing(texts: Iterable[str]) -> bool:
    """True if one of some texts is blank or such a word; asked of every row of a file."""
    for text in texts:
        if (len(text) <= _LONGEST or text[0] in _INVISIBLE or text[-1] in _INVISIBLE) and (
            is_blank(text) or word_for_nothing((text,))
        ):
            return True
    return False
