"""The check of messages: their roles and order, and what stands in them, with the number of each in its row."""

from __future__ import annotations

from typing import Any

from app.core.data.column import quoted
from app.core.data.message import ROLES, SPEAKERS, RowMessage
from app.core.json_text import WrittenNumber
from app.core.language import joined, tr
from app.core.visible import is_blank

_PICTURES = ("image", "picture", "photo")
_SOUNDS = ("audio", "sound", "video")

Fault = tuple[str, str]  # kind of finding, reason


def message_faults(messages: list[RowMessage]) -> list[Fault]:
    """Every fault of the messages, each with its number in the row (from 1)."""
    faults: list[Fault] = []
    roles: list[str] = []
    lacks_role = False
    for number, message in enumerate(messages, 1):
        role, content = message.get("role"), message.get("content")
        if isinstance(role, str):
            roles.append(role)
        elif role is None and isinstance(content, dict | list | str | int | float) and len(message) == 2:
            lacks_role = True
            faults.append(
                (
                    "wrong_type",
                    tr("Message {number} is {kind_of}, or has no role.", number=number, kind_of=kind_of(content)),
                )
            )
        else:
            lacks_role = True
            faults.append(
                (
                    "missing_field" if role is None else "wrong_type",
                    tr("Message {number} has no role.", number=number),
                )
            )
        faults += _content_faults(number, message, content)
    if not lacks_role:
        faults += role_faults(tuple(roles))
    return faults


def _content_faults(number: int, message: RowMessage, content: Any) -> list[Fault]:
    calls = message.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        return [
            (
                "wrong_type",
                tr(
                    "`tool_calls` of message {number} is {kind_of}, not a list.",
                    number=number,
                    kind_of=kind_of(calls),
                ),
            )
        ]
    if calls or message.get("role") in ("tool", "function", "ipython"):
        good = content is None or isinstance(content, (str, dict, list))
        return (
            []
            if good
            else [
                (
                    "wrong_type",
                    tr(
                        "The content of message {number} is {kind_of}, not a text.",
                        number=number,
                        kind_of=kind_of(content),
                    ),
                )
            ]
        )
    if content is None:
        return [("missing_field", tr("Message {number} has no content.", number=number))]
    if isinstance(content, list):
        return [("wrong_type", tr("Message {number} {parts_told}.", number=number, parts_told=parts_told(content)))]
    if not isinstance(content, str):
        return [
            (
                "wrong_type",
                tr(
                    "The content of message {number} is {kind_of}, not a text.",
                    number=number,
                    kind_of=kind_of(content),
                ),
            )
        ]
    if is_blank(content) and not message.get("reasoning_content") and not message.get("thinking"):
        return [
            (
                "empty_field",
                tr("The content of message {number} ({role}) is empty.", number=number, role=message.get("role")),
            )
        ]
    return []


def parts_told(content: list[Any]) -> str:
    """What parts that are not text are, in words."""
    if not content:
        return tr("holds an empty list")
    kinds = [_part_kind(part) for part in content]
    for kind in kinds:
        if word := media_word(kind):
            return tr("holds {word} ({kind}), which cannot be trained", word=word, kind=quoted(kind))
    odd = dict.fromkeys(kind for kind in kinds if kind not in ("text", "input_text", "output_text"))
    if not odd:
        return tr("holds a part without a text")
    named = joined((quoted(kind) for kind in list(odd)[:3]), ", ")
    return tr("holds parts that are not text ({named})", named=named)


def _part_kind(part: Any) -> str:
    """The type of a part, or the field that tells what it is."""
    if not isinstance(part, dict):
        return kind_of(part)
    if isinstance(part.get("type"), str):
        return str(part["type"])
    return next((str(key) for key in part if media_word(str(key))), tr("no type"))


def role_faults(roles: tuple[str, ...]) -> tuple[Fault, ...]:
    """Faults of the order of roles: unknown ones, repeated ones, a late system turn, no answer at the end."""
    faults: list[Fault] = []
    for number, role in enumerate(roles, 1):
        if role not in ROLES:
            meant = SPEAKERS.get(role.strip().lower())
            hint = tr(" Did you mean {meant!r}?", meant=meant) if meant else ""
            faults.append(
                (
                    "unknown_role",
                    tr(
                        "Message {number} has the unknown role {role!r}.{hint}",
                        number=number,
                        role=role[:40],
                        hint=hint,
                    ),
                )
            )
        elif number > 1 and role == roles[number - 2] and role in ("user", "assistant"):
            faults.append(
                (
                    "repeated_role",
                    tr(
                        "Messages {number} and {number2} are both of the {role}.",
                        number=number - 1,
                        number2=number,
                        role=role,
                    ),
                )
            )
        elif role == "system" and number > 1:
            faults.append(
                ("system_position", tr("Message {number} is a system turn, not the first.", number=number))
            )
    if not any(kind == "unknown_role" for kind, _ in faults):
        if "assistant" not in roles:
            faults.append(("no_answer", tr("There is no turn of the assistant, so nothing to learn.")))
        elif roles[-1] != "assistant":
            faults.append(
                ("no_answer", tr("The last turn is of the {roles}, not of the assistant.", roles=roles[-1]))
            )
    return tuple(faults)


def media_word(name: str) -> str:
    """What a column or part of this name holds beside text; empty where it is nothing of the kind."""
    name = name.lower()
    if any(word in name for word in _PICTURES):
        return tr("pictures")
    if "video" in name:
        return tr("films")
    return tr("sound") if any(word in name for word in _SOUNDS) else ""


def kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    if isinstance(value, WrittenNumber):
        return tr("a number")
    names = {
        bool: tr("true or false"),
        int: tr("a number"),
        float: tr("a number"),
        str: tr("a text"),
        list: tr("a list"),
        dict: tr("an object"),
    }
    return names.get(type(value), tr("of type {name}", name=type(value).__name__))
