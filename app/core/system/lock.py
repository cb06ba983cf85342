"""A lock that one process holds at a time, and a refusal in words for the others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from app.core.problem import Problem, UnusableError


@contextmanager
def held_alone(path: Path, taken: Problem) -> Iterator[None]:
    """Holds the lock at ``path``, whose folder is made, until the block ends. Raises `UnusableError` with ``taken``
    at once where another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise UnusableError([taken]) from error
    try:
        yield
    finally:
        lock.release()
