"""JSON text of files: what is nested too deeply for Python's reader is no JSON, like all its other faults; numbers
keep how they are spelled, and a name that stands twice in one object is known."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

from app.core.language import tr

_SURROGATE = re.compile("[\ud800-\udfff]")
_BEYOND_64_BITS = 1 << 63
EXACT = 1  # it says all that stands there
NO_CONTROL = 2  # none of its texts holds a control character
_LOOKED_INTO = 200  # levels
_FLAT = frozenset((str, int, bool, float, type(None)))


class WrittenNumber(float):
    """A number that Python would spell otherwise than it is written (``1.10``, ``1e5``): equal to its value, and
    ``literal`` is how it stands in its file."""

    __slots__ = ("literal",)
    literal: str

    def __new__(cls, literal: str) -> WrittenNumber:
        number = super().__new__(cls, literal)
        number.literal = literal
        return number

    def __getnewargs__(self) -> tuple[str]:  # type: ignore[override]  # what a copy is made from
        return (self.literal,)


def read_number(literal: str) -> float:
    """The number that is written so."""
    value = float(literal)
    return value if repr(value) == literal else WrittenNumber(literal)


def read_whole(literal: str) -> int | WrittenNumber:
    """The whole number that is written so; ``-0`` keeps its sign."""
    return WrittenNumber(literal) if literal == "-0" else int(literal)


def number_literal(value: float) -> str:
    """A number as its file has it, or as JSON spells it."""
    return value.literal if isinstance(value, WrittenNumber) else json.dumps(value)


def has_written_number(value: Any) -> bool:
    """True if a number in a JSON value would be spelled otherwise by Python than it is written."""
    if isinstance(value, dict):
        return any(map(has_written_number, value.values()))
    return any(map(has_written_number, value)) if isinstance(value, list) else isinstance(value, WrittenNumber)


def parsed_json(text: str | bytes) -> Any:
    """What a text says. Raises `ValueError` for what is no JSON, is no text, or is nested too deeply."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError(tr("it is nested too deeply")) from error


def spelled_json(text: str) -> tuple[Any, list[str]]:
    """What a text says, numbers as they are written, and the names that stand twice in one object. Raises as
    `json.loads` does."""
    twice: list[str] = []

    def of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            twice.extend(repeated_names(pairs))
        return found

    return json.loads(text, parse_float=read_number, parse_int=read_whole, object_pairs_hook=of_pairs), twice


def repeated_names(pairs: list[tuple[str, Any]]) -> list[str]:
    """The names that stand more than once."""
    seen: set[str] = set()
    return list(dict.fromkeys(name for name, _ in pairs if name in seen or seen.add(name)))  # type: ignore[func-returns-value]  # that is the point


def certainty_of(text: bytes | str, row: dict[str, Any]) -> int:
    """What is certain of the row that a fast parser made of a text: 0, `EXACT`, or `EXACT | NO_CONTROL`.

    Looks at every row of a file. Most hold texts alone, and each text takes two quotes: if those are all that there
    are, no name stands twice.
    """
    if type(text) is bytes and (texts := _text_count(row)):
        quotes = text.count(b'"')
        if b"\\" not in text:
            if quotes == 2 * texts:
                return EXACT if b"\x7f" in text else EXACT | NO_CONTROL
        elif b"\\\\" not in text and quotes - text.count(b'\\"') == 2 * texts:
            may_hold = b"\\u00" in text or b"\\b" in text or b"\x7f" in text
            return EXACT if may_hold else EXACT | NO_CONTROL
    return EXACT if _is_exact(text, row) else 0


def _text_count(row: dict[str, Any]) -> int:
    """How many texts, names among them, a row of texts and of lists of objects of texts holds; 0 for any other."""
    count = len(row)
    for value in row.values():
        if type(value) is str:
            count += 1
        elif type(value) is list:
            for item in value:
                if type(item) is not dict:
                    return 0
                for inner in item.values():
                    if type(inner) is not str:
                        return 0
                count += 2 * len(item)
        else:
            return 0
    return count


def _is_exact(text: bytes | str, row: dict[str, Any]) -> bool:
    """True if a row says all that stands in its text: no number that may be spelled otherwise, no name whose first
    value is lost. What it cannot tell is not exact."""
    kinds = {*map(type, row.values())}
    if not _FLAT.issuperset(kinds):
        if float in kinds or any(map(_may_be_respelled, row.values())):
            return False
    elif float in kinds and not all(_stands(text, *item) for item in row.items() if type(item[1]) is float):
        return False
    if int in kinds and 0 in row.values() and _has_negative_zero(text):
        return False
    return not hides_name(text, row)


def _has_negative_zero(text: bytes | str) -> bool:
    return b"-0" in text if isinstance(text, bytes) else "-0" in text


def _stands(text: bytes | str, name: str, number: float) -> bool:
    """True if a number of a row without lists and objects stands in its line as Python spells it. Its name tells it
    from what texts say: there quotes have a backslash."""
    if not isinstance(text, bytes):
        return False
    for between in ('":', '": '):
        wanted = f'"{name}{between}{number!r}'.encode()
        at = text.find(wanted)
        if at >= 0:
            return text[at + len(wanted) :][:1] in (b",", b"}")
    return False


def _may_be_respelled(value: Any, depth: int = _LOOKED_INTO) -> bool:
    """True if a list or object holds a number that may be spelled in several ways, or nests too deeply to see."""
    if not depth:
        return True
    kind = type(value)
    if kind is list:
        for item in value:
            if type(item) is dict:  # most are messages of texts
                for inner in item.values():
                    if type(inner) is not str and (type(inner) is float or _may_be_respelled(inner, depth - 1)):
                        return True
            elif type(item) is float or _may_be_respelled(item, depth - 1):
                return True
    elif kind is dict:
        for item in value.values():
            if type(item) is float or _may_be_respelled(item, depth - 1):
                return True
    return False


def hides_name(text: bytes | str, value: Any) -> bool:
    """True if an object in a text may have one name twice: what is left of it has fewer quotes.

    Quotes that the text spells by their number would make up for lost ones, so that such a text may always.
    """
    if (b"\\u0022" in text) if isinstance(text, bytes) else ("\\u0022" in text):
        return True
    try:
        rest = orjson.dumps(value, default=written)
    except TypeError:
        return True
    quotes = text.count(b'"') if isinstance(text, bytes) else text.count('"')
    return quotes != rest.count(b'"')


def written(value: Any) -> Any:
    """For orjson: a number as it is written, anything else that JSON does not know as text."""
    return orjson.Fragment(value.literal) if isinstance(value, WrittenNumber) else str(value)


def json_bytes(tree: Any, option: int = 0) -> bytes:
    """A value as JSON, numbers as they are written, whole ones of any size."""
    option |= orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(tree, default=written, option=option)
    except TypeError:  # whole numbers beyond 64 bits
        return orjson.dumps(_with_large_numbers(tree), default=written, option=option)


def _with_large_numbers(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_large_numbers(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_with_large_numbers(item) for item in value]
    is_large = type(value) is int and not -_BEYOND_64_BITS <= value < _BEYOND_64_BITS
    return orjson.Fragment(str(value)) if is_large else value


def spelled_text(value: Any) -> str:
    """A JSON value as text for people and models, with spaces after commas and colons, numbers as they are written.
    Raises `ValueError` or `RecursionError` for what cannot be written."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_name(key)}: {spelled_text(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(spelled_text, value)) + "]"
    if isinstance(value, WrittenNumber):
        return value.literal
    return json.dumps(value, ensure_ascii=False, default=str)


def _name(key: Any) -> str:
    return json.dumps(key if isinstance(key, str) else spelled_text(key), ensure_ascii=False)


def has_surrogate(value: Any) -> bool:
    """True if any text in a JSON value cannot be written as UTF-8."""
    if isinstance(value, str):
        return bool(_SURROGATE.search(value))
    if isinstance(value, dict):
        return any(has_surrogate(k) or has_surrogate(v) for k, v in value.items())
    return isinstance(value, list) and any(has_surrogate(item) for item in value)
