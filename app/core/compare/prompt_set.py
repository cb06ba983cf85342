"""A prompt set: the prompts of a file of JSON lines, asked one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.core.data.column import as_list
from app.core.data.format import Features, Format
from app.core.data.layout import layout_of
from app.core.data.message import clean_message, messages_of
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.refusal import reason_of

LONGEST_SET = 500  # prompts: hours of answers already
LONE_COLUMNS = ("prompt", "question", "instruction", "query", "input", "problem", "user")

PromptMessage = dict[str, str]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt; ``opening`` is what a conversation holds before it: a system prompt, earlier turns."""

    text: str
    opening: tuple[PromptMessage, ...] = ()


def read_prompts(path: Path) -> Iterator[Prompt]:
    """The prompts of a file, at most `LONGEST_SET`, one at a time: a window reads them between two frames.

    A line is a row in any form that Luthier trains on, an object with a prompt alone, or a text; of a conversation
    the last question is asked, after the turns before it. Raises `UnusableError` at a line that holds no prompt,
    or if the file has none.
    """
    found = 0
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            for number, line in enumerate(file, start=1):
                if found == LONGEST_SET:
                    return
                if line.strip():
                    yield _prompt(line, path, number)
                    found += 1
    except OSError as error:
        said = tr("The prompts cannot be read: {reason_of}.", reason_of=reason_of(error))
        raise UnusableError([Problem("prompts", said, file=str(path))]) from error
    if not found:
        raise UnusableError([Problem("prompts", tr("The file has no prompts."), file=str(path))])


def _prompt(line: str, path: Path, number: int) -> Prompt:
    try:
        messages = _messages(parsed_json(line))
    except ValueError as error:
        said, hint = (
            tr("This line is not JSON."),
            tr("A file of prompts is a .jsonl file: one JSON object a line."),
        )
        raise UnusableError([Problem("prompts", said, hint=hint, file=str(path), line=number)]) from error
    asked = [index for index, message in enumerate(messages) if message["role"] == "user"]
    if not asked:
        said, hint = tr("This row holds no prompt."), tr("Give it “messages” with a user's turn, or “prompt”.")
        raise UnusableError([Problem("prompts", said, hint=hint, file=str(path), line=number)])
    return Prompt(messages[asked[-1]]["content"], tuple(messages[: asked[-1]]))


def _messages(row: Any) -> list[PromptMessage]:
    """The turns of a row that have a role and a text."""
    if isinstance(row, str):
        row = {"prompt": row}
    if not isinstance(row, dict):
        return []
    turns = [clean_message(turn) for turn in _turns(row)]
    return [
        {"role": turn["role"], "content": turn["content"]}
        for turn in turns
        if isinstance(turn.get("role"), str) and isinstance(turn.get("content"), str) and turn["content"].strip()
    ]


def _turns(row: dict[str, Any]) -> list[Any]:
    layout = layout_of(row, Features())
    if layout is not None and layout.format is not Format.TEXT and not isinstance(as_list(row.get("prompt")), list):
        return list(messages_of(row, layout))
    lone = next((row[name] for name in LONE_COLUMNS if name in row), None)
    lone = as_list(lone)
    return lone if isinstance(lone, list) else [{"role": "user", "content": lone}]
