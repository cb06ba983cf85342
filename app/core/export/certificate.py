"""The certificate of an export: what another program answered with it, held against the run's own model.

What is compared are `Readings`: the same prompts and rows, read by two programs. Floats must agree as floats do;
weights of fewer bits are judged by how much of what training gained they keep.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from app.core.compare.comparison import FigureDifference, loss_difference
from app.core.language import tr
from app.core.quantity import plural, share_text

CERTIFICATE_FILE = "certificate.json"
TIE = 0.05  # nats between the two likeliest tokens: below it, two programs may choose otherwise
NOISE = {4: 0.003, 2: 0.03}  # nats a token that rounding alone moves, by the bytes of a stored float
LARGEST_SHARE = 0.05  # of what the adapter changes, that an export may be away from it
LEAST_KEPT = 0.95  # of what training gained, that fewer bits must keep
LEAST_GAIN = 0.01  # nats a token: below it there is no gain to be kept a share of
LARGEST_LOSS = 0.05  # nats a token that fewer bits may cost where there was no gain


@dataclass(frozen=True, slots=True)
class Readings:
    """What one program (``engine``) makes of the prompts and rows.

    ``prompts`` and ``conversations`` (with one more question) are token ids by its own template, ``ends`` the ids
    at which it stops. ``answers`` are its likeliest tokens to the first prompts, ``margins`` by how many nats each
    was ahead of the next one. ``log_probabilities`` are those of each row's trained tokens.
    """

    engine: str
    prompts: list[list[int]] = field(default_factory=list)
    conversations: list[list[int]] = field(default_factory=list)
    ends: frozenset[int] = frozenset()
    answers: list[list[int]] = field(default_factory=list)
    margins: list[list[float]] = field(default_factory=list)
    log_probabilities: list[list[float]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Agreement:
    """One thing that was compared: whether it agrees, and what was seen."""

    name: str
    agrees: bool
    said: str


@dataclass(frozen=True, slots=True)
class Certificate:
    """What came of the comparison; ``own_reader`` is true where no other program could open the export."""

    engine: str
    own_reader: bool
    findings: tuple[Agreement, ...]
    loss: dict[str, Any] | None = None
    material: str = ""

    @property
    def agrees(self) -> bool:
        """True if everything that was compared does."""
        return all(finding.agrees for finding in self.findings)

    def sentence(self) -> str:
        """``transformers 5.23.0 agrees.``, or what differs."""
        if self.agrees:
            who = tr("Opened again here, by no other program: it") if self.own_reader else self.engine
            return tr("{who} agrees with the run's model.", who=who)
        said = " ".join(finding.said for finding in self.findings if not finding.agrees)
        return tr("{engine} differs: {said}", engine=self.engine, said=said)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return (
            asdict(self)
            | {"findings": [asdict(one) for one in self.findings]}
            | {"agrees": self.agrees, "sentence": self.sentence()}
        )

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> Certificate:
        """The same from what `as_dict` gave."""
        findings = tuple(Agreement(one["name"], bool(one["agrees"]), one["said"]) for one in tree["findings"])
        return cls(tree["engine"], bool(tree["own_reader"]), findings, tree.get("loss"), tree.get("material", ""))


def certify(
    tuned: Readings,
    base: Readings,
    found: Readings,
    *,
    float_bytes: int,
    lossy: bool = False,
    own_reader: bool = False,
    material: str = "",
) -> Certificate:
    """Compares what another program ``found`` with what the run's model is.

    ``base`` are the readings of the untrained base (its log-probabilities alone count), ``float_bytes`` those of a
    stored float, ``lossy`` says that the weights have fewer bits.
    """
    findings = [
        _tokens(tr("prompts"), "prompt", tuned.prompts, found.prompts),
        _tokens(tr("end of turn"), "whole conversation", tuned.conversations, found.conversations),
        _ends(tuned, found),
        _answers(tuned, found, lossy),
    ]
    difference = _difference(tuned, found)
    if difference is not None:
        close = _kept(tuned, base, difference) if lossy else _closeness(tuned, base, found, difference, float_bytes)
        findings.append(close)
    return Certificate(
        found.engine,
        own_reader,
        tuple(findings),
        None if difference is None else difference.as_dict(),
        material,
    )


def _tokens(name: str, what: str, wanted: list[list[int]], found: list[list[int]]) -> Agreement:
    differing = [number for number, (a, b) in enumerate(zip(wanted, found, strict=True)) if a != b]
    if not differing:
        return Agreement(name, True, tr("{plural} of the same tokens.", plural=plural(len(wanted), what)))
    number = differing[0]
    a, b = wanted[number], found[number]
    place = next((at for at, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))
    said = tr(
        "{differing} of {plural} have other tokens", differing=len(differing), plural=plural(len(wanted), what)
    )
    seen = tr(
        "the first from token {place} on ({a} here, {b} there)",
        place=place + 1,
        a=a[place : place + 3],
        b=b[place : place + 3],
    )
    return Agreement(name, False, tr("{said}, {seen}: another template or tokenizer.", said=said, seen=seen))


def _ends(tuned: Readings, found: Readings) -> Agreement:
    """Every token that ends a turn of the conversations must end an answer there."""
    turns = [set(tokens) & tuned.ends for tokens in tuned.conversations]
    needed = set().union(*turns) if any(turns) else set(tuned.ends)
    lacking = sorted(needed - found.ends)
    if lacking:
        said = tr(
            "It does not stop at {names}, where a turn ends: answers would never end.",
            names=", ".join(map(str, lacking)),
        )
        return Agreement(tr("end tokens"), False, said)
    return Agreement(
        tr("end tokens"),
        True,
        tr("It stops where a turn ends ({names}).", names=", ".join(map(str, sorted(needed)))),
    )


def _answers(tuned: Readings, found: Readings, lossy: bool) -> Agreement:
    same, ties, others = 0, 0, 0
    for wanted, margins, seen in zip(tuned.answers, tuned.margins, found.answers, strict=True):
        short = min(len(wanted), len(seen))
        place = next((at for at, (a, b) in enumerate(zip(wanted, seen, strict=False)) if a != b), short)
        if wanted == seen:
            same += 1
        elif margins[place] < TIE:
            ties += 1
        else:
            others += 1
    said = tr("{same} of {answers} the same", same=same, answers=plural(len(tuned.answers), "answer"))
    said += tr(", {ties} after a tie", ties=ties) if ties else ""
    return Agreement(
        tr("answers"),
        lossy or not others,
        tr("{said}, {others} otherwise.", said=said, others=others) if others else f"{said}.",
    )


def _difference(tuned: Readings, found: Readings) -> FigureDifference | None:
    counts = [len(row) for row in tuned.log_probabilities]
    if not sum(counts):
        return None
    return loss_difference(_losses(tuned), _losses(found), counts)


def _losses(readings: Readings) -> list[float | None]:
    return [-float(np.mean(row)) if row else None for row in readings.log_probabilities]


def _closeness(
    tuned: Readings, base: Readings, found: Readings, difference: FigureDifference, float_bytes: int
) -> Agreement:
    """Token by token: how far the export is from the run's model, and the base from it."""
    own = _flat(tuned)
    away, change = float(np.mean(np.abs(_flat(found) - own))), float(np.mean(np.abs(_flat(base) - own)))
    allowed = max(NOISE[float_bytes], LARGEST_SHARE * change)
    said = tr(
        "Log-probabilities are {away:.2g} away on average, where the adapter moves them by {change:.2g}",
        away=away,
        change=change,
    )
    interval = difference.interval
    loss = tr(
        "held-out loss {value:+.4f} ({low:+.4f} to {high:+.4f})",
        value=interval.value,
        low=interval.low,
        high=interval.high,
    )
    return Agreement("loss", away <= allowed and bool(np.isfinite(away)), f"{said}; {loss}.")


def _kept(tuned: Readings, base: Readings, difference: FigureDifference) -> Agreement:
    """How much of what training gained is kept."""
    gain = float(np.mean(_flat(tuned)) - np.mean(_flat(base)))
    cost, interval = difference.interval.value, difference.interval
    loss = tr(
        "held-out loss {cost:+.4f} ({low:+.4f} to {high:+.4f})", cost=cost, low=interval.low, high=interval.high
    )
    if gain < LEAST_GAIN:
        return Agreement(
            "loss", cost <= LARGEST_LOSS, tr("Training gained nothing on these rows; {loss}.", loss=loss)
        )
    kept = 1 - cost / gain
    said = (
        tr("It keeps {kept} of what training gained", kept=share_text(kept))
        if kept > 0
        else tr("It keeps nothing of what training gained")
    )
    return Agreement("loss", kept >= LEAST_KEPT, f"{said}; {loss}.")


def _flat(readings: Readings) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.array([one for row in readings.log_probabilities for one in row], np.float64)
