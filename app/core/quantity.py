"""Quantities as people read them: counts, bytes, durations, shares, losses. Each has one form, wherever it stands.

Between a number and its unit stands a space at which no line breaks.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from app.core.language import grouped, joined, language, tr, trn

GAP = "\N{NO-BREAK SPACE}"
# Thousands that are kept apart, all by the same sign; a comma is none where it is the point of decimals.
_GROUPED = re.compile(
    r"[-+]?[1-9]\d{0,2}(?:(?P<gap>[,' \u00a0\u202f\u2019])\d{3})(?:(?P=gap)\d{3})*(?:\.\d*)?(?:[eE][-+]?\d+)?"
)
LEAST_LOSS = 9.995e-5  # of a loss, in nats; what is smaller could only be written with an exponent


def count_text(number: float) -> str:
    """17,596,416."""
    return grouped(number)


def short_count(number: float) -> str:
    """17.6 M, 494 M, 1.2 B; three digits at most."""
    for size, unit in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= size * 0.9995:
            return f"{number / size:.3g}{GAP}{unit}"
    return f"{number:.0f}"


def loss_text(value: float) -> str:
    """2.346, −10.190, 0.00410: a loss, a reward, or what was learned or forgotten. Noise is 0.000."""
    size, sign = abs(value), "−" if value < 0 else ""
    if size < LEAST_LOSS:
        return "0.000"
    if not math.isfinite(value) or size >= 1e6:
        return f"{sign}{size:.3g}"
    if size >= 1000:
        return f"{sign}{grouped(size)}"
    return f"{sign}{size:.3f}" if size >= 0.01 else f"{sign}{size:#.3g}"


def loss_change_text(value: float) -> str:
    """−1.220, +0.310: by how much a loss fell or rose."""
    text = loss_text(abs(value))
    return text if abs(value) < LEAST_LOSS else f"{'−' if value < 0 else '+'}{text}"


def tick_texts(values: Sequence[float], spacing: float) -> list[str]:
    """The numbers of an axis, whose ticks are so far apart (0: by powers of ten): 0.25, 1,500, 1.5 M."""
    if spacing <= 0:
        return [f"{value:.3g}" if value < 1000 else short_count(value) for value in values]
    unit = 1e6 if max((abs(value) for value in values), default=0) >= 1e6 else 1
    places = max(0, math.ceil(-math.log10(spacing / unit) - 1e-9))
    if places > 4:
        return [f"{value:.3g}" for value in values]
    mark = f"{GAP}M" if unit > 1 else ""
    return [f"{grouped(value / unit, f',.{places}f')}{mark}" if value or not mark else "0" for value in values]


def bytes_text(number: float) -> str:
    """70.4 MB, 1.21 GB: powers of ten, as Finder shows them."""
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= size * 0.9995:
            scaled = number / size
            return f"{scaled:.0f}{GAP}{unit}" if scaled >= 100 else f"{scaled:.3g}{GAP}{unit}"
    return f"{number:.0f}{GAP}{trn(round(number), 'byte', 'bytes')}"


def memory_text(gigabytes: float) -> str:
    """`bytes_text` of what events tell in GB of 10⁹ bytes."""
    return bytes_text(gigabytes * 1e9)


def rate_text(per_second: float) -> str:
    """1,823, 4.2: tokens a second."""
    return grouped(per_second) if per_second >= 10 else f"{per_second:.1f}"


def token_rate_text(per_second: float) -> str:
    """1,823 tokens/s."""
    return tr("{rate}\u00a0tokens/s", rate=rate_text(per_second))


def percent_text(percent: float) -> str:
    """3.56 %, 0.0412 %, 100 %; an adapter can be larger than its model: 116 %."""
    if percent >= 99.995:
        return f"{grouped(percent)}{GAP}%"
    return f"{percent:.2f}{GAP}%" if percent >= 0.1 or percent == 0 else f"{percent:.2g}{GAP}%"


def share_text(share: float) -> str:
    """A share (0 to 1) as 69.5 %, 25 %, 0.412 %."""
    return f"{100 * share:.3g}{GAP}%"


def rough_share_text(share: float) -> str:
    """A share (0 to 1) in whole percent: 21 %, 100 %."""
    return f"{100 * share:.0f}{GAP}%"


def plural(number: int, one: str, many: str = "") -> str:
    """``1 example``, ``1,024 examples``."""
    return joined((grouped(number, ","), trn(number, one, many or one + "s")))


def epochs_text(epochs: float) -> str:
    """``0.417``, ``3``, ``1,000``: of a few three digits, of many whole ones."""
    return grouped(epochs) if epochs >= 99.95 else f"{epochs:.3g}"


def duration_text(seconds: float) -> str:
    """45 s, 3 min 20 s, 2 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}{GAP}s"
    minutes = f"{whole % 3600 // 60}{GAP}min"
    if whole < 600:
        return f"{minutes} {whole % 60}{GAP}s" if whole % 60 else minutes
    if whole < 3600:
        return f"{round(whole / 60)}{GAP}min"
    return f"{whole // 3600}{GAP}h {minutes}"


def no_number_text(text: str, *, whole: bool) -> str:
    """What is said of a text that should be a number."""
    if whole:
        return tr("“{text}” is not a whole number.", text=text)
    return tr("“{text}” is not a number.", text=text)


def typed_number(text: str) -> float | None:
    """The number that somebody means who types ``1e-4``, ``4,096``, ``1 024`` or, in German, ``0,5``.

    None where it is none, or where nobody can know which: an English ``0,5``.
    """
    plain = text.strip().replace("−", "-")
    if language() == "de" and plain.count(",") == 1 and "." not in plain:
        plain = plain.replace(",", ".")
    elif (found := _GROUPED.fullmatch(plain)) and not (language() == "de" and found["gap"] == ","):
        plain = plain.replace(found["gap"], "")
    try:
        number = float(plain)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
