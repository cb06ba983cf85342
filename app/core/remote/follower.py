"""A run elsewhere followed: its events come over byte by byte behind those that are here, whatever the link does.

The file here is always a beginning of the one there. After a broken link the rest is asked for from where this one
ends, so that nothing is lost and nothing stands twice, even where a line was cut.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager

from app.core.language import tr
from app.core.problem import Problem
from app.core.protocol.event import Event, Failed, Finished, recorded_event
from app.core.remote.control import ALIVE
from app.core.remote.record import RemoteRun
from app.core.system.lock import held_alone

GONE = 3  # what the shell over there ends with when the run has ended and all was said
WAITS_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # between attempts to get through again
CLOSED = tr("the connection was closed")

# Sends what is new of the events, over and over, until the process is gone and there is no more. Plain sh: no tail
# of GNU's is needed. Whether it lives is asked before the size, or its last words could be missed.
_FOLLOW = """
cd {folder} || exit 4
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


class Link(ABC):
    """One connection to a run elsewhere. ``said`` is why it broke; ``has_ended`` that the run did, and all was
    said."""

    def __init__(self) -> None:
        self.has_ended = False
        self.said = CLOSED

    @abstractmethod
    def pieces(self, at: int) -> Iterator[tuple[int, bytes]]:
        """What is there of the events, from byte ``at`` on or from before it, each with where it begins."""

    def close(self) -> None:  # noqa: B027  # most have nothing to end
        """Ends the connection, not the run."""


class ShellLink(Link):
    """A connection by ssh, which sends as long as it holds."""

    def __init__(self, run: RemoteRun, pause_s: float) -> None:
        super().__init__()
        self._run, self._pause_s = run, pause_s
        self._process: subprocess.Popen[bytes] | None = None

    def pieces(self, at: int) -> Iterator[tuple[int, bytes]]:
        folder = shlex.quote(self._run.folder)
        script = _FOLLOW.format(folder=folder, at=at, alive=ALIVE, pause=f"{self._pause_s:g}")
        self._process = process = subprocess.Popen(
            self._run.host.command(script), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stderr is not None
        while piece := os.read(process.stdout.fileno(), 1 << 16):
            yield at, piece
            at += len(piece)
        self.has_ended = process.wait() == GONE
        self.said = process.stderr.read().decode(errors="replace").strip() or CLOSED

    def cut(self) -> None:
        """Breaks the connection as a network does."""
        if self._process is not None:
            self._process.kill()

    def close(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        self._process.wait()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


def follow_remote(
    run: RemoteRun,
    connect: Callable[[], Link],
    lost: Callable[[str], None],
    *,
    waits_s: tuple[float, ...] = WAITS_S,
    is_over: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, None]:
    """Every event of the run that is not here yet, as it comes; ends when the run has.

    ``lost`` is told each time that a link breaks, and why. Where no link is found twice, ``is_over`` is asked
    whether there is anything left to reach. Detaching is leaving the loop: the run goes on, and it is gone on with
    where it was.
    """
    attempt = 0
    while True:
        heard = False
        link = connect()
        try:
            for said in _events(run, link):
                heard = True
                yield said
        finally:
            link.close()
        if link.has_ended:
            return
        attempt = 0 if heard else attempt + 1
        lost(link.said)
        if attempt > 1 and is_over():
            return
        time.sleep(waits_s[min(attempt, len(waits_s) - 1)])


def watched(run: RemoteRun) -> AbstractContextManager[None]:
    """Holds a run: who looks sees that it is followed. Raises `UnusableError` where another process does
    already."""
    said = tr("{name} is watched already, by another process on this machine.", name=run.name)
    taken = Problem("name", said, hint=tr("End that one, or look there."))
    return held_alone(run.path / ".lock", taken)


def _events(run: RemoteRun, link: Link) -> Iterator[Event]:
    """The events as their lines become whole; what began before this connection is put together with it."""
    file = run.events_file
    file.parent.mkdir(parents=True, exist_ok=True)
    known = file.read_bytes() if file.exists() else b""
    at, rest = len(known), known.rpartition(b"\n")[2]
    with file.open("ab") as out:
        for start, piece in link.pieces(at):
            if start > at:
                link.said = tr("a piece of the events is missing")
                return
            fresh = piece[at - start :]
            out.write(fresh)
            out.flush()
            at += len(fresh)
            *lines, rest = (rest + fresh).split(b"\n")
            for line in lines:
                try:
                    yield recorded_event(line)
                except ValueError:
                    continue


def has_ended(events: list[Event]) -> bool:
    """Whether the run said that it was over."""
    return bool(events) and isinstance(events[-1], (Finished, Failed))
