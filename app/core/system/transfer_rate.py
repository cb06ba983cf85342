"""A transfer's rate: bytes or other things per second over the last seconds, and from it the time that is left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from app.core.language import tr
from app.core.quantity import bytes_text, duration_text

WINDOW_S = 8.0


class TransferRate:
    """Fed with what is there; what was there at the first call does not count as transferred."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()
        self._total = 0

    def add(self, done: int, total: int) -> None:
        """``done`` of ``total`` are there now."""
        now = self._clock()
        self._samples.append((now, done))
        self._total = total
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW_S:
            self._samples.popleft()

    @property
    def per_second(self) -> float:
        """0 until two samples are there."""
        if len(self._samples) < 2:
            return 0.0
        (start, before), (end, now) = self._samples[0], self._samples[-1]
        return max(0.0, (now - before) / (end - start)) if end > start else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds to go at this rate; None while nobody can tell."""
        rate = self.per_second
        return (self._total - self._samples[-1][1]) / rate if rate > 0 else None

    def sentence(self, in_bytes: bool) -> str:
        """1.2 GB of 4.3 GB · 34 MB/s · 1 min 31 s left; of other things: 12 of 40 · 8 s left."""
        if not self._samples:
            return ""
        done, total = (bytes_text(n) if in_bytes else f"{n:,}" for n in (self._samples[-1][1], self._total))
        parts = [tr("{samples} of {total}", samples=done, total=total)]
        left = self.left_s
        if left is not None:
            parts += [f"{bytes_text(self.per_second)}/s"] if in_bytes else []
            parts.append(tr("{left} left", left=duration_text(left)))
        return " · ".join(parts)
