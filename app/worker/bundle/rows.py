"""The rows of a bundle: Luthier's own tokens, labels and order, as JSON lines that any program reads.

A label is −100 where a token is not learned; the first token of a row never is one, because nothing precedes it.
What is longer than the maximum is cut here already. ``order.jsonl`` names the rows of each batch, in the order in
which they are trained (of prompts: of each generation); ``valid_order.jsonl`` those of a validation.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from app.core.bundle.recipe import BundledRows
from app.core.config.train_config import TrainConfig
from app.worker.array import Ints
from app.worker.batch.examples import Examples
from app.worker.batch.order import shuffled_order
from app.worker.batch.pair_batch import PairPlan
from app.worker.objective.validation import PairValidation, ValidationSet
from app.worker.process.progress import Progress
from app.worker.rollout.rollout import measured_prompts
from app.worker.token.prompt import Prompts
from app.worker.token.rated_answer import LabelledAnswers, RatedAnswers
from app.worker.token.token_set import Example
from app.worker.train.preferred import PreferredData
from app.worker.train.rewarded import RewardedData
from app.worker.train.supervised import SupervisedData
from app.worker.train.training_data import TrainingData

ROWS_FOLDER = "data"
IGNORED = -100  # the label that torch leaves out of a loss


def write_rows(folder: Path, config: TrainConfig, rows: TrainingData, progress: Progress) -> BundledRows:
    """Writes ``data/train.jsonl``, ``data/valid.jsonl`` and their orders; ``config`` is concrete."""
    place = folder / ROWS_FOLDER
    place.mkdir()
    if isinstance(rows, SupervisedData):
        return _supervised(place, config, rows, progress)
    if isinstance(rows, PreferredData):
        return _preferred(place, config, rows, progress)
    assert isinstance(rows, RewardedData)
    return _rewarded(place, config, rows, progress)


def learned(tokens: npt.NDArray[np.int32], trained: npt.NDArray[np.bool_]) -> dict[str, list[int]]:
    """``input_ids`` and ``labels`` of one row."""
    labels = np.where(trained, tokens, IGNORED)
    labels[:1] = IGNORED
    return {"input_ids": tokens.tolist(), "labels": labels.tolist()}


# -- supervised ---------------------------------------------------------------------------------------------------


def _supervised(place: Path, config: TrainConfig, rows: SupervisedData, progress: Progress) -> BundledRows:
    plan = rows.plan(config)
    count = len(rows.examples)
    _write(place / "train.jsonl", (learned(*rows.examples.row(n)) for n in range(count)), count, progress)
    _write_order(place / "order.jsonl", _repeated(plan.order), config.iters)
    valid = Examples.of(rows.valid, config.max_seq_length) if rows.valid is not None else None
    measured = 0
    if valid is not None and len(valid) and config.val_batches:
        groups = ValidationSet(valid, config.batch_size, config.val_batches).groups
        measured = _write_valid(place, groups, lambda number: [learned(*valid.row(number))], progress)
    tokens = int(rows.examples.inputs.sum())
    return BundledRows("examples", count, measured, plan.batches_per_epoch, tokens)


# -- rated answers ------------------------------------------------------------------------------------------------


def _preferred(place: Path, config: TrainConfig, rows: PreferredData, progress: Progress) -> BundledRows:
    each = rows.train.each if config.train_mode == "kto" else 1  # KTO takes pairs apart
    plan = PairPlan(rows.train, None, config)
    count = len(rows.train)
    lines = chain.from_iterable(_rated(rows.train, number, config) for number in range(count))
    _write(place / "train.jsonl", lines, count * each, progress)

    def order(epoch: int) -> list[Ints]:
        return [_taken_apart(numbers, each) for numbers in plan.order(epoch)]

    _write_order(place / "order.jsonl", _repeated(order), config.iters)
    measured = 0
    if (valid := rows.valid) is not None and len(valid) and config.val_batches:
        groups = PairValidation(valid, None, config.batch_size, config.val_batches).groups
        measured = _write_valid(place, groups, lambda number: _rated(valid, number, config), progress)
    form = "labelled" if config.train_mode == "kto" else "pairs"
    tokens = int(rows.train.inputs.sum())
    return BundledRows(form, count * each, measured, plan.batches_per_epoch, tokens)


def _taken_apart(numbers: Ints, each: int) -> Ints:
    """The lines of these rows: of pairs taken apart the chosen ones first, as in Luthier's batches."""
    return np.concatenate([each * numbers + side for side in range(each)])


def _rated(rows: RatedAnswers, number: int, config: TrainConfig) -> list[dict[str, Any]]:
    """The lines of one row: a pair, or (for KTO) single answers with their labels and their mismatched ones."""
    answers = [rows.answers[rows.each * number + side] for side in range(rows.each)]
    if config.train_mode != "kto":
        chosen, rejected = answers
        return [{"chosen": learned(*chosen), "rejected": learned(*rejected)}]
    assert rows.mismatched is not None
    others = [rows.mismatched[rows.each * number + side] for side in range(rows.each)]
    good = [bool(rows.desirable[number])] if isinstance(rows, LabelledAnswers) else [True, False]
    return [_judged(*one) for one in zip(answers, others, good, strict=True)]


def _judged(answer: Example, other: Example, good: bool) -> dict[str, Any]:
    return learned(*answer) | {"label": good, "mismatched": learned(*other)}


# -- prompts ------------------------------------------------------------------------------------------------------


def _rewarded(place: Path, config: TrainConfig, rows: RewardedData, progress: Progress) -> BundledRows:
    prompts, count = rows.train, len(rows.train)
    size = min(config.batch_size, count)
    _write(place / "train.jsonl", (_prompt(prompts, n) for n in range(count)), count, progress)
    # TRL samples to as many prompts every time: the last, smaller batch of an epoch is filled up from the next.
    epochs = chain.from_iterable(_repeated(lambda epoch: shuffled_order(prompts, size, config.seed, epoch)))
    stream = chain.from_iterable(numbers.tolist() for numbers in epochs)
    generations = math.ceil(config.iters / config.updates_per_generation)
    batches = (np.array(list(islice(stream, size))) for _ in range(generations))
    _write_order(place / "order.jsonl", [batches], generations)
    measured = 0
    if (valid := rows.valid) is not None and len(valid) and config.val_batches:
        chosen = measured_prompts(valid, config)
        groups = [chosen[start : start + size] for start in range(0, len(chosen), size)]
        measured = _write_valid(place, groups, lambda number: [_prompt(valid, number)], progress)
    per_epoch = rows.batches_per_epoch(config)
    return BundledRows("prompts", count, measured, per_epoch, sum(map(len, prompts.tokens)))


def _prompt(prompts: Prompts, number: int) -> dict[str, Any]:
    return {
        "input_ids": [int(token) for token in prompts.tokens[number]],
        "prompt": prompts.texts[number],
        "answer": prompts.answers[number],
        "type": prompts.types[number],
    }


# -- writing ------------------------------------------------------------------------------------------------------


def _repeated(order: Callable[[int], list[Ints]]) -> Iterator[Iterable[Ints]]:
    epoch = 0
    while True:
        yield order(epoch)
        epoch += 1


def _write(path: Path, rows: Iterable[dict[str, Any]], count: int, progress: Progress) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number, row in enumerate(rows):
            if not number & 255:
                progress(number, count)
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    progress(count, count)


def _write_order(path: Path, epochs: Iterable[Iterable[Ints]], count: int) -> None:
    with path.open("w", encoding="ascii") as file:
        for numbers in islice(chain.from_iterable(epochs), count):
            file.write(json.dumps(numbers.tolist()) + "\n")


def _write_valid(
    place: Path, groups: Sequence[Ints], lines: Callable[[int], list[dict[str, Any]]], progress: Progress
) -> int:
    """The rows of a validation in the order in which they are measured; how many lines there are."""
    found = [[line for number in group for line in lines(int(number))] for group in groups]
    order: list[Ints] = []
    start = 0
    for group in found:
        order.append(np.arange(start, start + len(group)))
        start += len(group)
    _write(place / "valid.jsonl", chain.from_iterable(found), start, progress)
    _write_order(place / "valid_order.jsonl", [order], len(order))
    return start
