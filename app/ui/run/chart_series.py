"""What a chart draws of a run's history: the loss, or one of the figures that its method has besides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from app.core.language import tr
from app.core.method.figure import FIGURES, figure_label
from app.core.quantity import loss_text, memory_text, rate_text
from app.core.run.curve_table import Floats
from app.core.run.history import Axis, RunHistory

LOSS = ""
REWARD = "reward"
# What every run tells besides, by the name in its reports: as charts call it, and what it says.
REPORTED_WORDS: Mapping[str, tuple[str, str]] = {
    "learning_rate": (tr("Learning rate"), tr("How far each step of the optimizer went")),
    "grad_norm": (
        tr("Gradient norm"),
        tr("Length of the gradient before it is cut; where it jumps, the loss may follow"),
    ),
    "tokens_per_second": (
        "Tokens/s",
        tr("Tokens a second since the report before, without padding"),
    ),
    "peak_memory_gb": (tr("Peak memory"), tr("The most that MLX held until then, in GB")),
}

REPORTED_TEXTS: Mapping[str, Callable[[float], str]] = {
    "learning_rate": lambda value: f"{value:.3g}",
    "grad_norm": lambda value: f"{value:.3g}",
    "tokens_per_second": rate_text,
    "peak_memory_gb": memory_text,
}


def series_label(name: str) -> str:
    """What people call a figure, or the loss."""
    if name in REPORTED_WORDS:
        return REPORTED_WORDS[name][0]
    return tr("Loss") if name == LOSS else figure_label(name)


def figure_text(name: str, value: float) -> str:
    """A value of a figure, or of the loss, as it is written everywhere."""
    return REPORTED_TEXTS.get(name, loss_text)(value)


def meaning_of(name: str) -> str:
    """What a figure, or the loss, says; empty where its name says it all."""
    if name == LOSS:
        return tr("What training minimizes")
    if name in REPORTED_WORDS:
        return REPORTED_WORDS[name][1]
    return FIGURES[name].meaning if name in FIGURES else ""


def leading(history: RunHistory) -> str:
    """The figure that tells best how a run is doing: the reward where answers are sampled (their loss is a mean of
    advantages, near 0 whatever is learnt), else the loss."""
    return REWARD if REWARD in history.figure_names else LOSS


@dataclass(frozen=True, slots=True)
class Series:
    """One figure of a history, or its loss; the arrays are views that grow with it."""

    history: RunHistory
    name: str = LOSS

    @property
    def key(self) -> tuple[object, ...]:
        """What it is of: as long as this is the same, the curve only grew."""
        return self.history, self.history.revision, self.name

    @property
    def is_reported(self) -> bool:
        """True for what every run tells of its iterations, such as the speed: one line, never smoothed."""
        return self.name in REPORTED_WORDS

    @property
    def label(self) -> str:
        return series_label(self.name)

    def text(self, value: float) -> str:
        """One of its values, as it is written everywhere."""
        return figure_text(self.name, value)

    @property
    def values(self) -> Floats:
        """Those of every iteration for the loss, of every report for a figure."""
        return self.history.losses if self.name == LOSS else self.history.figures(self.name)

    def x(self, axis: Axis) -> Floats:
        """Where `values` lie."""
        return self.history.x(axis) if self.name == LOSS else self.history.figures_x(self.name, axis)

    @property
    def valid_values(self) -> Floats:
        """Those of every validation; no loss where validations measure a reward instead."""
        if self.name != LOSS:  # empty of what no validation measures
            return self.history.valid_figures(self.name)
        return self.history.valid_losses[:0] if self.history.is_rewarded else self.history.valid_losses

    def valid_x(self, axis: Axis) -> Floats:
        """Where `valid_values` lie."""
        if self.name != LOSS:
            return self.history.valid_figures_x(self.name, axis)
        return self.history.valid_x(axis)[: len(self.valid_values)]

    @property
    def forgot(self) -> Floats:
        """What each evaluation found forgotten, beside the loss; nothing beside a figure of another unit."""
        return self.history.forgot if self.name == LOSS else self.history.forgot[:0]

    def forgot_x(self, axis: Axis) -> Floats:
        """Where `forgot` lies."""
        return self.history.forgot_x(axis)[: len(self.forgot)]

    @property
    def best_index(self) -> int | None:
        """The place of the best validation among `valid_values`, on the figure that it is the best by."""
        deciding = REWARD if self.history.is_rewarded else LOSS
        index = self.history.best_index() if self.name == deciding else None
        return index if index is not None and index < len(self.valid_values) else None
