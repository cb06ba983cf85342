"""The parts of an answer: what the model thought, what it says, and its blocks of code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

THINK_CLOSE = "</think>"
THINKING = re.compile(r"^[ \t]*<think>(.*?)(?:</think>|\Z)", re.DOTALL | re.MULTILINE)
CODE_FENCE = re.compile(r"^([ \t]*)(`{3,}|~{3,})[ \t]*([^`\n]*)$")

LINE_SIGN = " \u2028"  # a line's end within a paragraph: Markdown takes it for a letter, and needs the space
HAIR = "\u200a"  # a space that nobody sees, where a line begins with what Markdown knows only behind one
_KNOWN_BEHIND_SPACE = re.compile(r"[*_~<]|https?:|www\.", re.IGNORECASE)
# What is no line of a paragraph: what ends with its line (a heading, a rule), and what may go on with the next one
# (an item of a list, a quotation, a row of a table, a definition).
_WHOLE_LINE = re.compile(r"#{1,6}(?:\s|$)|(?:=+|-+|(?:[*_-][ \t]*){3,})$")
_BLOCK_LINE = re.compile(r"(?:[-*+]|\d{1,9}[.)])(?:\s|$)|>|\[[^]]+\]:|.*\|")
_CODE_LINE = re.compile(r" {4}| {0,3}\t")

PartKind = Literal["thinking", "text", "code"]


@dataclass(frozen=True, slots=True)
class AnswerPart:
    """``text`` is Markdown where the kind is text, else plain. ``language`` is what a block of code is called."""

    kind: PartKind
    text: str
    language: str = ""


def answer_parts(answer: str) -> list[AnswerPart]:
    """The parts in their order, without empty ones.

    Thinking is what stands between ``<think>``, at the beginning of a line, and ``</think>``. Templates that end
    with the opening mark leave it out of the answer, and an answer that was cut has no closing one: both count.
    """
    parts: list[AnswerPart] = []
    first, mark, rest = answer.partition(THINK_CLOSE)
    if mark and not THINKING.search(first):
        parts, answer = _thinking(first), rest
    end = 0
    for found in THINKING.finditer(answer):
        parts += _split_code(answer[end : found.start()]) + _thinking(found[1])
        end = found.end()
    return parts + _split_code(answer[end:])


def with_lines(text: str) -> str:
    """Markdown whose paragraphs keep their lines as they came (`LINE_SIGN`), where it would join them."""
    lines: list[str] = []
    ends: list[str] = []
    is_paragraph, begins = False, True  # the last line is of a paragraph; the next may be the first of one
    for line in text.split("\n"):
        stripped = line.strip()
        if not stripped or _WHOLE_LINE.match(stripped):
            begins, is_paragraph = True, False
        elif _BLOCK_LINE.match(stripped) or (not is_paragraph and _CODE_LINE.match(line)):
            begins = is_paragraph = False
        elif is_paragraph:
            lines[-1], ends[-1] = lines[-1].rstrip().removesuffix("\\"), LINE_SIGN
            line = HAIR + stripped if _KNOWN_BEHIND_SPACE.match(stripped) else stripped
        else:
            is_paragraph, begins = begins, False
        lines.append(line)
        ends.append("\n")
    return "".join(line + end for line, end in zip(lines, ends, strict=True))[:-1]


def _thinking(text: str) -> list[AnswerPart]:
    return [AnswerPart("thinking", text.strip())] if text.strip() else []


def _split_code(text: str) -> list[AnswerPart]:
    """Fenced blocks apart from the text around them; a fence that is never closed reaches to the end.

    Blocks inside a list stand apart, too, without the indentation that made them part of it.
    """
    parts: list[AnswerPart] = []
    lines: list[str] = []
    indentation = fence = language = ""

    def close(kind: PartKind) -> None:
        block = "\n".join(lines)
        if block.strip() or kind == "code":
            parts.append(AnswerPart(kind, block if kind == "code" else block.strip("\n"), language))
        lines.clear()

    for line in text.split("\n"):
        found = CODE_FENCE.match(line)
        if not fence and found:
            close("text")
            indentation, fence, language = found[1], found[2], found[3].strip()
        elif fence and found and found[2].startswith(fence) and not found[3].strip():
            close("code")
            fence = language = ""
        else:
            lines.append(line.removeprefix(indentation) if fence else line)
    close("code" if fence else "text")
    return parts
