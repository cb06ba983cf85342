"""The encoding of a text, judged by what it holds outside ASCII: Unicode, or letters and words of a language."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from typing import NamedTuple

from app.core.language import tr
from app.core.source.alphabet import (
    ALPHABETS,
    east_asian_fit,
    fit_of,
    lead_of,
    readable_share,
    triples_of,
    word_counts,
)

SAMPLE_BYTES = 6_000
# Candidates where a text is not Unicode: an encoding, its languages, and what speaks against it beforehand. Of two
# that fit alike the earlier one is taken.
_WEST = ("en", "de", "fr", "es", "pt", "it", "ca", "sv", "da", "fi", "is", "nl", "et")
_CENTRAL = ("pl", "cs", "sk", "hu", "ro", "hr", "de")
_CYRILLIC = ("ru", "uk", "bg", "sr")
CANDIDATES: tuple[tuple[str, tuple[str, ...], float], ...] = (
    ("cp1252", _WEST, 0.0), ("cp1250", _CENTRAL, 0.0), ("iso8859_2", _CENTRAL, 0.02), ("cp1254", ("tr",), 0.0),
    ("cp1257", ("lt", "lv", "et"), 0.0), ("cp1251", _CYRILLIC, 0.0), ("koi8_r", ("ru", "bg"), 0.0),
    ("koi8_u", ("uk",), 0.0), ("cp1253", ("el",), 0.0), ("iso8859_7", ("el",), 0.02), ("cp1255", ("he",), 0.0),
    ("cp1256", ("ar",), 0.0), ("iso8859_6", ("ar",), 0.05), ("iso8859_5", _CYRILLIC, 0.05),
    ("mac_roman", _WEST, 0.02), ("mac_cyrillic", _CYRILLIC, 0.05), ("mac_latin2", _CENTRAL, 0.15),
    ("mac_turkish", ("tr",), 0.15), ("cp850", _WEST, 0.3), ("cp852", _CENTRAL, 0.3),
    ("cp866", ("ru", "bg"), 0.05),
    ("cp874", ("th",), 0.15),
)  # fmt: skip
EAST_ASIAN: tuple[tuple[str, str, float], ...] = (
    ("gb18030", "zh", 0.0), ("big5", "zh", 0.0), ("cp950", "zh", 0.02), ("shift_jis", "ja", 0.0),
    ("cp932", "ja", 0.01), ("euc_jp", "ja", 0.0), ("euc_kr", "ko", 0.0), ("cp949", "ko", 0.01),
)  # fmt: skip
SURE_FIT = 0.55  # below it the text looks like none of the languages
SURE_LEAD = 0.12  # less than this before the next one, which reads other characters …
OWN_LEAD = 0.5  # … unless those that it reads otherwise fit so much worse
# Bytes that are no part of a longer character in any of the encodings.
_CUTS = re.compile(rb"[\r\n\t \",:]")
_JAPANESE_MAIL = (b"\x1b$B", b"\x1b$@")
ENCODING_LABELS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "utf-32": "UTF-32",
    "utf-32-le": "UTF-32",
    "utf-32-be": "UTF-32",
    "latin-1": "Latin-1",
    "cp1252": tr("Latin-1 (Windows-1252)"),
    "mac_roman": tr("Mac Roman (mac_roman)"),
    "cp850": tr("DOS (cp850)"),
    "cp1250": tr("Central European (Windows-1250)"),
    "iso8859_2": tr("Central European (Latin-2)"),
    "cp852": tr("Central European (DOS, cp852)"),
    "mac_latin2": tr("Central European (Mac)"),
    "cp1254": tr("Turkish (Windows-1254)"),
    "mac_turkish": tr("Turkish (Mac)"),
    "cp1257": tr("Baltic (Windows-1257)"),
    "cp1251": tr("cp1251 (Cyrillic)"),
    "koi8_r": tr("KOI8-R (Cyrillic)"),
    "koi8_u": tr("KOI8-U (Cyrillic)"),
    "iso8859_5": tr("Cyrillic (ISO 8859-5)"),
    "mac_cyrillic": tr("Cyrillic (Mac)"),
    "cp866": tr("Cyrillic (DOS, cp866)"),
    "cp1253": tr("Greek (Windows-1253)"),
    "iso8859_7": tr("Greek (ISO 8859-7)"),
    "cp1255": tr("Hebrew (Windows-1255)"),
    "cp1256": tr("Arabic (Windows-1256)"),
    "iso8859_6": tr("Arabic (ISO 8859-6)"),
    "cp874": tr("Thai (Windows-874)"),
    "gb18030": "gb18030",
    "big5": "big5",
    "cp950": tr("big5 (Windows)"),
    "shift_jis": "shift_jis",
    "cp932": tr("shift_jis (Windows)"),
    "euc_jp": "euc_jp",
    "iso2022_jp": "iso2022_jp",
    "euc_kr": "euc_kr",
    "cp949": tr("euc_kr (Windows)"),
}
# Those that a person chooses from, as codecs call them, each with its label.
ENCODING_CHOICES = {
    name: f"{label} · {name}" if name not in label else label
    for name, label in ENCODING_LABELS.items() if name not in ("utf-8-sig", "latin-1")
}  # fmt: skip
# Codecs that are for parts of texts, or that read halves of characters.
_NO_CHARSETS = frozenset(
    ("utf-7", "unicode-escape", "raw-unicode-escape", "idna", "punycode", "undefined", "mbcs", "oem")
)
EXAMPLE_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Judgement:
    """The likeliest encoding of a text; ``rival`` is one that fits nearly as well and reads other characters, and
    ``is_sure`` says that there is none and that the text looks like a language."""

    encoding: str
    is_sure: bool = True
    rival: str = ""


def usable_encoding(name: str) -> str:
    """The codec's name of an encoding of texts that a person names; empty where there is none."""
    try:
        found = codecs.lookup(name.strip())
        "a".encode(found.name)
    except (LookupError, ValueError, TypeError, UnicodeError):
        return ""
    if found.name.replace("_", "-") in _NO_CHARSETS:
        return ""
    return next((known for known in ENCODING_LABELS if codecs.lookup(known).name == found.name), found.name)


def reading_of(text: str, encoding: str) -> str:
    """In which encoding a text is read, with a line of it that shows whether that is right."""
    said = tr("Read as {get}", get=ENCODING_LABELS.get(encoding, encoding))
    line = example_line(text)
    return tr("{said}, for example “{line}”.", said=said, line=line) if line else f"{said}."


def example_line(text: str) -> str:
    """A line with characters outside ASCII, cut; empty where there is none."""
    text = text[:200_000]
    found = re.search(r"[^\x00-\x7f\ufeff]", text)
    if found is None:
        return ""
    ends = [at for end in "\r\n" if (at := text.find(end, found.start())) >= 0]
    begin = max(text.rfind(end, 0, found.start()) for end in "\r\n") + 1
    line = text[begin : min(ends, default=len(text))].strip("\ufeff \t")
    # From the start, or from a little before the first character that tells.
    telling = next((at for at, character in enumerate(line) if not character.isascii()), 0)
    start = max(telling - EXAMPLE_CHARACTERS // 2, 0)
    end = start + EXAMPLE_CHARACTERS
    return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"


def judge_encoding(block: bytes, *, is_cut: bool) -> Judgement:
    """UTF-8 when most of the lines outside ASCII are; a line or two may be broken and are reported as such.

    ``is_cut`` when the block goes on, so that its last character may be half of one.
    """
    lines = [line for line in re.split(rb"[\r\n]+", block) if not line.isascii()]
    good = sum(1 for line in lines if _is_utf8(line))
    if good * 2 >= len(lines):
        return Judgement("utf-8")
    if is_cut and len(lines) > 1 and block[-1:] not in (b"\r", b"\n"):
        lines.pop()
    return _judged(_sample(lines, is_cut=is_cut))


class _Fit(NamedTuple):
    """How well an encoding fits, the text that it reads, and the language that fits best."""

    fit: float
    name: str
    text: str
    language: str


def _judged(sample: bytes) -> Judgement:
    fits = sorted(_fits(sample), key=lambda found: -found.fit)
    if not fits:
        return Judgement("latin-1", is_sure=False)
    best = fits[0]
    rival = next((its.name for its in fits[1:] if _is_rival(best, its)), "")
    return Judgement(best.name, best.fit >= SURE_FIT and not rival, rival)


def _is_rival(best: _Fit, other: _Fit) -> bool:
    if other.text == best.text or best.fit - other.fit >= SURE_LEAD:
        return False
    one, two = ALPHABETS.get(best.language), ALPHABETS.get(other.language)
    if one is None or two is None or len(best.text) != len(other.text):
        return True
    return lead_of(one, best.text, two, other.text) < OWN_LEAD


def _fits(sample: bytes) -> list[_Fit]:
    """How well the sample fits each candidate that can read it at all."""
    found = []
    for name, languages, handicap in CANDIDATES:
        text = _decoded(sample, name)
        if text is None:
            continue
        triples, words = triples_of(text), word_counts(text)
        fits = [(fit_of(ALPHABETS[language], triples, words), language) for language in languages]
        fit, language = max(fits, key=lambda its: its[0])
        found.append(_Fit(fit - handicap, name, text, language))
    for name, language, handicap in EAST_ASIAN:
        text = _decoded(sample, name)
        if text is not None:
            found.append(_Fit(east_asian_fit(language, text) - handicap, name, text, language))
    return found


def _decoded(sample: bytes, name: str) -> str | None:
    try:
        return sample.decode(name)
    except UnicodeDecodeError:
        return None


def japanese_mail(block: bytes) -> bool:
    """True for ISO-2022-JP, which is ASCII by its bytes."""
    return any(mark in block for mark in _JAPANESE_MAIL) and b"\x1b(" in block


def wide_encoding(head: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: bytes of zero, and read so nothing but characters, some of them ASCII."""
    if b"\0" not in head:
        return ""
    found = []
    for name, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        text = _decoded(head[: len(head) - len(head) % width], name)
        if text is None and width == 2:  # cut between the halves of a character
            text = _decoded(head[: len(head) - len(head) % width - 2], name)
        if text and readable_share(text) > 0.95:
            kana = sum("\u3000" <= one <= "\u30ff" for one in text)
            ascii_count = sum(map(str.isascii, text))
            found.append((ascii_count / len(text), name, (ascii_count + kana) / len(text)))
    share, name, usual = max(found, default=(0.0, "", 0.0))
    if share <= 0 or (usual <= 0.5 and _is_text_with_zeros(head)):  # which reads as rare characters
        return ""
    return name


def _is_text_with_zeros(head: bytes) -> bool:
    try:
        text = codecs.getincrementaldecoder("utf-8")().decode(head.replace(b"\0", b""))
    except UnicodeDecodeError:
        return False
    return readable_share(text) == 1


def _sample(lines: list[bytes], *, is_cut: bool) -> bytes:
    """The first lines, whole ones: a character that is cut in two fits no encoding."""
    sample = b""
    for line in lines:
        if sample and len(sample) + len(line) > SAMPLE_BYTES:
            return sample
        sample += line + b"\n"
    if len(sample) > SAMPLE_BYTES or (is_cut and len(lines) == 1):
        ends = [match.end() for match in _CUTS.finditer(sample, 0, min(SAMPLE_BYTES, len(sample) - 1))]
        sample = sample[: ends[-1]] if ends else sample
    return sample


def _is_utf8(line: bytes) -> bool:
    """A line at the end of a block may be cut in the middle of a character."""
    try:
        line.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.start >= len(line) - 3 and error.start > 0
    return True
