"""A question to a model: what is asked, and how the tokens of the answer are chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated

from pydantic import ConfigDict, Field

from app.core.protocol.wire import WirePart


class ChatMessage(WirePart):
    """One message of a conversation, as chat templates take it."""

    role: str
    content: str


def chat_of(messages: Iterable[Mapping[str, str]]) -> tuple[ChatMessage, ...]:
    """Messages that are dicts, as data have them; keys beside role and content are left out."""
    return tuple(ChatMessage(role=message["role"], content=message["content"]) for message in messages)


class Question(WirePart):
    """What is asked and how tokens are chosen (mlx-lm's meanings); the same for every column that is asked.

    Either ``messages``, with ``prompt`` as the last one if there is one, or ``conversations``: one for each column
    asked, where their own earlier answers differ. ``raw`` gives the prompt to the model as it is, without the chat
    template. Without a ``seed`` one is drawn, the same for all columns.
    """

    model_config = ConfigDict(allow_inf_nan=False)

    messages: tuple[ChatMessage, ...] = ()
    conversations: tuple[tuple[ChatMessage, ...], ...] = ()
    prompt: str | None = None
    raw: bool = False
    max_tokens: Annotated[int, Field(ge=1)] = 256
    temp: Annotated[float, Field(ge=0)] = 0.0
    top_p: Annotated[float, Field(ge=0, le=1)] = 1.0
    top_k: Annotated[int, Field(ge=0)] = 0
    min_p: Annotated[float, Field(ge=0, le=1)] = 0.0
    repetition_penalty: Annotated[float | None, Field(ge=0)] = None
    seed: Annotated[int | None, Field(ge=0, lt=2**64)] = None

    @property
    def is_empty(self) -> bool:
        """True if there is neither a prompt nor a message, or not for every column."""
        return self.prompt is None and not self.messages and not all(self.conversations or [()])

    def turns(self, place: int = 0) -> list[dict[str, str]]:
        """The conversation of the column at ``place`` of those asked, as the chat template takes it."""
        messages = [m.model_dump() for m in (self.conversations[place] if self.conversations else self.messages)]
        return messages if self.prompt is None else [*messages, {"role": "user", "content": self.prompt}]
