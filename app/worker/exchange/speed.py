"""How fast a group exchanges: what a message costs, however short, and how many bytes go through a second."""

from __future__ import annotations

import time
from dataclasses import dataclass

import mlx.core as mx

from app.worker.exchange.group import ReplicaGroup

SHORT_TIMES, LONG_TIMES = 20, 4
LONG_NUMBERS = 2_000_000  # float32: 8 MB, the gradient of a small adapter


@dataclass(frozen=True, slots=True)
class ExchangeSpeed:
    """``latency_s`` of a message, ``bytes_per_s`` of a long one (its size by the time that its sum takes)."""

    latency_s: float
    bytes_per_s: float


def exchange_speed(group: ReplicaGroup) -> ExchangeSpeed:
    """Measures it; all of the group do so at the same time."""
    short = _seconds(group, 1, SHORT_TIMES)
    long = _seconds(group, LONG_NUMBERS, LONG_TIMES)
    return ExchangeSpeed(short, 4 * LONG_NUMBERS / max(long - short, 1e-9))


def _seconds(group: ReplicaGroup, numbers: int, times: int) -> float:
    array = {"measured": mx.ones((numbers,))}
    group.summed(array)  # all are here now
    began = time.perf_counter()
    for _ in range(times):
        group.summed(array)
    return (time.perf_counter() - began) / times
