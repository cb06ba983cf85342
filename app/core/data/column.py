"""Columns: the names under which files hold the parts of a row, and what names and values tell of them."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable
from math import isfinite
from typing import Any

from app.core.json_text import WrittenNumber, has_surrogate, number_literal, read_number, read_whole
from app.core.language import code
from app.core.source.json_stream import is_too_deep

NAME_LIMIT = 60  # characters of a column's name in a message

CHAT_COLUMNS = ("messages", "conversations", "conversation", "dialog", "dialogue", "turns", "chat")
SYSTEM_COLUMNS = ("system", "system_prompt", "system_message")
CONTEXT_COLUMNS = ("context", "contexts", "sql_context", "passage", "passages", "document", "documents", "article",
                   "paragraph", "background")  # fmt: skip
HISTORY_COLUMNS = ("history", "chat_history")
TOOL_COLUMNS = ("tools", "functions")
CHOICE_COLUMNS = ("choices", "options")
INSTRUCTION_COLUMNS = ("instruction", "instructions")
INSTRUCTION_ANSWERS = ("output", "response", "completion", "answer", "outputs")
INSTRUCTION_INPUTS = ("input", *CONTEXT_COLUMNS, "inputs")
# Spellings of a prompt and its answer, the more telling ones first.
PAIRS = (
    ("prompt", "completion"), ("prompt", "response"), ("question", "answer"), ("problem", "solution"),
    ("question", "solution"), ("problem", "answer"), ("question", "response"), ("query", "response"),
    ("query", "answer"), ("input", "output"), ("input", "target"), ("prompt", "output"), ("prompt", "target"),
    ("inputs", "targets"),
    ("query", "answers"), ("source", "target"), ("user", "assistant"), ("human", "assistant"), ("human", "gpt"),
    ("human", "bot"),
    ("question", "answers"), ("q", "a"), ("front", "back"), ("document", "summary"), ("article", "summary"),
    ("article", "highlights"), ("dialogue", "summary"), ("text", "summary"),
)  # fmt: skip
PROMPT_COLUMNS = ("prompt", "question", "instruction", "query", "problem", "input", "user", "human",
                  "question_stem")  # fmt: skip
# A better and a worse answer.
PREFERENCES = (
    ("chosen", "rejected"), ("preferred_output", "non_preferred_output"), ("chosen_response", "rejected_response"),
    ("response_chosen", "response_rejected"), ("preferred", "rejected"), ("accepted", "rejected"),
)  # fmt: skip
# Two answers and the column that says which of them is better, by the rule of `better_of`.
JUDGED = (
    ("response_0", "response_1", "better_response_id", "place"),
    ("response_1", "response_2", "preference_strength", "sign"),
    ("response1", "response2", "overall_preference", "sign"), ("output_1", "output_2", "preference", "number"),
    ("response_a", "response_b", "winner", "name"), ("answer_a", "answer_b", "winner", "name"),
    ("conversation_a", "conversation_b", "winner", "name"),
)  # fmt: skip
# What an answer is compared with; a dot goes into an object.
REFERENCE_COLUMNS = ("reference_answer", "ground_truth", "reward_model.ground_truth", "final_answer", "answer",
                     "expected_answer", "reference", "solution")  # fmt: skip
TEXT_COLUMNS = ("text", "content", "document", "body", "article", "passage", "code", "story")
CLASSIFIED_COLUMNS = ("text", "sentence", "review", "tweet", "comment", "content")
CLASS_COLUMNS = ("label", "class", "sentiment", "intent", "emotion")
CLASS_NAME_COLUMNS = ("label_text", "label_name", "label_str")
MEDIA_COLUMNS = ("images", "image", "audios", "audio", "videos", "video")
KEYED_ANSWERS = ("answer", "answerkey", "answer_key", "correct_answer", "correct_option", "correct", "cop", "label")

# What a column that is not used looks like, by a word of its name; warned of where one of these stands there.
_TELLING = frozenset((
    "prompt", "prompts", "question", "questions", "instruction", "instructions", "query", "input", "inputs",
    "problem", "request", "context", "contexts", "passage", "passages", "document", "documents", "background",
    "evidence", "system", "persona", "history", "conversation", "conversations", "dialog", "dialogue",
    "messages", "turns", "choices", "options", "option", "choice", "tools", "functions", "answer", "answers",
    "output", "outputs", "response", "responses", "completion", "completions", "solution", "solutions",
    "target", "targets", "label", "labels", "class", "sentiment", "intent", "emotion", "chosen", "rejected",
    "reply", "summary", "translation", "rationale", "explanation", "reasoning", "thinking", "image", "images",
    "audio", "audios", "video", "videos", "definition", "highlights", "explanations", "premise", "hypothesis",
    "sql",
))  # fmt: skip
# Words behind which a name tells something about a text and is none: `prompt_id`, `answer_type`.
_ABOUT = frozenset((
    "id", "ids", "uid", "uuid", "type", "types", "kind", "source", "length", "len", "count", "tokens", "token",
    "lang", "language", "category", "score", "scores", "hash", "url", "urls", "index", "idx", "date", "time",
    "model", "name", "number", "num", "level", "rating", "difficulty", "version", "format", "status", "author",
    "quality",
))  # fmt: skip
# Words that tell the same before it: `score_chosen`, `num_answers`.
_MEASURED = frozenset(("score", "scores", "num", "number", "len", "length", "count", "rating", "id", "has", "is"))
_LETTER_COLUMN = re.compile(r"(?:(?:option|choice|opt|op)[ _-]?)?([a-h])|(?:option|choice)[ _-]?(\d)")


def folded(row: Iterable[Any]) -> dict[str, str]:
    """Real column names by their names in lower case without spaces around."""
    found: dict[str, str] = {}
    for name in row:
        if isinstance(name, str):
            found.setdefault(name.strip().lower(), name)
    return found


def first_of(names: dict[str, str], wanted: Iterable[str]) -> str:
    """The real name of the first column that is there, else nothing."""
    return next((names[name] for name in wanted if name in names), "")


def quoted(column: object) -> str:
    """A column's name as messages show it: a long one is cut."""
    name = str(column)
    return code(name if len(name) <= NAME_LIMIT else f"{name[:NAME_LIMIT]}…")


def value_at(row: dict[str, Any], path: str) -> Any:
    """The value of a column, or of a field of the object in it (``reward_model.ground_truth``); else None."""
    if path in row:
        return row[path]
    column, _, field = path.partition(".")
    inner = row.get(column)
    return inner.get(field) if field and isinstance(inner, dict) else None


def is_about_example(column: str) -> bool:
    """True if a column of this name tells something of an example (its number, source, length), and is no part."""
    found = _words(column)
    return bool(found) and (found[-1] in _ABOUT or found[0] in _MEASURED)


def _words(column: str) -> list[str]:
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", column).lower()
    return [word for word in re.split(r"[^a-z]+", spaced) if word]


def reads_as_data(column: str) -> bool:
    """True if a column of this name looks like a part of an example, so that leaving it out changes the example."""
    found = _words(column)
    if found == ["code"]:  # not `country_code`
        return True
    if is_about_example(column):
        return False
    return not _TELLING.isdisjoint(found)


def choice_columns(names: dict[str, str]) -> tuple[str, ...]:
    """The columns that hold the choices of a question: one list, or a column a letter (at least A and B)."""
    if one := first_of(names, CHOICE_COLUMNS):
        return (one,)
    lettered = {match[1] or match[2]: names[name] for name in names if (match := _LETTER_COLUMN.fullmatch(name))}
    order = sorted(lettered)
    starts = order[:2] in (["a", "b"], ["0", "1"], ["1", "2"])
    return tuple(lettered[key] for key in order) if starts else ()


def as_list(value: Any) -> Any:
    """The value, or the list that it is the text of: JSON, or Python's spelling as pandas writes it into CSV."""
    if not isinstance(value, str) or not value.lstrip().startswith("["):
        return value
    parsed = _parsed(value)
    return parsed if isinstance(parsed, list) else value


def as_object(value: Any) -> Any:
    """The value, or the object that it is the text of."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    parsed = _parsed(value)
    return parsed if isinstance(parsed, dict) else value


def _parsed(text: str) -> Any:
    """What a text is the spelling of; None for none, or where that has half of a character, which no file takes."""
    if is_too_deep(text):
        return None
    try:
        found = json.loads(text, parse_float=read_number, parse_int=read_whole)
    except (ValueError, RecursionError):
        try:
            found = ast.literal_eval(text.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            return None
    return None if "\\u" in text.lower() and has_surrogate(found) else found


def message_list(value: Any) -> list[dict[str, Any]] | None:
    """The messages that a value is: a list of objects that all have a role, or one such object, or the text of such
    a list, or an object that holds it as ``messages``; None for everything else, which stays what it is."""
    if isinstance(value, str):
        if value.lstrip()[:1] != "[" or not ("role" in value or "from" in value):
            return None
        value = as_list(value)
    if isinstance(value, dict):
        value = value["messages"] if isinstance(value.get("messages"), list) else [value]
    if not isinstance(value, list) or not value:
        return None
    return value if all(isinstance(item, dict) and ("role" in item or "from" in item) for item in value) else None


def plain_text(value: Any) -> str | None:
    """A text, number or truth value as text, a number as it is written in its file; None for what is none of them
    (NaN neither)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    is_number = isinstance(value, WrittenNumber) or (isinstance(value, float) and isfinite(value))
    return number_literal(value) if is_number else None
