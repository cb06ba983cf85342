"""The chat template of a model: conversations as the text that the model reads, many at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, NamedTuple

import jinja2

from app.core.language import tr
from app.worker.token.template_limit import limited_template

GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")
# What a chat template raises for a row that it does not take: its own refusal, and what follows from a field that
# is missing or of another type than it expects.
REFUSALS = (jinja2.TemplateError, TypeError, ValueError, KeyError, IndexError, AttributeError)

Span = tuple[int, int]
Message = dict[str, Any]


class Dialogue(NamedTuple):
    """The turns of a row and the tools that it offers (None if it has none)."""

    messages: list[Message]
    tools: Any = None


class Rendered(NamedTuple):
    """A conversation as text; ``marks`` are the places in it that the template marks as said by the assistant."""

    text: str
    marks: tuple[Span, ...] = ()


Rendering = Rendered | Exception


class ChatTemplate:
    """The template of one tokenizer (mlx-lm's `TokenizerWrapper`), given what mlx-lm gives it."""

    def __init__(self, tokenizer: Any) -> None:
        # The slowest import there is: whoever only looks at rows does without.
        from transformers import PreTrainedTokenizerBase

        self._tokenizer = tokenizer
        self._inner = getattr(tokenizer, "_tokenizer", tokenizer)
        own = getattr(type(self._inner), "apply_chat_template", None)
        # Some models come with a program of their own instead of a template: that is asked row by row.
        self._is_program = (
            own is not PreTrainedTokenizerBase.apply_chat_template
            or getattr(tokenizer, "_chat_template", None) is not None
        )
        self._given: dict[str, Any] = dict(self._inner.special_tokens_map)
        if hasattr(tokenizer, "has_thinking"):  # as mlx-lm asks for every text
            self._given["enable_thinking"] = tokenizer.has_thinking

    def has_marks(self, tools: Any = None) -> bool:
        """True if the template marks what the assistant says (``{% generation %}``)."""
        return not self._is_program and GENERATION.search(self._text(tools)) is not None

    def render(self, dialogues: Sequence[Dialogue], *, answer_next: bool = False) -> list[Rendering]:
        """Each conversation as text, or why the template refuses it; with ``answer_next`` up to where the next
        answer begins. Marks are found where the template has any, but not with ``answer_next``."""
        found: list[Rendering] = []
        for tools, group in groupby(dialogues, attrgetter("tools")):
            found += self._group([dialogue.messages for dialogue in group], tools, answer_next)
        return found

    def _group(self, chats: list[list[Message]], tools: Any, answer_next: bool) -> Iterator[Rendering]:
        try:
            return iter(self._rendered(chats, tools, answer_next))
        except REFUSALS as error:
            if len(chats) == 1:
                return iter([error])
        return (item for chat in chats for item in self._group([chat], tools, answer_next))

    def _rendered(self, chats: list[list[Message]], tools: Any, answer_next: bool) -> list[Rendering]:
        from transformers.utils.chat_template_utils import render_jinja_template

        if not all(chats):
            raise ValueError(tr("there is no message"))
        if self._is_program:
            return [self._asked(chat, tools, answer_next) for chat in chats]
        marked = not answer_next and self.has_marks(tools)
        with limited_template(len(chats)):
            texts, marks = render_jinja_template(
                conversations=[[_without_nulls(message) for message in chat] for chat in chats],
                tools=tools,
                chat_template=self._text(tools),
                return_assistant_tokens_mask=marked,
                add_generation_prompt=answer_next,
                **self._given,
            )
        if not marked:
            return [Rendered(text) for text in texts]
        return [Rendered(text, tuple(spans)) for text, spans in zip(texts, marks, strict=True)]

    def _asked(self, chat: list[Message], tools: Any, answer_next: bool) -> Rendered:
        more = {"add_generation_prompt": True} if answer_next else {}
        with limited_template():
            text = self._tokenizer.apply_chat_template(chat, tools=tools, tokenize=False, **more)
        if not isinstance(text, str):
            raise TypeError("the template does not give a text")
        return Rendered(text)

    def _text(self, tools: Any) -> str:
        return str(self._inner.get_chat_template(None, tools))


def with_text_arguments(dialogue: Dialogue) -> Dialogue:
    """The same conversation with the arguments of its calls as JSON text."""

    def written(call: Any) -> Any:
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("arguments"), (dict, list)):
            return call
        text = json.dumps(function["arguments"], ensure_ascii=False)
        return call | {"function": function | {"arguments": text}}

    messages = [
        message | {"tool_calls": [written(call) for call in message["tool_calls"]]}
        if isinstance(message.get("tool_calls"), list)
        else message
        for message in dialogue.messages
    ]
    return Dialogue(messages, dialogue.tools)


def _without_nulls(message: Message) -> Message:
    """As transformers does it: many templates write a field that is null as ``None``."""
    return {key: value for key, value in message.items() if value is not None}


def alike(one: Sequence[Any], other: Sequence[Any]) -> int:
    """How many items (characters, tokens) two sequences begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (mine, its) in pairs if mine != its), min(len(one), len(other)))


def template_refusal(error: Exception) -> str:
    """Why the template did not take a row, in its own words where it has some."""
    said = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
    if isinstance(error, jinja2.TemplateError):
        return tr("The chat template refuses the row: {value}.", value=said.rstrip("."))
    return tr("The chat template cannot render the row: {value}.", value=said.rstrip("."))
