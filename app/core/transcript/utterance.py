"""An utterance: what somebody wrote in a chat, and when."""

from __future__ import annotations

from collections import Counter
from typing import Literal, NamedTuple

from app.core.language import tr
from app.core.quantity import plural

TranscriptKind = Literal["", "chatgpt", "claude", "whatsapp", "telegram", "discord", "slack"]
PROGRAMS: dict[TranscriptKind, str] = {
    "chatgpt": "ChatGPT", "claude": "Claude", "whatsapp": "WhatsApp", "telegram": "Telegram", "discord": "Discord",
    "slack": "Slack",
}  # fmt: skip
# Programs whose chats are with a model, and the speakers that they name; their chats are conversations already.
ASSISTANTS: dict[TranscriptKind, str] = {"chatgpt": "assistant", "claude": "assistant"}
SYSTEM = "system"  # the speaker of instructions to a model


class Utterance(NamedTuple):
    """One message. ``place`` is its line or number in the file, ``time_s`` counts from any fixed moment; one of
    another ``chat`` does not follow on the one before."""

    place: int
    chat: str
    speaker: str
    text: str
    time_s: float | None = None


class LeftOut:
    """What of a chat is no utterance: how many of each kind, by its name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def add(self, what: str, count: int = 1) -> None:
        """Counts what is left out."""
        self.counts[what] += count

    def sentence(self) -> str:
        """All of it in words; empty where there is nothing."""
        parts = [plural(count, what, _PLURALS[what]) for what, count in self.counts.most_common() if count]
        return tr("Left out: {parts}.", parts=", ".join(parts)) if parts else ""


PICTURES, SYSTEM_LINES, FORWARDED = "picture or file", "line of the program", "forwarded message"
DELETED, MIDDLE_STEPS = "deleted message", "step between question and answer"
UNPAIRED = "message without a question before or an answer after it"
_PLURALS = {
    PICTURES: "pictures and files",
    SYSTEM_LINES: "lines of the program",
    FORWARDED: "forwarded messages",
    DELETED: "deleted messages",
    MIDDLE_STEPS: "steps between question and answer",
    UNPAIRED: "messages without a question before or an answer after them",
}
