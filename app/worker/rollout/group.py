"""Group rollouts: sampled answers that are scored and compared within their group, for GRPO and its kin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from app.worker.array import Arrays
from app.worker.batch.batch import Batch
from app.worker.batch.shape import Costs
from app.worker.objective.group_loss import Scaling, equal_groups, group_advantages
from app.worker.objective.log_probability import answer_log_probabilities
from app.worker.objective.objective import Objective
from app.worker.objective.reference import Reference
from app.worker.objective.validation import Measurement
from app.worker.process.control import StoppedError
from app.worker.rollout.rollout import (
    VALIDATION,
    Generation,
    Rollouts,
    Speaker,
    answer_figures,
    measured_prompts,
    reward_figures,
    score_answers,
)
from app.worker.rollout.sampling import seed_of
from app.worker.rollout.score import Scorer
from app.worker.token.prompt import Prompts


@dataclass(frozen=True, slots=True)
class ScoredGeneration(Generation):
    """A generation with its scores by function and their weighted sums.

    ``old`` and ``reference`` are log-probabilities (answers, places) as the batch's arrays have them; None where
    they are not needed.
    """

    scores: dict[str, list[float]]
    rewards: list[float]
    old: list[list[float]] | None = None
    reference: list[list[float]] | None = None


class GroupRollouts(Rollouts[ScoredGeneration]):
    """Batches with an advantage for every answer."""

    kept = ScoredGeneration

    def __init__(
        self,
        prompts: Prompts,
        speaker: Speaker,
        scorer: Scorer,
        reference: Reference | None,
        costs: Costs | None = None,
    ) -> None:
        super().__init__(prompts, speaker, costs)
        self._scorer = scorer
        self._reference = reference

    def _judge(self, generation: Generation) -> ScoredGeneration:
        config = self._config
        scored = score_answers(self._scorer, self.examples, generation.numbers, generation.texts)
        arrays = self._arrays(generation.numbers, generation.tokens)
        old = self._old(arrays) if config.updates_per_generation > 1 else None
        reference = self._reference.log_probabilities(arrays, config.temperature) if self._reference else None
        return ScoredGeneration(
            **asdict(generation),
            scores={name: values.tolist() for name, values in scored.by_function.items()},
            rewards=scored.total.tolist(),
            old=None if old is None else np.array(old).tolist(),
            reference=None if reference is None else np.array(reference).tolist(),
        )

    def _old(self, arrays: Arrays) -> mx.array:
        """Log-probabilities under the weights that sampled, which later iterations compare theirs with."""
        model = self._speaker.model
        was_training = model.training
        model.eval()
        found = answer_log_probabilities(model, self._speaker.head, arrays, self._config.temperature)
        mx.eval(found)
        model.train(was_training)
        return found

    def _batch(self, generation: ScoredGeneration, *, is_new: bool) -> Batch:
        arrays = self._arrays(generation.numbers, generation.tokens)
        rewards = np.array(generation.rewards)
        scaling: Scaling = "none" if self._config.grpo_loss_type == "dr_grpo" else "group"
        advantages = group_advantages(rewards, self._config.group_size, scaling)
        arrays["advantages"] = mx.array(advantages.astype(np.float32))
        for name, values in (("old", generation.old), ("reference", generation.reference)):
            if values is not None:
                arrays[name] = mx.array(np.array(values, np.float32))
        figures = self._figures(generation) if is_new else {}
        samples = self._samples(generation, generation.rewards, generation.scores) if is_new else []
        return self._as_batch(generation, arrays, figures, samples)

    def _figures(self, generation: ScoredGeneration) -> dict[str, float]:
        size, rewards = self._config.group_size, np.array(generation.rewards)
        spread = float(rewards.reshape(-1, size).std(axis=1).mean())
        shown = reward_figures(generation.rewards, generation.scores)
        shown |= answer_figures(generation.tokens, generation.cut)
        return shown | {"reward_spread": spread, "equal_groups": equal_groups(rewards, size)}


class RewardValidation:
    """Always the same prompts, each answered by a group sampled from the same seed: how much the weights earn.

    Sampled as in training, because the likeliest answer is often right long before the others are.
    """

    def __init__(self, prompts: Prompts, speaker: Speaker, scorer: Scorer) -> None:
        self.examples = prompts
        self._speaker, self._scorer = speaker, scorer
        self._numbers = np.repeat(measured_prompts(prompts, speaker.config), speaker.config.group_size)

    def measured(
        self, _model: nn.Module, _objective: Objective, _cancelled: Callable[[], bool]
    ) -> Measurement | None:
        """The loss is the mean reward with its sign changed: lower is better, as everywhere."""
        seed = seed_of(self._speaker.config.seed, VALIDATION)
        try:
            answers, texts = self._speaker.answer(self.examples, self._numbers, seed)
        except StoppedError:
            return None
        scored = score_answers(self._scorer, self.examples, self._numbers, texts)
        scores = {name: values.tolist() for name, values in scored.by_function.items()}
        figures = reward_figures(scored.total.tolist(), scores)
        figures |= answer_figures([answer.tokens for answer in answers], [answer.cut for answer in answers])
        return Measurement(-figures["reward"], figures)
