"""A refusal of the system in words: why a file cannot be read or written, and where macOS keeps that permission."""

from __future__ import annotations

import errno
import sys
from pathlib import Path

from app.core.language import tr
from app.core.typed_path import typed_path

# What macOS asks about, below the home folder; and drives.
_ASKED_FOR = ("Desktop", "Documents", "Downloads", "Library/Mobile Documents")
_DRIVES = Path("/Volumes")


def reason_of(error: OSError) -> str:
    """Why, without a full stop: ``No such file or directory``; on a Mac also what to do where privacy forbids it.

    There, EPERM is privacy's answer; EACCES is that of the file's mode, except in the places that macOS asks about.
    """
    said = error.strerror or str(error)
    if sys.platform != "darwin" or error.errno not in (errno.EPERM, errno.EACCES):
        return said
    if error.errno == errno.EPERM or _is_asked_for(error.filename):
        return f"{said}. {privacy_hint()}"
    return said


def privacy_hint() -> str:
    """What to do where macOS's privacy settings forbid a place."""
    return tr(
        "macOS keeps this place from Luthier: allow it in System Settings › Privacy & Security › Files and Folders"
    )


def _is_asked_for(name: object) -> bool:
    if not isinstance(name, str):
        return False
    path = typed_path(name).absolute()
    places = [*(Path.home() / part for part in _ASKED_FOR), _DRIVES]
    return any(path.is_relative_to(place) for place in places)
