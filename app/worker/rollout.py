"""Rollouts: answers that the model samples to its prompts while it trains, scored, and made into batches.

A generation samples ``batch_size`` prompts × ``group_size`` answers and serves one or more iterations. Which
prompts, which seed and so which answers follow from the config, the number of the generation and the weights; the
generation in hand is part of a run's state, so that a resumed run goes on with the very same answers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import mlx.core as mx
import mlx.nn as nn
import numpy as np

from app.core.config import TrainConfig
from app.core.method import clip_range
from app.worker.answer import Arrays, answer_arrays, answer_shape
from app.worker.batch import Batch, Ints, shuffled_order
from app.worker.control import StoppedError
from app.worker.group_relative import Options, Scaling, equal_groups, group_advantages, group_loss
from app.worker.head import Head, NoHead
from app.worker.log_probability import answer_log_probabilities
from app.worker.objective import Objective
from app.worker.prompt import Prompts
from app.worker.reference import Reference
from app.worker.reward_score import Floats, Scored, Scorer
from app.worker.sampling import Sampled, sample, seed_of
from app.worker.token_set import Example
from app.worker.validation import Measurement

# Stands in the place of a generation's number where answers are sampled to measure.
VALIDATION = -1


@dataclass(frozen=True, slots=True)
class Speaker:
    """Everything that sampling and scoring need: the model in training, its tokenizer, the reward functions."""

    model: nn.Module
    head: Head | NoHead
    tokenizer: Any
    scorer: Scorer
    config: TrainConfig
    cancelled: Callable[[], bool]

    def answer(
        self, prompts: Prompts, numbers: Ints, temperature: float, seed: int
    ) -> tuple[list[Sampled], list[str]]:
        """Sampled answers to these prompts as tokens and as texts; raises `StoppedError` if cancelled."""
        ends = sorted(self.tokenizer.eos_token_ids)
        found = sample(
            self.model,
            [prompts.tokens[number] for number in numbers],
            ends=ends,
            max_tokens=self.config.max_completion_length,
            temperature=temperature,
            seed=seed,
            cancelled=self.cancelled,
        )
        if found is None:
            raise StoppedError
        return found, [self.tokenizer.decode([t for t in one.tokens if t not in ends]) for one in found]

    def score(self, prompts: Prompts, numbers: Ints, texts: list[str]) -> Scored:
        """What the reward functions say of the answers' ``texts``."""
        return self.scorer.score(
            [prompts.texts[number] for number in numbers],
            texts,
            [prompts.answers[number] for number in numbers],
            [prompts.types[number] for number in numbers],
        )


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation, as a run's state keeps it (plain JSON values).

    ``numbers`` of the prompts, one an answer, neighbours form a group. ``old`` and ``reference`` are
    log-probabilities (answers, places) as the batch's arrays have them; None where they are not needed.
    """

    number: int
    numbers: list[int]
    tokens: list[list[int]]
    texts: list[str]
    cut: list[bool]
    scores: dict[str, list[float]]
    rewards: list[float]
    old: list[list[float]] | None = None
    reference: list[list[float]] | None = None


class Rollouts:
    """The batch of every iteration (from 1), like `app.worker.batch.BatchPlan`, but from the present weights."""

    is_ahead = False

    def __init__(self, prompts: Prompts, speaker: Speaker, reference: Reference | None) -> None:
        self.examples = prompts
        self.size = min(speaker.config.batch_size, len(prompts))
        self._speaker = speaker
        self._reference = reference
        self._config = speaker.config
        self._generation: Generation | None = None

    @property
    def batches_per_epoch(self) -> int:
        """Iterations in which every prompt was answered once."""
        return -(-len(self.examples) // self.size) * self._config.updates_per_generation

    def batch(self, iteration: int) -> Batch:
        """The batch of iteration 1, 2, …; samples where a new generation begins.

        Raises `StoppedError` if that is cancelled, `TaskError` if the user's reward functions fail.
        """
        number, update = divmod(iteration - 1, self._config.updates_per_generation)
        if self._generation is None or self._generation.number != number:
            self._generation = self._generate(number)
        return self._batch(self._generation, is_new=update == 0)

    def state(self) -> dict[str, Any] | None:
        """The generation in hand."""
        return None if self._generation is None else asdict(self._generation)

    def restore(self, state: dict[str, Any] | None) -> None:
        """Goes on from `state`."""
        self._generation = None if state is None else Generation(**state)

    def _generate(self, number: int) -> Generation:
        speaker, config = self._speaker, self._config
        epoch, place = divmod(number, -(-len(self.examples) // self.size))
        chosen = shuffled_order(self.examples, self.size, config.seed, epoch)[place]
        numbers = np.repeat(chosen, config.group_size)
        answers, texts = speaker.answer(self.examples, numbers, config.temperature, seed_of(config.seed, number))
        scored = speaker.score(self.examples, numbers, texts)
        arrays = self._arrays(numbers.tolist(), [answer.tokens for answer in answers])
        old = self._old(arrays) if config.updates_per_generation > 1 else None
        reference = self._reference.log_probabilities(arrays, config.temperature) if self._reference else None
        return Generation(
            number,
            numbers.tolist(),
            [answer.tokens for answer in answers],
            texts,
            [answer.cut for answer in answers],
            {name: values.tolist() for name, values in scored.by_function.items()},
            scored.total.tolist(),
            None if old is None else np.array(old).tolist(),
            None if reference is None else np.array(reference).tolist(),
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

    def _arrays(self, numbers: list[int], tokens: list[list[int]]) -> Arrays:
        examples = []
        for number, answer in zip(numbers, tokens, strict=True):
            prompt = self.examples.tokens[number]
            trained = np.arange(len(prompt) + len(answer)) >= len(prompt)
            examples.append(Example(np.array([*prompt, *answer], np.int32), trained))
        width = max(len(example.tokens) - 1 for example in examples)
        shape = answer_shape(len(examples), width, max(map(len, tokens)))
        return answer_arrays(examples, shape)

    def _batch(self, generation: Generation, *, is_new: bool) -> Batch:
        arrays = self._arrays(generation.numbers, generation.tokens)
        rewards = np.array(generation.rewards)
        scaling: Scaling = "none" if self._config.grpo_loss_type == "dr_grpo" else "group"
        advantages = group_advantages(rewards, self._config.group_size, scaling)
        places = arrays["mask"].shape[1]
        tokens = sum(len(self.examples.tokens[n]) for n in generation.numbers) + sum(map(len, generation.tokens))
        arrays["advantages"] = mx.array(advantages.astype(np.float32))
        for name, values in (("old", generation.old), ("reference", generation.reference)):
            if values is not None:
                arrays[name] = mx.array(np.array(values, np.float32))
        rows = len(generation.numbers)
        return Batch(
            arrays,
            tokens=tokens - rows,
            target_tokens=sum(map(len, generation.tokens)),
            examples=rows,
            shape=answer_shape(rows, arrays["inputs"].shape[1], places),
            figures=self._figures(generation, rewards) if is_new else {},
            samples=self._samples(generation) if is_new else [],
        )

    def _figures(self, generation: Generation, rewards: Floats) -> dict[str, float]:
        size = self._config.group_size
        spread = float(rewards.reshape(-1, size).std(axis=1).mean())
        shown = {"reward_spread": spread, "equal_groups": equal_groups(rewards, size)}
        return _reward_figures(generation.scores, rewards, generation.tokens, generation.cut) | shown

    def _samples(self, generation: Generation) -> list[dict[str, Any]]:
        """The last group, as the window shows it."""
        found = []
        for at in range(len(generation.numbers) - self._config.group_size, len(generation.numbers)):
            number = generation.numbers[at]
            found.append(
                {
                    "prompt": self.examples.texts[number],
                    "answer": self.examples.answers[number],
                    "completion": generation.texts[at],
                    "tokens": len(generation.tokens[at]),
                    "cut": generation.cut[at],
                    "reward": generation.rewards[at],
                    "rewards": {name: values[at] for name, values in generation.scores.items()},
                }
            )
        return found


def _reward_figures(
    scores: dict[str, list[float]], rewards: Floats, tokens: list[list[int]], cut: list[bool]
) -> dict[str, float]:
    """Means over answers. An answer of one token is empty: that is its end."""
    by_function = {f"reward/{name}": float(np.mean(values)) for name, values in scores.items()}
    return {
        "reward": float(rewards.mean()),
        "answer_tokens": float(np.mean([len(answer) for answer in tokens])),
        "cut": float(np.mean(cut)),
        "empty": float(np.mean([len(answer) <= 1 for answer in tokens])),
    } | (by_function if len(scores) > 1 else {})


class RewardValidation:
    """Always the same prompts, each answered by a group sampled from the same seed: how much the weights earn.

    Sampled as in training, because the likeliest answer is often right long before the others are.
    """

    def __init__(self, prompts: Prompts, speaker: Speaker) -> None:
        self.examples = prompts
        self._speaker = speaker
        config = speaker.config
        wanted = config.val_batches * config.batch_size
        numbers = np.arange(len(prompts))
        if 0 <= wanted < len(prompts):
            numbers = np.unique(np.linspace(0, len(prompts) - 1, wanted).round().astype(np.int64))
        self._numbers = np.repeat(numbers, config.group_size)

    def measured(
        self, _model: nn.Module, _objective: Objective, _cancelled: Callable[[], bool]
    ) -> Measurement | None:
        """The loss is the mean reward with its sign changed: lower is better, as everywhere."""
        config = self._speaker.config
        seed = seed_of(config.seed, VALIDATION)
        try:
            answers, texts = self._speaker.answer(self.examples, self._numbers, config.temperature, seed)
        except StoppedError:
            return None
        scored = self._speaker.score(self.examples, self._numbers, texts)
        scores = {name: values.tolist() for name, values in scored.by_function.items()}
        tokens, cut = [answer.tokens for answer in answers], [answer.cut for answer in answers]
        figures = _reward_figures(scores, scored.total, tokens, cut)
        return Measurement(-figures["reward"], figures)


def group_relative(head: Head | NoHead, config: TrainConfig) -> Objective:
    """The objective of a config whose train_mode is grpo, on the batches of `Rollouts`."""
    low, high = clip_range(config)
    options = Options(
        config.grpo_loss_type,
        config.importance_sampling_level,
        low,
        high,
        config.beta,
        config.max_completion_length,
    )

    def objective(model: nn.Module, arrays: Arrays) -> tuple[mx.array, mx.array, Arrays]:
        found = answer_log_probabilities(model, head, arrays, config.temperature)
        loss = group_loss(
            found, arrays.get("old"), arrays.get("reference"), arrays["mask"], arrays["advantages"], options
        )
        figures = {"clipped": loss.clipped} | ({"kl": loss.divergence} if config.beta else {})
        return loss.total, loss.weight, {name: mx.stop_gradient(value) for name, value in figures.items()}

    return objective
