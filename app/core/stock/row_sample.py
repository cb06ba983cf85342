"""The rows that are trained for a speed table: made of the starter's words, or drawn from a file of one's own."""

from __future__ import annotations

import json
import math
import random
from functools import cache
from pathlib import Path
from typing import Any

from app.core.system.starter import examples_dir

VALID_ROWS = 16
# Of ln words: about the lengths of Dolly's rows, cut so that the longest fit into a small machine.
MEAN, DEVIATION, LEAST_WORDS, MOST_WORDS = 4.45, 0.9, 8, 380
QUESTION_SHARE = (0.25, 0.6)


def made_rows(count: int, seed: int, *, chat: bool) -> list[bytes]:
    """Rows of the starter's words, one question and answer each, or one text where a model has no chat template."""
    drawn = random.Random(seed)
    return [_line(_made_row(drawn, chat=chat)) for _ in range(count)]


def _made_row(drawn: random.Random, *, chat: bool) -> dict[str, Any]:
    length = min(max(round(math.exp(drawn.gauss(MEAN, DEVIATION))), LEAST_WORDS), MOST_WORDS)
    words = drawn.choices(_words(), k=length)
    if not chat:
        return {"text": " ".join(words)}
    cut = max(2, round(length * drawn.uniform(*QUESTION_SHARE)))
    said = {"user": words[:cut], "assistant": words[cut:] or words[:1]}
    return {"messages": [{"role": role, "content": " ".join(text)} for role, text in said.items()]}


def _line(row: dict[str, Any]) -> bytes:
    return json.dumps(row).encode() + b"\n"


@cache
def _words() -> list[str]:
    lines = (examples_dir() / "train.jsonl").read_text(encoding="utf-8").splitlines()
    texts = (turn["content"] for line in lines for turn in json.loads(line)["messages"])
    return sorted({word.strip("♪.,?!“”") for text in texts for word in text.split()} - {""})


def drawn_rows(path: Path, count: int, seed: int) -> list[bytes]:
    """At most ``count`` lines of a prepared file, each as likely as any other, in constant memory."""
    drawn, kept = random.Random(seed), list[bytes]()
    with path.open("rb") as lines:
        for number, line in enumerate(line for line in lines if line.strip()):
            if number < count:
                kept.append(line if line.endswith(b"\n") else line + b"\n")
            elif (place := drawn.randrange(number + 1)) < count:
                kept[place] = line if line.endswith(b"\n") else line + b"\n"
    drawn.shuffle(kept)
    return kept


def write_sample(folder: Path, train: list[bytes], valid: list[bytes]) -> Path:
    """A data folder in mlx-lm's own form."""
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_bytes(b"".join(train))
    (folder / "valid.jsonl").write_bytes(b"".join(valid))
    return folder
