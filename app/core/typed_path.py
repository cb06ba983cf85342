"""Paths as people write them."""

from __future__ import annotations

import os
from pathlib import Path


def typed_path(name: str | os.PathLike[str]) -> Path:
    """The path that a name means: ``~`` is one's home folder, ``~ann`` that of Ann. Where nobody has that name it
    stays as it is written, and leads nowhere: while somebody types one it is asked for at every letter."""
    path = Path(name)
    try:
        return path.expanduser()
    except RuntimeError:
        return path
