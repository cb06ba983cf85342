"""JSON over many lines, read value by value in constant memory: arrays, an object's list, objects in a row."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

from app.core.json_text import hides_name, read_number, read_whole, spelled_json
from app.core.language import tr
from app.core.source.container import ROW_LISTS

INDENT_LIMIT = 256
CHUNK_CHARACTERS = 1 << 20
VALUE_LIMIT_CHARACTERS = 64 << 20
BLANKS = re.compile(r"[ \t\r\n\ufeff]*")

# orjson writes some 250 levels, Python 3.11 walks through fewer than 500, reads 1,000 and later ones many more.
DEEPEST = 200
TOO_DEEP = tr("The JSON is nested too deeply.")
_STRUCTURE = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)

# (line, value, None), or (line, None, reason)
Item = tuple[int, object, str | None]


def is_too_deep(text: str) -> bool:
    """Whether a JSON text nests deeper than `DEEPEST`, whatever the parser could take."""
    if text.count("[") + text.count("{") <= DEEPEST:
        return False
    depth = 0
    for found in _STRUCTURE.finditer(text):
        mark = found.group()
        depth += (mark in ("[", "{")) - (mark in ("]", "}"))
        if depth > DEEPEST:
            return True
    return False


def nests_too_deep(value: Any) -> bool:
    """Whether a JSON value nests deeper than `DEEPEST`."""
    level: list[Any] = [value]
    for _ in range(DEEPEST):
        parts = [outer.values() if isinstance(outer, dict) else outer for outer in level]
        level = [inner for part in parts for inner in part if type(inner) in (dict, list)]
        if not level:
            return False
    return True


class JsonStream:
    """Reads one text stream. Lines are 1-based and count the physical line on which a value begins."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._decoder = json.JSONDecoder(parse_float=read_number, parse_int=read_whole)
        self._text = ""
        self._position = 0
        self._line = 1
        self._counted = 0  # up to where in the text lines are counted
        self._at_end = False
        self.lists: list[str] = []  # the lists of objects of the object that is read, as far as it was read
        self.skipped = 0  # elements of lists that were not wanted
        self.twice: list[str] = []  # names that stand twice in an object of the last value
        self._breaks_off = False  # the broken JSON is the end of the text
        self._lost = False  # after broken JSON nothing was found from where to go on

    # -- what there is to read --------------------------------------------------------------------------------

    def stream(self) -> Iterator[Item]:
        """Values one after another, with or without line breaks between them."""
        while self._peek():
            line = self._line_here()
            yield (line, *self._value_or_skip())

    def array(self) -> Iterator[Item]:
        """The elements of one array."""
        if self._peek() == "[":
            self._position += 1
            yield from self._elements()
        else:
            yield self._line_here(), None, tr("An array was expected here.")
            return
        if self._peek():
            yield self._line_here(), None, tr("Something follows the end of the array; it is not read.")

    def values(self) -> Iterator[Item]:
        """The elements of an array, or values one after another."""
        return self.array() if self._peek() == "[" else self.stream()

    def list_of_object(self, wanted: tuple[str, ...] = ()) -> Iterator[Item]:
        """The elements of the one list of objects that an object holds, or of the ``wanted`` ones of several."""
        self._peek()
        self._position += 1
        while (character := self._peek()) and character != "}":
            line = self._line_here()
            key, reason = self._value()
            if reason is None and (not isinstance(key, str) or self._peek() != ":"):
                reason = tr("A name and a colon were expected in line {line_here}.", line_here=self._line_here())
            if reason is not None:
                yield line, None, reason
                return
            self._position += 1
            if self._peek() == "[" and isinstance(key, str) and self._begins_rows(key):
                if self.lists and not wanted:
                    yield (
                        line,
                        None,
                        tr("`{key}` is a second list of objects; the file may hold only one.", key=key),
                    )
                self.lists.append(key)
                self._position += 1
                yield from self._wanted_elements(is_wanted=not wanted or key in wanted)
            else:
                _, reason = self._value()
                if reason is not None:
                    yield line, None, reason
                    return
            if self._peek() == ",":
                self._position += 1
        if not character and not self._lost:
            yield self._line_here(), None, tr("The file breaks off before the object is closed.")

    def _begins_rows(self, key: str) -> bool:
        return key not in ROW_LISTS and self._next_in_list() == "{"

    def _wanted_elements(self, *, is_wanted: bool) -> Iterator[Item]:
        if is_wanted:
            yield from self._elements()
        else:
            self.skipped += sum(1 for _ in self._elements())

    def members(self, into: frozenset[str], each: frozenset[str] = frozenset()) -> Iterator[tuple[str, Item]]:
        """The values of an object by their keys; of what stands under the keys ``into`` its own members or
        elements, and of the elements under ``each`` their members. One that cannot be read is the last."""
        if self._peek() == "{":
            yield from self._members(into, each)
        else:
            yield "", (self._line_here(), None, tr("An object was expected here."))

    def _members(self, into: frozenset[str], each: frozenset[str]) -> Iterator[tuple[str, Item]]:
        self._position += 1
        while (character := self._peek()) and character != "}":
            if character == ",":
                self._position += 1
                continue
            line = self._line_here()
            key, reason = self._value()
            if reason is not None or not isinstance(key, str) or self._peek() != ":":
                yield (
                    "",
                    (
                        line,
                        None,
                        reason
                        or tr("A name and a colon were expected in line {line_here}.", line_here=self._line_here()),
                    ),
                )
                return
            self._position += 1
            opening = self._peek()
            if opening == "{" and key in into:
                yield from self._members(into, each)
            elif opening == "[" and key in into:
                yield from self._members_of_list(key, into, each)
            else:
                value, reason = self._value()
                yield key, (line, value, reason)
                if reason is not None:
                    return
        self._position += 1
        if not character:
            yield "", (self._line_here(), None, tr("The file breaks off before the object is closed."))

    def _members_of_list(self, key: str, into: frozenset[str], each: frozenset[str]) -> Iterator[tuple[str, Item]]:
        self._position += 1
        while (character := self._peek()) and character != "]":
            if character == ",":
                self._position += 1
            elif character == "{" and key in each:
                yield from self._members(into, each)
            else:
                line = self._line_here()
                value, reason = self._value()
                yield key, (line, value, reason)
                if reason is not None:
                    return
        self._position += 1
        if not character:
            yield "", (self._line_here(), None, tr("The file breaks off before the list is closed."))

    # -- parts ------------------------------------------------------------------------------------------------

    def _elements(self) -> Iterator[Item]:
        """From after the opening bracket to after the closing one."""
        while character := self._peek():
            if character == "]":
                self._position += 1
                return
            if character == ",":
                self._position += 1
                continue
            line = self._line_here()
            value, reason = self._value_or_skip()
            yield line, value, reason
            if reason is None and (after := self._peek()) not in (",", "]", ""):
                line, said = self._line_here(), tr("A comma was expected here, not {after!r}.", after=after)
                if after not in '{["':  # with which the next one begins
                    said = self._skip_to_next(self._indent_here(), said)
                yield line, None, said
        if not self._lost:
            yield self._line_here(), None, tr("The file breaks off before the list is closed.")

    def _value_or_skip(self) -> tuple[object, str | None]:
        indent = self._indent_here()
        value, reason = self._value()
        if reason is not None:
            self._position += 1
            reason = self._skip_to_next(indent, reason)
        return value, reason

    def _value(self) -> tuple[object, str | None]:
        """The value at the position, reading on for as long as it may only be incomplete."""
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                if self._may_be_incomplete(error) and self._fill():
                    continue
                return None, self._reason(error)
            except RecursionError:
                return None, TOO_DEEP
            except ValueError as error:
                return None, tr("The JSON cannot be read: {error}.", error=error)
            if end == len(self._text) and self._fill():  # a number may go on
                continue
            text = self._text[self._position : end]
            if is_too_deep(text):
                return None, TOO_DEEP
            self.twice = spelled_json(text)[1] if type(value) in (dict, list) and hides_name(text, value) else []
            self._position = end
            return value, None

    def _may_be_incomplete(self, error: json.JSONDecodeError) -> bool:
        near_end = error.pos >= len(self._text) - 16 or error.msg.startswith("Unterminated string")
        return near_end and len(self._text) - self._position < VALUE_LIMIT_CHARACTERS

    def _reason(self, error: json.JSONDecodeError) -> str:
        line = self._line_here() + self._text.count("\n", self._position, error.pos)
        column = error.pos - self._text.rfind("\n", 0, error.pos)
        self._breaks_off = error.pos >= len(self._text.rstrip())
        if self._breaks_off:
            return tr("The JSON breaks off at line {line}, column {column}.", line=line, column=column)
        near = self._text[error.pos : error.pos + 20].split("\n")[0]
        return tr(
            "{msg} at line {line}, column {column}, near {near!r}.",
            msg=error.msg.removesuffix(" at"),  # "Invalid control character at"
            line=line,
            column=column,
            near=near,
        )

    # -- the window on the text -------------------------------------------------------------------------------

    def _peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            match = BLANKS.match(self._text, self._position)
            self._position = match.end() if match else self._position
            if self._position < len(self._text):
                return self._text[self._position]
            if not self._fill():
                return ""

    def _next_in_list(self) -> str:
        """The first character of the first element of the list at the position."""
        while True:
            match = BLANKS.match(self._text, self._position + 1)
            end = match.end() if match else self._position + 1
            if end < len(self._text):
                return self._text[end]
            if not self._fill():
                return ""

    def _fill(self) -> bool:
        """Reads on (as much as is held, so that a long value is parsed a bounded number of times)."""
        if self._at_end:
            return False
        self._line_here()
        # From the beginning of the line on, since the indentation is read from it.
        start = max(self._text.rfind("\n", 0, self._position), self._position - INDENT_LIMIT, 0)
        keep = self._text[start:]
        more = self._stream.read(max(CHUNK_CHARACTERS, len(keep)))
        if not more:
            self._at_end = True
            return False
        self._text = keep + more
        self._position = self._counted = self._position - start
        return True

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._position)
        self._counted = self._position
        return self._line

    def _indent_here(self) -> str:
        """The spaces before the value when it begins its line; no more of the text is looked at, which may be one
        line of millions of values."""
        reach = max(self._position - INDENT_LIMIT, 0)
        start = self._text.rfind("\n", reach, self._position) + 1
        if not start and reach:
            return ""
        before = self._text[start : self._position]
        return before if not before.strip() else ""

    def _skip_to_next(self, indent: str, reason: str) -> str:
        """Goes to the next line that begins a value like the broken one did, the line at hand if nothing of it was
        read yet, else to the end. Returns the reason, with what is lost."""
        begins = re.compile(r"\n" + re.escape(indent) + r"[{\[]")
        while True:
            match = begins.search(self._text, max(self._position - 1 - len(indent), 0))
            if match:
                self._position = match.start() + 1 + len(indent)
                return reason
            self._position = max(self._position, len(self._text) - len(indent) - 2)
            if not self._fill():
                self._position = len(self._text)
                self._lost = True
                if self._breaks_off:
                    return reason
                return tr("{reason} What follows it in the file is not read.", reason=reason)


def without_padding(value: Any, depth: int = DEEPEST) -> Any:
    """A nested value without nulls: Arrow gives each of a column's objects the fields of all of them. A message
    keeps its content, which is null where it is a call. What is nested too deeply stays as it is."""
    if not depth or not isinstance(value, (dict, list)):
        return value
    if isinstance(value, list):
        return [without_padding(item, depth - 1) for item in value]
    return {key: without_padding(v, depth - 1) for key, v in value.items() if v is not None or key == "content"}
