"""Rated answers: tokenized pairs and labelled answers, which go together in a batch, what the reference says."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import mlx.core as mx
import mlx.nn as nn
import numpy as np
import numpy.typing as npt

from app.core.config import TrainConfig
from app.core.problem import Problem, UnusableError
from app.worker.answer import Arrays, answer_arrays, with_prefix
from app.worker.batch import PLANNED_BATCHES, Batch, Ints, length_order, shuffled_order
from app.worker.encode import RowEncoder
from app.worker.objective import Objective
from app.worker.shape import PLANNED_EPOCHS, Costs, Shape, plan_shapes, worthwhile
from app.worker.token_set import Example, TokenSet
from app.worker.tokenize import row_batches
from app.worker.validation import Measurement, measure_batches

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
WIDTH_STEP, TOKEN_STEP = 16, 8
MISMATCHED = "mismatched_"
REFERENCE_BATCH = 8
USES_OF_A_SHAPE = 25


@dataclass(frozen=True, slots=True)
class RatedAnswers:
    """All rows of one split, each with ``each`` answers.

    ``answers`` are whole conversations whose last turn is learned, cut to the maximum length. ``truncated`` ones
    were longer; ``skipped`` rows had an answer without a learned token after the cut. ``mismatched`` (KTO) are the
    same prompts, each with an answer to another.
    """

    each: ClassVar[int]

    answers: TokenSet
    truncated: int
    skipped: int
    mismatched: TokenSet | None = None

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


# -- tokens -------------------------------------------------------------------------------------------------------


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
    truncated = skipped = 0
    for rows, lines, done in row_batches(path):
        sides = ("completion",) if "label" in rows[0] else ("chosen", "rejected")
        chats = [{"messages": [*row["prompt"], *row[side]]} for row in rows for side in sides]
        encoder = encoder or RowEncoder(tokenizer, as_chats, chats[0], file=str(path))
        encoded = encoder.encode(chats)
        for number, (row, line) in enumerate(zip(rows, lines, strict=True)):
            its = encoded[len(sides) * number : len(sides) * (number + 1)]
            examples = [item.example for item in its if item.example is not None]
            if len(examples) < len(sides):
                said = next(item.refused for item in its if item.refused)
                refused.append(Problem("data", said, file=str(path), line=line))
                continue
            cut = [_cut(example, config.max_seq_length) for example in examples]
            truncated += sum(len(one.tokens) < len(whole.tokens) for one, whole in zip(cut, examples, strict=True))
            if all(example.trained[1:].any() for example in cut):
                answers += cut
                labels += [row["label"]] if "label" in row else []
            else:
                skipped += 1
        if progress is not None:
            progress(done, path.stat().st_size)
    if refused and not (config.skip_bad_rows and answers):
        raise UnusableError(refused)
    partners = _next_prompts(answers) if labels else [(n + 2) % len(answers) for n in range(len(answers))]
    mismatched = _mismatched(answers, partners, config.max_seq_length) if config.train_mode == "kto" else None
    token_set, left_out = TokenSet.from_examples(answers), skipped + len(refused)
    if labels:
        return LabelledAnswers(token_set, truncated, left_out, mismatched, np.array(labels, np.bool_))
    return Pairs(token_set, truncated, left_out, mismatched)


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


# -- batches ------------------------------------------------------------------------------------------------------


class PairPlan:
    """The batch of every iteration (from 1), like `app.worker.batch.BatchPlan`; of pairs both answers are in it:
    the chosen ones in its first half, the rejected in its second."""

    is_ahead = True
    is_cut = False

    def __init__(
        self, pairs: RatedAnswers, references: References | None, config: TrainConfig, costs: Costs | None = None
    ) -> None:
        self.examples = pairs
        self.size = min(config.batch_size, len(pairs))
        self._references = references
        self._seed = config.seed
        self._in_order = config.batching == "file_order"
        self._epoch: tuple[int, list[Ints]] = (-1, [])
        needs = [self._needs(numbers) for numbers in self.order(0)[:PLANNED_BATCHES]]
        limit = worthwhile(PLANNED_EPOCHS * self.batches_per_epoch, each=USES_OF_A_SHAPE)
        self._tables = {
            prefix: plan_shapes(
                (need[prefix] for need in needs),
                largest_shape(part, pairs.each * self.size),
                costs or Costs(),
                limit,
            )
            for prefix, part in pairs.sets()
        }

    @property
    def batches_per_epoch(self) -> int:
        return -(-len(self.examples) // self.size)

    def order(self, epoch: int) -> list[Ints]:
        """The batches of an epoch (from 0) as numbers of rows."""
        make = shuffled_order if self._in_order else length_order
        return make(self.examples, self.size, self._seed, epoch)

    def batch(self, iteration: int) -> Batch:
        """The batch of iteration 1, 2, …"""
        epoch, place = divmod(iteration - 1, self.batches_per_epoch)
        if self._epoch[0] != epoch:
            self._epoch = (epoch, self.order(epoch))
        numbers = self._epoch[1][place]
        needs = self._needs(numbers)
        shapes = {prefix: table.fit(needs[prefix]) for prefix, table in self._tables.items()}
        return pair_batch(self.examples, numbers, shapes, self._references)

    def _needs(self, numbers: Ints) -> dict[str, Shape]:
        # The last, smaller batch of an epoch is filled up with empty rows: one shape less to compile.
        return pair_shapes(self.examples, numbers, self.examples.each * self.size)


def pair_shapes(pairs: RatedAnswers, numbers: Ints, rows: int) -> dict[str, Shape]:
    """The shapes, by prefix, that hold the answers of these rows in ``rows`` rows."""
    places = pairs.places(numbers)
    return {prefix: _shape(part, places, rows) for prefix, part in pairs.sets()}


def largest_shape(part: TokenSet, rows: int) -> Shape:
    """A shape that holds every answer."""
    return _shape(part, np.arange(len(part)), rows)


def _shape(part: TokenSet, places: Ints, rows: int) -> Shape:
    width = max(len(part[int(place)].tokens) - 1 for place in places)
    tokens = max(int(part[int(place)].trained[1:].sum()) for place in places)
    return Shape(rows, WIDTH_STEP * -(-width // WIDTH_STEP), rows * TOKEN_STEP * -(-tokens // TOKEN_STEP))


def pair_batch(
    pairs: RatedAnswers, numbers: Ints, shapes: dict[str, Shape], references: References | None
) -> Batch:
    """Both answers of each pair, or labelled answers, as arrays.

    With them come ``counted`` float32 (pairs,), 1 where a pair is (of labelled answers an answer), ``desirable``
    bool (rows,) where answers are labelled, and where there is a reference ``reference`` float32 (rows,), its
    log-probability of each answer.
    """
    share = shapes[""].rows // pairs.each
    rows = [side * share + row for side in range(pairs.each) for row in range(len(numbers))]
    arrays: Arrays = {"counted": mx.array((np.arange(share) < len(numbers)).astype(np.float32))}
    arrays |= pairs.own_arrays(numbers, share)
    places = pairs.places(numbers)
    for prefix, part in pairs.sets():
        examples: list[Example | None] = [None] * shapes[prefix].rows
        for row, place in zip(rows, places, strict=True):
            examples[row] = part[int(place)]
        arrays |= with_prefix(answer_arrays(examples, shapes[prefix]), prefix)
        if references is not None:
            sums = np.zeros(shapes[prefix].rows, np.float32)
            sums[rows] = references.sums[prefix][places]
            arrays[f"{prefix}reference"] = mx.array(sums)
    taken = [pairs.answers[int(place)] for place in places]
    return Batch(
        (arrays,),
        tokens=sum(len(example.tokens) - 1 for example in taken),
        target_tokens=sum(int(example.trained[1:].sum()) for example in taken),
        examples=len(numbers),
        shapes=(shapes[""],),
    )


class PairValidation:
    """Always the same rows, like `app.worker.validation.ValidationSet`."""

    def __init__(self, pairs: RatedAnswers, references: References | None, batch_size: int, batches: int) -> None:
        self.examples = pairs
        self._references = references
        chosen = pairs.spread(batches * batch_size)
        chosen = chosen[np.argsort(pairs.inputs[chosen], kind="stable")]
        self._groups = [chosen[start : start + batch_size] for start in range(0, len(chosen), batch_size)]

    def measured(self, model: nn.Module, objective: Objective, cancelled: Callable[[], bool]) -> Measurement | None:
        """The mean over all of them; None if it was cancelled."""
        return measure_batches(model, objective, self, cancelled)

    def __iter__(self) -> Iterator[Batch]:
        for numbers in self._groups:
            shapes = pair_shapes(self.examples, numbers, self.examples.each * len(numbers))
            yield pair_batch(self.examples, numbers, shapes, self._references)


# -- the reference ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class References:
    """log π_ref of every answer, summed over its learned tokens, float32, by the prefix of its token set."""

    sums: dict[str, Floats]


def reference_sums(
    pairs: RatedAnswers,
    log_probabilities: Callable[[Arrays], mx.array],
    file: Path,
    progress: Callable[[int, int], None],
    key: str = "",
) -> References:
    """Measures every answer once, or reads it from ``file`` where that is of the same answers and ``key``.

    ``log_probabilities`` gives those of a batch's tokens; ``progress(done, total)`` counts answers.
    """
    name = hashlib.blake2b(pairs.fingerprint() + key.encode(), digest_size=16).hexdigest()
    if (known := _known(file, name)) is not None:
        return known
    total, done = sum(len(part) for _, part in pairs.sets()), 0
    sums: dict[str, Floats] = {}
    for prefix, part in pairs.sets():
        sums[prefix] = np.zeros(len(part), np.float32)
        order = np.argsort(part.lengths, kind="stable")
        for start in range(0, len(order), REFERENCE_BATCH):
            places = order[start : start + REFERENCE_BATCH]
            arrays = answer_arrays([part[int(at)] for at in places], _shape(part, places, len(places)))
            sums[prefix][places] = np.array((log_probabilities(arrays) * arrays["mask"]).sum(axis=1))
            done += len(places)
            progress(done, total)
    _keep(file, name, sums)
    return References(sums)


def _known(file: Path, name: str) -> References | None:
    if not file.exists():
        return None
    arrays = mx.load(str(file))
    assert isinstance(arrays, dict)
    prefix = f"{name}."
    sums = {key.removeprefix(prefix): np.array(array) for key, array in arrays.items() if key.startswith(prefix)}
    return References(sums) if sums else None


def _keep(file: Path, name: str, sums: dict[str, Floats]) -> None:
    """Adds to the file, which holds the splits of one run."""
    arrays = mx.load(str(file)) if file.exists() else {}
    assert isinstance(arrays, dict)
    mx.eval(arrays)
    arrays |= {f"{name}.{prefix}": mx.array(values) for prefix, values in sums.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    mx.save_safetensors(str(file), arrays)
