"""Gauges: memory of the process and swap of the machine, cheap enough to be read at every report."""

from __future__ import annotations

import ctypes
import ctypes.util
import math
import os
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mlx.core as mx


@dataclass(frozen=True, slots=True)
class Memory:
    """What MLX holds, in GB of 10⁹ bytes; ``swap_gb`` is the whole machine's, None where it is not known."""

    active_gb: float
    peak_gb: float
    cache_gb: float
    swap_gb: float | None


def memory_sizes() -> tuple[int, int]:
    """Bytes of the machine's memory (of an NVIDIA GPU: its own), and of what MLX should stay within."""
    info = mx.device_info()
    if mx.cuda.is_available() and (own := int(info.get("total_memory") or 0)):
        return own, int(own * 0.9)
    memory = int(info.get("memory_size") or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    return memory, int(info.get("max_recommended_working_set_size") or memory * 0.75)


SWAP_IS_FRESH_S = 1.0
_swap: tuple[float, float | None] = (-math.inf, None)


def read_memory() -> Memory:
    """The state now; ``peak_gb`` is since the process began or `mlx.core.reset_peak_memory`."""
    return Memory(
        active_gb=mx.get_active_memory() / 1e9,
        peak_gb=mx.get_peak_memory() / 1e9,
        cache_gb=mx.get_cache_memory() / 1e9,
        swap_gb=_swap_gb(),
    )


def _swap_gb() -> float | None:
    """Asks the system once a second at most: it is by far the dearest of the figures."""
    global _swap
    read_at, value = _swap
    if time.monotonic() - read_at >= SWAP_IS_FRESH_S:
        value = _swap_of_macos() if sys.platform == "darwin" else _swap_of_linux(Path("/proc/meminfo"))
        _swap = (time.monotonic(), value)
    return value


def _swap_of_linux(meminfo: Path) -> float | None:
    try:
        lines = meminfo.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    if "SwapTotal" not in kilobytes:
        return None
    return (kilobytes["SwapTotal"] - kilobytes["SwapFree"]) * 1024 / 1e9


class _SwapUsage(ctypes.Structure):
    """``struct xsw_usage`` of macOS's <sys/sysctl.h>: sizes in bytes."""

    _fields_ = (
        ("total", ctypes.c_uint64),
        ("available", ctypes.c_uint64),
        ("used", ctypes.c_uint64),
        ("page_size", ctypes.c_uint32),
        ("encrypted", ctypes.c_uint32),
    )


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(ctypes.util.find_library("c"))


def _swap_of_macos() -> float | None:
    usage = _SwapUsage()
    size = ctypes.c_size_t(ctypes.sizeof(usage))
    failed = _libc().sysctlbyname(b"vm.swapusage", ctypes.byref(usage), ctypes.byref(size), None, 0)
    return None if failed else usage.used / 1e9
