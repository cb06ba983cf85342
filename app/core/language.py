"""The language that people read: English as it stands in the code, or a catalogue's translation of it.

Catalogues are GNU gettext's (``resources/language/de.po`` and, compiled, ``de.mo``); ``packaging/words.py`` gathers
the texts. A process has one language from start to end, since many texts are made when modules are imported:
the variable `VARIABLE`, which workers inherit, names it. The command line speaks English whatever that says.

What is kept on disk outlives the language in which it was said: a text knows of what it was made (`Told.made_of`),
and is told anew in the language of whoever reads it (`retold`).
"""

from __future__ import annotations

import gettext
import os
import re
import string
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from app.core.resource import resource

VARIABLE = "LUTHIER_LANGUAGE"
QUOTES_VARIABLE = "LUTHIER_QUOTES_CODE"  # of a window's workers, whose sentences it shows
LANGUAGES = {"en": "English", "de": "Deutsch"}  # each by its own name, as people look for theirs
# Marks each text, and makes it longer by a third: what the marks are missing from is not translated.
PSEUDO = "xx"
_MARKS = "⟦", "⟧"
_THOUSANDS = (
    "\N{NARROW NO-BREAK SPACE}"  # 1,234 is 1.234 to some, and 1.234 is that to others; 1 234 is one number to all
)


_PLACE = re.compile(r"\w*")  # of a file's text: a name, and never what a name has or holds
_SPEC = re.compile(r"[+,]{0,2}\d?(\.\d{1,2})?[defgs%]?")


class Told(str):
    """A text that knows of what it was made: plain JSON, from which `retold` makes it in another language."""

    __slots__ = ("made_of",)
    made_of: dict[str, Any]

    def __new__(cls, text: str, made_of: dict[str, Any]) -> Told:
        found = super().__new__(cls, text)
        found.made_of = made_of
        return found

    def __str__(self) -> str:
        return self  # so that an error made of it tells it as it is

    def __reduce__(self) -> Any:
        return str, (self[:],)


class _Formatter(string.Formatter):
    """Python's, with thousands apart by a narrow space."""

    def format_field(self, value: Any, format_spec: str) -> str:
        found: str = super().format_field(value, format_spec)
        return found if "," not in format_spec or _catalogue is None else found.replace(",", _THOUSANDS)


class _KeptFormatter(_Formatter):
    """For texts that a file names: nothing but plain places, and no number wider than people write."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        if not _PLACE.fullmatch(field_name):
            raise ValueError(field_name)
        return super().get_field(field_name, args, kwargs)

    def format_field(self, value: Any, format_spec: str) -> str:
        if not _SPEC.fullmatch(format_spec):
            raise ValueError(format_spec)
        return super().format_field(value, format_spec)


class _Pseudo(gettext.NullTranslations):
    """A translation into no language: every text in marks."""

    def gettext(self, message: str) -> str:
        more = "·" * (len(message) // 3)
        return f"{_MARKS[0]}{message}{more}{_MARKS[1]}"

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        return self.gettext(msgid1 if n == 1 else msgid2)


class _Catalogue(gettext.GNUTranslations):
    """Knows the word for one thing as a text as well, which Python's own does not in 3.11.2."""

    def gettext(self, message: str) -> str:
        with suppress(LookupError):
            if (found := self.ngettext(message, message, 1)) != message:
                return found
        return super().gettext(message)


def _load(language: str) -> gettext.NullTranslations | None:
    if language == PSEUDO:
        return _Pseudo()
    if language not in LANGUAGES or language == "en":
        return None
    with resource("language", f"{language}.mo").open("rb") as file:
        return _Catalogue(file)


_CODE = re.compile(r"`([^`\n]+)`")  # as a text marks it, and a terminal shows it
_QUOTES = {"de": ("„", "“")}
MARKED = "`", "`"
_catalogue = _load(os.environ.get(VARIABLE, ""))
_formatter = _Formatter()


def language() -> str:
    """The language of this process, of `LANGUAGES`."""
    found = os.environ.get(VARIABLE, "")
    return found if _catalogue is not None else "en"


def choose_language(wanted: str) -> None:
    """This process and those that it starts speak ``wanted``; to be called before anything else is imported."""
    global _catalogue, _strict
    os.environ[VARIABLE] = wanted
    _catalogue, _strict = _load(wanted), None


def quote_code(wanted: bool = True) -> None:
    """From here on texts of this process, and of those that it starts, have code in the quotes of the language: a
    window shows its marks as they are written. A terminal does not want that."""
    global _around
    os.environ[QUOTES_VARIABLE] = "1" if wanted else ""
    _around = _marks_around()


def _marks_around() -> tuple[str, str]:
    return _QUOTES.get(language(), ("“", "”")) if os.environ.get(QUOTES_VARIABLE) else MARKED


_around = _marks_around()


def code(text: str) -> str:
    """Code, or a name as a file has it, in the marks of code; ``text`` may hold such marks itself."""
    before, after = _around
    return Told(f"{before}{text}{after}", {"code": str(text)})


def _shown(text: str) -> str:
    return text if _around == MARKED or "`" not in text else _CODE.sub("\\1".join(_around), text)


def tr(text: str, /, **values: Any) -> str:
    """``text`` in the language of this process, its ``{places}`` filled with ``values`` as `str.format` does it.

    A text without values is left as it is, braces and all.
    """
    if _catalogue is None:
        found = _shown(text)
        found = found.format(**values) if values else found
    else:
        found = _shown(_catalogue.gettext(text)) if text else text
        found = _formatter.format(found, **values) if values else found
    made_of: dict[str, Any] = {"text": text}
    if values:
        made_of["with"] = {name: _kept(value) for name, value in values.items()}
    return Told(found, made_of)


def trn(number: int, one: str, many: str) -> str:
    """The word for ``number`` things: ``one`` or ``many``, or what the catalogue has for them."""
    found = (one if number == 1 else many) if _catalogue is None else _catalogue.ngettext(one, many, number)
    return Told(found, {"one": one, "many": many, "number": int(number)})


def joined(parts: Iterable[str], between: str = " ") -> str:
    """Those of the texts that are not empty, one after the other, as a text that can be told anew."""
    kept = [part for part in parts if part]
    return Told(between.join(kept), {"parts": [_kept(part) for part in kept], "between": between})


def capital(text: str) -> str:
    """A text as a sentence begins; names in it keep their letters."""
    found = text[:1].upper() + text[1:]
    return Told(found, {"capital": text.made_of}) if isinstance(text, Told) else found


def inside(label: str) -> str:
    """A label as it stands within a sentence: English begins it small there."""
    return label[:1].lower() + label[1:] if _catalogue is None else label


def grouped(number: float, spec: str = ",.0f") -> str:
    """A number whose thousands are apart as the language has them: ``1,234``."""
    found = format(number, spec)
    return Told(
        found if _catalogue is None else found.replace(",", _THOUSANDS), {"figure": _kept(number), "spec": spec}
    )


def retold(made_of: Any, said: str) -> str:
    """What a text was made of (`Told.made_of`), in the language of this process.

    ``said`` is how it was said, and what is given back where it is of another version: its parts are not
    understood, or no catalogue has them.
    """
    try:
        return str(_retold(made_of))
    except (LookupError, ValueError, TypeError, AttributeError, RecursionError):
        return said


def _retold(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    if "text" in part:
        values = {name: _retold(value) for name, value in part.get("with", {}).items()}
        found = part["text"] if _catalogue is None or not part["text"] else _known().gettext(part["text"])
        found = _shown(found)
        return Told(_kept_formatter.format(found, **values) if values else found, part)
    if "one" in part:
        number, one, many = part["number"], part["one"], part["many"]
        word = one if number == 1 else many
        return Told(word if _catalogue is None else _known().ngettext(one, many, number), part)
    if "figure" in part:
        if not _SPEC.fullmatch(part["spec"]):
            raise ValueError(part["spec"])
        return grouped(part["figure"], part["spec"])
    if "code" in part:
        return code(str(part["code"]))
    if "capital" in part:
        return capital(_retold(part["capital"]))
    return joined([str(_retold(one)) for one in part["parts"]], part["between"])


def _kept(value: Any) -> Any:
    """A value as JSON has it."""
    if value is None or isinstance(value, (int, float)) or type(value) is str:
        return value
    found = value.item() if hasattr(value, "item") else str(value)
    return found.made_of if isinstance(found, Told) else found


class _Missing(gettext.NullTranslations):
    """What a catalogue falls back to that must have the text, or say so."""

    def gettext(self, message: str) -> str:
        raise LookupError(message)

    def ngettext(self, msgid1: str, msgid2: str, n: int) -> str:
        raise LookupError(msgid1, msgid2, n)


def _known() -> gettext.NullTranslations:
    """The catalogue, which raises `LookupError` for a text that it does not have."""
    global _strict
    if _strict is None:
        _strict = _load(language()) or gettext.NullTranslations()
        _strict.add_fallback(_Missing())
    return _strict


_strict: gettext.NullTranslations | None = None
_kept_formatter = _KeptFormatter()
