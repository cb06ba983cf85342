"""Encoding: rows of a prepared file as tokens, and which of them are trained, as stock mlx-lm's data sets do it.

What mlx-lm does row by row (`mlx_lm.tuner.datasets`: TextDataset, ChatDataset, CompletionsDataset) is done here for
many rows at once: the chat template renders each, the tokenizer encodes all renderings in one call.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.data.format import Features, Target, mlx_choice
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.worker.token.alignment import Alignment, align
from app.worker.token.chat_template import (
    REFUSALS,
    ChatTemplate,
    Dialogue,
    Rendered,
    Rendering,
    Span,
    template_refusal,
    with_text_arguments,
)
from app.worker.token.span import Answers, SpanFinder
from app.worker.token.token_set import Example
from app.worker.token.tokenizer import beyond, known_ids, special_texts

END_TOKENS = 6  # behind an answer: its end token, line breaks, and what a template puts behind the last turn

DataRow = dict[str, Any]
Turns = tuple[int, ...]


@dataclass(slots=True)
class Encoded:
    """One row: its example, or why there is none (``kind`` of finding and reason); ``faults`` are (kind, reason) of
    what is worth telling."""

    example: Example | None
    refused: str = ""
    faults: list[tuple[str, str]] = field(default_factory=list)
    kind: str = "template_refused"


class RowEncoder:
    """Encodes the rows of one file with one tokenizer (mlx-lm's `TokenizerWrapper`) under one config."""

    def __init__(self, tokenizer: Any, config: TrainConfig, first_row: DataRow, *, file: str = "") -> None:
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
        self._specials = frozenset(getattr(self._inner, "added_tokens_decoder", {}))
        if not self.target:
            raise UnusableError(
                [Problem("data", tr("The first row is in no form that mlx-lm reads."), file=file, line=1)]
            )
        if self.target != "text" and not tokenizer.has_chat_template:
            raise UnusableError([no_chat_template(self.target, file)])
        self._template = ChatTemplate(tokenizer)
        self._finder = SpanFinder(self._template, tokenizer.eos_token or "", special_texts(self._inner))
        control = sorted(filter(str.strip, map(str, self._inner.all_special_tokens)), key=len, reverse=True)
        self._control = re.compile("|".join(map(re.escape, control)) if control else r"(?!)")

    def encode(self, rows: Sequence[DataRow]) -> list[Encoded]:
        """The rows as examples, in order."""
        if self.target == "text":
            return self._encode_texts(rows)
        return self._encode_chats(rows)

    # -- text -------------------------------------------------------------------------------------------------

    def _encode_texts(self, rows: Sequence[DataRow]) -> list[Encoded]:
        name, end = self._features.text, self._tokenizer.eos_token_id
        found = [Encoded(None, self._text_fault(row, name)) for row in rows]
        good = [at for at, item in enumerate(found) if not item.refused]
        for at, tokens in zip(good, self._tokens([rows[at][name] for at in good]), strict=True):
            if tokens[:2] == [self._inner.bos_token_id] * 2:
                tokens = tokens[1:]
                said = tr(
                    "The text begins with the token that the tokenizer puts before every text: it stands once."
                )
                found[at].faults.append(("double_begin", said))
            if end is not None and (not tokens or tokens[-1] != end):
                tokens = [*tokens, end]
            found[at].example = _example(tokens, [(0, len(tokens))])
        return found

    @staticmethod
    def _text_fault(row: DataRow, name: str) -> str:
        return (
            ""
            if isinstance(row.get(name), str) and row[name]
            else tr("`{name}` is missing, empty or no text.", name=name)
        )

    def _tokens(self, texts: list[str]) -> list[list[int]]:
        if not texts:
            return []
        arguments = {"return_attention_mask": False, "return_token_type_ids": False, "verbose": False}
        found: list[list[int]] = self._inner(texts, add_special_tokens=True, **arguments)["input_ids"]
        return found

    # -- chat -------------------------------------------------------------------------------------------------

    def _encode_chats(self, rows: Sequence[DataRow]) -> list[Encoded]:
        found = [Encoded(None) for _ in rows]
        dialogues = self._dialogues(rows, found)
        good: list[int] = []
        rendered: list[Rendered] = []
        for at, item in zip(dialogues, self._rendered(dialogues), strict=True):
            if isinstance(item, Exception):
                found[at].refused = template_refusal(item)
            else:
                good.append(at)
                rendered.append(item)
        answers = self._answers([dialogues[at] for at in good], rendered)
        for at, its in zip(good, answers, strict=True):
            if its.fault:
                found[at] = Encoded(None, its.fault, kind="answer_not_found")
        whole = [number for number, its in enumerate(answers) if not its.fault]
        aligned = align(self._inner, [rendered[number].text for number in whole])
        for number, alignment in zip(whole, aligned, strict=True):
            at = good[number]
            found[at] = self._encoded(alignment, answers[number])
            if said := self._control_told(dialogues[at]):
                found[at].faults.append(("control_token", said))
        return found

    def _control_told(self, dialogue: Dialogue) -> str:
        """What is told of a message that says what the tokenizer reads as a control token."""
        for number, message in enumerate(dialogue.messages, 1):
            content = message.get("content")
            if isinstance(content, str) and (found := self._control.search(content)):
                return tr(
                    "Message {number} holds {token!r}, which the tokenizer reads as a control token.",
                    number=number,
                    token=found.group(),
                )
        return ""

    def _rendered(self, dialogues: dict[int, Dialogue]) -> list[Rendering]:
        """The conversations as text. Some templates want the arguments of a call as JSON text: those that refuse a
        row with calls are asked again with such, which then stand in ``dialogues``."""
        found = self._template.render(list(dialogues.values()))
        for number, (at, item) in enumerate(zip(list(dialogues), found, strict=True)):
            if isinstance(item, TypeError) and (other := with_text_arguments(dialogues[at])) != dialogues[at]:
                (again,) = self._template.render([other])
                if not isinstance(again, Exception):
                    found[number], dialogues[at] = again, other
        return found

    def _dialogues(self, rows: Sequence[DataRow], found: list[Encoded]) -> dict[int, Dialogue]:
        """The conversation of each row that has one, by its place."""
        dialogues: dict[int, Dialogue] = {}
        for at, row in enumerate(rows):
            try:
                dialogues[at] = Dialogue(self.messages(row), row.get("tools"))
            except REFUSALS as error:
                found[at].refused = template_refusal(error)
        return dialogues

    def messages(self, row: DataRow) -> list[dict[str, Any]]:
        """The messages of a row: its own, or prompt and completion as two turns."""
        if self.target == "completion":
            return [
                {"role": "user", "content": row[self._features.prompt]},
                {"role": "assistant", "content": row[self._features.completion]},
            ]
        messages = row[self._features.chat]
        if not isinstance(messages, list) or not messages:
            raise ValueError(tr("`{chat}` is no list of messages", chat=self._features.chat))
        return messages

    # -- what is learned --------------------------------------------------------------------------------------

    def _answers(self, dialogues: list[Dialogue], rendered: list[Rendered]) -> list[Answers]:
        """The spans that are learned of each row; of rows that are learned as a whole, those that are not.

        Where the template marks what the assistant says, the marks are the spans; they are looked for only where it
        is open which mark belongs to which turn.
        """
        wanted = [self._wanted(dialogue) for dialogue in dialogues]
        marked = [
            _of_turns(item.marks, _turns_of_assistant(dialogue), turns) if self.masked else None
            for dialogue, item, turns in zip(dialogues, rendered, wanted, strict=True)
        ]
        sought = [turns if marks is None else () for turns, marks in zip(wanted, marked, strict=True)]
        found = self._finder.find(dialogues, [item.text for item in rendered], sought)
        strange = self._marked_others(dialogues, rendered)
        for item, marks, answers, other in zip(rendered, marked, found, strange, strict=True):
            if other >= 0:
                answers.fault = tr(
                    "The chat template marks what message {number} says as the model's answer.", number=other + 1
                )
            elif marks is not None:
                answers.spans, answers.marked = list(marks), True
            elif self.masked and item.marks:
                answers.marked = True
                answers.spans = [mark for mark in item.marks if any(_meet(mark, span) for span in answers.spans)]
        return found

    def _marked_others(self, dialogues: Sequence[Dialogue], rendered: Sequence[Rendered]) -> list[int]:
        """Of each row whose marks count the message of somebody else that they cover; −1 for none."""
        found = [-1] * len(rendered)
        asked = [at for at, item in enumerate(rendered) if self.masked and item.marks]
        for at, other in zip(asked, self._finder.marked_others([dialogues[at] for at in asked]), strict=True):
            found[at] = other
        return found

    def _wanted(self, dialogue: Dialogue) -> Turns:
        """The answers to find: those that are learned, or where whole rows are learned, those that are not."""
        turns = _turns_of_assistant(dialogue)
        silent = tuple(at for at in turns if _is_silent(dialogue.messages[at]))
        if not self.masked:
            return silent
        return tuple(at for at in (turns if self._all_turns else turns[-1:]) if at not in silent)

    def _encoded(self, alignment: Alignment, answers: Answers) -> Encoded:
        tokens = alignment.ids
        spans = [alignment.tokens(span) for span in answers.spans]
        if self.masked:
            example = _example(tokens, spans)
        else:
            example = _example(tokens, [(0, len(tokens))])
            for start, end in spans:
                example.trained[start:end] = False
        encoded = Encoded(example, faults=list(answers.told))
        # Of an answer alone is known where it begins: what stands before it ends another turn.
        last = tokens[slice(*spans[-1])] if self.masked and spans else tokens[-END_TOKENS:]
        if self.masked and answers.marked and spans and self._ends.isdisjoint(last):
            encoded.faults.append(("unmarked_stop", self._unmarked(tokens[spans[-1][1] :][:END_TOKENS])))
        elif example.trained[-1:].any() and (said := self._unstopped(tokens, last)):
            encoded.faults.append(("no_stop_token", said))
        return encoded

    def _unmarked(self, behind: list[int]) -> str:
        """What to tell of an answer whose mark ends before a token at which the model stops; ``behind`` are the
        tokens that follow."""
        end = next((token for token in behind if token in self._ends), None)
        if end is None:
            return tr("The chat template marks answers without a token at which the model stops.")
        return tr(
            "The chat template marks answers without the {end!r} behind them: to stop there is not learned.",
            end=self._inner.decode([end]),
        )

    def _unstopped(self, tokens: list[int], last: list[int]) -> str:
        """What to tell of an answer, the ``last`` of the row's tokens, that the model would not stop after."""
        if not self._ends.isdisjoint(last):
            return ""
        stops = ", ".join(repr(self._inner.decode([end])) for end in sorted(self._ends)) or "nothing"
        last = self._inner.decode(tokens[-1:])
        ends = (
            tr("end with {last!r}", last=last)
            if tokens[-1] in self._specials
            else tr("end with no token, as the template has it")
        )
        return tr(
            "Answers {ends}, and the model stops at {stops}: the tuned model will not stop after its answers.",
            ends=ends,
            stops=stops,
        )


def refuse_unknown(encoded: Sequence[Encoded], tokenizer: Any) -> None:
    """Takes away the examples that hold a token which the model's embedding does not know, and says so."""
    rows = known_ids(tokenizer)
    for item in encoded:
        if item.example is not None and (said := beyond(tokenizer, item.example.tokens, rows)):
            item.example, item.refused, item.kind = None, said, "token_beyond"


def _turns_of_assistant(dialogue: Dialogue) -> Turns:
    return tuple(at for at, message in enumerate(dialogue.messages) if message.get("role") == "assistant")


def _is_silent(message: dict[str, Any]) -> bool:
    """True for an answer that its author has taken out of the loss."""
    weight = message.get("weight")
    return weight is not None and weight in (0, "0", "0.0")


def _of_turns(marks: Sequence[Span], turns: Turns, wanted: Turns) -> list[Span] | None:
    """The marks of the wanted turns; None where the template has none, or which are whose is open."""
    if not marks:
        return None
    if wanted == turns:
        return list(marks)
    if len(marks) != len(turns):
        return None
    return [mark for mark, turn in zip(marks, turns, strict=True) if turn in wanted]


def _meet(one: Span, other: Span) -> bool:
    return one[0] < other[1] and other[0] < one[1]


def _example(tokens: list[int], spans: list[Span]) -> Example:
    trained = np.zeros(len(tokens), np.bool_)
    for start, end in spans:
        trained[start:end] = True
    return Example(np.array(tokens, np.int32), trained)


def no_chat_template(target: str, file: str) -> Problem:
    """The problem of a base model with data that needs a template."""
    rows = tr("Chat") if target == "chat" else tr("Prompt and answer")
    return Problem(
        "model",
        tr("The model has no chat template. {rows} rows cannot be put into its words.", rows=rows),
        hint=tr("Give it one (the card Model, `luthier models template`), or choose an instruct model, or text."),
        file=file,
    )
