"""Available memory: what programs can still take of this machine's memory before others are swapped out."""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
from pathlib import Path

_MEMORY_INFO = Path("/proc/meminfo")
# The share of memory that is available, in percent, which macOS's `memory_pressure` prints.
_MACOS_LEVEL = b"kern.memorystatus_level"


def available_memory_bytes() -> int | None:
    """Bytes that can be taken without swapping; None where the system does not say."""
    return _on_macos() if sys.platform == "darwin" else _on_linux(_MEMORY_INFO)


def _on_linux(info: Path) -> int | None:
    try:
        lines = info.read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    kilobytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable:")), None)
    return int(kilobytes) * 1024 if kilobytes is not None else None


def _on_macos() -> int | None:
    level = ctypes.c_int(0)
    size = ctypes.c_size_t(ctypes.sizeof(level))
    library = ctypes.CDLL(ctypes.util.find_library("c"))
    if library.sysctlbyname(_MACOS_LEVEL, ctypes.byref(level), ctypes.byref(size), None, 0):
        return None
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * level.value // 100
