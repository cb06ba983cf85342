"""Material: a method's tokenized data, and what the training loop runs on once the model is there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from app.core import event
from app.core.config import SAMPLING_MODES, TrainConfig
from app.core.dataset.prepare import PreparedData
from app.core.method import locate_judge, needs_reference, uses_rewards
from app.core.problem import Problem, UnusableError
from app.worker.answer import Arrays
from app.worker.batch import Plan
from app.worker.channel import Channel
from app.worker.control import Control
from app.worker.group_rollout import GroupRollouts, RewardValidation, group_relative
from app.worker.head import Head, NoHead, find_head
from app.worker.judge import Judge, ModelJudge, RewardJudge
from app.worker.model import load_model
from app.worker.objective import Objective
from app.worker.online_pair import PairRollouts, WinValidation
from app.worker.pair import (
    LabelledAnswers,
    PairPlan,
    PairValidation,
    RatedAnswers,
    References,
    reference_sums,
    tokenize_pairs,
)
from app.worker.preference_objective import preference
from app.worker.prompt import Prompts, tokenize_prompts
from app.worker.reference import Reference
from app.worker.reward_score import Scorer
from app.worker.rollout import Speaker
from app.worker.shape import Costs
from app.worker.validation import Validation

PhaseProgress = Callable[[str], Callable[[int, int], None]]
REFERENCE_FILE = "reference.safetensors"
YARDSTICK_PAIRS = 8


@dataclass(frozen=True, slots=True)
class Parts:
    """What the loop needs of a method. ``yardstick`` is measured where there is no validation, to know what the
    untrained model can do; ``resources`` are closed when the run ends."""

    objective: Objective
    batches: Plan
    valid: Validation | None
    yardstick: Validation | None
    resources: ExitStack = field(default_factory=ExitStack)


class Material(Protocol):
    """The data of one method."""

    def __len__(self) -> int:
        """Examples to train on."""

    def fingerprint(self) -> str:
        """Names the tokens, for a resume to recognize them."""

    def parts(self, model: nn.Module, head: Head | NoHead, config: TrainConfig, costs: Costs) -> Parts:
        """The loop's parts; ``model`` has its adapters, untrained, and ``config`` is concrete."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the preparation takes place, for materials that tell, wait and write."""

    channel: Channel
    control: Control
    run: Path
    job: dict[str, Any]
    progress: PhaseProgress
    tokenizer: Any

    def warn(self, message: str, hint: str = "") -> None:
        """Tells the user; the run goes on."""
        self.channel.emit(event.Warned(message=message, hint=hint))


def load_material(around: Surroundings, config: TrainConfig, data: PreparedData) -> Material:
    """The material of a config whose method is not the supervised one. Raises `UnusableError`."""
    kind = _Rewarded if config.train_mode in SAMPLING_MODES else _Preferred
    return kind(around, config, data)


class _Preferred:
    """Pairs, for DPO, CPO, SimPO, ORPO and KTO; for KTO labelled answers as well."""

    def __init__(self, around: Surroundings, config: TrainConfig, data: PreparedData) -> None:
        self._around = around
        progress = around.progress("Tokenizing")
        self._train = tokenize_pairs(data.train, around.tokenizer, config, progress)
        self._valid = tokenize_pairs(data.valid, around.tokenizer, config, progress) if data.valid else None
        if not len(self._train):
            hint = "Raise the maximum length, or shorten the prompts."
            said = f"No {'answer fits' if data.format == 'labelled' else 'pair has answers that fit'}."
            raise UnusableError([Problem("data", said, hint=hint)])
        _require_both(self._train)
        _tell_pairs(around, self._train, config)

    def __len__(self) -> int:
        return len(self._train)

    def fingerprint(self) -> str:
        return _joined(self._train, self._valid)

    def parts(self, model: nn.Module, head: Head | NoHead, config: TrainConfig, costs: Costs) -> Parts:
        reference = Reference(model, head, config) if needs_reference(config) else None
        known = self._references(self._train, reference, config)
        yardstick = PairValidation(self._train, known, config.batch_size, -(-YARDSTICK_PAIRS // config.batch_size))
        valid = None
        if _is_measured(self._around, self._valid, config):
            assert self._valid is not None
            known_valid = self._references(self._valid, reference, config)
            valid = PairValidation(self._valid, known_valid, config.batch_size, config.val_batches)
        batches = PairPlan(self._train, known, config, costs)
        return Parts(preference(head, config), batches, valid, yardstick)

    def _references(
        self, pairs: RatedAnswers, reference: Reference | None, config: TrainConfig
    ) -> References | None:
        if reference is None:
            return None

        def log_probabilities(arrays: Arrays) -> mx.array:
            self._around.control.raise_if_stopped()
            return reference.log_probabilities(arrays)

        progress = self._around.progress("Measuring the reference")
        key = f"{config.model},{config.reference_model_path},{config.resume_adapter_file}"
        return reference_sums(pairs, log_probabilities, self._around.run / REFERENCE_FILE, progress, key)


class _Rewarded:
    """Prompts, for GRPO and its kin, and for Online DPO."""

    def __init__(self, around: Surroundings, config: TrainConfig, data: PreparedData) -> None:
        self._around = around
        self._scorer = Scorer(config, around.job) if uses_rewards(config) else None
        progress = around.progress("Tokenizing")
        self._train = tokenize_prompts(data.train, around.tokenizer, config, progress)
        self._valid = tokenize_prompts(data.valid, around.tokenizer, config, progress) if data.valid else None
        room = f"{config.max_seq_length:,} tokens with {config.max_completion_length:,} for the answer"
        hint = "Raise the maximum length, or lower the longest answer."
        if not len(self._train):
            raise UnusableError([Problem("max_seq_length", f"No prompt fits into {room}.", hint=hint)])
        if self._train.skipped:
            around.warn(f"{self._train.skipped:,} prompts do not fit into {room} and are left out.", hint)

    def __len__(self) -> int:
        return len(self._train)

    def fingerprint(self) -> str:
        return _joined(self._train, self._valid)

    def parts(self, model: nn.Module, head: Head | NoHead, config: TrainConfig, _costs: Costs) -> Parts:
        around = self._around
        reference = Reference(model, head, config) if needs_reference(config) else None
        speaker = Speaker(model, head, around.tokenizer, config, around.control.is_stopping)
        valid = self._valid if _is_measured(around, self._valid, config) else None
        resources = ExitStack()
        if self._scorer is not None:
            resources.callback(self._scorer.close)
        if config.train_mode == "online_dpo":
            assert reference is not None
            return self._online(speaker, reference, valid, resources)
        assert self._scorer is not None
        rollouts = GroupRollouts(self._train, speaker, self._scorer, reference)
        measured = RewardValidation(valid, speaker, self._scorer) if valid else None
        return Parts(group_relative(head, config), rollouts, measured, None, resources)

    def _online(self, speaker: Speaker, reference: Reference, valid: Prompts | None, resources: ExitStack) -> Parts:
        objective = preference(speaker.head, speaker.config)
        if self._scorer is not None:
            judge: Judge = RewardJudge(self._scorer)
            rewarded = RewardValidation(valid, speaker, self._scorer) if valid else None
            rollouts = PairRollouts(self._train, speaker, judge, reference)
            return Parts(objective, rollouts, rewarded, None, resources)
        judge = self._model_judge(speaker, reference)
        measured = WinValidation(valid, speaker, judge, reference) if valid else None
        return Parts(objective, PairRollouts(self._train, speaker, judge, reference), measured, None, resources)

    def _model_judge(self, speaker: Speaker, reference: Reference) -> Judge:
        """The model that judges; where it is the base itself, the base in memory with its adapters off."""
        config, around = speaker.config, self._around
        system, cancelled = config.judge_config.system_prompt, around.control.is_stopping
        folder = locate_judge(config)
        if folder == Path(config.model).resolve() and not config.reference_model_path:
            return ModelJudge(
                speaker.model, speaker.head, around.tokenizer, system, cancelled=cancelled,
                in_place=reference.in_place,
            )  # fmt: skip
        around.channel.emit(event.Progressed(phase="Loading the judge"))
        try:
            model, tokenizer = load_model(folder)
        except UnusableError as error:
            raise UnusableError([replace(problem, path="judge") for problem in error.problems]) from error
        model.freeze()
        return ModelJudge(model, find_head(model), tokenizer, system, cancelled=cancelled)


def _joined(*parts: RatedAnswers | Prompts | None) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        if part is not None:
            digest.update(part.fingerprint())
    return digest.hexdigest()


def _require_both(rows: RatedAnswers) -> None:
    """Labelled answers of both kinds must be left where some do not fit."""
    if isinstance(rows, LabelledAnswers) and len(np.unique(rows.desirable)) < 2:
        kind = "good" if rows.desirable.any() else "bad"
        said = f"Only {kind} answers fit: KTO needs both good and bad ones."
        raise UnusableError([Problem("data", said, hint="Raise the maximum length, or shorten the prompts.")])


def _tell_pairs(around: Surroundings, pairs: RatedAnswers, config: TrainConfig) -> None:
    hint = "Raise the maximum length to keep them whole."
    if pairs.truncated:
        around.warn(f"{pairs.truncated:,} answers end beyond {config.max_seq_length:,} tokens and are cut.", hint)
    if pairs.skipped:
        rows = "answers" if isinstance(pairs, LabelledAnswers) else "pairs"
        around.warn(f"{pairs.skipped:,} {rows} have a prompt that leaves no room for an answer; left out.", hint)


def _is_measured(around: Surroundings, valid: RatedAnswers | Prompts | None, config: TrainConfig) -> bool:
    if valid is not None and len(valid) and config.val_batches:
        return True
    around.warn("There is no validation data: no best adapter, no early stopping.")
    return False
