"""The language that people read: English as it stands in the code, or a catalogue's translation of it.

Catalogues are GNU gettext's (``resources/language/de.po`` and, compiled, ``de.mo``); ``packaging/words.py`` gathers
the texts. A process has one language from start to end, since many texts are made when modules are imported:
the variable `VARIABLE`, which workers inherit, names it. The command line speaks English unless that variable says
otherwise.
"""

from __future__ import annotations

import gettext
import os
import string
from typing import Any

from app.core.resource import resource

VARIABLE = "LUTHIER_LANGUAGE"
LANGUAGES = {"en": "English", "de": "Deutsch"}  # each by its own name, as people look for theirs
# Marks each text, and makes it longer by a third: what the marks are missing from is not translated.
PSEUDO = "xx"
_MARKS = "⟦", "⟧"
_THOUSANDS = (
    "\N{NARROW NO-BREAK SPACE}"  # 1,234 is 1.234 to some, and 1.234 is that to others; 1 234 is one number to all
)


class _Formatter(string.Formatter):
    """Python's, with thousands apart by a narrow space."""

    def format_field(self, value: Any, format_spec: str) -> str:
        found: str = super().format_field(value, format_spec)
        return found.replace(",", _THOUSANDS) if "," in format_spec else found


class _Pseudo(gettext.NullTranslations):
    """A translation into no language: every text in marks."""

    def gettext(self, message: str) -> str:
        more = "·" * (len(message) // 3)
        return f"{_MARKS[0]}{message}{more}{_MARKS[1]}"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


def _load(language: str) -> gettext.NullTranslations | None:
    if language == PSEUDO:
        return _Pseudo()
    if language not in LANGUAGES or language == "en":
        return None
    with resource("language", f"{language}.mo").open("rb") as file:
        return gettext.GNUTranslations(file)


_catalogue = _load(os.environ.get(VARIABLE, ""))
_formatter = _Formatter()


def language() -> str:
    """The language of this process, of `LANGUAGES`."""
    found = os.environ.get(VARIABLE, "")
    return found if _catalogue is not None else "en"


def choose_language(wanted: str) -> None:
    """This process and those that it starts speak ``wanted``; to be called before anything else is imported."""
    global _catalogue
    os.environ[VARIABLE] = wanted
    _catalogue = _load(wanted)


def tr(text: str, /, **values: Any) -> str:
    """``text`` in the language of this process, its ``{places}`` filled with ``values`` as `str.format` does it.

    A text without values is left as it is, braces and all.
    """
    if _catalogue is None:
        return text.format(**values) if values else text
    found = _catalogue.gettext(text) if text else text
    return _formatter.format(found, **values) if values else found


def trn(number: int, one: str, many: str) -> str:
    """The word for ``number`` things: ``one`` or ``many``, or what the catalogue has for them."""
    if _catalogue is None:
        return one if number == 1 else many
    return _catalogue.ngettext(one, many, number)


def inside(label: str) -> str:
    """A label as it stands within a sentence: English begins it small there."""
    return label[:1].lower() + label[1:] if _catalogue is None else label


def grouped(number: float, spec: str = ",.0f") -> str:
    """A number whose thousands are apart as the language has them: ``1,234``."""
    found = format(number, spec)
    return found if _catalogue is None else found.replace(",", _THOUSANDS)
