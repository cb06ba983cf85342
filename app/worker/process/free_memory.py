"""Free memory: how many bytes MLX can still take before the system swaps or kills."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import mlx.core as mx

ARITHMETIC_BYTES = 256 << 20
MEMORY_INFO = Path("/proc/meminfo")


def free_memory_bytes() -> int:
    """Bytes that are free for arrays: of the GPU's working set on a Mac, of the machine's memory elsewhere."""
    limit = int(mx.device_info().get("max_recommended_working_set_size") or 0)
    if limit:
        return max(0, limit - mx.get_active_memory())
    if MEMORY_INFO.exists():
        for line in MEMORY_INFO.read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") - mx.get_active_memory()


def check_address_space() -> None:
    """Raises `MemoryError` where a limit leaves this process too little address space to compute in.

    OpenBLAS does not fail under such a limit: it asks again, for ever.
    """
    try:
        mmap.mmap(-1, ARITHMETIC_BYTES).close()  # asked for, and not touched
    except OSError as error:
        raise MemoryError(str(error)) from error
