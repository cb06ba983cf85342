"""The program that an exported chat comes from, by how its file begins."""

from __future__ import annotations

import re

from app.core.transcript.utterance import TranscriptKind
from app.core.transcript.whatsapp import is_whatsapp

_START = re.compile(r"\s*\[?\s*\{")


def _has(head: str, *keys: str) -> bool:
    # The plain search first: it takes a hundredth of the pattern's time over a long beginning without the key.
    return all(f'"{key}"' in head and re.search(rf'(?<!\\)"{key}"\s*:', head) for key in keys)


def transcript_program(head: str) -> TranscriptKind:
    """The program whose export a text is; empty for any other text."""
    head = head.lstrip("\ufeff")
    if not _START.match(head):
        return "whatsapp" if is_whatsapp(head) else ""
    if _has(head, "mapping") and (_has(head, "current_node") or _has(head, "author", "parent", "children")):
        return "chatgpt"
    if _has(head, "chat_messages", "uuid"):
        return "claude"
    if _has(head, "messages", "type", "from_id") and _has(head, "date"):
        return "telegram"
    if _has(head, "guild", "channel", "messages") and _has(head, "author"):
        return "discord"
    is_list = head.lstrip().startswith("[")
    return "slack" if is_list and _has(head, "type", "ts", "user", "text") else ""
