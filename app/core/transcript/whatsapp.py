"""Chats that WhatsApp exports: lines with a date, a time and a name, as the phone's language writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date
from functools import lru_cache
from itertools import islice
from typing import Literal, NamedTuple

from app.core.transcript.utterance import DELETED, PICTURES, SYSTEM_LINES, LeftOut, Utterance

DateOrder = Literal["day", "month"]  # what stands first, where the year does not

_HEAD_LINES = 60
# Marks of direction, and blanks that are not broken at.
_UNSEEN = str.maketrans({"\u202f": " ", "\u00a0": " "} | dict.fromkeys("\u200f\u202a\u202b\u202c\ufeff"))
JUDGED_LINES = 200_000
_LINE = re.compile(
    r"\u200e?\[?\u200e?(?P<first>\d{1,4})\u200e?[./-]\s?(?P<second>\d{1,2})\u200e?[./-]\s?(?P<third>\d{1,4})\.?[,،]?"
    r"(?:\s(?:à|um|at|kl\.?|às|alle|a las|o))?\s?(?P<early>上午|下午|午前|午後|오전|오후|AM|PM)?\s?"
    r"(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.](?P<second_of>\d{2}))?"
    r"(?:\s?(?P<late>[ap]\.?\s?m\.?|ص|م|上午|下午))?(?:\]|\s[-–])\s(?P<rest>.*)",
    re.IGNORECASE,
)
_AFTERNOON = ("下午", "午後", "오후", "م")
_NAMED = re.compile(r"(?P<name>[^:]{1,80}?)\s?: ?(?P<text>.*)", re.DOTALL)
_MEDIA = re.compile(
    r"<[^<>\n]{3,60}>|.{1,200}\((file attached|Datei angehängt|archivo adjunto|fichier joint|file allegato|"
    r"arquivo anexado|bestand bijgevoegd|файл добавлен)\)|null",
    re.IGNORECASE,
)
_EDITED = re.compile(
    r"\s*\u200e?<[^<>]*(edited|bearbeitet|editado|editó|editaste|modifié|modificato|bewerkt|изменено)[^<>]*>\s*$",
    re.I,
)
_DELETED = re.compile(
    r"(this message was deleted|you deleted this message|diese nachricht wurde gelöscht|se eliminó este mensaje"
    r"|du hast diese nachricht gelöscht|eliminaste este mensaje|ce message a été supprimé|mensagem apagada"
    r"|vous avez supprimé ce message|questo messaggio è stato eliminato|hai eliminato questo messaggio"
    r"|esta mensagem foi apagada|você apagou esta mensagem|dit bericht is verwijderd|данное сообщение удалено"
    r"|je hebt dit bericht verwijderd)\.?",
    re.IGNORECASE,
)


class _Line(NamedTuple):
    """A line that begins a message: the numbers of its date and time, and what follows them."""

    numbers: tuple[int, int, int]
    year_first: bool
    time_s: int
    rest: str


def _parsed(line: str) -> _Line | None:
    if not line.isascii():
        line = line.translate(_UNSEEN)
    found = _LINE.match(line.rstrip("\r\n"))
    if found is None:
        return None
    first, second, third = int(found["first"]), int(found["second"]), int(found["third"])
    hour, late = int(found["hour"]), (found["late"] or found["early"] or "").lower().replace(" ", "")
    if late.startswith("p") or late in _AFTERNOON:
        hour += 12 if hour < 12 else 0
    elif late and hour == 12:
        hour = 0
    time_s = 3600 * hour + 60 * int(found["minute"]) + int(found["second_of"] or 0)
    return _Line((first, second, third), len(found["first"]) == 4, time_s, found["rest"])


def is_whatsapp(head: str) -> bool:
    """True for a text that begins as an exported chat: dated lines, most of which name who wrote them."""
    lines = [line for line in head.split("\n")[:_HEAD_LINES] if line.strip()]
    found = [_parsed(line) for line in lines]
    named = sum(1 for line in found if line is not None and _NAMED.fullmatch(line.rest))
    dated = sum(1 for line in found if line is not None)
    return (
        bool(lines)
        and found[0] is not None
        and named >= 1
        and (dated >= 2 or len(lines) == 1)
        and 2 * named >= dated
    )


def date_order(lines: Iterable[str]) -> DateOrder:
    """Whether the day or the month stands first: by a number above 12, else by which order goes back in time less
    often."""
    back = {"day": 0, "month": 0}
    last = {"day": 0.0, "month": 0.0}
    for line in islice(lines, JUDGED_LINES):
        parsed = _parsed(line)
        if parsed is None or parsed.year_first:
            continue
        if parsed.numbers[0] > 12 or parsed.numbers[1] > 12:
            return "day" if parsed.numbers[0] > 12 else "month"
        for order in ("day", "month"):
            now = _seconds(parsed, order)
            if now is not None:
                back[order] += now < last[order]
                last[order] = now
    return "month" if back["month"] < back["day"] else "day"


def _seconds(line: _Line, order: DateOrder) -> float | None:
    first, second, third = line.numbers
    if line.year_first:
        year, month, day = first, second, third
    else:
        day, month, year = (first, second, third) if order == "day" else (second, first, third)
    midnight = _midnight(year, month, day)
    return None if midnight is None else midnight + line.time_s


@lru_cache(maxsize=64)
def _midnight(year: int, month: int, day: int) -> float | None:
    try:
        return 86_400.0 * date(year + 2000 if year < 100 else year, month, day).toordinal()
    except ValueError:
        return None


def whatsapp_utterances(lines: Iterable[str], order: DateOrder, left_out: LeftOut) -> Iterator[Utterance]:
    """The messages of a chat; a message goes on in lines that begin with no date."""
    held: tuple[int, float | None, str] | None = None
    for number, line in enumerate(lines, 1):
        parsed = _parsed(line)
        if parsed is None:
            if held is not None:
                held = (held[0], held[1], f"{held[2]}\n{line.rstrip()}")
            continue
        if held is not None and (found := _uttered(*held, left_out)):
            yield found
        held = (number, _seconds(parsed, order), parsed.rest)
    if held is not None and (found := _uttered(*held, left_out)):
        yield found


def _uttered(place: int, time_s: float | None, rest: str, left_out: LeftOut) -> Utterance | None:
    named = _NAMED.fullmatch(rest)
    if named is None:
        left_out.add(SYSTEM_LINES)
        return None
    name, text = named["name"].strip("\u200e ~"), named["text"]
    text = _EDITED.sub("", text) if text.endswith(">") else text
    if text.startswith("\u200e"):  # iPhones mark so what the program wrote
        text = text.strip("\u200e ")
        is_file = re.search(r"omitted|attached|weggelassen|omitid|angehängt|adjunto|omis|joint|omess|<", text, re.I)
        left_out.add(DELETED if _DELETED.fullmatch(text) else PICTURES if is_file else SYSTEM_LINES)
        return None
    text = text.replace("\u200e", "").strip()
    if not text or _MEDIA.fullmatch(text):
        left_out.add(PICTURES)
    elif _DELETED.fullmatch(text):
        left_out.add(DELETED)
    else:
        return Utterance(place, "", name, text, time_s)
    return None
