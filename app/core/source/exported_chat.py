"""Exported chats: the utterances of a file or folder that a chat program wrote, bit by bit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from app.core.source.json_stream import Item, JsonStream
from app.core.source.stream import ByteCount, Compression, open_text
from app.core.transcript.assistant import chatgpt_utterances, claude_utterances
from app.core.transcript.conversation import Transcript, transcript_of
from app.core.transcript.messenger import (
    DISCORD_KEYS,
    TELEGRAM_CHATS,
    TELEGRAM_KEYS,
    discord_utterances,
    slack_names,
    slack_utterances,
    telegram_utterances,
)
from app.core.transcript.utterance import LeftOut, TranscriptKind, Utterance
from app.core.transcript.whatsapp import DateOrder, date_order, whatsapp_utterances

LINE_LIMIT_CHARACTERS = 1 << 20
DAY_LIMIT_CHARACTERS = 64 << 20
SLACK_USERS = "users.json"
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}\.json")


class BrokenChatError(Exception):
    """An export that is damaged from a line on."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(reason)
        self.line = line
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ChatFile:
    """Where an exported chat lies; a folder for Slack."""

    path: Path
    program: TranscriptKind
    compression: Compression = ""
    encoding: str = "utf-8"

    def transcript(self, wanted: str) -> Transcript:
        """What the chat is, and whose words are the answers if those of ``wanted`` are to be: read once for it."""
        order: DateOrder = "day"
        if self.program == "whatsapp":
            with self._text() as stream:
                order = date_order(_lines(stream))
        return transcript_of(self.program, self._readable(order), wanted, order)

    def _readable(self, order: DateOrder) -> Iterator[Utterance]:
        with suppress(BrokenChatError):  # told when the rows are read
            yield from self.utterances(order, LeftOut())

    def utterances(self, order: str, left_out: LeftOut, count: ByteCount | None = None) -> Iterator[Utterance]:
        """The messages in order. Raises `BrokenChatError` where no more can be read."""
        if self.program == "slack":
            yield from slack_utterances(*_slack(self.path), left_out)
            return
        with self._text(count) as stream:
            if self.program == "whatsapp":
                yield from whatsapp_utterances(_lines(stream), "month" if order == "month" else "day", left_out)
            elif self.program == "telegram":
                yield from telegram_utterances(_members(stream, TELEGRAM_KEYS, TELEGRAM_CHATS), left_out)
            elif self.program == "discord":
                yield from discord_utterances(_members(stream, DISCORD_KEYS), left_out)
            else:
                read = chatgpt_utterances if self.program == "chatgpt" else claude_utterances
                yield from read(_values(stream), left_out)

    def _text(self, count: ByteCount | None = None) -> TextIO:
        return open_text(self.path, self.compression, self.encoding, count)


def _lines(stream: TextIO) -> Iterator[str]:
    while line := stream.readline(LINE_LIMIT_CHARACTERS):
        yield line


def _checked(item: Item) -> Any:
    line, value, reason = item
    if reason is not None:
        raise BrokenChatError(line, reason)
    return value


def _members(stream: TextIO, into: frozenset[str], each: frozenset[str] = frozenset()) -> Iterator[tuple[str, Any]]:
    for key, item in JsonStream(stream).members(into, each):
        yield key, _checked(item)


def _values(stream: TextIO) -> Iterator[Any]:
    """The conversations, in an array or one after another."""
    for item in JsonStream(stream).values():
        yield _checked(item)


# -- Slack ---------------------------------------------------------------------------------------------------------


def is_slack_folder(folder: Path) -> bool:
    """True for an export: a list of people beside folders of days."""
    if not (folder / SLACK_USERS).is_file():
        return False
    return any(_days(channel) for channel in folder.iterdir() if channel.is_dir())


def slack_size(folder: Path) -> int:
    """The bytes of all days."""
    return sum(day.stat().st_size for channel in _channels(folder) for day in _days(channel))


def _channels(folder: Path) -> list[Path]:
    return sorted(channel for channel in folder.iterdir() if channel.is_dir() and not channel.name.startswith("."))


def _days(channel: Path) -> list[Path]:
    return sorted(day for day in channel.iterdir() if _DAY.fullmatch(day.name))


def _slack(path: Path) -> tuple[Iterator[tuple[str, list[Any]]], dict[str, str]]:
    if not path.is_dir():
        return iter([(path.parent.name, _day(path))]), slack_names(_day(path.parent.parent / SLACK_USERS))
    days = ((channel.name, _day(day)) for channel in _channels(path) for day in _days(channel))
    return days, slack_names(_day(path / SLACK_USERS))


def _day(path: Path) -> list[Any]:
    """The elements of a small file; empty where there is none."""
    if not path.is_file():
        return []
    with open_text(path, "", "utf-8") as stream:
        return [_checked(item) for item in JsonStream(stream).array()]
