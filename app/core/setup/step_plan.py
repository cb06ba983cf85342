"""The step plan: the steps that an epoch of the chosen data makes, as a worker counted them, and what they become
when batch or length change."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.core.config.train_config import TrainConfig
from app.core.setup.chosen_method import method_of
from app.core.setup.memory_term import LARGEST_PIECE, StepSize, answers_each, is_cut, rows_each, step_of

# What the sizes of the steps depend on, beside the rows themselves.
SIZE_PATHS = ("batch_size", "max_seq_length", "max_completion_length", "group_size")


@dataclass(frozen=True, slots=True)
class StepPlan:
    """What was counted of the training data under a config.

    ``steps`` are the distinct sizes with how often ``batches`` batches make them (several times a batch where
    batches are cut); empty where only ``longest``, the longest example in tokens, is known, and None there that not
    even that is. ``labelled`` for answers with a label each. ``config`` is the one that they were counted under.
    """

    config: TrainConfig
    steps: tuple[tuple[StepSize, int], ...] = ()
    batches: int = 0
    longest: int | None = None
    labelled: bool = False

    @classmethod
    def counted(
        cls,
        config: TrainConfig,
        steps: Iterable[Sequence[int]],
        batches: int,
        longest: int | None = None,
        *,
        labelled: bool = False,
    ) -> StepPlan:
        """From the rows (rows, width, targets, uses, where rows begin alike also what is shared) that a worker
        sends."""
        found = tuple(
            (StepSize(rows, width, targets, *shared), uses) for rows, width, targets, uses, *shared in steps
        )
        return cls(config, found, batches, longest, labelled)

    @property
    def rows(self) -> list[list[int]]:
        """The steps as `counted` reads them."""
        return [step_row(size, uses) for size, uses in self.steps]

    def or_else(self, other: StepPlan) -> StepPlan:
        """This plan where its steps are known, else the other."""
        return self if self.steps else other

    def sizes(self, config: TrainConfig, target_share: float = 1.0) -> tuple[tuple[StepSize, float], ...]:
        """The steps of one batch under ``config``, on average: each size, and how many of it.

        Exact where batch, length and way of batching are those counted; else the same steps cut at the length, with
        as many rows as the batch has more or fewer. What was not counted is the batch at its longest example.
        """
        if not self.steps or not self._is_like(config):
            return ((step_of(config, self.longest, target_share, labelled=self.labelled), 1.0),)
        found = [(self._under(step, config), uses / max(self.batches, 1)) for step, uses in self.steps]
        if not is_cut(config) and not is_cut(self.config):
            return tuple(found)
        share = config.batch_size / self.config.batch_size
        return tuple(
            (now, uses * share * then.rows / now.rows)
            for (now, uses), (then, _) in zip(found, self.steps, strict=True)
        )

    def most_positions(self, config: TrainConfig) -> int:
        """Positions of the largest step."""
        return max(step.positions for step, _ in self.sizes(config))

    def largest(self, config: TrainConfig, target_share: float = 1.0) -> tuple[StepSize, ...]:
        """The steps of which none is smaller than another in every way: one of them is the peak."""
        sizes = {step for step, _ in self.sizes(config, target_share)}
        return tuple(one for one in sizes if not any(_covers(other, one) for other in sizes if other != one))

    @property
    def _rows_of_example(self) -> int:
        """Both answers of a pair stand in one row where the model lets them, else in two."""
        each = rows_each(self.config, self.labelled)
        return 1 if any(step.rows % each for step, _ in self.steps) else each

    def _is_like(self, config: TrainConfig) -> bool:
        return all(config.value(path) == self.config.value(path) for path in ("batching", "train_mode"))

    def _under(self, step: StepSize, config: TrainConfig) -> StepSize:
        if all(config.value(path) == self.config.value(path) for path in SIZE_PATHS):
            return step
        if method_of(config).is_sampled and method_of(self.config).is_sampled:
            return self._sampled_under(step, config)
        if step.shared:
            return self._behind_prefix(step, config)
        rows, width, each = step.rows, step.width, self._rows_of_example
        in_row = rows_each(config, self.labelled) // each if method_of(config).data == "pairs" else 1
        longest_width = max(in_row * (config.max_seq_length - 1), 1)
        if config.batching == "pack":  # rows of several examples, which may be wider than the longest
            longest_width = math.ceil(width * min(1.0, config.max_seq_length / self.config.max_seq_length))
        width = max(min(width, longest_width), 1)
        if is_cut(config):
            most = min(rows, each * config.batch_size, LARGEST_PIECE // width)
            rows = max(each, most // each * each) if rows > each else each
        elif is_cut(self.config):
            rows = each * config.batch_size
        else:
            now, then = (one.batch_size * rows_each(one, self.labelled) for one in (config, self.config))
            rows = max(1, round(rows * now / then))
        share = step.targets / step.positions
        return StepSize(rows, width, max(1, min(rows * width, round(share * rows * width))))

    def _behind_prefix(self, step: StepSize, config: TrainConfig) -> StepSize:
        """The same rows with what they share, as far as length, batch and a piece's size go."""
        width = min(step.width, config.max_seq_length - 1 - step.shared)
        most = min(step.rows, config.batch_size)
        if is_cut(config) and width > 0:
            most = min(most, (max(LARGEST_PIECE, config.max_seq_length - 1) - step.shared) // width)
        share = step.targets / step.positions
        if most < 2 or width < 1:
            width = max(min(step.whole.width, config.max_seq_length - 1), 1)
            return StepSize(1, width, max(1, round(share * width)))
        positions = most * width + step.shared
        return StepSize(most, width, max(1, min(positions, round(share * positions))), step.shared)

    def _sampled_under(self, step: StepSize, config: TrainConfig) -> StepSize:
        """The same prompts with other answers: as many rows a prompt, of which each takes more or fewer of them."""
        in_row = answers_each(self.config, step)
        prompt = max(step.width - in_row * self.config.max_completion_length, 1)
        each = max(1, self.config.group_size // in_row)  # rows of a prompt
        if in_row > 1:
            now = max(1, config.group_size // each)
            rows = config.batch_size * max(1, config.group_size // now)
        else:
            now, rows = 1, config.batch_size * config.group_size
        prompt = min(prompt, max(config.max_seq_length - 1 - config.max_completion_length, 1))
        return StepSize(
            rows, prompt + now * config.max_completion_length, rows * now * config.max_completion_length
        )


def step_row(size: StepSize, uses: int) -> list[int]:
    """A size with how often it is computed, as plain JSON."""
    return [size.rows, size.width, size.targets, uses, *([size.shared] if size.shared else [])]


def _covers(large: StepSize, small: StepSize) -> bool:
    return (
        large.attended >= small.attended and large.positions >= small.positions and large.targets >= small.targets
    )
