"""Turns of a conversation as messages, from every way in which files write them."""

from __future__ import annotations

import ast
import json
from typing import Any

from app.core.data.format import Format, Layout

# ShareGPT's names of speakers, and others found in the wild.
SPEAKERS = {
    "human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant",
    "bot": "assistant", "model": "assistant", "bard": "assistant", "bing": "assistant", "system": "system",
    "tool": "tool", "function_response": "tool", "tool_response": "tool", "observation": "tool",
    "function": "tool", "function_call": "assistant", "tool_call": "assistant",
}  # fmt: skip


RowMessage = dict[str, Any]


def pair_of(row: dict[str, Any], layout: Layout) -> tuple[Any, Any]:
    """Prompt and answer. Alpaca's input follows its instruction after an empty line."""
    prompt, context = row.get(layout.prompt), row.get(layout.context) if layout.context else None
    if isinstance(context, str) and context.strip() and isinstance(prompt, str):
        prompt = f"{prompt}\n\n{context}"
    return prompt, row.get(layout.completion)


def messages_of(row: dict[str, Any], layout: Layout) -> list[RowMessage]:
    """The row as chat messages, with the text of its system column in front if it has one."""
    if layout.chat:
        value = as_list(row[layout.chat])
        turns = value if isinstance(value, list) else []
        sharegpt = layout.format is Format.SHAREGPT
        messages = [sharegpt_message(turn) if sharegpt else clean_message(turn) for turn in turns]
    elif layout.format is Format.CHAT:  # TRL's conversational pairs
        messages = [*_side(row[layout.prompt], "user"), *_side(row[layout.completion], "assistant")]
    else:
        prompt, completion = pair_of(row, layout)
        messages = [{"role": "user", "content": prompt}, {"role": "assistant", "content": completion}]
        messages = [*_earlier_turns(row, layout), *messages]
    system = row.get(layout.system) if layout.system else None
    if isinstance(system, str) and system.strip() and not (messages and messages[0].get("role") == "system"):
        messages.insert(0, {"role": "system", "content": system})
    return messages


def _side(value: Any, role: str) -> list[RowMessage]:
    turns = as_list(value)
    if isinstance(turns, list):
        return [clean_message(turn) for turn in turns]
    return [{"role": role, "content": value}]


def _earlier_turns(row: dict[str, Any], layout: Layout) -> list[RowMessage]:
    history = as_list(row.get(layout.history)) if layout.history else None
    turns: list[RowMessage] = []
    for pair in history if isinstance(history, list) else []:
        if isinstance(pair, (list, tuple)) and len(pair) == 2:
            turns += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    return turns


def sharegpt_message(turn: Any) -> RowMessage:
    """A ``from``/``value`` turn as a message; a speaker that is not known stays, for the check to tell."""
    if not isinstance(turn, dict):
        return {"role": None, "content": turn}
    if "from" not in turn:
        return clean_message(turn)
    speaker = turn["from"]
    role = SPEAKERS.get(speaker.strip().lower(), speaker) if isinstance(speaker, str) else speaker
    return {"role": role, "content": turn.get("value")}


def clean_message(turn: Any) -> RowMessage:
    """A message without the empty fields that columnar files add, and with parts of text joined to one text."""
    if not isinstance(turn, dict):
        return {"role": None, "content": turn}
    message = {key: value for key, value in turn.items() if value is not None or key == "content"}
    content = message.get("content")
    if isinstance(content, list) and content and all(_is_text_part(part) for part in content):
        message["content"] = "".join(part if isinstance(part, str) else part["text"] for part in content)
    return message


def _is_text_part(part: Any) -> bool:
    if isinstance(part, str):
        return True
    return isinstance(part, dict) and part.get("type", "text") == "text" and isinstance(part.get("text"), str)


def as_list(value: Any) -> Any:
    """The value, or the list that it is the text of: JSON, or Python's spelling as pandas writes it into CSV."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        try:
            parsed = ast.literal_eval(value.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return value
    return parsed if isinstance(parsed, list) else value
