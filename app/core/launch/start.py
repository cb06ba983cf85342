"""The start of the window: what a desktop leaves out is put right before anything reads the environment."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from app.core.language import quote_code
from app.core.launch.alert import is_unseen
from app.core.launch.login_shell import adopt_shell_variables
from app.core.launch.spoken import speak


def own_folder() -> Path | None:
    """The folder that this process is in; None where it was deleted."""
    try:
        return Path.cwd()
    except OSError:
        return None


def prepare_start() -> None:
    """Goes to the home folder where the system started this in its root, as Finder does: panels open there.

    So it does where its folder was deleted, in which no worker could be started.

    A start from Finder also asks the login shell for the variables that Finder does not know. The language is
    chosen last, and before anything is imported whose texts are made then.
    """
    with suppress(OSError, RuntimeError):
        if own_folder() in (None, Path("/")):
            os.chdir(Path.home())
    if sys.platform == "darwin" and is_unseen():
        adopt_shell_variables()
    speak()
    quote_code()
