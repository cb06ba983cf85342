"""A transfer's rate: bytes per second over the last seconds, and from it the time that is left."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from app.core.language import tr
from app.core.quantity import bytes_text, duration_text

WINDOW_S = 8.0


class TransferRate:
    """Fed with the bytes that are there; what was there at the first call does not count as transferred."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()
        self._total = 0

    def add(self, done: int, total: int) -> None:
        """``done`` of ``total`` bytes are there now."""
        now = self._clock()
        self._samples.append((now, done))
        self._total = total
        while len(self._samples) > 2 and now - self._samples[0][0] > WINDOW_S:
            self._samples.popleft()

    @property
    def bytes_per_second(self) -> float:
        """0 until two samples are there."""
        if len(self._samples) < 2:
            return 0.0
        (start, before), (end, now) = self._samples[0], self._samples[-1]
        return max(0.0, (now - before) / (end - start)) if end > start else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds to go at this rate; None while nobody can tell."""
        rate = self.bytes_per_second
        return (self._total - self._samples[-1][1]) / rate if rate > 0 else None

    def sentence(self) -> str:
        """1.2 GB of 4.3 GB · 34 MB/s · 1 min 31 s left."""
        if not self._samples:
            return ""
        parts = [
            tr("{samples} of {total}", samples=bytes_text(self._samples[-1][1]), total=bytes_text(self._total))
        ]
        left = self.left_s
        if left is not None:
            parts += [f"{bytes_text(self.bytes_per_second)}/s", tr("{left} left", left=duration_text(left))]
        return " · ".join(parts)
