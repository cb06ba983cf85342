"""Disk space: what is free where something is to be written."""

from __future__ import annotations

import shutil
from pathlib import Path


def free_bytes(folder: Path) -> int:
    """Free space on the disk that a folder (which need not exist yet) lies on."""
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free
