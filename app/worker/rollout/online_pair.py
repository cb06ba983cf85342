"""Online pairs: sampled answers of which a judge prefers one, for Online DPO (arXiv 2402.04792).

The answers to a prompt are compared two by two. Of each pair the preferred answer is the chosen one, the other the
rejected one, and the loss is the one that DPO has of prepared pairs; a tie is in the batch, but not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from app.worker.batch.batch import Batch
from app.worker.batch.shape import Costs
from app.worker.objective.objective import Objective
from app.worker.objective.reference import Reference
from app.worker.objective.validation import Measurement
from app.worker.process.control import StoppedError
from app.worker.rollout.judge import NEITHER, Judge
from app.worker.rollout.rollout import (
    VALIDATION,
    Generation,
    Rollouts,
    Speaker,
    answer_figures,
    measured_prompts,
    reward_figures,
)
from app.worker.rollout.sampling import seed_of
from app.worker.token.prompt import Prompts


@dataclass(frozen=True, slots=True)
class JudgedGeneration(Generation):
    """A generation with what the judge said of its neighbouring answers (see `JudgedAnswers`).

    ``reference`` are the reference's log-probabilities of the answers, each summed over its tokens.
    """

    preferred: list[int]
    rewards: list[float]
    scores: dict[str, list[float]]
    figures: dict[str, float]
    reference: list[float]


class PairRollouts(Rollouts[JudgedGeneration]):
    """Batches as `app.worker.batch.pair_batch` makes them: chosen answers first, then the rejected ones."""

    kept = JudgedGeneration

    def __init__(
        self,
        prompts: Prompts,
        speaker: Speaker,
        judge: Judge,
        reference: Reference,
        costs: Costs | None = None,
    ) -> None:
        super().__init__(prompts, speaker, costs)
        self._judging = judge
        self._reference = reference

    def _judge(self, generation: Generation) -> JudgedGeneration:
        judged = self._judging.judged(self.examples, generation.numbers, generation.texts)
        arrays = self._arrays(generation.numbers, generation.tokens)
        sums = (self._reference.log_probabilities(arrays) * arrays["mask"]).sum(axis=1)
        return JudgedGeneration(
            **asdict(generation),
            preferred=judged.preferred,
            rewards=judged.rewards,
            scores=judged.scores,
            figures=judged.figures,
            reference=np.array(sums).tolist(),
        )

    def _batch(self, generation: JudgedGeneration, *, is_new: bool) -> Batch:
        preferred = np.array(generation.preferred)
        pairs = np.arange(len(preferred))
        second = (preferred == 1).astype(np.int64)
        rows = np.concatenate([2 * pairs + second, 2 * pairs + 1 - second]).tolist()
        arrays = self._arrays([generation.numbers[row] for row in rows], [generation.tokens[row] for row in rows])
        arrays["counted"] = mx.array((preferred != NEITHER).astype(np.float32))
        arrays["reference"] = mx.array(np.array(generation.reference, np.float32)[rows])
        figures = self._figures(generation) if is_new else {}
        samples = self._samples(generation, generation.rewards, generation.scores) if is_new else []
        return self._as_batch(generation, arrays, figures, samples)

    def _figures(self, generation: JudgedGeneration) -> dict[str, float]:
        shown = {"ties": generation.preferred.count(NEITHER) / len(generation.preferred)} | generation.figures
        if generation.scores:
            shown |= reward_figures(generation.rewards, generation.scores)
        return shown | answer_figures(generation.tokens, generation.cut)


class WinValidation:
    """Always the same prompts, each answered by the weights and by the reference from the same seed: how often the
    judge prefers the weights' answer. A tie counts half, so that the untrained model earns ½."""

    def __init__(self, prompts: Prompts, speaker: Speaker, judge: Judge, reference: Reference) -> None:
        self.examples = prompts
        self._speaker, self._judge, self._reference = speaker, judge, reference
        self._numbers = np.repeat(measured_prompts(prompts, speaker.config), speaker.config.group_size)
        self._opposed: list[str] | None = None

    def measured(
        self, _model: nn.Module, _objective: Objective, _cancelled: Callable[[], bool]
    ) -> Measurement | None:
        """The loss is the share of won comparisons with its sign changed: lower is better, as everywhere."""
        seed = seed_of(self._speaker.config.seed, VALIDATION)
        try:
            answers, texts = self._speaker.answer(self.examples, self._numbers, seed)
            both = [text for pair in zip(texts, self._reference_texts(seed), strict=True) for text in pair]
            judged = self._judge.judged(self.examples, np.repeat(self._numbers, 2), both)
        except StoppedError:
            return None
        figures = {"reward": float(np.mean(judged.rewards[0::2]))} | judged.figures
        figures |= answer_figures([answer.tokens for answer in answers], [answer.cut for answer in answers])
        return Measurement(-figures["reward"], figures)

    def _reference_texts(self, seed: int) -> list[str]:
        """The reference does not change: it answers once, and after a resume again with the same words."""
        if self._opposed is None:
            with self._reference.in_place() as model:
                self._opposed = self._speaker.answer(self.examples, self._numbers, seed, model)[1]
        return self._opposed
