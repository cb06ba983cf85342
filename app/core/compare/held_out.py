"""Held-out questions: prompts from examples that a run was never trained on, to ask base and adapter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.json_text import parsed_json
from app.core.typed_path import typed_path

LINES_READ = 200


@dataclass(frozen=True, slots=True)
class HeldOut:
    """One question with its system prompt, if it has one, and the row's own answer, if that is a text."""

    prompt: str
    system: str = ""
    answer: str = field(default="", compare=False)


def held_out_questions(run: Path, config: TrainConfig) -> list[HeldOut]:
    """The questions of a run's test set, else of its validation set; empty if neither has any.

    Only files in mlx-lm's forms are looked at (chat or prompt and completion, as JSON lines): the ones that the run
    itself prepared, and the ones that its config names.
    """
    for _, place in held_out_files(run, config):
        if place.suffix == ".jsonl" and (found := _questions(place, config)):
            return found
    return []


def held_out_files(run: Path, config: TrainConfig) -> Iterator[tuple[str, Path]]:
    """The files of a run's own held-out examples with their split, test before valid: those that the run prepared
    before those that its config names."""
    data = typed_path(config.data) if config.data else None
    for split, given in (("test", config.test_data), ("valid", config.valid_data)):
        places = [run / "data" / f"{split}.jsonl"]
        if given:
            places.append(typed_path(given))
        if data is not None:
            places.append(data / f"{split}.jsonl")
        yield from ((split, place) for place in places if place.is_file())


def _questions(path: Path, config: TrainConfig) -> list[HeldOut]:
    with path.open(encoding="utf-8", errors="replace") as file:
        found = [_question(line, config) for line in islice(file, LINES_READ)]
    return [question for question in found if question is not None]


def _question(line: str, config: TrainConfig) -> HeldOut | None:
    try:
        row = parsed_json(line)
    except ValueError:
        return None
    if not isinstance(row, dict):
        return None
    messages, prompt = row.get(config.chat_feature), row.get(config.prompt_feature)
    if row.get("tools"):  # it would be asked without them
        return None
    if isinstance(messages, list):
        return _of_chat([m for m in messages if isinstance(m, dict)])
    if not isinstance(prompt, str) or not prompt.strip():
        return None
    return HeldOut(prompt, answer=_text(row.get(config.completion_feature)))


def _of_chat(messages: list[dict[str, Any]]) -> HeldOut | None:
    """The first question of a conversation."""
    contents = {str(m.get("role")): m.get("content") for m in reversed(messages)}
    user, system = contents.get("user"), contents.get("system")
    if not isinstance(user, str) or not user.strip():
        return None
    return HeldOut(user, _text(system), _text(contents.get("assistant")))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
