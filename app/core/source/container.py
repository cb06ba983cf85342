"""Containers: JSON that holds rows otherwise than one by one, and the rows that are in them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Literal

from app.core.language import tr
from app.core.source.table import KNOWN_COLUMNS

Container = Literal["", "turns", "squad", "intents", "translation"]

CONTAINER_LABELS: dict[Container, str] = {
    "turns": tr("Each row is a list of messages, taken as one conversation."),
    "squad": tr("Questions on paragraphs (SQuAD): each trains with its paragraph and the first of its answers."),
    "intents": tr("Intents: each pattern trains with one of the responses of its intent, in turn."),
    "translation": tr("Translations: `source` is the first language of a row, `target` the second."),
}
# Lists that belong to a row, so that an object with one of them is a row and no container of rows.
ROW_LISTS = frozenset(("messages", "conversations", "conversation", "dialog", "dialogue", "turns", "chosen",
                       "rejected", "prompt", "completion", "tools", "history", "segments", "items"))  # fmt: skip
# Texts that make an object a row, whatever lists it holds.
ROW_TEXTS = frozenset(("prompt", "instruction", "question", "query", "problem", "system", "system_prompt",
                       "context", "input", "text"))  # fmt: skip
SPLIT_WORDS: dict[str, Literal["train", "valid", "test"]] = {
    "train": "train", "training": "train",
    "valid": "valid", "validation": "valid", "val": "valid", "dev": "valid", "eval": "valid", "evaluation": "valid",
    "test": "test", "testing": "test",
}  # fmt: skip
SEVERAL_ROWS = frozenset(("squad", "intents"))  # one value holds several of them
COLUMN_LIMIT_BYTES = 1 << 29
COLUMNS_LABEL = tr("The file holds columns, not rows; they are put together row by row.")
COLUMNS_TOO_LARGE = tr(
    "The file holds columns, not rows, and is too large to put together: save it with orient='records', lines=True."
)
_COLUMN_STARTS = re.compile(r'\{\s*"(?:[^"\\]|\\.)*"\s*:\s*(\{\s*"0"\s*:|\[\s*["\[])')


def container_of(row: Any) -> Container:
    """What the first row of a file is a container of; empty for a plain row."""
    if _are_messages(row):
        return "turns"
    if not isinstance(row, dict):
        return ""
    if _list(row, "paragraphs") and any(isinstance(p, dict) and "qas" in p for p in row["paragraphs"]):
        return "squad"
    if isinstance(row.get("patterns"), list) and isinstance(row.get("responses"), list):
        return "intents"
    return "translation" if _languages(row) else ""


def unfolded(container: Container, value: Any) -> Iterator[Any]:
    """The rows that are in a value; one that is no such container stays as it is."""
    if container == "turns" and _are_messages(value):
        yield {"conversations" if "from" in value[0] else "messages": value}
    elif container == "translation" and _languages(value):
        yield translated(value)
    elif container == "squad" and isinstance(value, dict) and _list(value, "paragraphs"):
        yield from _questions(value)
    elif container == "intents" and isinstance(value, dict) and container_of(value) == "intents":
        yield from _pairs_of_intent(value)
    else:
        yield value


def translated(row: dict[str, Any]) -> dict[str, Any]:
    """The row with the texts of its first two languages as `source` and `target`, others under their own names."""
    texts = [(name, text) for name, text in row["translation"].items() if text is not None]
    rest = {name: value for name, value in row.items() if name != "translation"}
    if len(texts) < 2:
        return row
    return {"source": texts[0][1], "target": texts[1][1]} | dict(texts[2:]) | rest


def _languages(row: Any) -> bool:
    """True for a row of a `translation` with texts of two languages at least."""
    texts = row.get("translation") if isinstance(row, dict) else None
    return isinstance(texts, dict) and len(texts) > 1 and all(isinstance(text, str) for text in texts.values())


def _are_messages(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(
        isinstance(item, dict) and ({"role", "content"} <= set(item) or {"from", "value"} <= set(item))
        for item in value
    )  # fmt: skip


def _list(row: dict[str, Any], name: str) -> list[Any]:
    value = row.get(name)
    return value if isinstance(value, list) else []


def _questions(article: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for paragraph in article["paragraphs"]:
        for asked in _list(paragraph, "qas") if isinstance(paragraph, dict) else []:
            if isinstance(asked, dict):
                answers = _list(asked, "answers")
                first = answers[0] if answers else ""
                answer = first.get("text") if isinstance(first, dict) else first
                yield {"context": paragraph.get("context"), "question": asked.get("question"), "answer": answer}


def _pairs_of_intent(intent: dict[str, Any]) -> Iterator[dict[str, Any]]:
    responses = intent["responses"] or [""]
    for number, pattern in enumerate(intent["patterns"]):
        yield {"prompt": pattern, "completion": responses[number % len(responses)]}


# -- columns -----------------------------------------------------------------------------------------------------


def rows_of_columns(value: Any) -> list[dict[str, Any]] | None:
    """The rows of a file of columns, as pandas writes them (`to_json`) or as lists by their names, or of an object
    that holds rows by their keys; None for everything else."""
    if not isinstance(value, dict) or not value:
        return None
    if set(value) >= {"columns", "data"} and isinstance(value["columns"], list):
        return _split_rows(value["columns"], value["data"])
    parts = list(value.values())
    if all(isinstance(part, dict) and part for part in parts):
        return _keyed_rows(value)
    if all(isinstance(part, list) and part for part in parts) and len({len(part) for part in parts}) == 1:
        if not _known(value) or any(isinstance(item, dict) for part in parts for item in part):
            return None
        return [dict(zip(value, row, strict=True)) for row in zip(*parts, strict=True)]
    return None


def _split_rows(columns: list[Any], data: Any) -> list[dict[str, Any]] | None:
    if not isinstance(data, list) or not all(isinstance(row, list) and len(row) == len(columns) for row in data):
        return None
    return [dict(zip(map(str, columns), row, strict=True)) for row in data]


def _keyed_rows(value: dict[str, Any]) -> list[dict[str, Any]] | None:
    keys = list(next(iter(value.values())))
    if all(key.isdigit() for key in keys) and all(list(part) == keys for part in value.values()):
        return [{name: column[key] for name, column in value.items()} for key in keys]
    return list(value.values()) if not _known(value) and all(_known(part) for part in value.values()) else None


def _known(names: dict[str, Any]) -> bool:
    return any(name.strip().lower() in KNOWN_COLUMNS for name in names)


def begins_columns(start: str) -> bool:
    """True for the beginning of a long file of columns, all in one line or all in one object."""
    found = _COLUMN_STARTS.match(start)
    if found is None:
        return False
    name = json.loads(re.match(r'\{\s*("(?:[^"\\]|\\.)*")', start)[1])  # type: ignore[index]  # it matched before
    return found[1].startswith("{") or (bool(_known({name: None})) and "\n{" not in start)
