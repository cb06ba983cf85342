"""The plan of a run: how many iterations an epoch has, and how iterations and epochs follow from each other."""

from __future__ import annotations

import math
from dataclasses import dataclass

from app.core.config.train_config import TrainConfig
from app.core.data.report import DataReport
from app.core.setup.chosen_method import method_of

# What the counts of examples that have something to learn depend on, beside the rows themselves.
COUNTED_PATHS = (
    "valid_fraction", "test_fraction", "seed", "group_feature", "batch_size", "batching", "max_seq_length",
    "mask_prompt", "mask_turns", "max_completion_length", "updates_per_generation",
)  # fmt: skip


def iterations_per_epoch(config: TrainConfig, train_examples: int) -> int:
    """Iterations that show every training example once; the last batch may be smaller. At least 1.

    In mlx-lm's own order the last examples that fill no batch are left out.
    """
    if config.batching == "file_order" and method_of(config).data == "examples":
        return max(1, train_examples // max(1, min(config.batch_size, train_examples)))
    updates = config.updates_per_generation if method_of(config).is_sampled else 1
    return max(1, math.ceil(train_examples / config.batch_size) * updates)


def iterations(config: TrainConfig, train_examples: int | None, per_epoch: int | None = None) -> int:
    """Iterations of the run: from the epochs where these are set and the data are known, else as configured.

    ``per_epoch`` is the number of batches of an epoch where it is known better than by counting examples (packed).
    """
    if config.epochs is None or not (train_examples or per_epoch):
        return config.iters
    batches = per_epoch if per_epoch is not None else iterations_per_epoch(config, train_examples or 0)
    # 0.1 × 30 is 3.0000000000000004, which must not become 4.
    return max(1, math.ceil(round(config.epochs * batches, 6)))


def epochs(config: TrainConfig, train_examples: int | None, per_epoch: int | None = None) -> float | None:
    """How often the run passes over the training data; None while neither data nor epochs are known."""
    if not (train_examples or per_epoch):
        return config.epochs
    batches = per_epoch if per_epoch is not None else iterations_per_epoch(config, train_examples or 0)
    return iterations(config, train_examples, per_epoch) / batches


def sampled_answers(config: TrainConfig, train_examples: int | None) -> int:
    """Answers that the run samples to learn from; at most so many while the data are not known.

    The last generation of an epoch has the prompts that are left, and none has more than there are.
    """
    generations = -(-iterations(config, train_examples) // config.updates_per_generation)
    if not train_examples:
        return generations * config.batch_size * config.group_size
    size = min(config.batch_size, train_examples)
    epochs, rest = divmod(generations, -(-train_examples // size))
    return (epochs * train_examples + min(rest * size, train_examples)) * config.group_size


@dataclass(frozen=True, slots=True)
class Parts:
    """How many examples train, validate and are kept for the comparison afterwards."""

    train: int
    valid: int
    test: int


def parts(config: TrainConfig, report: DataReport | None) -> Parts | None:
    """The parts into which the preparation of the data will divide it; None while the data are not known.

    Where their tokens were counted, these are the examples that have something to learn. Before that, what is set
    aside follows `app.core.data.split`; with a group column its counts are only near these.
    """
    if report is None or not report.examples or "train" not in report.splits:
        return None
    if report.counted.get("train"):
        return Parts(*(report.counted.get(name, 0) for name in ("train", "valid", "test")))
    given = {name: part.examples for name, part in report.splits.items() if part.examples}
    train, valid, test = (given.get(name, 0) for name in ("train", "valid", "test"))
    valid_fraction = 0.0 if valid else config.valid_fraction
    test_fraction = 0.0 if valid or test else config.test_fraction
    if valid_fraction or test_fraction:
        # It needs NumPy, which is not for a mere import of the plan.
        from app.core.data.split import SplitPlan, held_out_sizes

        plan = SplitPlan(valid_fraction, test_fraction, config.seed, config.batch_size)
        train -= min(report.duplicates, train - 1)
        held_valid, held_test = held_out_sizes(train, plan)
        train, valid, test = train - held_valid - held_test, valid or held_valid, test or held_test
    return Parts(train, valid, test)


def train_examples(config: TrainConfig, report: DataReport | None) -> int | None:
    """Examples that remain for training; None while the data are not known."""
    found = parts(config, report)
    return found.train if found else None
