"""A run elsewhere followed: its events come over byte by byte behind those that are here, whatever the link does.

The file here is always a beginning of the one there. After a broken link the rest is asked for from where this one
ends, so that nothing is lost and nothing stands twice, even where a line was cut.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Generator, Iterator

from filelock import FileLock, Timeout

from app.core.problem import Problem, UnusableError
from app.core.protocol.event import Event, Failed, Finished, recorded_event
from app.core.remote.control import ALIVE
from app.core.remote.record import RemoteRun

GONE = 3  # what the shell over there ends with when the run has ended and all was said
WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # between attempts to get through again

# Sends what is new of the events, over and over, until the process is gone and there is no more. Plain sh: no tail
# of GNU's is needed. Whether it lives is asked before the size, or its last words could be missed.
_FOLLOW = """
cd {place} || exit 4
at={at}
while :; do
  alive=0; if {alive}; then alive=1; fi
  size=0; [ -e run/events.jsonl ] && size=$(wc -c <run/events.jsonl)
  if [ "$size" -gt "$at" ]; then
    tail -c +$((at + 1)) run/events.jsonl | head -c $((size - at)) || exit 5
    at=$size
  elif [ "$alive" = 0 ]; then exit 3
  else sleep {pause}; fi
done
"""


def follow_remote(
    run: RemoteRun, lost: Callable[[str], None], *, pause_s: float = 0.5, waits_s: tuple[float, ...] = WAITS_S
) -> Generator[Event, None, None]:
    """Every event of the run that is not here yet, as it comes; ends when the run has.

    ``lost`` is told each time that the link breaks, with what ssh said. Detaching is leaving the loop: the run goes
    on, and it is gone on with where it was. Raises `UnusableError` where somebody else on this machine follows it.
    """
    lock = FileLock(run.path / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        said = f"{run.name} is watched already, by another process on this machine."
        raise UnusableError([Problem("name", said, hint="End that one, or look there.")]) from error
    try:
        yield from _followed(run, lost, pause_s, waits_s)
    finally:
        lock.release()


def _followed(
    run: RemoteRun, lost: Callable[[str], None], pause_s: float, waits_s: tuple[float, ...]
) -> Generator[Event, None, None]:
    attempt = 0
    while True:
        heard = False
        link = _Link(run, pause_s)
        try:
            for said in link.events():
                heard = True
                yield said
        finally:
            link.close()
        if link.code == GONE:
            return
        attempt = 0 if heard else attempt + 1
        lost(link.said)
        time.sleep(waits_s[min(attempt, len(waits_s) - 1)])


class _Link:
    """One connection, from where the file here ends."""

    def __init__(self, run: RemoteRun, pause_s: float) -> None:
        self.code = 0
        self.said = ""
        self._file = run.events_file
        at = self._file.stat().st_size if self._file.exists() else 0
        script = _FOLLOW.format(place=shlex.quote(run.place), at=at, alive=ALIVE, pause=f"{pause_s:g}")
        self._process = subprocess.Popen(
            run.host.command(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def events(self) -> Iterator[Event]:
        """The events as their lines become whole; what began before this connection is put together with it."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        rest = self._begun()
        with self._file.open("ab") as file:
            while piece := os.read(self._process.stdout.fileno(), 1 << 16):
                file.write(piece)
                file.flush()
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    try:
                        yield recorded_event(line)
                    except ValueError:
                        continue
        self.code = self._process.wait()
        self.said = self._process.stderr.read().decode(errors="replace").strip() or "the connection was closed"

    def close(self) -> None:
        """Ends ssh, not the run."""
        self._process.terminate()
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _begun(self) -> bytes:
        """The line that the file here ends in the middle of."""
        if not self._file.exists():
            return b""
        return self._file.read_bytes().rpartition(b"\n")[2]


def has_ended(events: list[Event]) -> bool:
    """Whether the run said that it was over."""
    return bool(events) and isinstance(events[-1], (Finished, Failed))
