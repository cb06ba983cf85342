"""Chats between people, as Telegram, Discord (DiscordChatExporter) and Slack export them in JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from app.core.transcript.utterance import FORWARDED, PICTURES, SYSTEM_LINES, LeftOut, Utterance

# The keys whose inside is read bit by bit, and those whose elements are.
TELEGRAM_KEYS, TELEGRAM_CHATS = frozenset(("chats", "list", "messages")), frozenset(("list",))
DISCORD_KEYS = frozenset(("messages",))
_SLACK_LINK = re.compile(r"<([@#!]?)([^<>|]+)(?:\|([^<>]*))?>")

Member = tuple[str, Any]


def telegram_utterances(members: Iterable[Member], left_out: LeftOut) -> Iterator[Utterance]:
    """The messages of all chats of an export."""
    chat, number = "", 0
    for key, value in members:
        if key in ("name", "id"):
            chat = f"{chat if key == 'id' else ''}{value}"
        elif key == "messages" and isinstance(value, dict):
            number += 1
            text = _telegram_text(value.get("text"))
            speaker = value.get("from") or value.get("from_id")
            if value.get("type") != "message":
                left_out.add(SYSTEM_LINES)
            elif value.get("forwarded_from"):
                left_out.add(FORWARDED)
            elif text and isinstance(speaker, str):
                yield Utterance(
                    number, chat, speaker, text, _unix(value.get("date_unixtime")) or _iso(value.get("date"))
                )
            else:
                left_out.add(PICTURES)


def _telegram_text(value: Any) -> str:
    parts = value if isinstance(value, list) else [value]
    texts = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return "".join(text for text in texts if isinstance(text, str)).strip()


def discord_utterances(members: Iterable[Member], left_out: LeftOut) -> Iterator[Utterance]:
    """The messages of a channel."""
    number = 0
    for key, value in members:
        if key != "messages" or not isinstance(value, dict):
            continue
        number += 1
        author = value.get("author")
        author = author if isinstance(author, dict) else {}
        speaker, text = author.get("nickname") or author.get("name"), value.get("content")
        if str(value.get("type", "Default")) not in ("Default", "Reply", "0", "19"):
            left_out.add(SYSTEM_LINES)
        elif isinstance(text, str) and text.strip() and isinstance(speaker, str):
            yield Utterance(number, "", speaker, text.strip(), _iso(value.get("timestamp")))
        else:
            left_out.add(PICTURES)


def slack_names(users: Any) -> dict[str, str]:
    """The names of people by their ids."""
    found = {}
    for user in users if isinstance(users, list) else []:
        if isinstance(user, dict) and isinstance(user.get("id"), str):
            profile = user.get("profile")
            profile = profile if isinstance(profile, dict) else {}
            names = (profile.get("display_name"), profile.get("real_name"), user.get("real_name"), user.get("name"))
            found[user["id"]] = next((name for name in names if isinstance(name, str) and name), user["id"])
    return found


def slack_utterances(
    days: Iterable[tuple[str, list[Any]]], names: dict[str, str], left_out: LeftOut
) -> Iterator[Utterance]:
    """The messages of channels day by day; the answers in a thread stand together after the rest of the day."""
    number = 0
    for channel, messages in days:
        rows = [message for message in messages if isinstance(message, dict)]
        rows.sort(key=lambda row: (str(row.get("thread_ts") or ""), _unix(row.get("ts")) or 0.0))
        for row in rows:
            number += 1
            user, text = row.get("user"), row.get("text")
            if row.get("type") != "message" or row.get("subtype") not in (None, "thread_broadcast", "me_message"):
                left_out.add(SYSTEM_LINES)
            elif isinstance(text, str) and text.strip() and isinstance(user, str):
                thread = str(row.get("thread_ts") or "")
                said = _slack_text(text, names)
                yield Utterance(number, f"{channel}/{thread}", names.get(user, user), said, _unix(row.get("ts")))
            else:
                left_out.add(PICTURES)


def _slack_text(text: str, names: dict[str, str]) -> str:
    def said(match: re.Match[str]) -> str:
        mark, target, label = match.groups()
        if mark == "@":
            return f"@{label or names.get(target, target)}"
        if mark == "#":
            return f"#{label or target}"
        return f"@{target}" if mark == "!" else (label or target.removeprefix("mailto:"))

    text = _SLACK_LINK.sub(said, text)
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&").strip()


def _unix(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _iso(value: Any) -> float | None:
    try:
        return datetime.fromisoformat(value).timestamp()
    except (TypeError, ValueError, OverflowError, OSError):
        return None
