"""A held folder: a worker stays with its run's folder where that is moved to, and notices when it is deleted."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from app.core.language import tr
from app.core.problem import TaskError

_F_GETPATH = 50  # macOS, <sys/fcntl.h>
_LONGEST_PATH = 1024


class HeldFolder:
    """A folder by its descriptor, which stays the same wherever the folder goes on its disk."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        self._identity = _identity(os.fstat(self._descriptor))

    def close(self) -> None:
        """Lets the folder go."""
        os.close(self._descriptor)

    def has_moved(self) -> bool:
        """True once when the folder is no longer where it was: ``path`` is its new place. Costs a microsecond.

        Raises `TaskError` if it is nowhere.
        """
        try:
            if _identity(os.stat(self.path)) == self._identity:  # noqa: PTH116  # at each iteration
                return False
        except OSError:
            pass
        self.path = self._place()
        return True

    def _place(self) -> Path:
        try:
            place = _path_of(self._descriptor)
            if place is not None and _identity(place.stat()) == self._identity:
                return place
        except OSError:
            pass
        said = tr("The run's folder {path} was deleted while it was trained.", path=self.path)
        raise TaskError(said, tr("Put it back from the bin and resume the run, or start a new one."))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _path_of(descriptor: int) -> Path | None:
    if sys.platform == "darwin":
        import fcntl

        return Path(os.fsdecode(fcntl.fcntl(descriptor, _F_GETPATH, bytes(_LONGEST_PATH)).split(b"\0")[0]))
    return Path(f"/proc/self/fd/{descriptor}").readlink()
