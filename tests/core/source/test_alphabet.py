"""How well characters fit a language, and how an encoding is told, shown and named."""

from __future__ import annotations

from collections import Counter

import pytest

from app.core.source.alphabet import (
    ALPHABETS,
    east_asian_fit,
    fit_of,
    lead_of,
    readable_share,
    triples_of,
    word_counts,
)
from app.core.source.encoding import (
    example_line,
    japanese_mail,
    judge_encoding,
    reading_of,
    usable_encoding,
    wide_encoding,
)


@pytest.mark.parametrize(
    "language, triple, worth",
    [
        ("de", "aäb", 1.0), ("de", "aéb", 0.4), ("de", "aжb", -1.0),
        ("de", " ä ", 0.3), ("de", " é ", 0.3), ("de", " äb", 1.0), ("de", "bä ", 1.0),
        ("de", "aÄb", -1.0), ("de", " Äb", 1.0), ("de", "BÄc", 0.3), ("de", " Éb", 0.4), ("de", "BÉc", 0.12),
        ("de", "BäC", -0.7), ("de", "Bäc", 1.0), ("de", "bäC", 1.0),
        ("de", " “a", 0.6), ("de", "a” ", 0.6), ("de", "a“b", -1.0), ("de", "a’b", 0.6),
        ("ru", " он", 1.0), ("ru", "1он", 1.0), ("ru", "aо ", -1.0), ("ru", "оое", 1.0), ("ru", "ооb", -1.0),
        ("ru", "нзн", 0.4), ("el", "ας ", 1.0), ("el", "αςα", -1.0),
    ],
)  # fmt: skip
def test_how_well_a_character_stands_where_it_does(language: str, triple: str, worth: float) -> None:
    assert ALPHABETS[language].worth(*triple) == pytest.approx(worth)


def test_how_well_a_text_fits_a_language() -> None:
    """The mean of its characters outside ASCII, and up to 0.4 more where every fifth word is a common one."""

    def fit(text: str) -> float:
        return fit_of(ALPHABETS["de"], triples_of(text), word_counts(text))

    assert triples_of("öa ö") == {(" ", "ö", "a"): 1, (" ", "ö", " "): 1}
    assert word_counts("Das das_2 Öl") == {"das": 2, "öl": 1}
    assert fit("schön") == fit("schön schön") == 1.0
    assert fit("schön Das ist") == pytest.approx(1.4)
    assert fit("schön und kalt nass heiss weit fern") == pytest.approx(1 + 0.4 * 5 / 7)
    assert fit("schön schön aжb") == pytest.approx(1 / 3)
    assert fit("") == fit("rain") == 0.0
    assert fit_of(ALPHABETS["de"], Counter(), Counter({"und": 3})) == pytest.approx(0.4)


def test_how_much_better_one_reading_is_counts_where_the_two_differ() -> None:
    de, ru = ALPHABETS["de"], ALPHABETS["ru"]
    assert lead_of(de, "schön", ru, "schцn") == 2.0
    assert lead_of(de, "schön größer", ru, "schцn größer") == 2.0
    assert lead_of(de, "é ö", ru, "з о") == pytest.approx((0.3 + 0.3 - 0.3 - 0.3) / 2)
    assert lead_of(de, "same", ru, "same") == 0.0


@pytest.mark.parametrize(
    "language, text, fit",
    [
        ("zh", "的", 1.2), ("zh", "，", 0.8), ("zh", "é", -1.0), ("zh", "啊", 0.5), ("zh", "座", 0.5),
        ("zh", "籲", 0.5), ("zh", "亍", -0.7), ("zh", "鿿", -0.7), ("zh", "㐀", -1.0), ("zh", "ꀀ", -1.0),
        ("zh", "a的1", 1.2), ("zh", "的é的", 0.466667), ("zh", "abc", 0.0),
        ("ja", "ぁ", 1.0), ("ja", "ゖ", 1.0), ("ja", "ァ", 1.0), ("ja", "ー", 1.0), ("ja", "ぁ、", 0.9),
        ("ja", "ぁｶ", 0.1), ("ja", "ぁ日", 0.8), ("ja", "ぁ腕", 0.8), ("ja", "ぁ弌", 0.2), ("ja", "日", 0.3),
        ("ja", "日、", 0.3), ("ja", "日日日日日日日日日ヿ", 0.46), ("ja", "ｶ", -0.8),
        ("ko", "가", 1.0), ("ko", "힝", 1.0), ("ko", "힣", -0.3), ("ko", "뷁", -0.3), ("ko", "一", -1.5),
        ("ko", "，", 0.6), ("ko", "©", 0.6), ("ko", "é", -0.8),
    ],
)  # fmt: skip
def test_how_well_a_text_fits_a_language_of_east_asia(language: str, text: str, fit: float) -> None:
    assert east_asian_fit(language, text) == pytest.approx(fit, abs=1e-6)


def test_which_characters_can_stand_in_a_text() -> None:
    assert readable_share("a\t\r\n é\u00a0\u200b的") == 1.0
    assert readable_share("a\x00\ue000\u0378") == 0.25
    assert readable_share("") == 0.0


@pytest.mark.parametrize(
    "name, known",
    [
        (" UTF8 ", "utf-8"), ("latin1", "latin-1"), ("Windows-1252", "cp1252"), ("macroman", "mac_roman"),
        ("iso-8859-15", "iso8859-15"), ("ascii", "ascii"), ("utf-7", ""), ("raw_unicode_escape", ""), ("rot13", ""),
        ("hex", ""), ("none", ""), ("", ""), ("a\0b", ""), ("undefined", ""),
    ],
)  # fmt: skip
def test_which_encodings_can_be_named(name: str, known: str) -> None:
    assert usable_encoding(name) == known


@pytest.mark.parametrize(
    "text, line",
    [
        ("", ""), ("rain", ""), ("\ufeffrain", ""), ("\ufeffä", "ä"), ("a\r\nb ä c\nd ö", "b ä c"),
        ("a\rä\rb", "ä"), (" \t ä \t", "ä"), ("a\nä", "ä"), ("ä\nb", "ä"),
        ("x" * 30 + "ä" + "y" * 29, "x" * 30 + "ä" + "y" * 29),
        ("x" * 30 + "ä" + "y" * 30, "x" * 30 + "ä" + "y" * 29 + "…"),
        ("x" * 31 + "ä" + "y" * 29, "…" + "x" * 30 + "ä" + "y" * 29),
        ("x" * 50 + "ä" + "y" * 50, "…" + "x" * 30 + "ä" + "y" * 29 + "…"),
        ("x" * 199_999 + "ä", "…" + "x" * 30 + "ä"), ("x" * 200_000 + "ä", ""),
    ],
)  # fmt: skip
def test_the_line_that_shows_an_encoding(text: str, line: str) -> None:
    assert example_line(text) == line
    said = f"Read as Greek (ISO 8859-7), for example “{line}”." if line else "Read as Greek (ISO 8859-7)."
    assert reading_of(text, "iso8859_7") == said
    assert reading_of("", "ascii") == "Read as ascii."


GERMAN = "Früh um fünf, heißt es; größer als üblich.".encode("cp1252")


@pytest.mark.parametrize(
    "block, is_cut, encoding",
    [
        (b"rain", False, "utf-8"), ("Flöße".encode(), False, "utf-8"), (GERMAN, False, "cp1252"),
        ("ä\r\n".encode() + GERMAN, False, "utf-8"), ("ä\nb\n".encode() + GERMAN + b"\n" + GERMAN, False, "cp1252"),
        (b"rain\n" * 9 + GERMAN, False, "cp1252"),
        # A block may end in the midst of a character.
        (b"a\xc3", True, "utf-8"), (b"a\xf0\x9f\x98", True, "utf-8"),
        (GERMAN + b"\n" + "Größe".encode("cp1252")[:3], True, "cp1252"),
    ],
)  # fmt: skip
def test_in_which_encoding_a_block_is_read(block: bytes, is_cut: bool, encoding: str) -> None:
    assert judge_encoding(block, is_cut=is_cut).encoding == encoding


@pytest.mark.parametrize("name", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_wide_characters_are_told_by_their_zeros(name: str) -> None:
    text = "The tide, um sechs 潮"
    for end in (text, f"{text}x", f"{text}\U0001f4a7"):
        data = end.encode(name)
        assert {wide_encoding(data[: len(data) - cut]) for cut in range(4)} == {name}
    kana = "はい そうです か\n".encode(name)  # every byte is a letter of ASCII, or zero
    assert wide_encoding(kana * 9) == name
    assert wide_encoding(b"rain") == wide_encoding("潮水".encode(name)) == wide_encoding(b"\0" * 8) == ""


@pytest.mark.parametrize(
    "text", ["\0".join(f"lamp {n}" for n in range(30)), "prompt,text\nfoo\0,bar\nx,y\n", "Größe\0 Flöße\0\n" * 9]
)
def test_a_text_with_zeros_in_it_is_not_wide(text: str) -> None:
    """It was read as Chinese."""
    for end in (text.encode(), text.encode() + b" ", text.encode() + "ö".encode()[:1]):
        assert wide_encoding(end) == ""


def test_japanese_mail_changes_to_its_characters_and_back() -> None:
    assert japanese_mail("港".encode("iso2022_jp"))
    assert not japanese_mail(b"\x1b$B")
    assert not japanese_mail(b"\x1b(B")
