"""Exported chats: the utterances of a file or folder that a chat program wrote, bit by bit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from app.core.source.archive import ArchiveError, archive_files, archive_kind, file_size, is_file_in_archive
from app.core.source.json_stream import Item, JsonStream
from app.core.source.stream import ByteCount, Compression, open_text
from app.core.system.disk import is_companion
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


@dataclass(frozen=True, slots=True)
class _SlackFiles:
    """The list of people and the days of an export, each with its channel."""

    users: Path
    days: tuple[tuple[str, Path], ...]


def is_slack_export(path: Path) -> bool:
    """True for a folder or archive that Slack exported: a list of people beside folders of days."""
    if not path.is_dir() and not (path.is_file() and archive_kind(path)):
        return False
    try:
        return _slack_files(path, _files_below(path)) is not None
    except ArchiveError:  # told where its files are asked for
        return False


def slack_size(path: Path) -> int:
    """The bytes of all days."""
    found = _slack_files(path, _files_below(path))
    return sum(file_size(day) for _, day in found.days) if found is not None else 0


def _slack_files(path: Path, files: Iterable[Path]) -> _SlackFiles | None:
    """What of an export lies in a folder or archive, or in the one folder in it."""
    there = list(files)
    for users in [file for file in there if file.name == SLACK_USERS and len(file.relative_to(path).parts) <= 2]:
        days = [day for day in there if _DAY.fullmatch(day.name) and day.parent.parent == users.parent]
        if days:
            return _SlackFiles(users, tuple((day.parent.name, day) for day in sorted(days)))
    return None


def _files_below(path: Path) -> list[Path]:
    if not path.is_dir():
        return archive_files(path)
    if not (path / SLACK_USERS).is_file() and not any((below / SLACK_USERS).is_file() for below in path.iterdir()):
        return []  # before a large folder is listed
    return [file for depth in ("*", "*/*", "*/*/*") for file in path.glob(depth) if not is_companion(file.name)]


def _slack(path: Path) -> tuple[Iterator[tuple[str, list[Any]]], dict[str, str]]:
    if path.name.endswith(".json"):  # a day alone
        users = path.parent.parent / SLACK_USERS
        return iter([(path.parent.name, _day(path))]), slack_names(_day(users))
    found = _slack_files(path, _files_below(path))
    if found is None:
        return iter([]), {}
    return ((channel, _day(day)) for channel, day in found.days), slack_names(_day(found.users))


def _day(path: Path) -> list[Any]:
    """The elements of a small file; empty where there is none."""
    if not path.is_file() and not is_file_in_archive(path):
        return []
    with open_text(path, "", "utf-8") as stream:
        return [_checked(item) for item in JsonStream(stream).array()]
