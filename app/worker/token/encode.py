"""Encoding: rows of a prepared file as tokens, and which of them are trained, as stock mlx-lm's data sets do it.

What mlx-lm does row by row (`mlx_lm.tuner.datasets`: TextDataset, ChatDataset, CompletionsDataset) is done here for
many rows at once: the chat template renders each, the tokenizer encodes all renderings in one call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import jinja2
import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.data.format import Features, Target, mlx_choice
from app.core.problem import Problem, UnusableError
from app.worker.token.token_set import Example

GENERATION = re.compile(r"\{%-?\s*generation\b")
# What a chat template raises for a row that it does not take: its own refusal, and what follows from a field that
# is missing or of another type than it expects.
REFUSALS = (jinja2.TemplateError, TypeError, ValueError, KeyError, IndexError, AttributeError)

Span = tuple[int, int]
Row = dict[str, Any]


@dataclass(slots=True)
class Encoded:
    """One row: its example, or why there is none; ``faults`` are (kind, reason) of what is worth telling."""

    example: Example | None
    refused: str = ""
    faults: list[tuple[str, str]] = field(default_factory=list)


class RowEncoder:
    """Encodes the rows of one file with one tokenizer (mlx-lm's `TokenizerWrapper`) under one config."""

    def __init__(self, tokenizer: Any, config: TrainConfig, first_row: Row, *, file: str = "") -> None:
        """Raises `UnusableError` when the tokenizer has no chat template for rows that need one, or the rows are
        in no form of mlx-lm's."""
        self._tokenizer = tokenizer
        self._inner = getattr(tokenizer, "_tokenizer", tokenizer)
        self._features = Features.of(config)
        self.target: Target = mlx_choice(first_row, self._features)
        # mlx-lm refuses to mask text, which has no prompt; here all of it is trained.
        self.masked = config.mask_prompt and self.target != "text"
        self._all_turns = self.masked and config.mask_turns == "all" and self.target == "chat"
        self._ends = frozenset(tokenizer.eos_token_ids)
        if not self.target:
            raise UnusableError(
                [Problem("data", "The first row is in no form that mlx-lm reads.", file=file, line=1)]
            )
        if self.target != "text" and not tokenizer.has_chat_template:
            raise UnusableError([no_chat_template(self.target, file)])

    def encode(self, rows: Sequence[Row]) -> list[Encoded]:
        """The rows as examples, in order."""
        if self.target == "text":
            return self._encode_texts(rows)
        return self._encode_chats(rows)

    # -- text -------------------------------------------------------------------------------------------------

    def _encode_texts(self, rows: Sequence[Row]) -> list[Encoded]:
        name, end = self._features.text, self._tokenizer.eos_token_id
        found = [Encoded(None, self._text_fault(row, name)) for row in rows]
        good = [at for at, item in enumerate(found) if not item.refused]
        for at, tokens in zip(good, self._tokens([rows[at][name] for at in good], special=True), strict=True):
            if end is not None and (not tokens or tokens[-1] != end):
                tokens = [*tokens, end]
            found[at].example = _example(tokens, [(0, len(tokens))])
        return found

    @staticmethod
    def _text_fault(row: Row, name: str) -> str:
        return "" if isinstance(row.get(name), str) and row[name] else f"`{name}` is missing, empty or no text."

    # -- chat -------------------------------------------------------------------------------------------------

    def _encode_chats(self, rows: Sequence[Row]) -> list[Encoded]:
        found = [Encoded(None) for _ in rows]
        texts: list[str] = []
        prompts: list[str] = []
        good: list[int] = []
        for at, row in enumerate(rows):
            try:
                messages, tools = self.messages(row), row.get("tools")
                text = self._render(messages, tools)
                prompt = self._render(messages[:-1], tools, answer_next=_answers(messages)) if self.masked else ""
            except REFUSALS as error:
                found[at].refused = refusal(error)
                continue
            good.append(at)
            texts.append(text)
            prompts.append(prompt)
        encoded = self._tokens(texts)
        begins: list[list[int]] = self._tokens(prompts) if self.masked else [[] for _ in good]
        for at, tokens, begin in zip(good, encoded, begins, strict=True):
            spans = [(len(begin), len(tokens))]
            if tokens[: len(begin)] != begin:
                said = "The rendered prompt is not the beginning of the rendered row, so the mask may be off."
                found[at].faults.append(("mask_mismatch", said))
            if self._all_turns:
                spans = self._turns(rows[at], tokens, spans[0], found[at])
            found[at].example = _example(tokens, spans)
        return found

    def messages(self, row: Row) -> list[dict[str, Any]]:
        """The messages that the template is given: the row's, or prompt and completion as two turns."""
        if self.target == "completion":
            return [
                {"role": "user", "content": row[self._features.prompt]},
                {"role": "assistant", "content": row[self._features.completion]},
            ]
        messages = row[self._features.chat]
        if not isinstance(messages, list) or not messages:
            raise ValueError(f"`{self._features.chat}` is no list of messages")
        return messages

    def _render(self, messages: list[dict[str, Any]], tools: Any, *, answer_next: bool = False) -> str:
        # The argument is left out rather than False, as mlx-lm does for whole rows.
        more = {"add_generation_prompt": True} if answer_next else {}
        text = self._tokenizer.apply_chat_template(messages, tools=tools, tokenize=False, **more)
        if not isinstance(text, str):
            raise TypeError("the template does not give a text")
        return text

    def _tokens(self, texts: list[str], *, special: bool = False) -> list[list[int]]:
        if not texts:
            return []
        arguments = {"return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
        found: list[list[int]] = self._inner(texts, add_special_tokens=special, **arguments)["input_ids"]
        return found

    # -- every turn of the assistant ----------------------------------------------------------------------

    def _turns(self, row: Row, tokens: list[int], last: Span, encoded: Encoded) -> list[Span]:
        """The spans of all assistant turns, each found by what the template renders before and after it.

        ``last`` is the span that mlx-lm trains. Where the template rewrites earlier turns (drops their thinking)
        a turn ends at the first end-of-turn token after its beginning; where even its beginning cannot be found,
        the template's own marks count if it has any, and else only the last turn is trained.
        """
        messages, tools = self.messages(row), row.get("tools")
        turns = [at for at, message in enumerate(messages) if message.get("role") == "assistant"]
        earlier = [at for at in turns if at < len(messages) - 1]
        try:
            heads = [self._render(messages[:at], tools, answer_next=True) for at in earlier]
            wholes = [self._render(messages[: at + 1], tools) for at in earlier]
        except REFUSALS:
            return self._marked(row, tokens, last, encoded)
        spans: list[Span] = []
        for head, whole in zip(self._tokens(heads), self._tokens(wholes), strict=True):
            span = self._span(tokens, head, whole)
            if span is None:
                return self._marked(row, tokens, last, encoded)
            spans.append(span)
        if turns and turns[-1] == len(messages) - 1:
            spans.append(last)
        return spans

    def _span(self, tokens: list[int], head: list[int], whole: list[int]) -> Span | None:
        start = len(head)
        if tokens[:start] != head:
            return None
        if len(whole) > start and tokens[: len(whole)] == whole:
            return start, len(whole)
        end = next((at for at in range(start, len(tokens)) if tokens[at] in self._ends), None)
        return None if end is None else (start, end + 1)

    def _marked(self, row: Row, tokens: list[int], last: Span, encoded: Encoded) -> list[Span]:
        """The spans that the template marks itself (``{% generation %}``), else the last turn, and says so."""
        template = getattr(self._inner, "chat_template", None)
        if isinstance(template, str) and GENERATION.search(template):
            found = self._inner.apply_chat_template(
                self.messages(row), tools=row.get("tools"), return_assistant_tokens_mask=True, return_dict=True
            )
            if list(found["input_ids"]) == tokens and any(found["assistant_masks"]):
                return _runs(found["assistant_masks"])
        said = "The template changes earlier turns when later ones follow: only the last answer is trained."
        encoded.faults.append(("unstable_template", said))
        return [last]


def _answers(messages: list[dict[str, Any]]) -> bool:
    return messages[-1].get("role") == "assistant"


def _example(tokens: list[int], spans: list[Span]) -> Example:
    trained = np.zeros(len(tokens), np.bool_)
    for start, end in spans:
        trained[start:end] = True
    return Example(np.array(tokens, np.int32), trained)


def _runs(mask: list[int]) -> list[Span]:
    edges = np.flatnonzero(np.diff(np.array([0, *mask, 0], np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def refusal(error: Exception) -> str:
    """Why the template did not take a row, in its own words where it has some."""
    said = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
    if isinstance(error, jinja2.TemplateError):
        return f"The chat template refuses the row: {said.rstrip('.')}."
    return f"The chat template cannot render the row: {said.rstrip('.')}."


def no_chat_template(target: str, file: str) -> Problem:
    """The problem of a base model with data that needs a template."""
    rows = "Chat" if target == "chat" else "Prompt and answer"
    return Problem(
        "model",
        f"The model has no chat template. {rows} rows cannot be put into its words.",
        hint="Choose an instruct model, or data in the text format.",
        file=file,
    )
