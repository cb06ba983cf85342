"""Leftovers: what processes that were killed could not take away; the next one does.

A temporary folder has the number of the process that made it in its name, and goes when that process is gone. The
temporary files of `atomic_file` are known by their names; in a folder that nobody else writes into all of them are
leftovers, elsewhere those that are old.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from app.core.system import place
from app.core.system.process import is_alive

OLD_S = 3600.0
_TEMPORARY = re.compile(r"\.(?:preparing-\w{8}|.+-\w{8}(?:\.\w+)?)")  # as `tempfile` makes names
_OF_PROCESS = re.compile(r"luthier-(?P<process>\d+)-.*")


def temporary_prefix(word: str = "") -> str:
    """How the name of a temporary folder of this process begins."""
    return f"luthier-{os.getpid()}-{word}{'-' if word else ''}"


def sweep(folder: Path, older_than_s: float = 0.0) -> None:
    """Removes the temporary files and folders of killed writers from a folder that need not be there."""
    for entry in _entries(folder):
        with suppress(OSError):
            if _TEMPORARY.fullmatch(entry.name) and time.time() - entry.stat().st_mtime >= older_than_s:
                _remove(entry)


def sweep_all() -> None:
    """Removes temporary folders of processes that are gone, and old temporary files where Luthier keeps things."""
    for entry in _entries(Path(tempfile.gettempdir())):
        found = _OF_PROCESS.fullmatch(entry.name)
        with suppress(OSError):
            if found and not is_alive(int(found["process"])) and entry.stat().st_uid == os.getuid():
                _remove(entry)
    for folder in (place.data_dir(), place.data_dir() / "queue", place.settings_path().parent, place.cache_dir()):
        sweep(folder, OLD_S)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with suppress(OSError), os.scandir(folder) as found:
        return list(found)
    return []


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry.path, ignore_errors=True)
    else:
        os.unlink(entry.path)  # noqa: PTH108  # an entry has its path as a text
