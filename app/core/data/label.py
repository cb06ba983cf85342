"""Labels: which single answers are good and which are bad, and the weights that even out their numbers for KTO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.core.language import tr

LABEL_COLUMNS = ("label", tr("Label"), "LABEL", "kto_tag")
GOOD, BAD = "good", "bad"
_WORDS = {"true": True, "good": True, "desirable": True, "false": False, "bad": False, "undesirable": False}
_DIGITS = {"1": True, "0": False, "1.0": True, "0.0": False}
# The KTO paper's range of (desirable_weight · good) / (undesirable_weight · bad), arXiv 2402.01306, section 4.2.
EVEN = (1.0, 4 / 3)
# Half as much again beyond it on either side is far enough from it to be told.
TOLERATED = (EVEN[0] / 1.5, EVEN[1] * 1.5)


def label_of(value: Any) -> bool | None:
    """True for a good answer, False for a bad one, None for what is no label; tables hold 0 and 1, or words."""
    if isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return bool(value) if value in (0, 1) else None
    return (_WORDS | _DIGITS).get(value.strip().lower()) if isinstance(value, str) else None


def is_verdict(value: Any) -> bool:
    """True for a label that can be nothing but a verdict: classes of other data are numbered 0 and 1 as well."""
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in _WORDS)


@dataclass(frozen=True, slots=True)
class Imbalance:
    """Far more answers of one kind than of the other: ``weight`` is the config path that evens them out, ``low`` to
    ``high`` its usual values."""

    good: int
    bad: int
    weight: str
    low: float
    high: float

    @property
    def reason(self) -> str:
        """What is the case."""
        said = tr(
            "{good:,} answers are labelled good and {bad:,} bad, and the weights do not even that out.",
            good=self.good,
            bad=self.bad,
        )
        return tr(
            "{said} Usual for `{weight}` is {low:.3g} to {high:.3g}.",
            said=said,
            weight=self.weight,
            low=self.low,
            high=self.high,
        )


def imbalance(labels: Mapping[str, int], desirable_weight: float, undesirable_weight: float) -> Imbalance | None:
    """What to tell of the numbers of good and bad answers under these weights; None if they are even enough.

    It raises the weight of the rarer kind so that (desirable_weight · good) / (undesirable_weight · bad) is between
    1 and 4/3, the range of the KTO paper (arXiv 2402.01306); the other weight stays as it is.
    """
    good, bad = labels.get(GOOD, 0), labels.get(BAD, 0)
    if not (good and bad):
        return None
    ratio = desirable_weight * good / (undesirable_weight * bad) if undesirable_weight else 0.0
    if not ratio or TOLERATED[0] <= ratio <= TOLERATED[1]:
        return None  # a weight of 0 is meant
    if ratio < 1:
        low, high = (edge * undesirable_weight * bad / good for edge in EVEN)
        return Imbalance(good, bad, "desirable_weight", low, high)
    high, low = (desirable_weight * good / (edge * bad) for edge in EVEN)
    return Imbalance(good, bad, "undesirable_weight", low, high)
