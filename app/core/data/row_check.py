"""The check of one row: is everything there that its layout needs, and is it what it should be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from app.core.data.format import Format, Layout
from app.core.data.message import SPEAKERS, RowMessage, as_list, messages_of, pair_of
from app.core.data.rated import answer_faults, is_written, label_faults, pair_faults

ROLES = frozenset(("system", "developer", "user", "assistant", "tool", "function", "ipython"))
REMEMBERED_SEQUENCES = 10_000
_SEPARATOR = "\x1f"
_PAIR_ROLES = ("user", "assistant")

Fault = tuple[str, str]  # kind of finding, reason


# Fingerprint (equal for rows that train alike), length in characters, faults, and whether mlx-lm reads the row as
# it is. A plain tuple: a class, even a named tuple, takes a tenth of the whole check.
RowResult = tuple[int, int, tuple[Fault, ...], bool]


FastCheck = Callable[[dict[str, Any]], RowResult | None]


def fast_check(layout: Layout, columns: tuple[str, ...]) -> FastCheck:
    """A quick check for rows of this layout that are as they should be; it returns None for all others, which
    `full_check` then judges."""
    if "tools" in columns or layout.system or layout.history or layout.context:
        return _never
    if layout.format is Format.CHAT and layout.chat:
        return _fast_chat(layout.chat, layout.native)
    if layout.format is Format.SHAREGPT:
        return _fast_sharegpt(layout.chat)
    if layout.format in (Format.COMPLETION, Format.ALPACA):
        return _fast_pair(layout.prompt, layout.completion, layout.native)
    if layout.format is Format.TEXT:
        return _fast_text(layout.text, layout.native)
    return _never


def _never(_row: dict[str, Any]) -> RowResult | None:
    return None


def _fast_chat(column: str, native: bool) -> FastCheck:
    known: dict[tuple[str, ...], tuple[Fault, ...]] = {}

    def check(row: dict[str, Any]) -> RowResult | None:
        messages = row[column]
        if type(messages) is not list or not messages:
            return None
        try:
            roles = tuple([message["role"] for message in messages])
            contents = [message["content"] for message in messages]
            text = _SEPARATOR.join(contents)
            if sum(map(len, messages)) != 2 * len(messages):
                return None
            faults = known.get(roles)
        except (TypeError, KeyError):
            return None
        if not all(contents) or any(map(str.isspace, contents)):
            return None
        if faults is None:
            if not all(isinstance(role, str) for role in roles):
                return None
            faults = _remembered(known, roles)
        if not text.isascii():
            faults = faults + mojibake_faults(text)
        return hash((roles, text)), len(text), faults, native

    return check


def _fast_sharegpt(column: str) -> FastCheck:
    known: dict[tuple[str, ...], tuple[Fault, ...]] = {}

    def check(row: dict[str, Any]) -> RowResult | None:
        turns = row[column]
        if type(turns) is not list or not turns:
            return None
        try:
            roles = tuple([SPEAKERS[turn["from"]] for turn in turns])
            contents = [turn["value"] for turn in turns]
            text = _SEPARATOR.join(contents)
        except (TypeError, KeyError):
            return None
        if not all(contents) or any(map(str.isspace, contents)):
            return None
        faults = known.get(roles)
        if faults is None:
            faults = _remembered(known, roles)
        if not text.isascii():
            faults = faults + mojibake_faults(text)
        return hash((roles, text)), len(text), faults, False

    return check


def _remembered(known: dict[tuple[str, ...], tuple[Fault, ...]], roles: tuple[str, ...]) -> tuple[Fault, ...]:
    """The faults of a sequence of roles: there are few different ones, so each is judged once."""
    if len(known) > REMEMBERED_SEQUENCES:
        known.clear()
    faults = known[roles] = role_faults(roles)
    return faults


def _fast_pair(prompt: str, completion: str, native: bool) -> FastCheck:
    def check(row: dict[str, Any]) -> RowResult | None:
        first, second = row[prompt], row[completion]
        if type(first) is not str or type(second) is not str or not first.strip() or not second.strip():
            return None
        text = first + _SEPARATOR + second
        faults = () if text.isascii() else mojibake_faults(text)
        return hash((_PAIR_ROLES, text)), len(text), faults, native

    return check


def _fast_text(column: str, native: bool) -> FastCheck:
    def check(row: dict[str, Any]) -> RowResult | None:
        text = row[column]
        if type(text) is not str or not text or text.isspace():
            return None
        return hash(text), len(text), () if text.isascii() else mojibake_faults(text), native

    return check


# -- in full -------------------------------------------------------------------------------------------------


def full_check(row: dict[str, Any], layout: Layout) -> RowResult:
    """The check of any row against its layout, with every fault in words."""
    if layout.format is Format.TEXT:
        faults = _text_faults(row, layout.text)
        text = row.get(layout.text)
        return _result(hash(text) if isinstance(text, str) else 0, [text], faults, layout.native)
    if layout.format in (Format.PREFERENCE, Format.LABELLED, Format.GRPO):
        return _check_rated(row, layout)
    if layout.format in (Format.COMPLETION, Format.ALPACA) and layout.target == "completion":
        faults = [*_text_faults(row, layout.prompt), *_text_faults(row, layout.completion), *_tool_faults(row)]
        texts = list(pair_of(row, layout))
        if layout.context and isinstance(row.get(layout.context), (int, float, list, dict)):
            faults.append(("wrong_type", f"`{layout.context}` is {_kind_of(row[layout.context])}, not a text."))
        return _result(_fingerprint(_PAIR_ROLES, texts, row), texts, faults, layout.native)
    return _check_messages(row, layout)


def _check_messages(row: dict[str, Any], layout: Layout) -> RowResult:
    faults = _own_column_faults(row, layout) + _tool_faults(row)
    if faults:
        return 0, 0, tuple(faults), False
    messages = messages_of(row, layout)
    faults = message_faults(messages)
    texts = [message.get("content") for message in messages]
    roles = tuple(str(message.get("role")) for message in messages)
    plain = all(len(message) == 2 for message in messages)
    fingerprint = _fingerprint(roles, texts, row) if plain else hash((dumped(messages), dumped(row.get("tools"))))
    native = (
        layout.native and _is_unchanged(row.get(layout.chat), messages) and not isinstance(row.get("tools"), str)
    )
    return _result(fingerprint, texts, faults, native)


def _is_unchanged(before: Any, after: list[RowMessage]) -> bool:
    return isinstance(before, list) and before == after


def _own_column_faults(row: dict[str, Any], layout: Layout) -> list[Fault]:
    """Faults of the columns themselves, in their own names."""
    faults: list[Fault] = []
    if layout.chat:
        value = as_list(row.get(layout.chat))
        if value is None:
            faults.append(("missing_field", f"`{layout.chat}` is null."))
        elif not isinstance(value, list):
            faults.append(("wrong_type", f"`{layout.chat}` is {_kind_of(value)}, not a list of messages."))
        elif not value:
            faults.append(("empty_field", f"`{layout.chat}` is an empty list."))
    elif layout.format is not Format.CHAT:
        faults += [*_text_faults(row, layout.prompt), *_text_faults(row, layout.completion)]
    system = row.get(layout.system) if layout.system else None
    if system is not None and not isinstance(system, str):
        faults.append(("wrong_type", f"`{layout.system}` is {_kind_of(system)}, not a text."))
    return faults


def _tool_faults(row: dict[str, Any]) -> list[Fault]:
    tools = row.get("tools")
    if tools is None or isinstance(as_list(tools), list) or (isinstance(tools, str) and not tools.strip()):
        return []
    return [("wrong_type", f"`tools` is {_kind_of(tools)}, not a list of tools.")]


def _text_faults(row: dict[str, Any], column: str) -> list[Fault]:
    if column not in row:
        return [("missing_field", f"`{column}` is missing.")]
    value = row[column]
    if value is None:
        return [("missing_field", f"`{column}` is null.")]
    if not isinstance(value, str):
        return [("wrong_type", f"`{column}` is {_kind_of(value)}, not a text.")]
    return [] if value.strip() else [("empty_field", f"`{column}` is empty.")]


def message_faults(messages: list[RowMessage]) -> list[Fault]:
    """Every fault of the messages, each with its number in the row (from 1)."""
    faults: list[Fault] = []
    roles: list[str] = []
    for number, message in enumerate(messages, 1):
        role, content = message.get("role"), message.get("content")
        if isinstance(role, str):
            roles.append(role)
        elif role is None and isinstance(content, dict | list | str | int | float) and len(message) == 2:
            faults.append(("wrong_type", f"Message {number} is {_kind_of(content)}, or has no role."))
        else:
            faults.append(("missing_field" if role is None else "wrong_type", f"Message {number} has no role."))
        faults += _content_faults(number, message, content)
    if not any(kind in ("wrong_type", "missing_field") and "role" in reason for kind, reason in faults):
        faults += role_faults(tuple(roles))
    return faults


def _content_faults(number: int, message: RowMessage, content: Any) -> list[Fault]:
    calls = message.get("tool_calls")
    if calls is not None and not isinstance(calls, list):
        return [("wrong_type", f"`tool_calls` of message {number} is {_kind_of(calls)}, not a list.")]
    if calls or message.get("role") in ("tool", "function", "ipython"):
        good = content is None or isinstance(content, (str, dict, list))
        return (
            [] if good else [("wrong_type", f"The content of message {number} is {_kind_of(content)}, not a text.")]
        )
    if content is None:
        return [("missing_field", f"Message {number} has no content.")]
    if isinstance(content, list):
        return [("wrong_type", f"Message {number} holds other parts than text (pictures or sound).")]
    if not isinstance(content, str):
        return [("wrong_type", f"The content of message {number} is {_kind_of(content)}, not a text.")]
    if not content.strip() and not message.get("reasoning_content") and not message.get("thinking"):
        return [("empty_field", f"The content of message {number} ({message.get('role')}) is empty.")]
    return []


def role_faults(roles: tuple[str, ...]) -> tuple[Fault, ...]:
    """Faults of the order of roles: unknown ones, repeated ones, a late system turn, no answer at the end."""
    faults: list[Fault] = []
    for number, role in enumerate(roles, 1):
        if role not in ROLES:
            meant = SPEAKERS.get(role.strip().lower())
            hint = f" Did you mean {meant!r}?" if meant else ""
            faults.append(("unknown_role", f"Message {number} has the unknown role {role[:40]!r}.{hint}"))
        elif number > 1 and role == roles[number - 2] and role in ("user", "assistant"):
            faults.append(("repeated_role", f"Messages {number - 1} and {number} are both of the {role}."))
        elif role == "system" and number > 1:
            faults.append(("system_position", f"Message {number} is a system turn, not the first."))
    if not any(kind == "unknown_role" for kind, _ in faults):
        if "assistant" not in roles:
            faults.append(("no_answer", "There is no turn of the assistant, so nothing to learn."))
        elif roles[-1] != "assistant":
            faults.append(("no_answer", f"The last turn is of the {roles[-1]}, not of the assistant."))
    return tuple(faults)


def _check_rated(row: dict[str, Any], layout: Layout) -> RowResult:
    """Preference, labelled and GRPO rows: the columns are there and are texts or lists of messages."""
    faults: list[Fault] = []
    for column in layout.needed:
        if column == layout.label:
            faults += label_faults(row, layout)
            continue
        value = as_list(row.get(column))
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
            continue
        if layout.format is Format.GRPO and column == layout.completion and isinstance(value, (int, float)):
            continue  # a reference answer may be a number
        faults += _text_faults(row, column)
    values = [row.get(column) for column in layout.needed]
    if not faults and layout.chosen:
        faults += pair_faults(row, layout)
    elif not faults and layout.label:
        faults += answer_faults(row, layout)
    written = is_written(row, "preference" if layout.chosen else "labelled" if layout.label else "prompt")
    return _result(hash(dumped(values)), values, faults, written)


def _result(fingerprint: int, texts: list[Any], faults: list[Fault], native: bool) -> RowResult:
    joined = _SEPARATOR.join(text for text in texts if isinstance(text, str))
    if not joined.isascii():
        faults = [*faults, *mojibake_faults(joined)]
    return fingerprint, len(joined), tuple(faults), native


def _fingerprint(roles: tuple[str, ...], texts: list[Any], row: dict[str, Any]) -> int:
    if not all(isinstance(text, str) for text in texts):
        return hash(dumped([roles, texts]))
    key = (roles, _SEPARATOR.join(texts))
    return hash((*key, dumped(row["tools"]))) if row.get("tools") else hash(key)


def dumped(value: Any) -> bytes:
    """The same bytes for equal values, whatever order their keys have."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    except TypeError:  # whole numbers beyond 64 bits
        return repr(value).encode("utf-8", "replace")


def mojibake_faults(text: str) -> tuple[Fault, ...]:
    """A fault if the text was read in the wrong encoding somewhere on its way."""
    if not _has_sign(text):
        return ()
    if "�" in text:
        return (("mojibake", f"Characters were lost (�), near {_around(text, text.index('�'))!r}."),)
    import ftfy

    for line in text.split("\n"):
        if line.isascii() or not _has_sign(line):
            continue
        fixed = ftfy.fix_encoding(line[:2000])
        if fixed != line[:2000]:
            start = next((i for i, (a, b) in enumerate(zip(line, fixed, strict=False)) if a != b), 0)
            said = (
                f"Text looks garbled, near {_around(line, start)!r}; meant is probably {_around(fixed, start)!r}."
            )
            return (("mojibake", said),)
    return ()


def _has_sign(text: str) -> bool:
    """What UTF-8 read as Latin-1 or cp1252 begins with: a cheap sign, after which ftfy decides. Written out because
    a loop over the signs costs as much as the whole rest of the row's check."""
    return "Ã" in text or "Â" in text or "â€" in text or "�" in text or "Ð" in text or "ð" in text


def _around(text: str, position: int) -> str:
    return text[max(position - 12, 0) : position + 12].replace(_SEPARATOR, " ")


def _kind_of(value: Any) -> str:
    """What a JSON value is, in words."""
    if value is None:
        return "null"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list",
             dict: "an object"}  # fmt: skip
    return names.get(type(value), f"of type {type(value).__name__}")
