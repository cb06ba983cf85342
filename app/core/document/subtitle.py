"""Subtitles (SRT and WebVTT): what is said in them, without numbers, times and marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

PAUSE_S = 4.0  # a longer one begins a paragraph
SUBTITLE_START = re.compile(
    r"\ufeff?(WEBVTT\b|\s*\d+\s*\r?\n\s*\d{1,3}:\d\d(:\d\d)?[,.]\d{1,3}\s+-->)", re.IGNORECASE
)
_TIME = r"(?:(\d{1,3}):)?(\d{1,3}):(\d\d)[,.](\d{1,3})"
_TIMES = re.compile(rf"\s*{_TIME}\s+-->\s+{_TIME}")
_MARK = re.compile(r"</?[A-Za-z0-9.:][^<>]*>|\{\\[^{}]*\}")
_ENTITIES = {"&amp;": "&", "&lt;": "<", "&gt;": ">", "&nbsp;": " ", "&lrm;": "", "&rlm;": ""}
_BLOCKS = ("NOTE", "STYLE", "REGION")


def subtitle_paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """The paragraphs of subtitles, a line a cue; lines that a running caption repeats stand once."""
    paragraph: list[str] = []
    last_end, shown = 0.0, list[str]()
    for start, end, said in _cues(lines):
        fresh = [line for line in said if line not in shown]
        shown = said
        if paragraph and start - last_end >= PAUSE_S:
            yield "\n".join(paragraph)
            paragraph = []
        last_end = max(last_end, end)
        if fresh:
            paragraph.append(" ".join(fresh))
    if paragraph:
        yield "\n".join(paragraph)


def _cues(lines: Iterable[str]) -> Iterator[tuple[float, float, list[str]]]:
    """Each cue with its times in seconds; a line above the times is a number or a name."""
    times: tuple[float, float] | None = None
    said: list[str] = []
    before = ""
    skipping = False
    for line in lines:
        text = line.strip("\ufeff \t\r\n")
        if found := _TIMES.match(text):
            if times is not None:  # no empty line between them
                yield (*times, _without_name(said, before))
            times, said, skipping = (_seconds(*found.groups()[:4]), _seconds(*found.groups()[4:])), [], False
        elif not text:
            if times is not None:
                yield (*times, said)
            times, said, skipping = None, [], False
        elif times is None:
            skipping = skipping or text.startswith(_BLOCKS)
        elif plain := _plain(text):
            said.append(plain)
        before = text
    if times is not None:
        yield (*times, said)


def _without_name(said: list[str], before: str) -> list[str]:
    return said[:-1] if said and before.isdecimal() and said[-1] == before else said


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    return 3600 * int(hours or 0) + 60 * int(minutes) + int(seconds) + float(f"0.{fraction}")


def _plain(text: str) -> str:
    text = _MARK.sub("", text)
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    return " ".join(text.split())
