"""The speed table itself: what was measured, the ratios that come of it, and its text for people.

Nothing in it is a path or a name that somebody gave: a model is told by its sizes, data by their lengths.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

SpeedTrainer = Literal["luthier", "stock", "stock_sorted"]
TRAINER_NAMES: dict[str, str] = {
    "luthier": "Luthier",
    "stock": "stock mlx-lm",
    "stock_sorted": "stock, its length sort repaired",
}
UNMEASURED = "–"
SPEED_COLUMNS = (
    "case", "against", "real tokens/s, processor", "real tokens/s, clock", "first epoch, processor",
    "first epoch, clock", "peak memory", "validation loss: before → theirs, Luthier's", "behind", "their tokens/s",
    "their GB", "n",
)  # fmt: skip
HOW_TO_READ = (
    "Ratios are medians of *n* alternations: each trainer in a process of its own, on the same rows, with the "
    "same seed and number of examples, BLAS held to one thread. A speed above 1 × means that Luthier is faster, "
    "a memory below 1 × that it needs less. The first epoch, in which everything is compiled, has columns of "
    "its own; speeds are of the epochs after it. Mlx-lm reads its rows while it trains the first epoch, Luthier "
    "before it. *Behind* is by which share of the other's improvement in validation loss Luthier ends behind it "
    "(negative: ahead). Mlx-lm means to sort rows by length and counts their keys instead; where that is "
    "repaired it is faster, and its batches are of one length each."
)
ON_GPU = "On a GPU the clock counts: the processor only hands out the work."
ON_CPU = (
    "On a CPU the processor's seconds count where other work runs beside it. What is compiled and computed there "
    "differs from Metal: these ratios need not carry over to a Mac's GPU."
)


@dataclass(frozen=True, slots=True)
class Measured:
    """What one trainer took: seconds of each epoch, the first of which compiles; ``tokens`` are an epoch's."""

    wall_s: tuple[float, ...]
    processor_s: tuple[float, ...]
    peak_gb: float
    tokens: int

    def as_dict(self) -> dict[str, Any]:
        """As a worker says it."""
        return asdict(self)

    @classmethod
    def of(cls, tree: dict[str, Any]) -> Measured:
        """From what a worker said."""
        return cls(tuple(tree["wall_s"]), tuple(tree["processor_s"]), tree["peak_gb"], tree["tokens"])

    @property
    def first_s(self) -> tuple[float, float]:
        """The first epoch, by processor and clock."""
        return self.processor_s[0], self.wall_s[0]

    @property
    def epoch_s(self) -> tuple[float, float]:
        """A later epoch, by processor and clock; of a run of one epoch that one."""
        return statistics.mean(self.processor_s[1:] or self.processor_s), statistics.mean(
            self.wall_s[1:] or self.wall_s
        )


@dataclass(frozen=True, slots=True)
class Alternation:
    """Each trainer once on the same rows, and the validation losses: of the base, and of what each made of it."""

    measured: dict[str, Measured]
    base_loss: float
    losses: dict[str, float]


@dataclass(frozen=True, slots=True)
class SpeedRow:
    """A case against one other trainer: ratios are Luthier's to the other's, the rest is the other's own."""

    case: str
    against: str
    speed: float
    speed_by_clock: float
    first_epoch: float
    first_epoch_by_clock: float
    memory: float
    loss_before: float
    loss_other: float
    loss_luthier: float
    behind: float
    other_tokens_per_second: float
    other_peak_gb: float
    alternations: int

    def cells(self) -> list[str]:
        """One line of the table."""
        return [
            self.case, self.against, *(ratio_text(one) for one in (
                self.speed, self.speed_by_clock, self.first_epoch, self.first_epoch_by_clock, self.memory,
            )),
            f"{self.loss_before:.3f} → {self.loss_other:.3f}, {self.loss_luthier:.3f}",
            UNMEASURED if math.isnan(self.behind) else f"{self.behind:+.1%}".replace("%", " %"),
            f"{self.other_tokens_per_second:,.0f}", f"{self.other_peak_gb:.2f}", str(self.alternations),
        ]  # fmt: skip


def ratio_text(ratio: float) -> str:
    """``2.36 ×``."""
    return f"{ratio:.2f} ×" if math.isfinite(ratio) else UNMEASURED


def speed_rows(case: str, alternations: Sequence[Alternation]) -> list[SpeedRow]:
    """A row for each trainer that Luthier was held against."""
    rows = []
    for name in TRAINER_NAMES:
        with_it = [one for one in alternations if name in one.measured]
        if with_it and name != "luthier":
            rows.append(_row(case, name, with_it))
    return rows


def _row(case: str, name: str, alternations: Sequence[Alternation]) -> SpeedRow:
    pairs = [(one.measured[name], one.measured["luthier"]) for one in alternations]

    def median(of: Callable[[Measured, Measured], float]) -> float:
        return statistics.median(of(other, own) for other, own in pairs)

    return SpeedRow(
        case=case,
        against=TRAINER_NAMES[name],
        speed=median(lambda other, own: _ratio(other.epoch_s[0], own.epoch_s[0])),
        speed_by_clock=median(lambda other, own: _ratio(other.epoch_s[1], own.epoch_s[1])),
        first_epoch=median(lambda other, own: _ratio(other.first_s[0], own.first_s[0])),
        first_epoch_by_clock=median(lambda other, own: _ratio(other.first_s[1], own.first_s[1])),
        memory=median(lambda other, own: _ratio(own.peak_gb, other.peak_gb)),
        loss_before=statistics.mean(one.base_loss for one in alternations),
        loss_other=statistics.mean(one.losses[name] for one in alternations),
        loss_luthier=statistics.mean(one.losses["luthier"] for one in alternations),
        behind=statistics.mean(_behind(one, name) for one in alternations),
        other_tokens_per_second=median(lambda other, own: _ratio(own.tokens, other.epoch_s[1])),
        other_peak_gb=median(lambda other, _: other.peak_gb),
        alternations=len(alternations),
    )


def _behind(one: Alternation, name: str) -> float:
    """NaN where the other trainer improved nothing."""
    improved = one.base_loss - one.losses[name]
    return (one.losses["luthier"] - one.losses[name]) / improved if improved > 0 else math.nan


def _ratio(above: float, below: float) -> float:
    return above / below if below > 0 else math.nan


@dataclass(frozen=True, slots=True)
class SpeedTable:
    """All that is shown and shared: machine, versions, model and data in sizes, the rows, and what was left out."""

    machine: str
    on_gpu: bool
    versions: dict[str, str]
    model: str
    data: str
    rows: tuple[SpeedRow, ...]
    left_out: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """As JSON; a figure that there is not is null."""
        tree = asdict(self)
        for row in tree["rows"]:
            row |= {k: None for k, v in row.items() if isinstance(v, float) and not math.isfinite(v)}
        return tree

    def head_lines(self) -> list[str]:
        """Machine, versions, model and data."""
        named = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return [self.machine, named, f"Model: {self.model}", f"Data: {self.data}"]

    def remarks(self) -> list[str]:
        """What has to be known to read the rows."""
        return [HOW_TO_READ, ON_GPU if self.on_gpu else ON_CPU, *self.left_out]

    def markdown(self) -> str:
        """The table for people."""
        lines = [f"- {line}" for line in self.head_lines()]
        return "\n".join([*lines, "", *markdown_rows(self.rows), "", *self.remarks()]) + "\n"


def markdown_rows(rows: Iterable[SpeedRow]) -> list[str]:
    """Head and rows in Markdown."""
    lines = [list(SPEED_COLUMNS), ["---"] * len(SPEED_COLUMNS), *(row.cells() for row in rows)]
    return [f"| {' | '.join(cells)} |" for cells in lines]
