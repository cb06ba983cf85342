"""The duration of a run before it starts: what each part takes, from a pace that was measured on this machine.

A pace is what a probe, or an earlier run, found of one kind of run: seconds of a step as ``piece_s`` beside its
work and ``unit_s`` for each unit of it, and of all that is not a step. Work is counted in positions of the body, as
batches are planned by it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from typing import Any

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.method.method import Method
from app.core.model.answer_size import ANSWERS_AT_ONCE
from app.core.model.inspection import Inspection
from app.core.model.module_group import Group
from app.core.setup.chosen_method import method_of, needs_reference
from app.core.setup.memory_term import StepSize, rows_each
from app.core.setup.step_plan import StepPlan

# A token of n answers that are sampled together takes as long as BESIDE + n of these: most of it is reading the
# weights. 8 answers in one batch were 4 to 6 times as fast as one by one (tests/bench/bench_group.py).
BESIDE_ANSWERS = 12
FORWARD_SHARE = 0.5  # of a step, at most, where nothing was measured
# What is called "at most" leaves room for the machine being busier than when it was measured.
SPARE_TIME = 1.15


MOST_S = 1e9  # a pace of more is damaged


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds, measured on this machine.

    ``piece_s`` and ``unit_s`` make a step, ``shape_s`` is what the first of each shape takes beside (it is
    compiled), ``start_s`` all until the first iteration but ``reference_s`` for each answer that a reference reads,
    ``measure_unit_s`` a unit of work without a gradient, ``measure_s`` what a measurement takes beside,
    ``save_s`` a checkpoint, ``token_s`` one token of each of ``answers`` answers that are sampled together.
    """

    piece_s: float = 0.0
    unit_s: float = 0.0
    shape_s: float = 0.0
    start_s: float = 0.0
    reference_s: float = 0.0
    measure_unit_s: float = 0.0
    measure_s: float = 0.0
    save_s: float = 0.0
    token_s: float = 0.0
    answers: int = 1

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> Pace:
        """From plain JSON; what is unknown is dropped. Raises `ValueError` for what is no number."""
        known = {f.name: tree[f.name] for f in fields(cls) if f.name in tree}
        if not all(isinstance(value, int | float) and abs(value) < MOST_S for value in known.values()):
            raise ValueError(tr("A pace is made of numbers."))
        return cls(**known)

    def as_dict(self) -> dict[str, float]:
        """As plain JSON."""
        return asdict(self)

    def sampling_s(self, answers: int, tokens: int) -> float:
        """Seconds in which so many answers of so many tokens are sampled, `ANSWERS_AT_ONCE` at a time."""
        total, left = 0.0, answers
        while left > 0:
            now = min(left, ANSWERS_AT_ONCE)
            total += tokens * self.token_s * (BESIDE_ANSWERS + now) / (BESIDE_ANSWERS + self.answers)
            left -= now
        return total


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a run does: its ``iterations``, the examples that each measurement reads (0: nothing is measured)
    and those that train."""

    iterations: int
    measured: int = 0
    train: int = 0
    valid: int = 0


@dataclass(frozen=True, slots=True)
class Duration:
    """Seconds of a run by part. ``is_most`` where it may end sooner: answers end, and so does a run that stops
    early."""

    start: float
    reference: float
    compiling: float
    steps: float
    sampling: float
    measuring: float
    saving: float
    is_most: bool

    @property
    def parts(self) -> dict[str, float]:
        """Seconds by name, as measured."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name != "is_most"}

    @property
    def total(self) -> float:
        """All of it; with room where it is said to be the most."""
        found = sum(self.parts.values())
        return found * SPARE_TIME if self.is_most else found


@dataclass(frozen=True, slots=True)
class WorkCosts:
    """What computing costs in units of one position in the body: one position in the head, and the row width at
    which a position's attention costs as much as the rest of the body."""

    head: float = 0.0
    attention_span: float = math.inf

    def of(self, step: StepSize) -> float:
        """The work of a step."""
        return step.positions + step.attended / self.attention_span + self.head * step.targets


def work_costs(inspection: Inspection) -> WorkCosts:
    """Those of a model of the usual proportions, from its sizes alone: multiplications a position."""
    has_head = any(m.group in (Group.HEAD, Group.EMBEDDINGS) and len(m.shape) == 2 for m in inspection.modules)
    total, hidden = inspection.total_parameters, max(inspection.hidden_size, 1)
    if not has_head or not inspection.num_layers:
        return WorkCosts()
    in_head = min(inspection.vocab_size * hidden, max(total, 2) - 1)
    in_layers = max(total - in_head, 1)
    # Scores and mixing take 4 · width · hidden size a layer and position, the matrices 2 · their parameters.
    span = in_layers / (2 * hidden * inspection.num_layers)
    return WorkCosts(in_head / in_layers, max(span, 1.0))


def duration(config: TrainConfig, pace: Pace, costs: WorkCosts, steps: StepPlan, extent: Extent) -> Duration:
    """What a run takes at this pace. Sampled answers count as long as they may become."""
    method = method_of(config)
    sizes = steps.sizes(config)
    pieces = sum(uses for _, uses in sizes)
    work = sum(costs.of(size) * uses for size, uses in sizes)
    of_batch = pieces * pace.piece_s + work * pace.unit_s
    each_example = measured_work(costs, sizes) / max(config.batch_size, 1)
    answers = extent.train * rows_each(config, steps.labelled)
    sampled = 0.0
    if method.is_sampled:
        prompts = min(config.batch_size, extent.train or config.batch_size)
        rows, tokens = prompts * config.group_size, config.max_completion_length
        generations = math.ceil(extent.iterations / config.updates_per_generation)
        sampled = generations * pace.sampling_s(rows, tokens)
    return Duration(
        start=pace.start_s,
        reference=pace.reference_s * (answers + extent.valid * rows_each(config, steps.labelled))
        if _reads_reference(config, method)
        else 0.0,
        compiling=pace.shape_s * len({size for size, _ in sizes}),
        steps=extent.iterations * of_batch,
        sampling=sampled,
        measuring=_measurements(config, extent) * _measuring_s(config, pace, method, each_example, extent),
        saving=pace.save_s * (extent.iterations // max(config.save_every, 1) + 1),
        is_most=method.is_sampled or (config.early_stopping.enabled and extent.measured > 0),
    )


def measured_work(costs: WorkCosts, sizes: Iterable[tuple[StepSize, float]]) -> float:
    """The work of these steps where the same examples are measured: each computes all of its own there."""
    return sum(costs.of(size.whole) * uses for size, uses in sizes)


def _reads_reference(config: TrainConfig, method: Method) -> bool:
    """Whether a reference reads all answers before the first iteration."""
    return needs_reference(config) and not method.is_sampled


def _measurements(config: TrainConfig, extent: Extent) -> int:
    """Before the first iteration, every ``steps_per_eval`` and at the end."""
    if not extent.measured:
        return 0
    regular, last = divmod(extent.iterations, config.steps_per_eval)
    return 1 + regular + (last > 0)


def _measuring_s(config: TrainConfig, pace: Pace, method: Method, each_work: float, extent: Extent) -> float:
    """Seconds of one measurement, with all that is measured beside the loss (``measure_s``)."""
    if method.is_sampled:
        return pace.measure_s + pace.sampling_s(extent.measured * config.group_size, config.max_completion_length)
    unit_s = pace.measure_unit_s or pace.unit_s * FORWARD_SHARE
    return pace.measure_s + unit_s * each_work * extent.measured


def extent_of(config: TrainConfig, iterations: int, train: int, valid: int) -> Extent:
    """How much a run of so many iterations does with so many training and validation examples."""
    wanted = valid if config.val_batches < 0 else min(valid, config.val_batches * config.batch_size)
    return Extent(iterations, wanted, train, valid)
