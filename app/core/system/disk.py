"""Disks: what is free where something is to be written, and what is written being there after a power cut."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from pathlib import Path

from app.core.language import tr

# What whoever tells of a full disk begins with; the window knows a run by it that paused because of one.
DISK_FULL = tr("The disk is full")
FULL_ERRORS = (errno.ENOSPC, errno.EDQUOT)  # no room on the disk, or in what its owner may take of it


def free_bytes(folder: Path) -> int:
    """Free space on the disk that a folder (which need not exist yet) lies on."""
    return shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists())).free


def is_companion(name: str) -> bool:
    """Whether a file of this name only keeps what macOS knows of another (``._model.safetensors`` beside
    ``model.safetensors``): on drives that cannot, such as exFAT's, it writes one for each file."""
    return name.startswith("._")


def flush_to_disk(descriptor: int) -> None:
    """Waits until what was written to an open file or folder is on the disk. Raises `OSError` where it cannot be.

    On macOS ``fsync`` leaves it in the drive's own memory, which a power cut empties (fsync(2)); `F_FULLFSYNC` does
    not. Drives that do not know that one (network, some USB sticks) get the usual call.
    """
    flush_all: int | None = getattr(fcntl, "F_FULLFSYNC", None)  # Darwin's alone
    if flush_all is not None:
        try:
            fcntl.fcntl(descriptor, flush_all)
        except OSError:
            pass  # what is wrong with the disk itself, fsync says as well
        else:
            return
    os.fsync(descriptor)
