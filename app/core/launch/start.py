"""The start of the window: what a desktop leaves out is put right before anything reads the environment."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def prepare_start() -> None:
    """Goes to the home folder where the system started this in its root, as Finder does: panels open there."""
    with suppress(OSError, RuntimeError):
        if Path.cwd() == Path("/"):
            os.chdir(Path.home())
