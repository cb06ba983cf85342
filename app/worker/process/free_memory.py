"""Free memory: how many bytes MLX can still take before the system swaps or kills."""

from __future__ import annotations

import mmap
import os

import mlx.core as mx

from app.core.system.available_memory import available_memory_bytes

ARITHMETIC_BYTES = 256 << 20


def free_memory_bytes() -> int:
    """Bytes that are free for arrays: of the GPU's working set on a Mac, of the machine's memory elsewhere."""
    limit = int(mx.device_info().get("max_recommended_working_set_size") or 0)
    if limit:
        return max(0, limit - mx.get_active_memory())
    if (available := available_memory_bytes()) is not None:
        return available
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") - mx.get_active_memory()


def check_address_space() -> None:
    """Raises `MemoryError` where a limit leaves this process too little address space to compute in.

    OpenBLAS does not fail under such a limit: it asks again, for ever.
    """
    try:
        mmap.mmap(-1, ARITHMETIC_BYTES).close()  # asked for, and not touched
    except OSError as error:
        raise MemoryError(str(error)) from error
