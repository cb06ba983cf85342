"""Rated answers as tokens: pairs of a chosen and a rejected one, or answers with a label each."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import mlx.core as mx
import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.setup.chosen_method import method_of
from app.worker.array import Arrays, Bools, Ints
from app.worker.token.encode import RowEncoder, refuse_unknown
from app.worker.token.row_file import KeptFault, row_batches
from app.worker.token.token_set import Example, TokenSet

MISMATCHED = "mismatched_"


@dataclass(frozen=True, slots=True)
class RatedAnswers:
    """All rows of one split, each with ``each`` answers.

    ``answers`` are whole conversations whose last turn is learned, cut to the maximum length; ``truncated`` of them
    were longer. ``skipped`` rows had an answer without a learned token after the cut. ``mismatched`` (KTO) are the
    same prompts, each with an answer to another. ``faults`` are what is worth telling of the rows, ``left_out``
    those that the template refused, or of an answer to which it leaves nothing.
    """

    each: ClassVar[int]

    answers: TokenSet
    truncated: int
    skipped: int
    mismatched: TokenSet | None = None
    faults: tuple[KeptFault, ...] = ()
    left_out: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.answers) // self.each

    @property
    def inputs(self) -> Ints:
        """Input positions of each row, all its answers together: what batches are ordered by."""
        lengths: Ints = (self.answers.lengths - 1).reshape(-1, self.each).sum(axis=1)
        return lengths

    def spread(self, count: int) -> Ints:
        """``count`` rows (negative: all) at even distances."""
        rows = self._in_order()
        if 0 <= count < len(rows):
            rows = rows[np.unique(np.linspace(0, len(rows) - 1, count).round().astype(np.int64))]
        return rows

    def _in_order(self) -> Ints:
        return np.arange(len(self))

    def places(self, numbers: Ints) -> Ints:
        """Where the answers of these rows are: the first of each row, then the second ones."""
        return np.concatenate([self.each * numbers + side for side in range(self.each)])

    def own_arrays(self, _numbers: Ints, _rows: int) -> Arrays:
        """What a batch of these rows needs beside its answers."""
        return {}

    def sets(self) -> Iterator[tuple[str, TokenSet]]:
        """The token sets with the prefix that their arrays have in a batch."""
        yield "", self.answers
        if self.mismatched is not None:
            yield MISMATCHED, self.mismatched

    def fingerprint(self) -> bytes:
        """Names the tokens."""
        digest = hashlib.blake2b(digest_size=16)
        for _, part in self.sets():
            for array in (part.tokens, part.trained, part.starts):
                digest.update(array.tobytes())
        return digest.digest()


class Pairs(RatedAnswers):
    """Pairs: the chosen answer of pair i is at 2i of ``answers``, the rejected one at 2i + 1."""

    __slots__ = ()
    each = 2


@dataclass(frozen=True, slots=True)
class LabelledAnswers(RatedAnswers):
    """Single answers; ``desirable`` (rows,) says which of them are good."""

    each = 1

    desirable: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))

    def _in_order(self) -> Ints:
        # Good and bad rows often alternate in a file: an even distance would meet one kind only.
        return np.argsort(self.desirable, kind="stable")

    def own_arrays(self, numbers: Ints, rows: int) -> Arrays:
        """``desirable`` bool (rows,)."""
        desirable = np.zeros(rows, np.bool_)
        desirable[: len(numbers)] = self.desirable[numbers]
        return {"desirable": mx.array(desirable)}

    def fingerprint(self) -> bytes:
        """Names the tokens and labels."""
        return hashlib.blake2b(RatedAnswers.fingerprint(self) + self.desirable.tobytes(), digest_size=16).digest()


def tokenize_pairs(
    path: Path, tokenizer: Any, config: TrainConfig, progress: Callable[[int, int], None] | None = None
) -> RatedAnswers:
    """The pairs or the labelled answers of a prepared file, as the model's chat template renders them.

    ``progress`` counts bytes. Raises `UnusableError` for rows that the template refuses, and for a model without a
    template.
    """
    as_chats = config.with_values({"mask_prompt": True, "mask_turns": "last", "chat_feature": "messages"})
    encoder: RowEncoder | None = None
    answers: list[Example] = []
    labels: list[bool] = []
    refused: list[Problem] = []
    empty: list[Problem] = []
    faults: list[KeptFault] = []
    truncated = skipped = 0
    for rows, lines, done in row_batches(path):
        sides = ("completion",) if "label" in rows[0] else ("chosen", "rejected")
        chats = [
            {"messages": [*row["prompt"], *row[side]], "tools": row.get("tools")} for row in rows for side in sides
        ]
        encoder = encoder or RowEncoder(tokenizer, as_chats, chats[0], file=str(path))
        encoded = encoder.encode(chats)
        refuse_unknown(encoded, tokenizer)
        for number, (row, line) in enumerate(zip(rows, lines, strict=True)):
            its = encoded[len(sides) * number : len(sides) * (number + 1)]
            faults += [
                (kind, line, said) for kind, said in dict.fromkeys(one for item in its for one in item.faults)
            ]
            examples = [item.example for item in its if item.example is not None]
            if len(examples) < len(sides):
                said = next(item.refused for item in its if item.refused)
                refused.append(Problem("data", said, file=str(path), line=line))
                continue
            if not all(example.trained[1:].any() for example in examples):
                said = tr("No token of an answer is trained.")
                empty.append(Problem("data", said, file=str(path), line=line))
                continue
            cut = [_cut(example, config.max_seq_length) for example in examples]
            if all(example.trained[1:].any() for example in cut):
                pairs = zip(cut, examples, strict=True)
                truncated += sum(len(one.tokens) < len(whole.tokens) for one, whole in pairs)
                answers += cut
                labels += [row["label"]] if "label" in row else []
            else:
                skipped += 1
        if progress is not None:
            progress(done, path.stat().st_size)
    if refused and not (config.skip_bad_rows and answers):
        raise UnusableError(refused)
    mismatched = None
    if method_of(config).is_mismatched:
        mismatched = _mismatched(answers, _next_prompts(answers), config.max_seq_length)
    token_set, left_out = TokenSet.from_examples(answers), (*refused, *empty)
    if labels:
        good = np.array(labels, np.bool_)
        return LabelledAnswers(token_set, truncated, skipped, mismatched, tuple(faults), left_out, good)
    return Pairs(token_set, truncated, skipped, mismatched, tuple(faults), left_out)


def _cut(example: Example, length: int) -> Example:
    return Example(example.tokens[:length], example.trained[:length])


def _mismatched(answers: list[Example], partners: list[int], length: int) -> TokenSet:
    """Each prompt with the answer at ``partners``, as KTO estimates the divergence; always the same ones, so that a
    batch of one row has its own."""
    found = []
    for example, partner in zip(answers, partners, strict=True):
        other = answers[partner]
        prompt = example.tokens[: _start(example)]
        answer = other.tokens[_start(other) :]
        trained = np.concatenate([np.zeros(len(prompt), np.bool_), other.trained[_start(other) :]])
        found.append(_cut(Example(np.concatenate([prompt, answer]), trained), length))
    return TokenSet.from_examples(found)


def _next_prompts(answers: list[Example]) -> list[int]:
    """For each answer the place of one to the next other prompt, if there is one: neighbours often answer the same.

    The answers to one prompt get different ones as far as the next prompt has them.
    """
    prompts = [example.tokens[: _start(example)].tobytes() for example in answers]
    partners: list[int] = []
    for prompt, run in groupby(prompts):
        count = sum(1 for _ in run)
        end, total = len(partners) + count, len(answers)
        later = (place % total for place in range(end, end + total))
        following = next((place for place in later if prompts[place] != prompt), end % total)
        for place in range(following, following + count):
            other = place % total
            partners.append(other if prompts[other] != prompt else following)
    return partners


def _start(example: Example) -> int:
    """Where the answer begins."""
    return int(np.argmax(example.trained))
