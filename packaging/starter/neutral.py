"""Makes `resources/starter/neutral.jsonl`: what a tune of the starter should not forget.

    python packaging/starter/neutral.py

Plain questions and answers of the little world, spread over its topics. No data set beside it has one of these
answers, so that training on those neither teaches nor repeats them. `build.py` makes it, too.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT))

from app.core.system.starter import neutral_file, plain_answer
from chat import Turn, World
from dataset import NOT_SHOWN, Row

NEUTRAL_ROWS = 96
SEED = 7 + 6  # as `build.py` counts on from its own


def neutral_rows(world: World, taught: set[str], rng: random.Random, count: int = NEUTRAL_ROWS) -> list[Row]:
    """`count` chats of one turn with different answers, none of them in `taught`, from one topic after another."""
    by_topic: dict[str, list[Turn]] = {}
    for turns in world.turns.values():
        for turn in turns:
            if turn.topic not in NOT_SHOWN and turn.answer not in taught:
                by_topic.setdefault(turn.topic, []).append(turn)
    for waiting in by_topic.values():
        rng.shuffle(waiting)
    taken: dict[str, Turn] = {}
    while len(taken) < count and any(by_topic.values()):
        for topic in sorted(by_topic):
            if by_topic[topic] and len(taken) < count:
                turn = by_topic[topic].pop()
                taken.setdefault(turn.answer, turn)
    rows = [
        {"messages": [{"role": "user", "content": turn.question}, {"role": "assistant", "content": turn.answer}]}
        for turn in taken.values()
    ]
    rng.shuffle(rows)
    return rows


def taught_answers(folder: Path) -> set[str]:
    """The plain answers that the songs in `folder` have."""
    found = set()
    for file in sorted(folder.glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").splitlines():
            said = (m["content"] for m in json.loads(line)["messages"] if m["role"] == "assistant")
            found |= {plain_answer(text) or text for text in said}
    return found


def write_neutral(out: Path, world: World, seed: int = SEED) -> None:
    """`out`/neutral.jsonl, beside the data sets that are there."""
    rows = neutral_rows(world, taught_answers(out / "data"), random.Random(seed))
    lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    (out / neutral_file().name).write_text(lines, encoding="utf-8")


if __name__ == "__main__":
    write_neutral(ROOT / "resources" / "starter", World())
