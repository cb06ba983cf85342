"""A host: another machine that the system's own ssh and rsync reach. Nothing is asked for: keys are the agent's."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from app.core.language import tr
from app.core.problem import Problem, UnusableError

LINK_LOST = 255  # what ssh ends with when it is the link that failed, not the command
REACHED_WITHIN_S = 15
_ALIVE = ("-o", f"ConnectTimeout={REACHED_WITHIN_S}", "-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3")


@dataclass(frozen=True, slots=True)
class SshHost:
    """``name`` is what ssh takes (an alias of its config, user@address), ``ssh`` the command with its options."""

    name: str
    ssh: tuple[str, ...] = ("ssh",)

    @classmethod
    def of(cls, name: str, ssh: str) -> SshHost:
        """From the words of a person. Raises `UnusableError` for a name that ssh would take for an option."""
        if not name.strip() or name.startswith("-"):
            said = tr("“{name}” names no host.", name=name)
            raise UnusableError(
                [Problem("host", said, hint=tr("Such as gpu-box of ~/.ssh/config, or user@address."))]
            )
        return cls(name, tuple(shlex.split(ssh)) or ("ssh",))

    @property
    def _words(self) -> list[str]:
        # Whoever would be asked for a password is not there.
        return [*self.ssh, "-o", "BatchMode=yes", *_ALIVE]

    def command(self, script: str) -> list[str]:
        """The words that run a script of the shell over there."""
        return [*self._words, "--", self.name, f"sh -c {shlex.quote(script)}"]

    def run(self, script: str) -> str:
        """What a script says; raises `UnusableError` with the host's own words where it fails."""
        _require("ssh", self.ssh[0])
        done = _done(self.command(script))
        if done.returncode:
            raise UnusableError([self._problem(done.returncode, done.stderr)])
        return done.stdout

    def copy_there(self, folder: Path, place: str) -> None:
        """Brings what is in a folder to ``place``; what a broken copy left there is gone on with."""
        self._copy([f"{folder}/", f"{self.name}:{place}/"])

    def copy_here(self, place: str, folder: Path, leave_out: Sequence[str] = ()) -> None:
        """Brings what is at ``place`` into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        self._copy([*(f"--exclude={one}" for one in leave_out), f"{self.name}:{place}/", f"{folder}/"])

    def _copy(self, words: list[str]) -> None:
        _require("rsync", "rsync")
        command = ["rsync", "-a", "--partial", "-e", shlex.join(self._words), *words]
        done = _done(command)
        if done.returncode:
            raise UnusableError([self._problem(done.returncode, done.stderr)])

    def _problem(self, code: int, stderr: str) -> Problem:
        lines = stderr.strip().splitlines()
        said = lines[-1].rstrip(".") if lines else tr("it ended with {code}", code=code)
        if code == LINK_LOST:
            hint = tr("Try `ssh {name}` by hand: it must get in without asking for anything.", name=self.name)
            return Problem("host", tr("{name} is not reached: {said}.", name=self.name, said=said), hint=hint)
        return Problem("host", f"{self.name}: {said}")


def _done(command: list[str]) -> subprocess.CompletedProcess[str]:
    # A log of there may hold anything: what a program was killed in the middle of a letter of, other encodings.
    return subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", errors="replace", stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip


def _require(what: str, program: str) -> None:
    if shutil.which(program) is None:
        said = tr("{what} is not on this machine.", what=what)
        raise UnusableError([Problem("host", said, hint=tr("Install {what}; macOS brings it along.", what=what))])
