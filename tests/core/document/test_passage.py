"""Where a text is cut, what a part repeats of the one before, and on which line it begins."""

from __future__ import annotations

import pytest

from app.core.document.passage import OVERLAP_KEY, Chunking, passages
from app.core.document.subtitle import subtitle_paragraphs

LAST_LINE = "<|endoftext|>"


@pytest.mark.parametrize(
    "length, overlap, text, parts",
    [
        (99, 9, "a\nb\n", [(1, "a\nb", 0)]),
        (99, 9, f"a\nb\n {LAST_LINE} \n\nc\n\f\n\f\nd", [(1, "a\nb", 0), (4, "c", 0), (8, "d", 0)]),
        (99, 9, f"\n \n{LAST_LINE}\n \n", []),
        (99, 9, f"a {LAST_LINE}\nb", [(1, f"a {LAST_LINE}\nb", 0)]),
        # The best break of the last half: an empty line, a line, a sentence, a word, none.
        (10, 0, "aaaaa\n\nb\nc d", [(1, "aaaaa", 0), (3, "b\nc d", 0)]),
        (10, 0, "a.\n\nb\nc d e f", [(1, "a.\n\nb", 0), (4, "c d e f", 0)]),
        (10, 0, "a b c. d e f", [(1, "a b c.", 0), (1, "d e f", 0)]),
        (10, 0, "a b c.') e f", [(1, "a b c.')", 0), (1, "e f", 0)]),
        (10, 0, "aaaa bbbb cccc", [(1, "aaaa bbbb", 0), (1, "cccc", 0)]),
        (10, 0, "aaaa bbbbbb", [(1, "aaaa bbbbb", 0), (1, "b", 0)]),
        (4, 0, "aaaabbbb", [(1, "aaaa", 0), (1, "bbbb", 0)]),
        (4, 0, "\u00e4\u00e4\u00e4", [(1, "\u00e4\u00e4", 0), (1, "\u00e4", 0)]),
        (5, 0, "\u00e4\u00e4\u00e4", [(1, "\u00e4\u00e4", 0), (1, "\u00e4", 0)]),
        (1, 0, "\u00e4b", [(1, "\u00e4", 0), (1, "b", 0)]),
        # What is repeated: whole words, at most half of a part.
        (10, 4, "aaaa bbbb cccc", [(1, "aaaa bbbb", 0), (1, "bbb cccc", 4)]),
        (10, 5, "aa bb cc dd ee", [(1, "aa bb cc", 0), (1, "cc dd ee", 3)]),
        (10, 1, "aaaa bbbb cccc", [(1, "aaaa bbbb", 0), (1, "cccc", 0)]),
        (10, 9, "aa bb  cc dd ee", [(1, "aa bb  cc", 0), (1, "cc dd ee", 3)]),
        (6, 3, "aa\nbb\ncc\ndd\n", [(1, "aa\nbb", 0), (2, "bb\ncc", 3), (3, "cc\ndd", 3)]),
        (6, 0, "aa\nbb\ncc\ndd\n", [(1, "aa\nbb", 0), (3, "cc\ndd", 0)]),
        (6, 3, "aa\nbb\n\n", [(1, "aa\nbb", 0)]),
        (6, 3, "aa\nbb\n \n\f\ncc", [(1, "aa\nbb", 0), (5, "cc", 0)]),
    ],
)  # fmt: skip
def test_parts_of_a_text(length: int, overlap: int, text: str, parts: list[tuple[int, str, int]]) -> None:
    found = passages(text.splitlines(keepends=True) if "\f" not in text else
                     [f"{line}\n" for line in text.split("\n")], Chunking(length, overlap))  # fmt: skip
    assert [(line, part["text"], part[OVERLAP_KEY]) for line, part in found] == parts


def test_a_part_is_three_bytes_for_each_token_and_repeats_a_tenth() -> None:
    assert (Chunking.for_tokens(100), Chunking.for_tokens(9)) == (Chunking(300, 30), Chunking(27, 2))
    assert Chunking.for_tokens(8) == Chunking.for_tokens(7) == Chunking(24, 2)


@pytest.mark.parametrize(
    "lines, paragraphs",
    [
        # A pause of four seconds begins a paragraph, counted from the last end.
        (["00:00:01,5 --> 00:00:02,000", "a", "", "00:00:06,000 --> 00:00:07,000", "b"], ["a", "b"]),
        (["00:00:01,5 --> 00:00:02,001", "a", "", "00:00:06,000 --> 00:00:07,000", "b"], ["a\nb"]),
        (["00:01.0 --> 01:00.0", "a", "", "00:02.0 --> 00:03.0", "b", "", "01:03.9 --> 01:04.0", "c"], ["a\nb\nc"]),
        (["01:00:00.0 --> 01:00:01.0", "a", "", "00:59:59.0 --> 59:59.5", "b", "", "60:04.9 --> 60:05.0", "c"],
         ["a\nb\nc"]),
        (["100:00:00.0 --> 100:00:01.0", "a", "", "100:01:00.0 --> 100:01:01.0", "b"], ["a", "b"]),
        # A running caption: what the cue before showed is not said again, what an earlier one did is.
        (["0:01.0 --> 0:02.0", "a", "b", "", "0:02.0 --> 0:03.0", "b", "c", "", "0:03.0 --> 0:04.0", "a"],
         ["a b\nc\na"]),
        (["0:01.0 --> 0:02.0", "a", "", "0:02.0 --> 0:03.0", "a", "", "0:09.0 --> 0:10.0", "a"], ["a"]),
        (["WEBVTT", "", "NOTE", "0:01.0", "no", "", "x", "0:01.0 --> 0:02.0", "<b>a &lt;b&gt; &amp;lrm;</b>",
          "{\\an8}", "REGION", ""], ["a <b> REGION"]),
        (["\ufeff7", "0:01.0 --> 0:02.0", "12", "8", "0:02.0 --> 0:03.0", "9"], ["12\n9"]),
        (["0:01.0 --> 0:02.0", "a", "0:02.0 --> 0:03.0", "b"], ["a\nb"]),
        (["STYLE", "x", "0:01.0 --> 0:02.0", "a", "", "0:02.0 --> 0:03.0", "b"], ["a\nb"]),
        (["00:59:59.0 --> 01:00:00.0", "a", "", "01:00:03.9 --> 01:00:05.0", "b", "",
          "1:00:09.0 --> 1:00:10.0", "c"], ["a\nb", "c"]),
        (["not yet", "0:01.0 --> 0:02.0", "", "gone", "0:02.0 --> 0:03.0", "a"], ["a"]),
        ([], []),
    ],
)  # fmt: skip
def test_paragraphs_of_subtitles(lines: list[str], paragraphs: list[str]) -> None:
    assert list(subtitle_paragraphs(f"{line}\r\n" for line in lines)) == paragraphs
