"""Quantities as people read them: counts, bytes, durations, shares."""

from __future__ import annotations

from app.core.language import grouped, joined, trn


def count_text(number: float) -> str:
    """17,596,416."""
    return grouped(number)


def short_count(number: float) -> str:
    """17.6 M, 494 M, 1.2 B; three digits at most."""
    for size, unit in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if number >= size * 0.9995:
            return f"{number / size:.3g}{unit}"
    return f"{number:.0f}"


def bytes_text(number: float) -> str:
    """70.4 MB, 1.21 GB: powers of ten, as Finder shows them."""
    for size, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= size * 0.9995:
            scaled = number / size
            return f"{scaled:.0f} {unit}" if scaled >= 100 else f"{scaled:.3g} {unit}"
    return f"{number:.0f} {trn(round(number), 'byte', 'bytes')}"


def percent_text(percent: float) -> str:
    """3.56 %, 0.0412 %, 100 %."""
    if percent >= 99.995:
        return "100 %"
    return f"{percent:.2f} %" if percent >= 0.1 or percent == 0 else f"{percent:.2g} %"


def share_text(share: float) -> str:
    """A share (0 to 1) as 69.5 %, 25 %, 0.412 %."""
    return f"{100 * share:.3g} %"


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
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s" if whole % 60 and whole < 600 else f"{round(whole / 60)} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
