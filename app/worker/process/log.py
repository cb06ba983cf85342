"""The run's log file: everything that the worker and its libraries print, also what a crash leaves behind."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COPY_EVERY_S = 0.1


@contextmanager
def logged_to(path: Path) -> Iterator[None]:
    """Sends stdout and stderr to ``path`` and copies what arrives there to the old stderr, which the parent shows.

    The file is the descriptor itself, not the far end of a pipe: the last words of a process that aborts inside a
    library are on disk, whoever reads them. Does nothing where stderr already is that file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        if os.path.samestat(os.fstat(file.fileno()), os.fstat(2)):
            yield
            return
        start = file.seek(0, os.SEEK_END)
        parent = os.dup(2)
        _point_outputs_to(file.fileno())
    done = threading.Event()
    copying = threading.Thread(target=_copy, args=(path, start, parent, done), daemon=True)
    copying.start()
    try:
        yield
    finally:
        _point_outputs_to(parent)
        done.set()
        copying.join()
        os.close(parent)


def _point_outputs_to(descriptor: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _copy(path: Path, start: int, parent: int, done: threading.Event) -> None:
    """Copies what is appended to ``path``; a parent that no longer reads does not disturb the work."""
    with path.open("rb") as file:
        file.seek(start)
        while True:
            last_round = done.wait(COPY_EVERY_S)
            while piece := file.read(65536):
                try:
                    os.write(parent, piece)
                except OSError:
                    return
            if last_round:
                return
