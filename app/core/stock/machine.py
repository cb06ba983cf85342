"""The machine in words: what computes, its memory and its system; no name that somebody gave it."""

from __future__ import annotations

import os
import platform

from app.core.installation import is_frozen
from app.core.protocol.event import Hello
from app.core.protocol.program import mlx_build


def machine_words(hello: Hello) -> str:
    """``Apple M2 Max, 12 cores, 32 GB memory, macOS 15.1, MLX by mlx-metal``."""
    on_mac = platform.system() == "Darwin"
    system = f"macOS {platform.mac_ver()[0]}" if on_mac else platform.system()
    words = [hello.device, f"{os.cpu_count()} cores", f"{hello.memory_gb:.0f} GB memory", system]
    return ", ".join([*words, f"MLX by {mlx_build() or 'an unknown package'}", *["frozen app"] * is_frozen()])
