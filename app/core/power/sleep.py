"""The computer's sleep: whether this machine can be put to sleep, why not, and doing it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.core.language import tr

SYSTEMD = Path("/run/systemd/system")  # there while systemd runs the machine, as sd_booted(3) tells
TIMEOUT_S = 20


@dataclass(frozen=True, slots=True)
class Sleeper:
    """How this machine is put to sleep: the command, or in ``obstacle`` why there is none."""

    command: tuple[str, ...] = ()
    obstacle: str = ""

    def sleep(self) -> str:
        """Puts the machine to sleep; returns what went wrong, in a sentence, or nothing."""
        if not self.command:
            return self.obstacle
        try:
            done = subprocess.run(self.command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return tr("The computer did not go to sleep: {error}.", error=error)
        if not done.returncode:
            return ""
        said = done.stderr.strip().splitlines()
        return tr(
            "The computer did not go to sleep: {said}.",
            said=said[-1] if said else tr("exit code {returncode}", returncode=done.returncode),
        )


def find_sleeper(
    platform: str = sys.platform, which: Callable[[str], str | None] = shutil.which, systemd: Path = SYSTEMD
) -> Sleeper:
    """The way to put this machine to sleep: ``pmset`` on a Mac, systemd on Linux."""
    if platform == "darwin":
        return Sleeper(("pmset", "sleepnow")) if which("pmset") else Sleeper(obstacle=tr("This Mac has no pmset."))
    if platform == "linux" and which("systemctl") and systemd.exists():
        return Sleeper(("systemctl", "suspend"))
    return Sleeper(obstacle=tr("This system has no systemd that could put it to sleep."))
