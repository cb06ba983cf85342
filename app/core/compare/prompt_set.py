"""A prompt set: the prompts of a file of JSON lines, asked one after another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from app.core.data.column import INSTRUCTION_ANSWERS, PAIRS, as_list
from app.core.data.format import Features, Format, Layout
from app.core.data.layout import layout_of
from app.core.data.message import clean_message, messages_of
from app.core.data.tool import tools_of
from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.refusal import reason_of
from app.core.source.stream import find_encoding

LONGEST_SET = 500  # prompts: hours of answers already
LONE_COLUMNS = ("prompt", "question", "instruction", "query", "input", "problem", "user")
# Of answers, by which it is known what belongs to a prompt that has none.
ANSWER_COLUMNS = tuple(dict.fromkeys([*INSTRUCTION_ANSWERS, *(answer for _, answer in PAIRS)]))
UNDECODED = re.compile("[\udc80-\udcff]")  # a byte that is no character (PEP 383)

_NO_TEXT = ""  # the role of a turn that cannot be asked

PromptMessage = dict[str, str]


@dataclass(frozen=True, slots=True)
class Prompt:
    """One prompt; ``opening`` is what a conversation holds before it: a system prompt, earlier turns."""

    text: str
    opening: tuple[PromptMessage, ...] = ()


def read_prompts(path: Path, beyond: int = 0) -> Iterator[Prompt]:
    """The prompts of a file, at most `LONGEST_SET` and so many ``beyond`` it, one at a time: a window reads them
    between two frames.

    A line is a row in any form that Luthier trains on, with an answer or without, or a text; of a conversation
    the last question is asked, after the turns before it. Raises `UnusableError` at a line that holds no prompt, or
    one that cannot be asked as it stands there, or if the file has none.
    """
    found = number = 0
    try:
        with _opened(path) as file:
            for number, line in enumerate(file, start=1):
                if found == LONGEST_SET + beyond:
                    return
                if line.strip():
                    yield _prompt(line, path, number)
                    found += 1
    except UnicodeDecodeError as error:  # of UTF-16 and the like, whose bytes cannot stay bytes
        raise _no_text(path, number + 1) from error
    except OSError as error:
        said = tr("The prompts cannot be read: {reason_of}.", reason_of=reason_of(error))
        raise UnusableError([Problem("prompts", said, file=str(path))]) from error
    if not found:
        raise UnusableError([Problem("prompts", tr("The file has no prompts."), file=str(path))])


def _opened(path: Path) -> TextIO:
    """The file as text, in the encoding that data would be read in; bytes that are no character stay bytes."""
    encoding = find_encoding(path, "").encoding
    return path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding, errors="surrogateescape")


def _no_text(path: Path, number: int) -> UnusableError:
    said, hint = tr("This line holds bytes that are no text."), tr("Save the file as UTF-8.")
    return UnusableError([Problem("prompts", said, hint=hint, file=str(path), line=number)])


def _prompt(line: str, path: Path, number: int) -> Prompt:
    if UNDECODED.search(line):
        raise _no_text(path, number)
    try:
        row = parsed_json(line)
        messages = _messages(row)
    except ValueError as error:
        said, hint = (
            tr("This line is not JSON."),
            tr("A file of prompts is a .jsonl file: one JSON object a line."),
        )
        raise UnusableError([Problem("prompts", said, hint=hint, file=str(path), line=number)]) from error
    asked = [index for index, message in enumerate(messages) if message["role"] == "user"]
    if not asked or not messages[asked[-1]]["content"].strip():
        said, hint = tr("This row holds no prompt."), tr("Give it “messages” with a user's turn, or “prompt”.")
        raise UnusableError([Problem("prompts", said, hint=hint, file=str(path), line=number)])
    before, last = messages[: asked[-1]], messages[asked[-1]]
    if said := _unasked(row, before):
        hint = tr("It would be asked otherwise than it stands here: leave the row out.")
        raise UnusableError([Problem("prompts", said, hint=hint, file=str(path), line=number)])
    # An empty system prompt is that of a column, or none.
    opening = tuple(turn for turn in before if turn["content"].strip() or turn["role"] != "system")
    return Prompt(last["content"], opening)


def _unasked(row: Any, before: list[PromptMessage]) -> str:
    """What of a row a question cannot have with it, in a sentence; empty if there is nothing."""
    if isinstance(row, dict) and tools_of(row):
        return tr("This row offers tools, and a prompt is asked without any.")
    if any(turn["role"] == _NO_TEXT or (turn["role"] == "user" and not turn["content"].strip()) for turn in before):
        return tr("Before its question this row holds what is no text, such as a call of a tool.")
    return ""


def _messages(row: Any) -> list[PromptMessage]:
    """The turns of a row; those that are not a role and a text alone have the role `_NO_TEXT`, and what a user says
    otherwise than in text is empty."""
    if isinstance(row, str):
        row = {"prompt": row}
    if not isinstance(row, dict):
        return []
    return [_message(clean_message(turn)) for turn in _turns(row)]


def _message(turn: dict[str, Any]) -> PromptMessage:
    role, content = turn.get("role"), turn.get("content")
    is_text = isinstance(role, str) and isinstance(content, str) and not turn.get("tool_calls")
    if is_text or role == "user":
        return {"role": str(role), "content": content if isinstance(content, str) else ""}
    return {"role": _NO_TEXT, "content": ""}


def _turns(row: dict[str, Any]) -> list[Any]:
    layout = layout_of(row, Features())
    if layout is None or layout.format is Format.TEXT:
        layout = _unanswered_layout(row) or layout
    if layout is not None and layout.format is not Format.TEXT and not isinstance(as_list(row.get("prompt")), list):
        return list(messages_of(row, layout))
    lone = next((row[name] for name in LONE_COLUMNS if name in row), None)
    lone = as_list(lone)
    return lone if isinstance(lone, list) else [{"role": "user", "content": lone}]


def _unanswered_layout(row: dict[str, Any]) -> Layout | None:
    """The layout that the row would have with an answer: its context, choices and system text belong to the prompt
    all the same. None where there is no prompt."""
    if not any(isinstance(row.get(name), str) for name in LONE_COLUMNS):
        return None
    for answer in ANSWER_COLUMNS:
        layout = layout_of(row | {answer: answer}, Features()) if answer not in row else None
        if layout is not None and layout.completion == answer:
            return layout
    return None
