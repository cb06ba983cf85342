"""Who supervises a run: the one process that lets it go on where Metal's watchdog ends its worker.

A window and a command line supervise what they train. A run that they left is supervised by a small process of its
own, which its worker starts as soon as nobody holds its input. Of several that look at a run only one may start the
next worker: whoever holds the lock in the run's folder, which the system drops when the process dies.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from app.core.live.door import was_told_to_end
from app.core.live.watchdog import prepare_smaller, was_ended_by_watchdog
from app.core.protocol import program
from app.core.protocol.event import Event
from app.core.run.folder import RUN_SUPERVISOR, RunDir, last_event

SUPERVISED_EVERY_S = 0.5
STARTS_WITHIN_S = 60.0  # a worker that has not taken its run by then is not coming
LOOKS_S = 0.03  # far longer than whoever only looks whether a run is supervised holds its lock
# Elsewhere than on a Mac nothing ends a worker so; tests have the process all the same.
SUPERVISED_VARIABLE = "LUTHIER_SUPERVISED"


def supervise(run: RunDir, timeout_s: float = LOOKS_S) -> FileLock | None:
    """Makes this process the one that supervises the run, until it releases the lock; None where another does, or
    where there can be no lock."""
    lock = FileLock(run.path / RUN_SUPERVISOR, timeout=timeout_s)
    try:
        lock.acquire(poll_interval=timeout_s / 3)
    except (Timeout, OSError):
        return None
    return lock


def is_supervised(run: RunDir) -> bool:
    """Whether another process supervises the run."""
    if not (run.path / RUN_SUPERVISOR).exists():
        return False
    lock = supervise(run, 0)
    if lock is not None:
        lock.release()
    return lock is None


def goes_on_after(run: RunDir, last: Event | None) -> bool:
    """Whether a run that ended with this event is to go on: the watchdog ended it, and nobody asked it to end."""
    return was_ended_by_watchdog(run, last) and not was_told_to_end(run)


def awaits_worker(run: RunDir) -> bool:
    """Whether another process is about to start the next worker of a run that has none."""
    return is_supervised(run) and goes_on_after(run, last_event(run))


def go_on_alone(run: RunDir) -> str:
    """Starts the next worker of a run that the watchdog ended and nobody supervises; what is told of it.

    Empty where it is not to go on.
    """
    lock = supervise(run)
    if lock is None:
        return ""
    try:
        return start_alone(run) if not run.is_running() and goes_on_after(run, last_event(run)) else ""
    finally:
        lock.release()


def start_alone(run: RunDir) -> str:
    """Starts a worker that goes on with the run in smaller pieces and belongs to nobody, and tells so in its log.

    Gives what is told, or nothing where smaller ones are no help or it did not start.
    """
    told = prepare_smaller(run)
    if not told:
        return ""
    with suppress(OSError), run.log.open("ab") as log:
        size = _size(run.events)
        log.write(f"luthier: {told}\n".encode())
        process = subprocess.Popen(
            program.worker_command(run.path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            env=program.worker_environment(_environment()),
            start_new_session=True,
        )
        # Not whether the run's lock is held: for a moment whoever looks at it does so too.
        began = _waited(lambda: _size(run.events) > size or process.poll() is not None)
        return told if began else ""
    return ""


def start_supervisor(run: RunDir) -> None:
    """Starts the process that supervises a run which nobody holds."""
    if sys.platform != "darwin" and SUPERVISED_VARIABLE not in os.environ:
        return
    with suppress(OSError):
        subprocess.Popen(
            program.supervisor_command(run.path),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
        )


def run_supervisor(run: RunDir) -> int:
    """Waits for the end of the run's worker, and starts the next one where this process is the one to do so."""
    lock = None
    try:
        while True:
            lives = run.is_running()
            lock = lock or supervise(run)
            if not lives:
                break
            time.sleep(SUPERVISED_EVERY_S)
        if lock is not None and goes_on_after(run, last_event(run)):
            start_alone(run)  # and has a supervisor of its own, as nobody holds its input either
    finally:
        if lock is not None:
            lock.release()
    return 0


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _environment() -> dict[str, str]:
    """A worker's environment without what forbids to start the program again."""
    return {name: value for name, value in os.environ.items() if name != program.WORKER_VARIABLE}


def _waited(done: Callable[[], bool]) -> bool:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        if done():
            return True
        time.sleep(SUPERVISED_EVERY_S / 5)
    return False
