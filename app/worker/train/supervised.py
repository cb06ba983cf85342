"""What supervised training trains with: token sets, batches and a fixed validation set."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path

import mlx.nn as nn

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import PreparedData
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.setup import plan
from app.worker.batch.examples import Examples
from app.worker.batch.order import FileOrder
from app.worker.batch.plan import BatchPlan
from app.worker.batch.prefix import prefix_refusal
from app.worker.batch.shape import Costs
from app.worker.batch.step_count import StepCount, count_steps
from app.worker.model.head import Head, NoHead
from app.worker.objective.supervised import supervised
from app.worker.objective.validation import ValidationSet
from app.worker.process.channel import Channel
from app.worker.token.token_set import TokenSet
from app.worker.token.tokenize import refuse, tokenize_rows
from app.worker.train.guard import LossGuard
from app.worker.train.training_data import LoopParts, Surroundings, TrainingData

YARDSTICK_BATCHES = 4


class SupervisedData(TrainingData):
    """Examples, for supervised training: the ``examples`` that are trained, the ``valid`` ones uncut."""

    def __init__(self, around: Surroundings, config: TrainConfig, data: PreparedData) -> None:
        self._around = around
        self._train = self._tokenized(config, data, data.train)
        self.valid = self._tokenized(config, data, data.valid) if data.valid else None
        self.examples = _examples(around.channel, config, self._train)

    def _tokenized(self, config: TrainConfig, data: PreparedData, path: Path) -> TokenSet:
        found = tokenize_rows(path, self._around.tokenizer, config, self._around.progress(tr("Tokenizing")))
        refuse(found, path, config, data.origins.get(path.stem))
        self._around.tell_rows(data, path, found.faults, found.counts)
        return found.token_set

    def __len__(self) -> int:
        return len(self.examples)

    def fingerprint(self) -> str:
        return _fingerprint(self._train, self.valid)

    def batches_per_epoch(self, config: TrainConfig) -> int:
        return plan.iterations_per_epoch(config, len(self))

    def valid_examples(self) -> int:
        return len(self.valid) if self.valid is not None else 0

    def steps(self, config: TrainConfig, costs: Costs) -> StepCount:
        return count_steps(self.plan(config, costs))

    def plan(self, config: TrainConfig, costs: Costs | None = None) -> BatchPlan:
        """Which examples form which batch."""
        stock_padding = self._around.job.stock_padding
        return _batches(
            config, self.examples, self.valid, costs or Costs(), stock_padding=stock_padding,
            replicas=self._around.replicas, most_positions=self._around.job.most_positions,
        )  # fmt: skip

    def parts(self, model: nn.Module, head: Head | NoHead, config: TrainConfig, costs: Costs) -> LoopParts:
        batches = self.plan(config, costs)
        if batches.is_sharing and not _goes_on(model, head):
            batches = self.plan(config, replace(costs, branches=False))
        return LoopParts(
            objective=supervised(head),
            batches=batches,
            valid=_validation(self._around.channel, config, self.valid),
            yardstick=ValidationSet(self.examples, config.batch_size, YARDSTICK_BATCHES),
            guard=LossGuard(head.vocabulary),
        )


def _examples(channel: Channel, config: TrainConfig, train: TokenSet) -> Examples:
    examples = Examples.of(train, config.max_seq_length)
    if not len(examples):
        said = tr("No example has a token to learn.")
        hint = tr("Raise the maximum length, or do not mask the prompt.") if examples.truncated else ""
        raise UnusableError([Problem("data", said, hint=hint or tr("Check that the answers are not empty."))])
    if examples.truncated:
        longest = tr("{max_seq_length:,} tokens", max_seq_length=config.max_seq_length)
        said = tr(
            "{truncated:,} of {train:,} examples are longer than {longest}",
            truncated=examples.truncated,
            train=len(train),
            longest=longest,
        )
        channel.emit(
            event.Warned(
                message=tr("{said} and are cut.", said=said),
                hint=tr("Raise the maximum length to keep them whole."),
            )
        )
    if examples.skipped:
        said = tr(
            "{skipped:,} of {train:,} examples have no token to learn and are left out.",
            skipped=examples.skipped,
            train=len(train),
        )
        channel.emit(event.Warned(message=said))
    if len(examples) < config.batch_size <= len(train):  # what the data lack themselves was told with the config
        said = tr(
            "There are fewer examples ({examples:,}) than a batch holds ({batch_size:,})",
            examples=len(examples),
            batch_size=config.batch_size,
        )
        channel.emit(
            event.Warned(message=tr("{said}: the batches hold {examples:,}.", said=said, examples=len(examples)))
        )
    return examples


def _goes_on(model: nn.Module, head: Head | NoHead) -> bool:
    """Whether the model was found to compute once what rows begin with alike."""
    was_training = model.training
    model.eval()
    refused = prefix_refusal(model, head.body if isinstance(head, Head) else model)
    model.train(was_training)
    if refused:
        said = f"What examples begin with alike is computed for each of them: {refused}."
        print(said, file=sys.stderr, flush=True)
    return not refused


def _batches(
    config: TrainConfig,
    examples: Examples,
    valid: TokenSet | None,
    costs: Costs,
    *,
    stock_padding: bool,
    replicas: int,
    most_positions: int,
) -> BatchPlan:
    measured = len(valid) if valid is not None else 0
    order = FileOrder(
        len(examples), config.batch_size, config.seed, measured // config.batch_size, config.steps_per_eval
    )
    return BatchPlan(
        examples,
        config.batch_size,
        config.batching,
        config.seed,
        costs=costs,
        file_order=order,
        stock_padding=stock_padding,
        replicas=replicas,
        most_positions=most_positions,
    )


def _validation(channel: Channel, config: TrainConfig, valid: TokenSet | None) -> ValidationSet | None:
    if valid is None or not len(valid) or config.val_batches == 0:
        channel.emit(event.Warned(message=tr("There is no validation data: no best adapter, no early stopping.")))
        return None
    examples = Examples.of(valid, config.max_seq_length)
    if not len(examples):
        channel.emit(
            event.Warned(message=tr("No validation example has a token to measure: there is no validation."))
        )
        return None
    return ValidationSet(examples, config.batch_size, config.val_batches)


def _fingerprint(train: TokenSet, valid: TokenSet | None) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in (train, valid):
        if part is not None:
            for array in (part.tokens, part.trained, part.starts):
                digest.update(array.tobytes())
    return digest.hexdigest()
