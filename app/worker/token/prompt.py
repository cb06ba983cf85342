"""Prompts: what answers are sampled to, with the reference answers that rewards compare them with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.problem import Problem, UnusableError
from app.core.setup.chosen_method import prompt_limit
from app.worker.array import Ints
from app.worker.token.alignment import align
from app.worker.token.chat_template import ChatTemplate, Dialogue, template_refusal
from app.worker.token.encode import no_chat_template
from app.worker.token.row_file import KeptFault, row_batches
from app.worker.token.span import SpanFinder
from app.worker.token.tokenizer import beyond, known_ids, special_texts


@dataclass(frozen=True, slots=True)
class Prompts:
    """All prompts of one split.

    ``tokens`` are rendered up to where the answer begins, ``texts`` the last turn as it was written,
    ``conversations`` all turns, to be read by a judge; ``types`` are None where rows have none. ``skipped`` prompts
    left no room for an answer. ``faults`` are what is worth telling of the rows, ``left_out`` those that the
    template refused.
    """

    tokens: list[list[int]]
    texts: list[str]
    answers: list[str]
    types: list[str | None]
    skipped: int
    conversations: list[str]
    faults: tuple[KeptFault, ...] = ()
    left_out: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def inputs(self) -> Ints:
        """Tokens of each prompt."""
        return np.array([len(tokens) for tokens in self.tokens], np.int64)

    def fingerprint(self) -> bytes:
        """Names the prompts and answers."""
        digest = hashlib.blake2b(digest_size=16)
        for tokens, answer in zip(self.tokens, self.answers, strict=True):
            digest.update(np.array(tokens, np.int32).tobytes() + answer.encode() + b"\0")
        return digest.digest()


class EncodedPrompt(NamedTuple):
    """A prompt as tokens, or why there are none; ``faults`` as `Encoded` has them."""

    tokens: list[int]
    refused: str
    faults: tuple[tuple[str, str], ...]


class PromptEncoder:
    """Encodes conversations up to where the model answers, with the row's tools."""

    def __init__(self, tokenizer: Any) -> None:
        self._inner = getattr(tokenizer, "_tokenizer", tokenizer)
        self._rows = known_ids(tokenizer)
        self._template = ChatTemplate(tokenizer)
        self._finder = SpanFinder(self._template, tokenizer.eos_token or "", special_texts(self._inner))

    def encode(self, rows: Sequence[dict[str, Any]]) -> list[EncodedPrompt]:
        """The prompts of rows (``prompt``, ``tools``), in order."""
        dialogues = [Dialogue(row["prompt"], row.get("tools")) for row in rows]
        rendered = self._template.render(dialogues, answer_next=True)
        told = self._finder.left_out(dialogues)
        texts = [item.text for item in rendered if not isinstance(item, Exception)]
        aligned = align(self._inner, texts)
        found = []
        for item, faults in zip(rendered, told, strict=True):
            if isinstance(item, Exception):
                found.append(EncodedPrompt([], template_refusal(item), ()))
                continue
            tokens = next(aligned).ids
            found.append(EncodedPrompt(tokens, self._strange(tokens), faults))
        return found

    def _strange(self, tokens: list[int]) -> str:
        return beyond(self._inner, np.array(tokens, np.int32), self._rows)


def tokenize_prompts(
    path: Path, tokenizer: Any, config: TrainConfig, progress: Callable[[int, int], None] | None = None
) -> Prompts:
    """The prompts of a prepared file, as the model's chat template renders them. ``progress`` counts bytes.

    Raises `UnusableError` for rows that the template refuses, and for a model without a template.
    """
    if not tokenizer.has_chat_template:
        raise UnusableError([no_chat_template("chat", str(path))])
    found = Prompts([], [], [], [], 0, [])
    encoder = PromptEncoder(tokenizer)
    refused: list[Problem] = []
    faults: list[KeptFault] = []
    longest, skipped = prompt_limit(config), 0
    for rows, lines, done in row_batches(path):
        for row, line, encoded in zip(rows, lines, encoder.encode(rows), strict=True):
            faults += [(kind, line, said) for kind, said in encoded.faults]
            if encoded.refused:
                refused.append(Problem("data", encoded.refused, file=str(path), line=line))
                continue
            if len(encoded.tokens) > longest:
                skipped += 1
                continue
            found.tokens.append(encoded.tokens)
            found.texts.append(_content(row["prompt"][-1]))
            found.conversations.append(_conversation(row["prompt"]))
            found.answers.append(row.get("answer", ""))
            found.types.append(row.get("type"))
        if progress is not None:
            progress(done, path.stat().st_size)
    if refused and not (config.skip_bad_rows and found.tokens):
        raise UnusableError(refused)
    return replace(found, skipped=skipped, faults=tuple(faults), left_out=tuple(refused))


def _content(turn: dict[str, Any]) -> str:
    return str(turn.get("content") or "")


def _conversation(turns: list[dict[str, Any]]) -> str:
    """The one turn that there is, or all of them with who says what."""
    if len(turns) == 1:
        return _content(turns[0])
    return "\n\n".join(f"{turn.get('role')}: {_content(turn)}" for turn in turns)
