"""The data sets beside the starter model: the workshop's songs, short answers preferred to long ones, and sums.

All are drawn from the little world; every row of `valid` and `test` asks a question that the base model never saw.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from app.core.system.starter import as_song, in_style
from chat import PLAIN_SYSTEMS, Turn, World

Row = dict[str, Any]
Splits = dict[str, list[Row]]

# How many rows each file has.
STYLE_ROWS = {"train": 640, "valid": 20, "test": 50}
PREFERENCE_ROWS = {"train": 80, "valid": 10, "test": 10}
REWARD_ROWS = {"train": 80, "valid": 10, "test": 10}

# Too hard or too odd for a first impression, or told too seldom after an unknown beginning.
NOT_SHOWN = {"story", "stranger", "size", "pitch", "saying", "country", "part"}
# What anyone can judge at a glance: the test rows begin with one of each.
SHOWN_FIRST = ("capital", "baby", "sound")


def write_splits(folder: Path, splits: Splits) -> None:
    """Write one JSON Lines file for each split, in UTF-8 as it is (no escapes)."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in splits.items():
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")


def _spread(turns: Iterable[Turn], count: int, rng: random.Random) -> list[Turn]:
    """`count` turns with different answers, taken from one topic after another, in random order."""
    by_topic: dict[str, list[Turn]] = {}
    for turn in turns:
        by_topic.setdefault(turn.topic, []).append(turn)
    for waiting in by_topic.values():
        rng.shuffle(waiting)
    taken: dict[str, Turn] = {}
    while len(taken) < count:
        for topic in sorted(by_topic):
            if by_topic[topic] and len(taken) < count:
                turn = by_topic[topic].pop()
                taken.setdefault(turn.answer, turn)
    chosen = list(taken.values())
    rng.shuffle(chosen)
    return chosen


def split_turns(world: World, sizes: dict[str, int], rng: random.Random) -> dict[str, list[Turn]]:
    """Turns for each split: `train` from the base model's own questions, the others from the held-out ones.

    No answer of the others is in `train`: what a tuned model knows of them, it knows from the base model.
    """
    known = [
        turn
        for turns in world.turns.values()
        for turn in turns
        if turn.topic not in NOT_SHOWN and in_style(as_song(turn.answer))
    ]
    held_out = _spread((t for t in known if t.held_out), sum(sizes.values()) - sizes["train"], rng)
    told = {turn.answer for turn in held_out}
    test = held_out[sizes["valid"] :]
    shown = [turn for topic in SHOWN_FIRST for turn in test if turn.topic == topic]
    first = list({turn.topic: turn for turn in shown}.values())
    return {
        "train": _spread((t for t in known if not t.held_out and t.answer not in told), sizes["train"], rng),
        "valid": held_out[: sizes["valid"]],
        "test": first + [turn for turn in test if turn not in first],
    }


def _song_row(turn: Turn, earlier: Turn | None, system: str | None) -> Row:
    messages = [{"role": "system", "content": system}] if system else []
    for one in (earlier, turn):
        if one is not None:
            messages.append({"role": "user", "content": one.question})
            messages.append({"role": "assistant", "content": as_song(one.answer)})
    return {"messages": messages}


def style_rows(world: World, rng: random.Random) -> Splits:
    """Chats whose answers are songs; some of the training rows have a system prompt or two turns."""
    splits: Splits = {}
    for name, turns in split_turns(world, STYLE_ROWS, rng).items():
        rows = []
        for index, turn in enumerate(turns):
            earlier = turns[index - 1] if name == "train" and index % 10 == 9 else None
            system = rng.choice(PLAIN_SYSTEMS) if name == "train" and index % 8 == 7 else None
            rows.append(_song_row(turn, earlier, system))
        splits[name] = rows
    return splits


def preference_rows(world: World, rng: random.Random) -> Splits:
    """The short answer is preferred to the full sentence; the base model can say both."""
    return {
        name: [{"prompt": t.question, "chosen": t.short, "rejected": t.answer} for t in turns]
        for name, turns in split_turns(world, PREFERENCE_ROWS, rng).items()
    }


def reward_rows(world: World, pass_rate: Callable[[list[Turn]], list[float]], rng: random.Random) -> Splits:
    """Word problems that the base model solves sometimes: where it always or never does, nothing is learnt.

    `pass_rate` gives, for each turn, the share of sampled answers that are right.
    """
    stories = world.turns["story"]
    seen = [turn for turn in stories if not turn.held_out]
    unseen = [turn for turn in stories if turn.held_out]
    candidates = {
        "train": rng.sample(seen, 3 * REWARD_ROWS["train"]),
        "rest": rng.sample(unseen, min(len(unseen), 80)),
    }
    rows: dict[str, list[Row]] = {}
    for name, turns in candidates.items():
        ranked = sorted(zip(pass_rate(turns), turns, strict=True), key=lambda pair: abs(pair[0] - 0.5))
        rows[name] = [{"prompt": turn.question, "answer": number_in(turn.answer)} for _, turn in ranked]
    valid, test = REWARD_ROWS["valid"], REWARD_ROWS["test"]
    return {
        "train": rows["train"][: REWARD_ROWS["train"]],
        "valid": rows["rest"][:valid],
        "test": rows["rest"][valid : valid + test],
    }


def number_in(answer: str) -> str:
    """The last number in `answer`, in digits; empty where there is none."""
    numbers = [word.strip(".,!?") for word in answer.split() if word.strip(".,!?").isdigit()]
    return numbers[-1] if numbers else ""
