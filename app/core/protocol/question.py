"""A question to a model: its messages, and how the answer is sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked and how tokens are chosen (mlx-lm's meanings); the same for every column.

    Only ``conversations`` differ: one for each column asked, in place of ``messages``, when they have answers of
    their own in them.
    """

    messages: tuple[dict[str, str], ...]
    conversations: tuple[tuple[dict[str, str], ...], ...] = ()
    max_tokens: int = 256
    temp: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float | None = None
    seed: int = 0


class Message(BaseModel):
    """One turn of a conversation."""

    model_config = ConfigDict(frozen=True)

    role: str
    content: str


class Request(BaseModel):
    """One ``generate`` command: what is asked, of which columns, and how tokens are chosen (mlx-lm's meanings).

    Either ``messages`` or ``prompt``, or ``conversations``: one for each of ``columns``, where their own earlier
    answers differ. ``raw`` gives the prompt to the model as it is, without the chat template. Columns are answered
    in the order in which they are named. Without a ``seed`` one is drawn, the same for all columns.
    """

    model_config = ConfigDict(frozen=True, allow_inf_nan=False)

    request: int = 0
    columns: tuple[int, ...] | None = None
    messages: tuple[Message, ...] = ()
    conversations: tuple[tuple[Message, ...], ...] = ()
    prompt: str | None = None
    raw: bool = False
    max_tokens: Annotated[int, Field(ge=1)] = 256
    temp: Annotated[float, Field(ge=0)] = 0.0
    top_p: Annotated[float, Field(ge=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    repetition_penalty: Annotated[float | None, Field(ge=0)] = None
    seed: Annotated[int, Field(ge=0, lt=2**64)] | None = None

    def turns(self, place: int = 0) -> list[dict[str, str]]:
        """The conversation of the column at ``place`` of those asked, as the chat template takes it."""
        messages = [m.model_dump() for m in (self.conversations[place] if self.conversations else self.messages)]
        return messages if self.prompt is None else [*messages, {"role": "user", "content": self.prompt}]
