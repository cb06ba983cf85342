"""Files written completely or not at all: a crash or a full disk never leaves half of one."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from app.core.system.disk import FULL_ERRORS, flush_to_disk


def write_text(path: Path, text: str, *, parents: bool = True) -> None:
    """Writes UTF-8 text in place of ``path``."""
    write_with(path, lambda temporary: temporary.write_text(text, encoding="utf-8"), parents=parents)


def write_bytes(path: Path, data: bytes) -> None:
    """Writes bytes in place of ``path``."""
    write_with(path, lambda temporary: temporary.write_bytes(data))


def write_with(path: Path, write: Callable[[Path], object], *, parents: bool = True) -> None:
    """Lets ``write`` fill a temporary file beside ``path`` (same suffix), then moves it there in one step.

    The data is on disk before the name changes, so that a power cut leaves the old file or the new one.
    With ``parents`` the folders above are made as well; without, the one above its folder must be there.
    """
    path.parent.mkdir(parents=parents, exist_ok=True)
    try:
        _replace(path, write)
    except OSError as error:
        # A full disk names no file, a folder that takes none the temporary one, which nobody knows.
        named = Path(str(error.filename or ""))
        if error.errno in FULL_ERRORS or (named.parent == path.parent and named.name.startswith(f".{path.stem}-")):
            error.filename = str(path)
        raise


def _replace(path: Path, write: Callable[[Path], object]) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        write(temporary)
        with temporary.open("rb+") as file:
            flush_to_disk(file.fileno())
        temporary.chmod(_file_mode(path.parent))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def set_aside(path: Path) -> Path:
    """Renames a file that cannot be read, so that the next one does not take its place; gives its new path.

    A disk that does not allow it leaves things as they are.
    """
    aside = path.with_name(f"{path.name}.damaged")
    with suppress(OSError):
        path.replace(aside)
    return aside


def _file_mode(folder: Path) -> int:
    """What the umask gives a new file; in a folder that is its owner's alone, so is the file."""
    if not stat.S_IMODE(folder.stat().st_mode) & 0o077:
        return 0o600
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask
