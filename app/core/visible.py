"""What of a text can be seen: a text of invisible characters alone is empty, and control characters are told.

So are the words that programs write where a value is missing: such a word would be learned like any other text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import orjson

from app.core.language import tr

# First and last of each stretch of Unicode's spaces, control and format characters, and of letters and marks that
# are drawn as nothing (grapheme joiner, fillers of Hangul and Khmer, Braille's blank, selectors of variants).
_STRETCHES = (
    (0x00, 0x20), (0x7F, 0xA0), (0xAD, 0xAD), (0x34F, 0x34F), (0x600, 0x605), (0x61C, 0x61C), (0x6DD, 0x6DD),
    (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2), (0x115F, 0x1160), (0x1680, 0x1680), (0x17B4, 0x17B5),
    (0x180E, 0x180E), (0x2000, 0x200F), (0x2028, 0x202F), (0x205F, 0x2064), (0x2066, 0x206F), (0x2800, 0x2800),
    (0x3000, 0x3000), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF9, 0xFFFB),
    (0x110BD, 0x110BD), (0x110CD, 0x110CD), (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A),
    (0xE0001, 0xE0001), (0xE0020, 0xE007F), (0xE0100, 0xE01EF),
)  # fmt: skip
INVISIBLE = "".join(chr(code) for first, last in _STRETCHES for code in range(first, last + 1))
_INVISIBLE = frozenset(INVISIBLE)
# As pandas, R, SQL, Python, JavaScript and spreadsheets (in English and in German) write what is missing.
_NOTHING = frozenset(
    (
        "nan", "NaN", "NaT", "<NA>", "NA", "NULL", "null", "\\N", "None", "undefined", "[object Object]", "#N/A",
        "#REF!", "#VALUE!", "#DIV/0!", "#NAME?", "#NUM!", "#NULL!", "#NV", "#BEZUG!", "#WERT!", "#ZAHL!",
    )
)  # fmt: skip
_LONGEST = max(map(len, _NOTHING))
# What texts have no use for: tabs, line breaks and page breaks are none of them.
_CONTROL = re.compile("[\x00-\x08\x0b\x0e-\x1f\x7f]")
_NEAR = 12  # characters on either side of one that is told


def writable_text(text: str) -> str:
    """A text as a file takes it: half a character, which Python keeps as a lone surrogate, becomes ``?``."""
    return text.encode("utf-8", "replace").decode("utf-8")


def is_blank(text: str) -> bool:
    """True if nothing of a text can be seen."""
    return not text.strip(INVISIBLE)


def word_for_nothing(texts: Iterable[str]) -> str:
    """The first of some texts that is such a word and nothing else; empty where none is."""
    for text in texts:
        word = text.strip()
        if len(word) <= _LONGEST and word in _NOTHING:
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


def may_hold_control(text: str, known: int = 0) -> bool:
    """A quick look for control characters but for the ``known`` ones, which part texts: JSON spells one with six
    characters, what else it escapes with two. True also where it cannot tell."""
    try:
        spelled = orjson.dumps(text)
    except TypeError:  # half of a character
        return True
    more = len(spelled) - 2 - 5 * known - (len(text) if text.isascii() else len(text.encode()))
    if more and more != sum(map(text.count, '\n"\\\r\t')):
        return True
    return "\x7f" in text


def control_told(text: str) -> str:
    """What is told of the first control character of a text; empty where there is none."""
    found = _CONTROL.search(text)
    if found is None:
        return ""
    start = found.start()
    near = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text[max(start - _NEAR, 0) : start + _NEAR])
    return tr(
        "It holds a control character (U+{code:04X}), near {near!r}, which is trained like any other.",
        code=ord(found.group()),
        near=near,
    )
