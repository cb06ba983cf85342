"""The door of a run that trains: a file in its folder through which any window or command line tells its worker.

One command is one line, appended in one write, and read once. The first line names the process that listens: a door
that a killed worker left is known by it, and nothing is told to nobody. Only the owner may write (mode 0600).
"""

from __future__ import annotations

import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeAlias

from app.core.json_text import parsed_json
from app.core.language import tr
from app.core.protocol.command import Command, Park, Pause, Refused, Resume, Save, Stop, heard_command
from app.core.run.folder import RUN_DOOR, RunDir
from app.core.system.process import is_alive

# What may be said through a door; all else belongs to whoever started the worker.
DoorCommand: TypeAlias = Stop | Pause | Resume | Park | Save
ADMITTED = (Stop, Pause, Resume, Park, Save)
CHUNK = 65_536


class CommandDoor:
    """The worker's side. It holds the file open: a folder that is moved takes its door along."""

    def __init__(self, folder: Path) -> None:
        """Opens a new door in a run's folder, in place of one that an earlier worker left. Raises `OSError`."""
        self._path = folder / RUN_DOOR
        self._path.unlink(missing_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        head = json.dumps({"pid": os.getpid()}).encode("ascii") + b"\n"
        os.write(self._file, head)
        self._at, self._rest = len(head), b""
        self._is_closed, self._reading = False, threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def heard(self) -> list[Command] | None:
        """What was said since the last time; what is no command, or not for a door, is a `Refused`. None once the
        door is closed."""
        with self._reading:
            if self._is_closed:
                return None
            while chunk := os.pread(self._file, CHUNK, self._at):
                self._at += len(chunk)
                self._rest += chunk
        *lines, self._rest = self._rest.split(b"\n")
        return [_admitted(line) for line in lines if line.strip()]

    def close(self) -> None:
        """Nobody listens from now on."""
        with self._reading, suppress(OSError):
            self._is_closed = True
            if self._path.stat().st_ino == os.fstat(self._file).st_ino:
                self._path.unlink()
        os.close(self._file)


def _admitted(line: bytes) -> Command:
    found = heard_command(line.decode("utf-8", "replace"))
    if isinstance(found, (*ADMITTED, Refused)):
        return found
    return Refused(
        reason=tr("The command `{command}` is none that a run's door admits.", command=found.command), tree={}
    )


def listener_of(run: RunDir) -> int:
    """The process that listens at the run's door; 0 where there is no door, or none that lives behind it."""
    try:
        with (run.path / RUN_DOOR).open("rb") as file:
            pid = parsed_json(file.readline(CHUNK))["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return 0
    return pid if isinstance(pid, int) and pid > 0 and is_alive(pid) and run.is_running() else 0


def was_told_to_end(run: RunDir) -> bool:
    """Whether a worker that was killed had been told to end: its door still lies there, with what was said."""
    try:
        _head, *lines = (run.path / RUN_DOOR).read_bytes().splitlines()
    except (OSError, ValueError):
        return False
    return any(isinstance(_admitted(line), (Stop, Park)) for line in lines)


def tell_run(run: RunDir, command: DoorCommand) -> bool:
    """Says a command to the worker that trains the run; False if nobody listens. Raises `OSError` if it cannot be
    written."""
    if not listener_of(run):
        return False
    try:
        file = os.open(run.path / RUN_DOOR, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:  # it ended at this moment
        return False
    try:
        os.write(file, command.to_line())
    finally:
        os.close(file)
    return True
