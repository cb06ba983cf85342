"""The word difference: what is outside a longest common subsequence, at any length, and where it stands."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.core.compare import word_difference
from app.core.compare.word_difference import differing, differing_spans, words_of

WORDS = st.lists(st.sampled_from("abcd"), max_size=14)


def longest(left: list[str], right: list[str]) -> int:
    """The length of the longest common subsequence, by the table of the textbook."""
    table = [[0] * (len(right) + 1) for _ in range(len(left) + 1)]
    for i, a in enumerate(left):
        for j, b in enumerate(right):
            table[i + 1][j + 1] = table[i][j] + 1 if a == b else max(table[i][j + 1], table[i + 1][j])
    return table[-1][-1]


@settings(max_examples=300, deadline=None)
@given(WORDS, WORDS)
def test_what_does_not_differ_is_a_longest_common_subsequence(reference: list[str], words: list[str]) -> None:
    found = differing(reference, words)
    kept = [word for index, word in enumerate(words) if index not in set(found)]
    rest = iter(reference)
    assert all(word in rest for word in kept)
    assert len(kept) == longest(reference, words)
    assert found == sorted(set(found))


@pytest.mark.parametrize(
    "reference, text, marked",
    [
        ("The lute is old.", "The lute is old.", []),
        ("The lute is old.", "The old lute is very old.", ["old", "very"]),
        ("", "A lute", ["A lute"]),
        ("A lute", "", []),
        ("It's a lute", "It is a lute", ["It is"]),
        ("a\n\nb", "a b", []),
        ("price: 3", "price: 4!", ["4!"]),
    ],
)
def test_words_that_differ_are_named_by_their_place(reference: str, text: str, marked: list[str]) -> None:
    assert [text[start:end] for start, end in differing_spans(reference, text)] == marked


def test_a_sign_outside_the_basic_plane_is_one_word_also_as_two_units() -> None:
    units = "".join(map(chr, memoryview("a 🎻!".encode("utf-16-le")).cast("H")))
    assert [(word.start, word.end) for word in words_of(units)] == [(0, 1), (2, 4), (4, 5)]


def test_texts_longer_than_a_stretch_are_compared_all_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(word_difference, "STRETCH", 10)
    reference = [str(n) for n in range(100)]
    words = list(reference)
    for index in (3, 55, 98):
        words[index] = "x"
    assert differing(reference, words) == [3, 55, 98]
