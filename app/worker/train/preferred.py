"""What a preference method trains with: rated answers and the reference's word on them."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import PreparedData
from app.core.language import tr, trn
from app.core.problem import Problem, UnusableError
from app.core.setup import plan
from app.core.setup.chosen_method import needs_reference
from app.worker.array import Arrays
from app.worker.batch.pair_batch import PairPlan, References
from app.worker.batch.shape import Costs
from app.worker.batch.step_count import StepCount, count_steps
from app.worker.model.head import Head, NoHead
from app.worker.objective.preference_objective import preference, preference_gather
from app.worker.objective.reference import Reference
from app.worker.objective.reference_sums import reference_sums
from app.worker.objective.validation import PairValidation
from app.worker.token.rated_answer import LabelledAnswers, RatedAnswers, tokenize_pairs
from app.worker.train.guard import LossGuard
from app.worker.train.training_data import (
    LoopParts,
    Surroundings,
    TrainingData,
    is_measured,
    joined_fingerprint,
    tried_costs,
)

REFERENCE_FILE = "reference.safetensors"
YARDSTICK_PAIRS = 8


class PreferredData(TrainingData):
    """Pairs of answers, or labelled ones where the method takes them: those to ``train`` on, the ``valid`` ones."""

    def __init__(self, around: Surroundings, config: TrainConfig, data: PreparedData) -> None:
        self._around = around
        progress = around.progress(tr("Tokenizing"))
        self.train = tokenize_pairs(data.train, around.tokenizer, config, progress)
        self.valid = tokenize_pairs(data.valid, around.tokenizer, config, progress) if data.valid else None
        if not len(self.train) and self.train.left_out:
            raise UnusableError(list(self.train.left_out))
        if not len(self.train):
            hint = tr("Raise the maximum length, or shorten the prompts.")
            said = tr(
                "No {value}.",
                value=tr("answer fits") if data.format == "labelled" else tr("pair has answers that fit"),
            )
            raise UnusableError([Problem("data", said, hint=hint)])
        faults = self.train.faults
        around.tell_rows(data, data.train, faults, Counter(kind for kind, _, _ in faults))
        around.tell_left_out(data, data.train, self.train.left_out)
        self.is_labelled = isinstance(self.train, LabelledAnswers)
        _require_both(self.train)
        _tell_pairs(around, self.train, config)

    def __len__(self) -> int:
        return len(self.train)

    def fingerprint(self) -> str:
        return joined_fingerprint(self.train, self.valid)

    def batches_per_epoch(self, config: TrainConfig) -> int:
        return plan.iterations_per_epoch(config, len(self))

    def valid_examples(self) -> int:
        return len(self.valid) if self.valid is not None else 0

    def steps(self, config: TrainConfig, costs: Costs) -> StepCount:
        return count_steps(PairPlan(self.train, None, config, costs, self._around.job.most_positions))

    def parts(self, model: nn.Module, head: Head | NoHead, config: TrainConfig, costs: Costs) -> LoopParts:
        if self.train.each > 1:
            costs = tried_costs(model, head, costs)
        reference, gather = None, preference_gather(head, config)
        costs_there = costs
        if needs_reference(config):
            reference = Reference(model, head, config)
            if config.reference_model_path:
                costs_there = replace(costs, branches=self.train.each > 1)
                costs_there = tried_costs(reference.model, reference.head, costs_there)
        began = time.perf_counter()
        known = self._references(self.train, reference, config, costs_there)
        reference_s = (time.perf_counter() - began) / len(self.train.answers) if reference is not None else 0.0
        first = -(-YARDSTICK_PAIRS // config.batch_size)
        yardstick = PairValidation(self.train, known, config.batch_size, first, costs, gather)
        valid = None
        if is_measured(self._around, self.valid, config):
            assert self.valid is not None
            known_valid = self._references(self.valid, reference, config, costs_there)
            valid = PairValidation(self.valid, known_valid, config.batch_size, config.val_batches, costs, gather)
        batches = PairPlan(self.train, known, config, costs, self._around.job.most_positions)
        return LoopParts(preference(head, config), batches, valid, yardstick, LossGuard(), reference_s, gather)

    def _references(
        self, pairs: RatedAnswers, reference: Reference | None, config: TrainConfig, costs: Costs
    ) -> References | None:
        if reference is None:
            return None

        def log_probabilities(arrays: Arrays) -> mx.array:
            self._around.control.raise_if_stopped()
            return reference.log_probabilities(arrays)

        progress = self._around.progress(tr("Measuring the reference"))
        key = f"{config.model},{config.reference_model_path},{config.resume_adapter_file}"
        return reference_sums(pairs, log_probabilities, self._around.run / REFERENCE_FILE, progress, key, costs)


def _require_both(rows: RatedAnswers) -> None:
    """Labelled answers of both kinds must be left where some do not fit."""
    if isinstance(rows, LabelledAnswers) and len(np.unique(rows.desirable)) < 2:
        kind = tr("good") if rows.desirable.any() else tr("bad")
        said = tr("Only {kind} answers fit: KTO needs both good and bad ones.", kind=kind)
        raise UnusableError([Problem("data", said, hint=tr("Raise the maximum length, or shorten the prompts."))])


def _tell_pairs(around: Surroundings, pairs: RatedAnswers, config: TrainConfig) -> None:
    hint = tr("Raise the maximum length to keep them whole.")
    if pairs.truncated:
        around.warn(
            tr("1 answer ends beyond {length:,} tokens and is cut.", length=config.max_seq_length)
            if pairs.truncated == 1
            else tr(
                "{truncated:,} answers end beyond {max_seq_length:,} tokens and are cut.",
                truncated=pairs.truncated,
                max_seq_length=config.max_seq_length,
            ),
            hint,
        )
    if pairs.skipped:
        is_single = isinstance(pairs, LabelledAnswers)
        rows = trn(2, "answer", "answers") if is_single else trn(2, "pair", "pairs")
        around.warn(
            tr(
                "{skipped:,} {rows} have a prompt that leaves no room for an answer; left out.",
                skipped=pairs.skipped,
                rows=rows,
            ),
            hint,
        )
