"""What programs write for nothing is told where it would be trained as a text; words like it are not."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from app.core.data.check import check_files

WORDS = ["nan", " NaN ", "NULL", "\\N", "None", "#REF!", "#N/A", "<NA>", "#BEZUG!", "[object Object]"]
NO_SUCH = ["Nan bread", "none", "null and void", "Nana", "#REF", "n", "N/A", "0"]


def told(rows: list[dict[str, Any]], path: Path) -> list[tuple[str, int | None]]:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    report = check_files([path])
    assert report.examples == len(rows), "it is told, and trains all the same"
    return [(one.reason, one.line) for one in report.warnings if one.kind == "missing_value"]


def chat(answer: str, *turns: str) -> dict[str, Any]:
    contents = [*turns, "How high is the tide?", answer]
    return {
        "messages": [{"role": ("user", "assistant")[at % 2], "content": text} for at, text in enumerate(contents)]
    }


@pytest.mark.parametrize("word", WORDS)
def test_a_word_for_nothing_is_told_with_the_number_of_its_rows(word: str, tmp_path: Path) -> None:
    said = [(f"A text is only `{word.strip()}`: 2 rows.", None)]
    pairs = [{"prompt": f"Tide {at}?", "completion": text} for at, text in enumerate([word, "high", word])]
    assert told(pairs, tmp_path / "pairs.jsonl") == said
    assert (
        told([{"prompt": one["completion"], "completion": one["prompt"]} for one in pairs], tmp_path / "b.jsonl")
        == said
    )
    chats = [chat(word), chat("high"), chat("low", word, "What?")]
    assert told(chats, tmp_path / "chats.jsonl") == said
    spoken = [
        {"conversations": [{"from": "human", "value": turn["content"]} if turn["role"] == "user"
                           else {"from": "gpt", "value": turn["content"]} for turn in one["messages"]]}
        for one in chats
    ]  # fmt: skip
    assert told(spoken, tmp_path / "spoken.jsonl") == said
    texts = [{"text": text} for text in (word, "The tide is high.", f"{word} ", "It is low.")]
    assert told(texts, tmp_path / "texts.jsonl") == said


def test_it_is_told_of_tables_and_of_pairs_of_answers(tmp_path: Path) -> None:
    with (tmp_path / "a.csv").open("w", newline="") as file:
        csv.writer(file).writerows(
            [("prompt", "completion"), ("Tide?", "#REF!"), ("Ebb?", "low"), ("Flow?", "#REF!")]
        )
    report = check_files([tmp_path / "a.csv"])
    assert [one.reason for one in report.warnings if one.kind == "missing_value"] == [
        "A text is only `#REF!`: 2 rows."
    ]
    pair = {"prompt": "Tide?", "chosen": "high", "rejected": "nan"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair) + "\n")
    report = check_files([tmp_path / "pairs.jsonl"])
    assert "A text is only `nan`: 1 row." in [one.reason for one in report.warnings]


@pytest.mark.parametrize("word", NO_SUCH)
def test_a_text_like_it_is_a_text(word: str, tmp_path: Path) -> None:
    assert told([{"prompt": "Tide?", "completion": word}, chat(word)][:1], tmp_path / "a.jsonl") == []
    assert told([chat(word)], tmp_path / "b.jsonl") == []
    assert told([{"text": word}], tmp_path / "c.jsonl") == []
