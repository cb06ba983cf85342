"""Chats with a model, as ChatGPT and Claude export them: each conversation along the branch that was shown last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from app.core.transcript.utterance import MIDDLE_STEPS, PICTURES, SYSTEM, LeftOut, Utterance


def chatgpt_utterances(conversations: Iterable[Any], left_out: LeftOut) -> Iterator[Utterance]:
    """The messages that a person sees, without what a tool or the model wrote for itself."""
    for number, conversation in enumerate(conversations, 1):
        mapping = conversation.get("mapping") if isinstance(conversation, dict) else None
        if not isinstance(mapping, dict):
            continue
        for message in _branch(mapping, conversation.get("current_node")):
            speaker = _field(message, "author", "role")
            text = _chatgpt_text(message, left_out)
            if speaker not in ("user", "assistant", SYSTEM) or message.get("recipient", "all") != "all":
                left_out.add(MIDDLE_STEPS, bool(text))
            elif text and not _is_hidden(message):
                yield Utterance(number, str(number), speaker, text)


def _branch(mapping: dict[str, Any], current: Any) -> list[dict[str, Any]]:
    """The messages from the first to the current one; without a current one along the last children."""
    if not isinstance(current, str) or current not in mapping:
        current = _last_child(mapping)
    found: list[dict[str, Any]] = []
    seen: set[Any] = set()
    while isinstance(current, str) and current in mapping and current not in seen:
        seen.add(current)
        message = _field(mapping[current], "message")
        if isinstance(message, dict):
            found.append(message)
        current = _field(mapping[current], "parent")
    return found[::-1]


def _last_child(mapping: dict[str, Any]) -> Any:
    """Where the last children lead, from the first message without a parent on."""
    current = next((name for name, node in mapping.items() if not _field(node, "parent")), None)
    seen: set[Any] = set()
    while current in mapping and current not in seen:
        seen.add(current)
        below = _field(mapping[current], "children")
        if not isinstance(below, list) or not below or not isinstance(below[-1], str) or below[-1] in seen:
            break
        current = below[-1]
    return current


def _field(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _is_hidden(message: dict[str, Any]) -> bool:
    return bool(_field(message, "metadata", "is_visually_hidden_from_conversation"))


def _chatgpt_text(message: dict[str, Any], left_out: LeftOut) -> str:
    if _field(message, "content", "content_type") not in ("text", "multimodal_text"):
        left_out.add(MIDDLE_STEPS, bool(_field(message, "content")) and _field(message, "author", "role") != SYSTEM)
        return ""
    parts = _field(message, "content", "parts")
    parts = parts if isinstance(parts, list) else []
    left_out.add(PICTURES, sum(1 for part in parts if isinstance(part, dict)))
    return "\n".join(part for part in parts if isinstance(part, str)).strip()


def claude_utterances(conversations: Iterable[Any], left_out: LeftOut) -> Iterator[Utterance]:
    """What was asked and answered, without attachments, tools and thoughts."""
    for number, conversation in enumerate(conversations, 1):
        messages = _field(conversation, "chat_messages")
        for message in messages if isinstance(messages, list) else []:
            files = [_field(message, "attachments"), _field(message, "files")]
            left_out.add(PICTURES, sum(len(its) for its in files if isinstance(its, list)))
            text, speaker = _claude_text(message, left_out), _field(message, "sender")
            if text and isinstance(speaker, str):
                yield Utterance(number, str(number), speaker, text)


def _claude_text(message: Any, left_out: LeftOut) -> str:
    blocks = _field(message, "content")
    if not isinstance(blocks, list) or not blocks:
        text = _field(message, "text")
        return text.strip() if isinstance(text, str) else ""
    texts = [block.get("text") for block in blocks if isinstance(block, dict) and block.get("type") == "text"]
    left_out.add(MIDDLE_STEPS, len(blocks) - len(texts))
    return "\n\n".join(text for text in texts if isinstance(text, str)).strip()
