"""The gain of a run: how far its figures have come, from the first measurement to the weights that were kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from app.core.language import tr
from app.core.method.figure import figure_label
from app.core.quantity import GAP, LEAST_LOSS, loss_change_text, loss_text
from app.core.run.curve_table import Floats
from app.core.run.history import RunHistory

_REWARD = "reward"
TRAINED_BATCHES = 20  # so many at each end, or a quarter of a short run


@dataclass(frozen=True, slots=True)
class Gain:
    """One figure: at the first measurement, where it was kept, and at the last; iterations beside them.

    ``is_lower_better`` for a loss. Measured once, all three are the same.
    """

    label: str
    first: float
    first_iteration: int
    kept: float
    kept_iteration: int
    last: float
    last_iteration: int
    is_lower_better: bool = False

    @property
    def change(self) -> float:
        """What was kept less the first; below 0 is good for a loss."""
        return self.kept - self.first

    @property
    def is_measured_twice(self) -> bool:
        return self.first_iteration != self.last_iteration

    def journey(self) -> str:
        """``3.120 → 1.904``, or one value where there is no more."""
        kept = loss_text(self.kept)
        return f"{loss_text(self.first)} → {kept}" if self.is_measured_twice else kept

    def change_text(self) -> str:
        """``−1.216``, with a sign."""
        return loss_change_text(self.change)

    def share_text(self) -> str:
        """``−39 %`` of a loss; empty where a share would say nothing."""
        if not self.is_lower_better or self.first < LEAST_LOSS:
            return ""
        return f"{100 * self.change / self.first:+.0f}{GAP}%".replace("-", "−")


def run_gains(history: RunHistory, method_figure: str = "") -> list[Gain]:
    """What the validations say: the reward where answers are sampled, else the loss; then the method's own figure.

    Where nothing is validated, the loss of the training itself: of the first and the last batches together, as one
    alone tells of its examples more than of the weights. Empty where nothing was measured.
    """
    kept = history.best_index()
    if kept is not None and not history.valid_x("iterations")[kept]:
        kept = None  # untrained weights are not kept: the last ones are
    names = [_REWARD] if history.is_rewarded else ["", *([method_figure] if method_figure else [])]
    found = [_validated(history, name, kept) for name in names]
    gains = [gain for gain in found if gain is not None]
    if not gains and len(history):
        gains = _trained(history)
    return gains


def _trained(history: RunHistory) -> list[Gain]:
    losses, iterations = history.losses, history.x("iterations")
    batches = max(1, min(TRAINED_BATCHES, len(losses) // 4))
    ends = [part[np.isfinite(part)] for part in (losses[:batches], losses[-batches:])]
    if not all(len(part) for part in ends):
        return []
    label = tr("Train loss") if batches == 1 else tr("Train loss, mean of {batches}", batches=batches)
    means, places = np.array([part.mean() for part in ends]), iterations[[0, -1]]
    return [_gain(label, means, places, None, is_loss=True)]


def _validated(history: RunHistory, name: str, kept: int | None) -> Gain | None:
    if not name:
        values, places = history.valid_losses, history.valid_x("iterations")
    else:
        values, places = history.valid_figures(name), history.valid_figures_x(name, "iterations")
    if not len(values) or not math.isfinite(values[0]) or not math.isfinite(values[-1]):
        return None
    label = figure_label(name) if name else tr("Validation loss")
    return _gain(
        label, values, places, kept if len(values) == len(history.valid_losses) else None, is_loss=not name
    )


def _gain(label: str, values: Floats, places: Floats, kept: int | None, *, is_loss: bool) -> Gain:
    at = len(values) - 1 if kept is None or kept >= len(values) else kept
    return Gain(
        label,
        float(values[0]),
        int(places[0]),
        float(values[at]),
        int(places[at]),
        float(values[-1]),
        int(places[-1]),
        is_loss,
    )
