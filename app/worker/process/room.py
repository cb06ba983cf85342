"""Room on the disk: what a run needs at its end is set aside when it begins, so that a full disk costs nothing.

The room is a file of that size in the run's folder. When the disk is full it is given back, the state is written
into the place that it took, and the run pauses. Events find their place there as well.
"""

from __future__ import annotations

import re
from pathlib import Path

from app.core.language import tr
from app.core.problem import Problem, UnusableError
from app.core.quantity import bytes_text
from app.core.system.disk import DISK_FULL, FULL_ERRORS, flush_to_disk, free_bytes

ROOM_FILE = ".room"
FOR_EVENTS = 256 * 1024  # bytes, for what a run still says
_CHUNK = 1 << 20


class Room:
    """Bytes set aside in a folder. `take` before the work, `give_back` when they are needed or it is done."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / ROOM_FILE

    def take(self, size: int) -> None:
        """Sets ``size`` bytes aside; raises `UnusableError` that says how many are lacking."""
        self.give_back()
        size += FOR_EVENTS
        free = free_bytes(self._file.parent)
        try:
            with self._file.open("wb", buffering=0) as file:
                for start in range(0, size, _CHUNK):
                    file.write(b"\0" * min(_CHUNK, size - start))
                flush_to_disk(file.fileno())
        except OSError as error:
            self.give_back()
            if not is_full(error, self._file.parent):
                raise
            lacking = bytes_text(max(size - free, _CHUNK // 10))
            raise UnusableError([Problem("", full_text(self._file.parent, lacking), hint=MAKE_ROOM)]) from error

    def give_back(self) -> None:
        """Lets the room go."""
        self._file.unlink(missing_ok=True)


MAKE_ROOM = tr("Free some space there, then go on.")


def full_text(folder: Path, lacking: str) -> str:
    """The one sentence about a full disk."""
    return tr("{full}: {lacking} more are needed in {folder}.", full=DISK_FULL, lacking=lacking, folder=folder)


def is_full(error: BaseException, folder: Path, below: int = FOR_EVENTS * 16) -> bool:
    """Whether an error is one of a full disk. MLX and NumPy say only that they could not write: then less than
    ``below`` bytes must be free."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL_ERRORS
    unnamed = isinstance(error, (OSError, RuntimeError)) and re.search(r"(?i)writ(e|ten)", str(error)) is not None
    return unnamed and free_bytes(folder) < below
