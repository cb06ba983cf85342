"""The traceback of an error that nobody foresaw, kept in a file: people are told a sentence and where it is."""

from __future__ import annotations

import os
import traceback

from app.core.language import tr
from app.core.system import place


def keep_traceback() -> str:
    """Writes the traceback of the error that is being handled; a sentence that says where it is."""
    try:
        path = place.cache_dir() / "last_error.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(traceback.format_exc(), encoding="utf-8")
        path.chmod(0o600)  # paths and texts of its owner's
    except OSError as error:
        return tr("(The details could not be written: {strerror}.)", strerror=os.strerror(error.errno or 0))
    return tr("The details are in {path}.", path=path)
