"""Rollouts: answers that the model samples to its prompts while it trains, and the batches made of them.

A generation samples ``batch_size`` prompts × ``group_size`` answers and serves one or more iterations. Which
prompts, which seed and so which answers follow from the config, the number of the generation and the weights; the
generation in hand is part of a run's state, so that a resumed run goes on with the very same answers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Generic, TypeVar

import mlx.nn as nn
import numpy as np

from app.core.config.train_config import TrainConfig
from app.core.setup.memory_term import grown
from app.worker.array import Arrays, Ints
from app.worker.batch.answer import answer_arrays, answer_rows, answers_in_row
from app.worker.batch.batch import Batch
from app.worker.batch.branch import PADDING
from app.worker.batch.order import shuffled_order
from app.worker.batch.shape import Costs, Shape
from app.worker.model.head import Head, NoHead
from app.worker.process.control import StoppedError
from app.worker.rollout.sampling import SampledAnswer, sample, seed_of
from app.worker.rollout.score import Scored, Scorer
from app.worker.token.prompt import Prompts
from app.worker.token.token_set import Example

# Stands in the place of a generation's number where answers are sampled to measure.
VALIDATION = -1


@dataclass(frozen=True, slots=True)
class Speaker:
    """Everything that sampling needs: the model in training, its tokenizer, how the config wants it."""

    model: nn.Module
    head: Head | NoHead
    tokenizer: Any
    config: TrainConfig
    cancelled: Callable[[], bool]

    def answer(
        self, prompts: Prompts, numbers: Sequence[int] | Ints, seed: int, model: nn.Module | None = None
    ) -> tuple[list[SampledAnswer], list[str]]:
        """Sampled answers to these prompts as tokens and as texts, of another ``model`` than the speaker's where
        one is given; raises `StoppedError` if cancelled."""
        ends = sorted(self.tokenizer.eos_token_ids)
        found = sample(
            self.model if model is None else model,
            [prompts.tokens[int(number)] for number in numbers],
            ends=ends,
            max_tokens=self.config.max_completion_length,
            temperature=self.config.temperature,
            seed=seed,
            cancelled=self.cancelled,
        )
        if found is None:
            raise StoppedError
        return found, [self.tokenizer.decode([t for t in one.tokens if t not in ends]) for one in found]


def score_answers(scorer: Scorer, prompts: Prompts, numbers: Sequence[int] | Ints, texts: list[str]) -> Scored:
    """What the reward functions say of the answers' ``texts``; raises `TaskError` if the user's own fail."""
    return scorer.score(
        [prompts.texts[int(number)] for number in numbers],
        texts,
        [prompts.answers[int(number)] for number in numbers],
        [prompts.types[int(number)] for number in numbers],
    )


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation, as a run's state keeps it (plain JSON values).

    ``numbers`` of the prompts, one an answer, neighbours form a group.
    """

    number: int
    numbers: list[int]
    tokens: list[list[int]]
    texts: list[str]
    cut: list[bool]


Kept = TypeVar("Kept", bound=Generation)


class Rollouts(ABC, Generic[Kept]):
    """The batch of every iteration (from 1), like `app.worker.batch.plan.BatchPlan`, but from the present weights.

    A way of training says what it keeps of a generation (`_judge`), and the batch that it makes of that (`_batch`).
    """

    is_ahead = False
    is_cut = False
    kept: type[Kept]

    def __init__(self, prompts: Prompts, speaker: Speaker, costs: Costs | None = None) -> None:
        """``costs`` say whether answers may share a row, and when that pays."""
        self.examples = prompts
        self.size = min(speaker.config.batch_size, len(prompts))
        self._speaker = speaker
        self._config = speaker.config
        self._costs = costs or Costs()
        self._generation: Kept | None = None

    @property
    def batches_per_epoch(self) -> int:
        """Iterations in which every prompt was answered once."""
        return self._generations_per_epoch * self._config.updates_per_generation

    @property
    def _generations_per_epoch(self) -> int:
        return -(-len(self.examples) // self.size)

    def batch(self, iteration: int) -> Batch:
        """The batch of iteration 1, 2, …; samples where a new generation begins.

        Raises `StoppedError` if that is cancelled, `TaskError` if the user's reward functions fail.
        """
        number, update = divmod(iteration - 1, self._config.updates_per_generation)
        if self._generation is None or self._generation.number != number:
            self._generation = self._judge(self._sampled(number))
        return self._batch(self._generation, is_new=update == 0)

    def heaviest(self) -> list[int]:
        """The first iteration: what is sampled later cannot be known."""
        return [1]

    def state(self) -> dict[str, Any] | None:
        """The generation in hand."""
        return None if self._generation is None else asdict(self._generation)

    def restore(self, state: dict[str, Any] | None) -> None:
        """Goes on from `state`."""
        self._generation = None if state is None else self.kept(**state)

    @abstractmethod
    def _judge(self, generation: Generation) -> Kept:
        """What is kept of newly sampled answers."""

    @abstractmethod
    def _batch(self, generation: Kept, *, is_new: bool) -> Batch:
        """The batch of one iteration; ``is_new`` in the first of a generation, which tells of it."""

    def _sampled(self, number: int) -> Generation:
        config = self._config
        epoch, place = divmod(number, self._generations_per_epoch)
        chosen = shuffled_order(self.examples, self.size, config.seed, epoch)[place]
        numbers = np.repeat(chosen, config.group_size)
        answers, texts = self._speaker.answer(self.examples, numbers, seed_of(config.seed, number))
        tokens, cut = [answer.tokens for answer in answers], [answer.cut for answer in answers]
        return Generation(number, numbers.tolist(), tokens, texts, cut)

    def _arrays(self, numbers: Sequence[int], tokens: Sequence[Sequence[int]]) -> Arrays:
        """The answers behind their prompts as `app.worker.batch.answer` has them, on a coarse grid of shapes."""
        examples = []
        for number, answer in zip(numbers, tokens, strict=True):
            prompt = self.examples.tokens[number]
            trained = np.arange(len(prompt) + len(answer)) >= len(prompt)
            examples.append(Example(np.array([*prompt, *answer], np.int32), trained))
        rows = self._rows(numbers, max(map(len, tokens)))
        width = max(len(row.inputs) for row in answer_rows(examples, rows))
        shape = Shape(len(rows), grown(width), grown(sum(map(len, tokens))))
        return answer_arrays(examples, rows, shape)

    def _rows(self, numbers: Sequence[int], longest: int) -> list[list[int]]:
        """Which answers stand in one row: of those to a prompt as many as cost least."""
        groups: dict[int, list[int]] = {}
        for at, number in enumerate(numbers):
            groups.setdefault(number, []).append(at)
        shared = max(len(self.examples.tokens[number]) for number in groups)
        size = answers_in_row(shared, longest - 1, len(groups), self._config.group_size, self._costs)
        return [group[at : at + size] for group in groups.values() for at in range(0, len(group), size)]

    def _as_batch(
        self,
        generation: Generation,
        arrays: Arrays,
        figures: dict[str, float],
        samples: list[dict[str, Any]],
    ) -> Batch:
        rows, width = arrays["inputs"].shape
        answered = sum(map(len, generation.tokens))
        whole = sum(len(self.examples.tokens[n]) for n in generation.numbers) + answered - len(generation.numbers)
        real = whole if "branches" not in arrays else int((np.array(arrays["branches"]) != PADDING).sum())
        return Batch(
            (arrays,),
            tokens=whole,
            target_tokens=answered,
            examples=len(generation.numbers),
            shapes=(Shape(rows, width, arrays["targets"].shape[0]),),
            figures=figures,
            samples=samples,
            shared=whole - real,
        )

    def _samples(
        self, generation: Generation, rewards: Sequence[float], scores: dict[str, list[float]]
    ) -> list[dict[str, Any]]:
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
                    "reward": rewards[at],
                    "rewards": {name: values[at] for name, values in scores.items()},
                }
            )
        return found


def answer_figures(tokens: Sequence[Sequence[int]], cut: Sequence[bool]) -> dict[str, float]:
    """Means over answers. An answer of one token is empty: that is its end."""
    return {
        "answer_tokens": float(np.mean([len(answer) for answer in tokens])),
        "cut": float(np.mean(cut)),
        "empty": float(np.mean([len(answer) <= 1 for answer in tokens])),
    }


def reward_figures(rewards: Sequence[float], scores: dict[str, list[float]]) -> dict[str, float]:
    """The mean reward, and that of each function where there are several."""
    by_function = {f"reward/{name}": float(np.mean(values)) for name, values in scores.items()}
    return {"reward": float(np.mean(rewards))} | (by_function if len(scores) > 1 else {})


def measured_prompts(prompts: Prompts, config: TrainConfig) -> Ints:
    """The numbers of the prompts that validations answer: always the same, spread evenly."""
    wanted = config.val_batches * config.batch_size
    if not 0 <= wanted < len(prompts):
        return np.arange(len(prompts))
    return np.unique(np.linspace(0, len(prompts) - 1, wanted).round().astype(np.int64))
