"""Formats of rows, what the config says of their columns, and where in a row its parts are (its layout)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from app.core.config.train_config import TrainConfig
from app.core.data.column import CHAT_COLUMNS, PREFERENCES, TOOL_COLUMNS
from app.core.document.passage import OVERLAP_KEY
from app.core.language import tr
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
# Rows of which two answers, one with a label, or none but a reference are to be used.
RATED = frozenset((Format.PREFERENCE, Format.LABELLED, Format.GRPO))
FORMAT_LABELS: dict[Format, str] = {
    Format.CHAT: tr("chat"), Format.SHAREGPT: tr("ShareGPT chat"), Format.ALPACA: tr("Alpaca instructions"),
    Format.COMPLETION: tr("prompt and answer"), Format.TEXT: tr("text"), Format.PREFERENCE: tr("preference pairs"),
    Format.LABELLED: tr("answers labelled good or bad"), Format.GRPO: tr("prompts with reference answers (GRPO)"),
    Format.UNKNOWN: tr("not recognised"),
}  # fmt: skip


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
    group: str = ""
    good_only: bool = False

    @classmethod
    def of(cls, config: TrainConfig) -> Features:
        """Those of a config."""
        return cls(
            config.data_format, config.prompt_feature, config.completion_feature, config.chat_feature,
            config.text_feature, config.system_feature, config.train_mode, config.group_feature,
            config.skip_bad_answers,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a row are: names of its columns, empty where there is none.

    ``verdict`` is the column that says which of ``chosen`` and ``rejected`` is the better one, where it differs
    from row to row. ``completion`` may be a path into an object (``reward_model.ground_truth``); ``choices`` are
    the columns that hold the choices of a question. ``native`` when mlx-lm itself reads such rows as they are,
    given the same features.
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
    verdict: str = ""
    choices: tuple[str, ...] = ()
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

    @property
    def read(self) -> tuple[str, ...]:
        """All columns that the example is made of, in the order of its parts."""
        every = (self.system, self.history, self.chat, self.prompt, self.context, *self.choices, self.completion,
                 self.text, self.chosen, self.rejected, self.verdict, self.label)  # fmt: skip
        return tuple(dict.fromkeys(name for name in every if name))

    def unused(self, columns: Iterable[Any], features: Features) -> tuple[str, ...]:
        """The columns of a row that the example is not made of."""
        used = {*self.read, self.completion.partition(".")[0], features.group, OVERLAP_KEY}
        if self.format is not Format.TEXT:
            used.update(TOOL_COLUMNS)
        if "prompt" in METHODS[features.train_mode].goals:
            used.add("type")
        if self.chosen and not self.chat:
            used.update(CHAT_COLUMNS)  # the chosen conversation once more
        # Who chose the better answers as the answer column has left out the worse ones knowingly.
        used.update(worse for better, worse in PREFERENCES if better == self.completion)
        return tuple(name for name in columns if isinstance(name, str) and name not in used)


def mlx_choice(row: dict[Any, Any], features: Features) -> Target:
    """What mlx-lm takes a file for whose first row this is (`mlx_lm.tuner.datasets.create_dataset`)."""
    if features.prompt in row and features.completion in row:
        return "completion"
    if features.chat in row:
        return "chat"
    return "text" if features.text in row else ""
