"""The column mapping: which column is the prompt, the answer, the system text, the messages or the text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.core.data.column import is_about_example
from app.core.data.format import Features, Format
from app.core.data.layout import layout_of

PROMPT_WORDS = ("prompt", "question", "instruction", "query", "input", "problem", "user", "human", "request", "ask")
ANSWER_WORDS = ("completion", "answer", "response", "output", "solution", "assistant", "reply", "target", "label")
SYSTEM_WORDS = ("system", "persona", "role_description")


@dataclass(frozen=True, slots=True)
class Mapping:
    """A choice of columns. ``format`` is chat, completion or text; unused columns are empty."""

    format: Literal["chat", "completion", "text"]
    prompt: str = ""
    completion: str = ""
    chat: str = ""
    text: str = ""
    system: str = ""

    def config_values(self) -> dict[str, str]:
        """The values for `TrainConfig.with_values`; columns without a choice go back to mlx-lm's names."""
        default = Features()
        return {
            "data_format": self.format,
            "prompt_feature": self.prompt or default.prompt,
            "completion_feature": self.completion or default.completion,
            "chat_feature": self.chat or default.chat,
            "text_feature": self.text or default.text,
            "system_feature": self.system,
        }


def suggest_mapping(columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> Mapping | None:
    """The likeliest choice for columns that were not recognised (or were), from their names and some rows.

    None when no column holds text or messages.
    """
    sample = [row for row in rows if isinstance(row, dict)][:50]
    if known := _known_mapping(sample):
        return known
    chats = [column for column in columns if _share(sample, column, _is_messages) > 0.5]
    texts = [
        column for column in columns if _share(sample, column, lambda v: isinstance(v, str) and v.strip()) > 0.5
    ]
    if chats:
        return Mapping("chat", chat=chats[0], system=_named(texts, SYSTEM_WORDS))
    if len(texts) < 2:
        return Mapping("text", text=texts[0]) if texts else None
    system = _named(texts, SYSTEM_WORDS)
    rest = [column for column in texts if column != system]
    parts = [column for column in rest if not is_about_example(column)]
    rest = parts if len(parts) > 1 else rest
    answer = _named(rest, ANSWER_WORDS)
    prompt = _named([column for column in rest if column != answer], PROMPT_WORDS)
    if answer or prompt:
        lengths = sorted((c for c in rest if c not in (answer, prompt)), key=lambda c: -_mean_length(sample, c))
        answer = answer or next(iter(lengths), "")
        prompt = prompt or next((c for c in lengths if c != answer), "")
    else:
        prompt, answer = rest[0], rest[1] if len(rest) > 1 else ""
    if prompt and answer:
        return Mapping("completion", prompt=prompt, completion=answer, system=system)
    return Mapping("text", text=max(texts, key=lambda c: _mean_length(sample, c)))


def _known_mapping(sample: list[dict[str, Any]]) -> Mapping | None:
    layout = layout_of(sample[0], Features()) if sample else None
    if layout is None:
        return None
    if layout.format in (Format.CHAT, Format.SHAREGPT) and layout.chat:
        return Mapping("chat", chat=layout.chat, system=layout.system)
    if layout.format is Format.TEXT:
        return Mapping("text", text=layout.text)
    if layout.format is Format.PREFERENCE:
        return Mapping("completion", prompt=layout.prompt, completion=layout.chosen) if layout.prompt else None
    if layout.prompt and layout.completion:
        return Mapping("completion", prompt=layout.prompt, completion=layout.completion, system=layout.system)
    return None


def _share(sample: list[dict[str, Any]], column: str, test: Any) -> float:
    return sum(1 for row in sample if test(row.get(column))) / max(len(sample), 1)


def _is_messages(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(item, dict) and ({"role", "content"} <= set(item) or {"from", "value"} <= set(item))
                for item in value)
    )  # fmt: skip


def _named(columns: list[str], words: Sequence[str]) -> str:
    """The column whose name is one of the words, else the first that holds one."""
    for word in words:
        for column in columns:
            if column.strip().lower() == word:
                return column
    return next((c for word in words for c in columns if word in c.lower()), "")


def _mean_length(sample: list[dict[str, Any]], column: str) -> float:
    lengths = [len(row[column]) for row in sample if isinstance(row.get(column), str)]
    return sum(lengths) / max(len(lengths), 1)
