"""Rated tokens: pairs and prompts as their trainer tokenizes them, but uncut, in the cache of tokenized files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import dump_row
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.setup.chosen_method import method_of
from app.worker.process.progress import Progress
from app.worker.token import cache as token_cache
from app.worker.token.cache import CacheWriter, Tokenized
from app.worker.token.encode import Encoded
from app.worker.token.prompt import tokenize_prompts
from app.worker.token.rated_answer import tokenize_pairs
from app.worker.token.row_file import ROWS_AT_ONCE, KeptFault, RowFaults, row_batches
from app.worker.token.token_set import Example

UNCUT = 1 << 20  # tokens, the most that a config allows


def tokenize_rated(path: Path, tokenizer: Any, config: TrainConfig, progress: Progress | None = None) -> Tokenized:
    """All rows of a prepared file of pairs or prompts, from the cache when it was tokenized before.

    Of a pair there are two examples of the same line, the chosen answer and the rejected one, each after its prompt
    and with the answer as what is trained; of a labelled answer one; of a prompt one, of which nothing is trained.
    ``target`` is preference (labelled answers too) or prompt. Rows that the chat template refuses are left out and
    told. ``progress(done, total)`` counts bytes. Raises `UnusableError` for a model without a template.
    """
    goal = method_of(config).goals[0]
    key = token_cache.cache_key(path, tokenizer, config, goal)
    if (cached := token_cache.load(key)) is not None:
        return cached
    examples, lines, faults = _examples(path, tokenizer, config, progress)
    writer = CacheWriter(key)
    try:
        for start in range(0, len(examples), ROWS_AT_ONCE):
            part = slice(start, start + ROWS_AT_ONCE)
            writer.add([Encoded(example) for example in examples[part]], lines[part])
        return writer.finish(goal, faults.kept, dict(faults.counts))
    except BaseException:
        writer.discard()
        raise


def row_examples(row: dict[str, Any], tokenizer: Any, config: TrainConfig) -> tuple[list[Example], list[KeptFault]]:
    """What `tokenize_rated` has of one row, and what it says of it. Raises `UnusableError` if the template refuses
    it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "row.jsonl"
        path.write_bytes(dump_row(row))
        made = _trainers(path, tokenizer, config, None)
        return made.examples, made.faults


class _Made(NamedTuple):
    """What the trainer makes of a file, and how many rows it leaves out."""

    examples: list[Example]
    skipped: int
    faults: list[KeptFault]


def _examples(
    path: Path, tokenizer: Any, config: TrainConfig, progress: Progress | None
) -> tuple[list[Example], list[int], RowFaults]:
    """The examples, the line of each, and what is to be said of the rows."""
    with path.open("rb") as file:
        rows = sum(1 for _ in file)
    try:
        made = _trainers(path, tokenizer, config, progress)
    except UnusableError as error:
        if error.problems[0].path == "model":
            raise
        return _one_by_one(path, tokenizer, config, progress)
    if made.skipped:  # a row without a learned token: which one is not told
        return _one_by_one(path, tokenizer, config, progress)
    each = len(made.examples) // max(rows, 1)
    faults = RowFaults()
    for fault in made.faults:
        faults.add(*fault)
    return made.examples, [line for line in range(1, rows + 1) for _ in range(each)], faults


def _one_by_one(
    path: Path, tokenizer: Any, config: TrainConfig, progress: Progress | None
) -> tuple[list[Example], list[int], RowFaults]:
    """Row after row, slower, to know which of them have none."""
    examples: list[Example] = []
    numbers: list[int] = []
    faults = RowFaults()
    for rows, lines, done in row_batches(path):
        for row, line in zip(rows, lines, strict=True):
            try:
                found, told = row_examples(row, tokenizer, config)
            except UnusableError as error:
                faults.add("template_refused", line, error.problems[0].message)
                continue
            for kind, _, reason in told:
                faults.add(kind, line, reason)
            if not found:
                faults.add("no_trained_token", line, tr("No token of an answer is trained."))
            examples += found
            numbers += [line] * len(found)
        if progress is not None:
            progress(done, path.stat().st_size)
    return examples, numbers, faults


def _trainers(path: Path, tokenizer: Any, config: TrainConfig, progress: Progress | None) -> _Made:
    """What the trainer makes of a file while nothing is too long, and how many rows it leaves out even so."""
    uncut = config.model_copy(update={"max_seq_length": UNCUT, "skip_bad_rows": False})
    if method_of(config).is_sampled:
        prompts = tokenize_prompts(path, tokenizer, uncut, progress)
        examples = [Example(np.array(ids, np.int32), np.zeros(len(ids), np.bool_)) for ids in prompts.tokens]
        return _Made(examples, prompts.skipped, list(prompts.faults))
    rated = tokenize_pairs(path, tokenizer, uncut, progress)
    examples = [rated.answers[at] for at in range(len(rated.answers))]
    return _Made(examples, rated.skipped + len(rated.left_out), list(rated.faults))
