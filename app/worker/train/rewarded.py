"""What a rewarded method trains with: prompts, sampled answers, and what scores them."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import mlx.nn as nn

from app.core.config.train_config import TrainConfig
from app.core.data.prepare import PreparedData
from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.setup import plan
from app.core.setup.chosen_method import locate_judge, method_of, needs_reference, uses_rewards
from app.worker.batch.shape import Costs
from app.worker.batch.step_count import StepCount, count_sampled_steps
from app.worker.model.head import Head, NoHead, find_head
from app.worker.model.loading import load_model
from app.worker.objective.group_objective import group_relative
from app.worker.objective.preference_objective import preference
from app.worker.objective.reference import Reference
from app.worker.rollout.group import GroupRollouts, RewardValidation
from app.worker.rollout.judge import Judge, ModelJudge, RewardJudge
from app.worker.rollout.online_pair import PairRollouts, WinValidation
from app.worker.rollout.rollout import Speaker
from app.worker.rollout.score import Scorer
from app.worker.token.prompt import Prompts, tokenize_prompts
from app.worker.train.guard import LossGuard
from app.worker.train.training_data import (
    LoopParts,
    Surroundings,
    TrainingData,
    is_measured,
    joined_fingerprint,
    tried_costs,
)


class RewardedData(TrainingData):
    """Prompts whose answers the model samples itself: compared in groups, or by twos where they are judged.

    ``train`` are those to train on, ``valid`` those that measure.
    """

    def __init__(self, around: Surroundings, config: TrainConfig, data: PreparedData) -> None:
        self._around = around
        self._scorer = Scorer(config, around.job.reward_file_sha256) if uses_rewards(config) else None
        progress = around.progress(tr("Tokenizing"))
        self.train = tokenize_prompts(data.train, around.tokenizer, config, progress)
        self.valid = tokenize_prompts(data.valid, around.tokenizer, config, progress) if data.valid else None
        room = tr(
            "{max_seq_length:,} tokens with {max_completion_length:,} for the answer",
            max_seq_length=config.max_seq_length,
            max_completion_length=config.max_completion_length,
        )
        hint = tr("Raise the maximum length, or lower the longest answer.")
        if not len(self.train):
            raise UnusableError(
                [Problem("max_seq_length", tr("No prompt fits into {room}.", room=room), hint=hint)]
            )
        faults = self.train.faults
        around.tell_rows(data, data.train, faults, Counter(kind for kind, _, _ in faults))
        around.tell_left_out(data, data.train, self.train.left_out)
        if self.train.skipped:
            around.warn(
                tr("1 prompt does not fit into {room} and is left out.", room=room)
                if self.train.skipped == 1
                else tr(
                    "{skipped:,} prompts do not fit into {room} and are left out.",
                    skipped=self.train.skipped,
                    room=room,
                ),
                hint,
            )

    def close(self) -> None:
        if self._scorer is not None:
            self._scorer.close()

    def __len__(self) -> int:
        return len(self.train)

    def fingerprint(self) -> str:
        return joined_fingerprint(self.train, self.valid)

    def batches_per_epoch(self, config: TrainConfig) -> int:
        return plan.iterations_per_epoch(config, len(self))

    def valid_examples(self) -> int:
        return len(self.valid) if self.valid is not None else 0

    def steps(self, config: TrainConfig, costs: Costs) -> StepCount:
        return count_sampled_steps(self.train.inputs, config, costs)

    def parts(self, model: nn.Module, head: Head | NoHead, config: TrainConfig, costs: Costs) -> LoopParts:
        around = self._around
        reference = Reference(model, head, config) if needs_reference(config) else None
        costs = tried_costs(model, head, costs)
        if reference is not None and config.reference_model_path:  # it reads the same arrays
            costs = tried_costs(reference.model, reference.head, costs)
        speaker = Speaker(model, head, around.tokenizer, config, around.control.is_stopping)
        valid = self.valid if is_measured(around, self.valid, config) else None
        resources = ExitStack()
        if self._scorer is not None:
            resources.callback(self._scorer.close)
        if method_of(config).is_judged:
            assert reference is not None
            return self._online(speaker, reference, valid, resources, costs)
        assert self._scorer is not None
        rollouts = GroupRollouts(self.train, speaker, self._scorer, reference, costs)
        measured = RewardValidation(valid, speaker, self._scorer) if valid else None
        return LoopParts(
            group_relative(head, config), rollouts, measured, None, LossGuard(only_finite=True), resources=resources
        )

    def _online(
        self, speaker: Speaker, reference: Reference, valid: Prompts | None, resources: ExitStack, costs: Costs
    ) -> LoopParts:
        objective = preference(speaker.head, speaker.config)
        if self._scorer is not None:
            judge: Judge = RewardJudge(self._scorer)
            rewarded = RewardValidation(valid, speaker, self._scorer) if valid else None
            rollouts = PairRollouts(self.train, speaker, judge, reference, costs)
            return LoopParts(objective, rollouts, rewarded, None, LossGuard(only_finite=True), resources=resources)
        judge = self._model_judge(speaker, reference)
        measured = WinValidation(valid, speaker, judge, reference) if valid else None
        rollouts = PairRollouts(self.train, speaker, judge, reference, costs)
        return LoopParts(objective, rollouts, measured, None, LossGuard(only_finite=True), resources=resources)

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
        around.channel.emit(event.Progressed(phase=tr("Loading the judge")))
        try:
            model, tokenizer = load_model(folder)
        except UnusableError as error:
            raise UnusableError([replace(problem, path="judge") for problem in error.problems]) from error
        model.freeze()
        return ModelJudge(model, find_head(model), tokenizer, system, cancelled=cancelled)
