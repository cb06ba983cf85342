"""Folders that things are kept in, looked at before they are taken: whether they can be written, and their room."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from app.core.language import inside, tr
from app.core.quantity import bytes_text
from app.core.refusal import reason_of
from app.core.system.disk import free_bytes
from app.core.typed_path import typed_path


@dataclass(frozen=True, slots=True)
class FolderStanding:
    """What a folder is good for: ``problem`` says why nothing can be kept there, ``free`` the bytes on its disk."""

    problem: str = ""
    free: int = 0

    def sentence(self) -> str:
        """In words."""
        return self.problem or tr("Can be written; {free} are free on its disk.", free=bytes_text(self.free))


def folder_standing(text: str) -> FolderStanding:
    """Tries a folder as it was typed. One that is not there yet is not made: the one above it is tried."""
    path = typed_path(text)
    if not path.is_absolute():
        return FolderStanding(tr("Give the whole path, beginning with / or ~."))
    try:
        if path.exists() and not path.is_dir():
            return FolderStanding(tr("{path} is a file, not a folder.", path=path))
        there = next(one for one in (path, *path.parents) if one.exists())
        if not there.is_dir():
            return FolderStanding(tr("{there} is a file, so there can be no folder in it.", there=there))
        with tempfile.TemporaryFile(dir=there, prefix=".luthier-"):  # rights alone do not say it: the disk may not
            pass
        return FolderStanding(free=free_bytes(there))
    except OSError as error:
        return FolderStanding(tr("{path} cannot be written: {reason}.", path=path, reason=inside(reason_of(error))))


def folder_size(folder: Path) -> int:
    """The bytes of the files in a folder, links not followed; 0 where there is none."""
    return sum(
        os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118  # thousands of files
        for place, _, names in os.walk(folder)
        for name in names
    )
