"""The pace meter: how long the parts of a run take while it trains, kept for the next run of its kind."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from app.core.setup.duration import Pace, WorkCosts
from app.core.setup.memory_term import StepSize
from app.worker.array import scalar
from app.worker.batch.batch import Batch
from app.worker.batch.shape import Shape

ENOUGH_STEPS = 3


@dataclass(slots=True)
class PaceMeter:
    """Collects seconds; `pace` is what they add up to.

    Iterations in which a shape is met for the first time are compiled and counted apart. ``costs`` are the model's,
    ``example_work`` is the work of one example, ``measured_examples`` how many a measurement reads. ``start_s`` are
    the seconds before the first iteration, without those in which a reference read answers, ``reference_s`` each.
    """

    costs: WorkCosts
    example_work: float = 0.0
    measured_examples: int = 0
    start_s: float = 0.0
    reference_s: float = 0.0
    seen: set[Shape] = field(default_factory=set)
    steps: list[tuple[int, float, float]] = field(default_factory=list)  # pieces, work, seconds
    first: list[tuple[int, int, float, float]] = field(default_factory=list)  # new shapes, pieces, work, seconds
    measured: list[tuple[float, float]] = field(default_factory=list)  # work, seconds
    saved: list[float] = field(default_factory=list)
    sampled: list[tuple[int, int, float]] = field(default_factory=list)  # answers, tokens of the longest, seconds

    def work(self, shapes: tuple[Shape, ...]) -> float:
        """The work of these shapes."""
        return sum(self.costs.of(StepSize(*shape)) for shape in shapes)

    def step(self, batch: Batch, seconds: float) -> None:
        """One iteration, without what sampling took."""
        new = set(batch.shapes) - self.seen
        work, pieces = self.work(batch.shapes), len(batch.shapes)
        if new:
            self.seen |= new
            self.first.append((len(new), pieces, work, seconds))
        else:
            self.steps.append((pieces, work, seconds))

    def measuring(self, seconds: float) -> None:
        """One measurement of held-out examples, with all that is measured beside them."""
        self.measured.append((self.example_work * self.measured_examples, seconds))

    @property
    def is_enough(self) -> bool:
        """Whether there were iterations that nothing was compiled for."""
        return len(self.steps) >= ENOUGH_STEPS

    def sampling(self, batch: Batch, seconds: float) -> None:
        """One generation of answers, with all that is asked of them before they are trained on."""
        longest = round(scalar(batch.arrays["mask"].sum(axis=1).max()))
        self.sampled.append((batch.examples, max(longest, 1), seconds))

    def pace(self) -> Pace:
        """What was found; parts that never happened are 0."""
        piece_s, unit_s = _line([(p, w, s) for p, w, s in self.steps] or [(p, w, s) for _, p, w, s in self.first])
        beside = [max(s - piece_s * p - unit_s * w, 0.0) / n for n, p, w, s in self.first] if self.steps else []
        # The first measurement compiles as well.
        regular = self.measured[1:] or self.measured
        work = sum(w for w, _ in regular)
        tokens = [(answers, seconds / longest) for answers, longest, seconds in self.sampled]
        return Pace(
            piece_s=piece_s,
            unit_s=unit_s,
            # Not the mean: where kernels are compiled, the first shape does it for all, and for later runs.
            shape_s=sorted(beside)[(len(beside) - 1) // 2] if beside else 0.0,
            start_s=self.start_s,
            reference_s=self.reference_s,
            measure_unit_s=sum(s for _, s in regular) / work if work else 0.0,
            save_s=float(np.median(self.saved)) if self.saved else 0.0,
            token_s=float(np.median([s for _, s in tokens])) if tokens else 0.0,
            answers=round(float(np.median([n for n, _ in tokens]))) if tokens else 1,
        )


def _line(steps: list[tuple[int, float, float]]) -> tuple[float, float]:
    """(seconds a piece, seconds a unit of work) of steps (pieces, work, seconds), neither negative.

    By least squares; the mean of all by work alone where that would be negative or steps are too much alike. Either
    way the sum over these steps is what they took, so that a run like them takes what it took.
    """
    if not steps:
        return 0.0, 0.0
    pieces, work, seconds = (np.array(column, np.float64) for column in zip(*steps, strict=True))
    by_work = float(seconds.sum() / max(work.sum(), 1e-9))
    if len(steps) < 3 or np.ptp(work / pieces) < 0.05 * np.mean(work / pieces):
        return 0.0, by_work
    (a, b), *_ = np.linalg.lstsq(np.stack([pieces, work], axis=1), seconds, rcond=None)
    if a < 0 or b < 0:
        return (0.0, by_work) if a < 0 else (float(seconds.sum() / pieces.sum()), 0.0)
    scale = float(seconds.sum() / (a * pieces.sum() + b * work.sum()))
    return float(a * scale), float(b * scale)
