"""Tables of terms: by a header of two languages, or by what stands in them; everything else is none."""

from __future__ import annotations

import pytest

from app.core.source.table import TERM_CHARACTERS, GlossarySides, glossary_sides, table_start

HEADLESS = GlossarySides("", "", True)


@pytest.mark.parametrize("names", [("en", "de"), ("English", "German"), ("en-GB", "pt_BR"), ("\ufeffen ", " de")])
def test_a_header_of_two_languages_names_the_sides(names: tuple[str, str]) -> None:
    wanted = GlossarySides(names[0].strip("\ufeff "), names[1].strip(), False)
    assert glossary_sides([list(names), ["lute", "Laute"]]) == wanted
    assert glossary_sides([[*names, "note"], ["lute", "Laute", "plucked"]]) == wanted


@pytest.mark.parametrize(
    "records, found",
    [
        ([["lute", "Laute"], ["neck", "Hals"], ["peg", "Wirbel"]], HEADLESS),
        ([["lute", "Laute"], ["neck", "Hals", "of the lute"], ["peg", "Wirbel"]], HEADLESS),  # a comment
        ([["lute", "Laute"], ["neck", "Hals"]], None),  # two lines say too little
        ([["lute", "Laute"]], None),
        ([["lute", "Laute", "x"], ["neck", "Hals"], ["peg", "Wirbel"]], None),  # a third column from the start
        ([["lute"], ["neck", "Hals"], ["peg", "Wirbel"]], None),
        ([["lute", "Laute", "x", "y"], ["neck", "Hals"], ["peg", "Wirbel"]], None),
        ([["prompt", "answer"], ["neck", "Hals"], ["peg", "Wirbel"]], None),  # names of columns
        ([["en", "Laute"], ["neck", "Hals"], ["peg", "Wirbel"]], None),  # one language is a name too
        ([["lute", "Laute"], ["neck", ""], ["peg", "Wirbel"]], None),
        ([["lute", "Laute"], ["neck", "3.5"], ["peg", "Wirbel"]], None),
        ([["lute", "Laute"], ["n" * TERM_CHARACTERS, "Hals"], ["peg", "Wirbel"]], HEADLESS),
        ([["lute", "Laute"], ["n" * (TERM_CHARACTERS + 1), "Hals"], ["peg", "Wirbel"]], None),
    ],
)
def test_terms_are_known_by_what_stands_in_them(records: list[list[str]], found: GlossarySides | None) -> None:
    assert glossary_sides(records) == found


@pytest.mark.parametrize(
    ("head", "delimiter", "names"),
    [
        (
            "id;name;note, long\n1;lute;a, b\n",
            ";",
            ["id", "name", "note, long"],
        ),  # it has more names
        ("id,note; long\n1,a; b\n2,c\n", ",", ["id", "note; long"]),  # more even
        ("a\tb\n1\t2\n", "\t", ["a", "b"]),
        ("a|b|c\n1|2|3\n", "|", ["a", "b", "c"]),
        ("word\nlute\n", "", ["word"]),
        ("", "", []),
    ],
)
def test_a_table_is_cut_where_it_is_even_and_has_names(head: str, delimiter: str, names: list[str]) -> None:
    assert table_start(head) == (delimiter, names)
