"""An alert of the desktop's own, for a start that no terminal sees: what went wrong, and what to do.

It needs nothing but Python and one of the desktop's programs, so it also works where Qt or a package is missing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress

from app.core.language import tr

_SCRIPT = "on run arguments\ndisplay alert (item 1 of arguments) message (item 2 of arguments) as critical\nend run"
LONGEST_ALERT = 1_500  # characters of an alert: more is higher than a screen


def is_unseen(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this process was started from a desktop: nobody reads what it prints, and an alert can be shown.

    LaunchServices and the desktops of Linux give no terminal; macOS gives no ``TERM`` either, which a script in a
    terminal has even where its output goes into a file.
    """
    if _is_seen():
        return False
    if environment.get("QT_QPA_PLATFORM") in ("offscreen", "minimal"):
        return False
    if sys.platform == "darwin":
        return "TERM" not in environment and "SSH_CONNECTION" not in environment
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"))


def _is_seen() -> bool:
    """Whether one of the three standard streams is a terminal."""
    for number in (0, 1, 2):
        with suppress(OSError):
            if os.isatty(number):
                return True
    return False


def alert_commands(title: str, message: str) -> list[list[str]]:
    """The programs that show such an alert, with their words; the first that is there will do."""
    if sys.platform == "darwin":
        return [["osascript", "-e", _SCRIPT, title, message]]
    return [
        ["zenity", "--error", "--no-markup", f"--title={title}", f"--text={message}", "--width=480"],
        ["kdialog", f"--title={title}", "--error", message],
        ["xmessage", "-center", "-title", title, message],
    ]


def alert(title: str, message: str) -> bool:
    """Shows it and waits until it was read; False where the desktop has no program for that, or it failed."""
    message = message if len(message) <= LONGEST_ALERT else f"{message[:LONGEST_ALERT]} …"
    for command in alert_commands(title, message):
        if shutil.which(command[0]) is None:
            continue
        with suppress(OSError):
            shown = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False
            )
            if shown.returncode in (0, 1):  # 1: closed by its window's own button
                return True
    return False


def alert_if_unseen(message: str) -> None:
    """Tells why Luthier did not start, where nobody can read it on a terminal."""
    if is_unseen():
        alert(tr("Luthier cannot start"), message)
