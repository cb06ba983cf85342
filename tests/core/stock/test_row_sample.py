"""Rows for a speed table: made ones that every model can read, and a fair draw of somebody's own."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from pathlib import Path

from app.core.stock.row_sample import LEAST_WORDS, MOST_WORDS, drawn_rows, made_rows, write_sample


def words_of(line: bytes) -> int:
    row = json.loads(line)
    texts = [row["text"]] if "text" in row else [turn["content"] for turn in row["messages"]]
    return sum(len(text.split()) for text in texts)


def test_made_rows_are_about_as_long_as_dollys_and_the_same_for_a_seed() -> None:
    rows = made_rows(400, 3, chat=True)
    assert rows == made_rows(400, 3, chat=True)
    assert rows != made_rows(400, 4, chat=True)
    lengths = [words_of(row) for row in rows]
    assert min(lengths) >= LEAST_WORDS
    assert max(lengths) <= MOST_WORDS
    assert 70 < statistics.median(lengths) < 105  # e to the 4.45 is 86
    # Between the cuts their logarithms spread as a bell of deviation 0.9: two thirds lie within one of the middle.
    assert 0.62 < sum(86 / 2.46 < length < 86 * 2.46 for length in lengths) / len(lengths) < 0.74
    assert [turn["role"] for turn in json.loads(rows[0])["messages"]] == ["user", "assistant"]


def test_a_question_is_a_quarter_to_three_fifths_of_its_row() -> None:
    parts = [
        [len(turn["content"].split()) for turn in json.loads(row)["messages"]]
        for row in made_rows(300, 5, chat=True)
    ]
    shares = [question / (question + answer) for question, answer in parts if question + answer > 60]
    assert 0.24 < min(shares) < 0.27
    assert 0.58 < max(shares) < 0.61


def test_a_model_without_a_chat_template_gets_texts() -> None:
    assert set(json.loads(made_rows(1, 0, chat=False)[0])) == {"text"}


def test_each_line_of_a_file_is_as_likely_as_any_other(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"a\nb\n\nc\nd\ne")  # the last line has no end
    assert sorted(drawn_rows(file, 9, 0)) == [b"a\n", b"b\n", b"c\n", b"d\n", b"e\n"]
    seen = Counter(line for seed in range(1000) for line in drawn_rows(file, 2, seed))
    assert set(seen) == {b"a\n", b"b\n", b"c\n", b"d\n", b"e\n"}
    assert all(330 < count < 470 for count in seen.values())  # 2 of 5 of 1,000


def test_a_sample_is_a_folder_of_mlx_lms_form(tmp_path: Path) -> None:
    folder = write_sample(tmp_path / "sample", [b"a\n", b"b\n"], [b"c\n"])
    assert (folder / "train.jsonl").read_bytes() == b"a\nb\n"
    assert (folder / "valid.jsonl").read_bytes() == b"c\n"
