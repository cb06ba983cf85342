"""What is drawn as nothing, by Unicode's own table."""

from __future__ import annotations

import unicodedata

from app.core.visible import INVISIBLE

# Letters, marks and symbols that are drawn as nothing: joiner of graphemes, fillers, Braille's blank.
BLANK = {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
SELECTORS = {*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)}  # of variants


def test_every_space_and_every_control_and_format_character_is_invisible_and_nothing_else() -> None:
    found = set(map(ord, INVISIBLE))
    assert len(found) == len(INVISIBLE)
    category = {code: unicodedata.category(chr(code)) for code in range(0x110000)}
    formats = {code for code, kind in category.items() if kind in ("Zs", "Zl", "Zp", "Cc", "Cf")}
    assert formats | BLANK | SELECTORS <= found
    more = found - formats - BLANK - SELECTORS
    assert {category[code] for code in more} <= {"Cn"}, "of a newer Unicode than this Python's"
