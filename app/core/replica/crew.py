"""The crew: the replicas besides number 0, as that one sees them: started, told what to do, heard, and ended.

Each is a worker like any other, here or behind ssh, with its commands on stdin and its events on stdout. When
number 0 goes, however it goes, their input ends, and so do they.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from app.core.language import capital, tr
from app.core.problem import Problem, UnusableError
from app.core.protocol import event, program
from app.core.protocol.command import Command
from app.core.protocol.event import Event, heard_event, version_mismatch
from app.core.protocol.job import ReplicaJob
from app.core.remote.host import SshHost
from app.core.replica.hostfile import Hostfile, ReplicaHost

LOST = "replica"  # the path of failures that only say that another replica is gone
CAUSE_WITHIN_S = 3.0  # how long the words of the one that went first are waited for
END_WITHIN_S = 6.0
KEPT_LINES = 8
NOT_FOUND = 127

# The first line of the input is the job; what follows are its commands. `read` takes no byte more than the line.
_SCRIPT = """
IFS= read -r job || exit 1
{find}
d=$(mktemp -d "${{TMPDIR:-/tmp}}/luthier-replica.XXXXXX") || exit 1
printf '%s\\n' "$job" >"$d/job.json" || exit 1
{exports}
{program} {flag} "$d"; code=$?
rm -rf "$d"
exit $code
"""
_FIND = """
program=
for one in {places}; do
  if command -v "$one" >/dev/null 2>&1; then program=$one; break; fi
done
if [ -z "$program" ]; then echo "luthier is not found" >&2; exit {code}; fi
"""
_VARIABLES = {
    program.WORKER_VARIABLE: "1", "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1",
    "TOKENIZERS_PARALLELISM": "true",
}  # fmt: skip


def replica_command(host: ReplicaHost, envs: Sequence[str] = ()) -> list[str]:
    """The words that start a replica on a host; it reads its job from the first line of its input."""
    exports = {name: value for name, _, value in (one.partition("=") for one in envs)}
    if host.is_here:
        words = shlex.join([host.luthier] if host.luthier else program.own_command())
        return ["sh", "-c", _script("", words, exports)]
    own = Path(sys.prefix) / "bin" / "luthier"
    usual = ["luthier", str(own), "~/.local/bin/luthier", "/opt/homebrew/bin/luthier"]
    places = [host.luthier] if host.luthier else usual
    find = _FIND.format(places=" ".join(map(_quoted, places)), code=NOT_FOUND)
    script = _script(find, '"$program"', _VARIABLES | exports)
    return SshHost.of(host.ssh, "ssh").command(script)


def from_home(path: Path) -> str:
    """A path as another machine may have it: what lies in the home folder is looked for in that of there."""
    try:
        return f"~/{path.relative_to(Path.home())}"
    except ValueError:
        return str(path)


class Replica:
    """One of the crew. ``hello``, ``results`` and ``ready`` are what it said so far, ``failed`` why it cannot go
    on; ``ended`` once nothing more can come."""

    def __init__(self, number: int, host: ReplicaHost, job: ReplicaJob, envs: Sequence[str], crew: Crew) -> None:
        self.number, self.host = number, host
        self.hello: event.Hello | None = None
        self.results: dict[str, dict[str, object]] = {}
        self.ready = 0  # how often it has said so
        self.failed: event.Failed | None = None
        self.ended = False
        self._crew = crew
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.process = subprocess.Popen(
            replica_command(host, envs),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._hear, self._log)]
        for thread in self._threads:
            thread.start()
        self._write(json.dumps(job.model_dump(mode="json")).encode("ascii") + b"\n")

    @property
    def name(self) -> str:
        """What people know it by."""
        return tr(
            "replica {number} ({value})",
            number=self.number,
            value=tr("this machine") if self.host.is_here else self.host.ssh,
        )

    @property
    def exit_code(self) -> int | None:
        """As its process ended; None while it runs."""
        return self.process.poll()

    def send(self, command: Command) -> None:
        """Tells it something; one that has ended does not hear it."""
        self._write(command.to_line())

    def end_problem(self) -> Problem:
        """Why it ended, in words."""
        if self.failed is not None:
            failed = self.failed
            said = failed.message.removeprefix(f"{failed.where}: ").removesuffix(f" {failed.hint}")
            return Problem("", f"{capital(self.name)}: {said}", hint=failed.hint)
        code, said = self.exit_code, " ".join(self._lines[-1].split()) if self._lines else ""
        if self.hello is None and code == NOT_FOUND:
            hint = tr("Install it there, or name the program's place in the hostfile (`luthier`).")
            return Problem("", tr("{name}: there is no luthier.", name=capital(self.name)), hint=hint)
        if self.hello is None and not self.host.is_here:
            hint = tr("Try `ssh {ssh}` by hand: it must get in without asking for anything.", ssh=self.host.ssh)
            why = said.rstrip(".") or tr("ssh ended with {code}", code=code)
            return Problem("", tr("{name} is not reached: {why}.", name=capital(self.name), why=why), hint=hint)
        how = (
            tr("by signal {signal}", signal=_signal(code))
            if code is not None and _signal(code)
            else tr("with exit code {code}", code=code)
        )
        last = said if said.endswith((".", "!", "?")) else f"{said}."
        tail = tr(" The last line of its log: {said}", said=last) if said else ""
        return Problem("", tr("{name} ended {how}.{tail}", name=capital(self.name), how=how, tail=tail))

    def close(self, within_s: float) -> None:
        """Ends its input, waits, and ends what does not end by itself."""
        assert self.process.stdin is not None
        with suppress(OSError, ValueError):
            self.process.stdin.close()
        try:
            self.process.wait(within_s)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        for thread in self._threads:
            thread.join(within_s)

    def _write(self, line: bytes) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError, ValueError):
            self.process.stdin.write(line)
            self.process.stdin.flush()

    def _hear(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                try:
                    self._take(heard_event(line))
                except ValueError:
                    continue
        self.process.wait()
        self._crew.note(self._end)

    def _end(self) -> None:
        self.ended = True

    def _take(self, said: Event) -> None:
        def keep() -> None:
            match said:
                case event.Hello():
                    self.hello = said
                    self.failed = version_mismatch(said)
                case event.Result():
                    self.results[said.name] = said.data
                case event.Ready():
                    self.ready += 1
                case event.Failed():
                    self.failed = self.failed or said

        if isinstance(said, event.Hello):
            self._crew.log(
                tr(
                    "[{number}] {name}: {device}, process {pid}",
                    number=self.number,
                    name=self.name,
                    device=said.device,
                    pid=said.pid,
                )
            )
        if isinstance(said, event.Warned):
            self._crew.log(tr("[{number}] warning: {message}", number=self.number, message=said.message))
        self._crew.note(keep)

    def _log(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for raw in lines:
                line = raw.decode("utf-8", "replace").rstrip()
                if line:
                    self._lines.append(line)
                    self._crew.log(f"[{self.number}] {line}")


class Crew:
    """Starts a replica on each host but the first. ``log`` is given what they print."""

    def __init__(self, hostfile: Hostfile, jobs: Sequence[ReplicaJob], log: Callable[[str], None]) -> None:
        self.log = log
        self._changed = threading.Condition()
        self.replicas: list[Replica] = []
        for job, host in zip(jobs, hostfile.hosts[1:], strict=True):
            self.replicas.append(Replica(job.number, host, job, hostfile.envs, self))

    def note(self, change: Callable[[], None]) -> None:
        """Makes a change that `wait_for` may wait for."""
        with self._changed:
            change()
            self._changed.notify_all()

    def tell(self, command: Command) -> None:
        """Tells all of them."""
        for replica in self.replicas:
            replica.send(command)

    def wait_for(
        self, done: Callable[[Replica], bool], cancelled: Callable[[], None] = lambda: None,
        within_s: float | None = None,
    ) -> bool:  # fmt: skip
        """Waits until it is true of all; false after ``within_s``. Returns at once where one cannot go on, which
        `faults` tells. ``cancelled`` may raise, and is called again and again."""
        began = time.monotonic()
        with self._changed:
            while not all(map(done, self.replicas)) and not self._has_lost():
                self._changed.wait(0.1)
                cancelled()
                if within_s is not None and time.monotonic() - began > within_s:
                    return False
        return True

    def wait_for_one(
        self, one: Replica, done: Callable[[Replica], bool], cancelled: Callable[[], None], within_s: float
    ) -> None:
        """Waits until it is true of one, or that has ended, or for ``within_s``, whatever becomes of the others."""
        began = time.monotonic()
        with self._changed:
            while not done(one) and not one.ended and time.monotonic() - began < within_s:
                self._changed.wait(0.1)
                cancelled()

    def faults(self) -> list[Problem]:
        """Why replicas cannot go on: of those that went because another one did nothing is said."""
        gone = [one for one in self.replicas if one.failed is not None or one.ended]
        first = [one for one in gone if one.failed is None or one.failed.path != LOST]
        return [one.end_problem() for one in first or gone]

    def cause(self) -> Problem:
        """Why the group broke: waits a moment for the words of the one that went first."""
        self.wait_for(lambda _one: False, within_s=CAUSE_WITHIN_S)
        time.sleep(0.2)  # those of others that noticed it come about now, and its own may come after them
        known = self.faults()
        return known[0] if known else Problem("", tr("The connection between the replicas was lost."))

    def require(self) -> None:
        """Raises `UnusableError` with all faults that there are."""
        if found := self.faults():
            raise UnusableError(found)

    def close(self) -> None:
        """Ends all of them."""
        threads = [threading.Thread(target=one.close, args=(END_WITHIN_S,)) for one in self.replicas]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _has_lost(self) -> bool:
        return any(one.ended or one.failed is not None for one in self.replicas)


def _script(find: str, words: str, exports: dict[str, str]) -> str:
    lines = "\n".join(f"export {name}={shlex.quote(value)}" for name, value in exports.items())
    return _SCRIPT.format(find=find, exports=lines, program=words, flag=program.WORKER_FLAG)


def _quoted(place: str) -> str:
    """For the shell, which still finds the home folder of whoever is there."""
    return f'"$HOME"/{shlex.quote(place[2:])}' if place.startswith("~/") else shlex.quote(place)


def _signal(code: int | None) -> str:
    """The signal that a process ended by; a shell says it as 128 and its number."""
    number = -code if code is not None and code < 0 else (code or 0) - 128
    return signal.Signals(number).name if number in {one.value for one in signal.Signals} else ""
