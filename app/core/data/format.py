"""Formats of rows, recognised by their columns and content, and where in a row its parts are (its layout)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Literal

from app.core.config.train_config import TrainConfig
from app.core.data.label import LABEL_COLUMNS, is_verdict
from app.core.method.table import METHODS


class Format(StrEnum):
    """What rows are."""

    CHAT = "chat"
    SHAREGPT = "sharegpt"
    ALPACA = "alpaca"
    COMPLETION = "completion"
    TEXT = "text"
    PREFERENCE = "preference"
    LABELLED = "labelled"
    GRPO = "grpo"
    UNKNOWN = "unknown"


Target = Literal["chat", "completion", "text", "preference", "labelled", "prompt", ""]

TARGETS: dict[Format, Target] = {
    Format.CHAT: "chat", Format.SHAREGPT: "chat", Format.ALPACA: "completion", Format.COMPLETION: "completion",
    Format.TEXT: "text", Format.PREFERENCE: "", Format.LABELLED: "", Format.GRPO: "", Format.UNKNOWN: "",
}  # fmt: skip
FORMAT_LABELS: dict[Format, str] = {
    Format.CHAT: "chat", Format.SHAREGPT: "ShareGPT chat", Format.ALPACA: "Alpaca instructions",
    Format.COMPLETION: "prompt and answer", Format.TEXT: "text", Format.PREFERENCE: "preference pairs",
    Format.LABELLED: "answers labelled good or bad", Format.GRPO: "prompts with reference answers (GRPO)",
    Format.UNKNOWN: "not recognised",
}  # fmt: skip

CHAT_COLUMNS = ("messages", "conversations", "conversation", "dialog", "dialogue", "turns", "chat")
SYSTEM_COLUMNS = ("system", "system_prompt", "system_message")
INSTRUCTION_COLUMNS = ("instruction", "instructions")
INSTRUCTION_ANSWERS = ("output", "response", "completion", "answer", "outputs")
INSTRUCTION_INPUTS = ("input", "context", "inputs")
# Spellings of a prompt and its answer, the more telling ones first.
PAIRS = (
    ("prompt", "completion"), ("prompt", "response"), ("question", "answer"), ("problem", "solution"),
    ("question", "solution"), ("problem", "answer"), ("question", "response"), ("query", "response"),
    ("query", "answer"), ("input", "output"), ("prompt", "output"), ("prompt", "target"), ("inputs", "targets"),
    ("source", "target"), ("user", "assistant"), ("human", "assistant"), ("human", "gpt"), ("human", "bot"),
    ("question", "answers"), ("q", "a"),
)  # fmt: skip
TEXT_COLUMNS = ("text", "content", "document", "body", "article", "passage", "code", "story")


@dataclass(frozen=True, slots=True)
class Features:
    """The columns and the format that the config names, and what it trains; defaults are mlx-lm's."""

    data_format: str = "auto"
    prompt: str = "prompt"
    completion: str = "completion"
    chat: str = "messages"
    text: str = "text"
    system: str = ""
    train_mode: str = "sft"

    @classmethod
    def of(cls, config: TrainConfig) -> Features:
        """Those of a config."""
        return cls(
            config.data_format, config.prompt_feature, config.completion_feature, config.chat_feature,
            config.text_feature, config.system_feature, config.train_mode,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a row are: names of its columns, empty where there is none.

    ``native`` when mlx-lm itself reads such rows as they are, given the same features.
    """

    format: Format
    chat: str = ""
    prompt: str = ""
    completion: str = ""
    context: str = ""
    system: str = ""
    history: str = ""
    text: str = ""
    chosen: str = ""
    rejected: str = ""
    label: str = ""
    native: bool = False

    @property
    def target(self) -> Target:
        """The form that the row trains as: a pair with a system text or earlier turns is a chat."""
        if self.format in (Format.ALPACA, Format.COMPLETION) and (self.system or self.history):
            return "chat"
        return TARGETS[self.format]

    @property
    def needed(self) -> tuple[str, ...]:
        """The columns that every row of this layout must have."""
        every = (self.chat, self.prompt, self.completion, self.text, self.chosen, self.rejected, self.label)
        return tuple(name for name in every if name)


def layout_of(row: dict[Any, Any], features: Features) -> Layout | None:
    """The layout of a row, by the config's columns first and then by known names; None if it is not recognised.

    The order among the config's columns is mlx-lm's (`create_dataset`): prompt and completion, chat, text.
    """
    if labelled := _labelled(row, features):
        return labelled
    if features.data_format != "auto":
        return _chosen_layout(row, features)
    system = features.system if features.system in row else ""
    if features.prompt in row and features.completion in row:
        return _pair(row, features.prompt, features.completion, system, native=not system)
    if features.chat in row and features.chat != "messages":
        return _chat(row, features.chat, system, native=True)
    if preference := _preference(row):
        return preference
    if features.chat in row:
        return _chat(row, features.chat, system, native=True)
    if features.text in row and features.text != "text":
        return Layout(Format.TEXT, text=features.text, native=True)
    return _known_layout(row, features, system)


def mlx_choice(row: dict[Any, Any], features: Features) -> Target:
    """What mlx-lm takes a file for whose first row this is (`mlx_lm.tuner.datasets.create_dataset`)."""
    if features.prompt in row and features.completion in row:
        return "completion"
    if features.chat in row:
        return "chat"
    return "text" if features.text in row else ""


def _chosen_layout(row: dict[Any, Any], features: Features) -> Layout | None:
    """The layout under a format that the config fixes; known names are tried where its columns are not there."""
    system = features.system if features.system in row else ""
    automatic = layout_of(row, Features("auto", *_feature_names(features)))
    if features.data_format == "chat":
        if features.chat in row:
            return _chat(row, features.chat, system, native=mlx_choice(row, features) == "chat")
        return automatic if automatic and automatic.target in ("chat", "completion") else None
    if features.data_format == "completion":
        if features.prompt in row and features.completion in row:
            return _pair(row, features.prompt, features.completion, system, native=not system)
        if automatic and automatic.format is Format.GRPO:
            return replace(automatic, format=Format.COMPLETION)
        return automatic if automatic and automatic.format in (Format.ALPACA, Format.COMPLETION) else None
    if features.text in row:
        return Layout(Format.TEXT, text=features.text, native=mlx_choice(row, features) == "text")
    return automatic if automatic and automatic.format is Format.TEXT else None


def _feature_names(features: Features) -> tuple[str, str, str, str, str]:
    return features.prompt, features.completion, features.chat, features.text, features.system


def _known_layout(row: dict[Any, Any], features: Features, system: str) -> Layout | None:
    names = _folded(row)
    for column in CHAT_COLUMNS:
        if column in names and _looks_like_chat(row[names[column]]):
            return _chat(row, names[column], system or _first(names, SYSTEM_COLUMNS), native=False)
    if instruction := _first(names, INSTRUCTION_COLUMNS):
        answer = _first(names, INSTRUCTION_ANSWERS)
        if answer:
            context = _first(names, INSTRUCTION_INPUTS)
            own_system = system or _first(names, SYSTEM_COLUMNS)
            return Layout(Format.ALPACA, prompt=instruction, completion=answer, context=context, system=own_system,
                          history=names.get("history", ""))  # fmt: skip
    if "prompt" in names and "answer" in names:
        system = system or _first(names, SYSTEM_COLUMNS)
        return Layout(Format.GRPO, prompt=names["prompt"], completion=names["answer"], system=system)
    for prompt, answer in PAIRS:
        if prompt in names and answer in names:
            return _pair(row, names[prompt], names[answer], system, native=False)
    if METHODS[features.train_mode].is_judged and "prompt" in names:
        # A judge compares answers with each other: a reference answer may be missing.
        return Layout(Format.GRPO, prompt=names["prompt"], system=system or _first(names, SYSTEM_COLUMNS))
    return _text_layout(row, names, features)


def _text_layout(row: dict[Any, Any], names: dict[str, str], features: Features) -> Layout | None:
    """A column of text; one that is merely *called* content counts only when no other column holds text."""
    if features.text in row:
        return Layout(Format.TEXT, text=features.text, native=True)
    texts = [name for name, value in row.items() if isinstance(value, str)]
    for column in TEXT_COLUMNS:
        if column in names and (column == "text" or texts == [names[column]]):
            return Layout(Format.TEXT, text=names[column])
    return None


def _folded(row: Iterable[Any]) -> dict[str, str]:
    """Real column names by their names in lower case without spaces around."""
    found: dict[str, str] = {}
    for name in row:
        if isinstance(name, str):
            found.setdefault(name.strip().lower(), name)
    return found


def _first(names: dict[str, str], wanted: Iterable[str]) -> str:
    return next((names[name] for name in wanted if name in names), "")


def _preference(row: dict[Any, Any]) -> Layout | None:
    names = _folded(row)
    if "chosen" in names and "rejected" in names:
        return Layout(
            Format.PREFERENCE, prompt=names.get("prompt", names.get("question", "")), chosen=names["chosen"],
            rejected=names["rejected"], system=_first(names, SYSTEM_COLUMNS),
        )  # fmt: skip
    return None


def _labelled(row: dict[Any, Any], features: Features) -> Layout | None:
    """One answer and its label. Few methods read them: for others they are recognised so that they can be refused,
    unless the format is chosen, or the label may be something else than a verdict."""
    label = next((name for name in LABEL_COLUMNS if name in row), "")
    is_wanted = METHODS[features.train_mode].takes_labels and features.data_format in ("auto", "completion")
    if not label or not (is_wanted or (features.data_format == "auto" and is_verdict(row[label]))):
        return None
    names = _folded(row)
    if "chosen" in names and "rejected" in names:
        return None
    for prompt, answer in ((features.prompt, features.completion), *(PAIRS if is_wanted else PAIRS[:2])):
        prompt, answer = names.get(prompt, prompt), names.get(answer, answer)
        if prompt in row and answer in row:
            system = features.system if features.system in row else _first(names, SYSTEM_COLUMNS)
            return Layout(Format.LABELLED, prompt=prompt, completion=answer, system=system, label=label)
    return None


def _pair(row: dict[Any, Any], prompt: str, completion: str, system: str, *, native: bool) -> Layout:
    """A prompt and its answer; both may be lists of messages (TRL's conversational form)."""
    if _looks_like_chat(row[prompt]) or _looks_like_chat(row[completion]):
        return Layout(Format.CHAT, prompt=prompt, completion=completion, system=system)
    return Layout(Format.COMPLETION, prompt=prompt, completion=completion, system=system, native=native)


def _chat(row: dict[Any, Any], column: str, system: str, *, native: bool) -> Layout:
    value = row[column]
    if isinstance(value, list) and value and isinstance(value[0], dict) and "from" in value[0]:
        return Layout(Format.SHAREGPT, chat=column, system=system or _first(_folded(row), SYSTEM_COLUMNS))
    native = native and not system and isinstance(value, list)
    return Layout(Format.CHAT, chat=column, system=system, native=native)


def _looks_like_chat(value: Any) -> bool:
    """A list of objects, or such a list written as text (as CSV files hold it)."""
    if isinstance(value, list):
        return not value or isinstance(value[0], dict)
    return isinstance(value, str) and value.lstrip()[:1] == "[" and "{" in value[:20]
