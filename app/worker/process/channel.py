"""The worker's two ends of the protocol: events out on a claimed stdout, commands in on stdin."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from app.core.protocol.command import Command, EndOfInput, Refused, heard_command
from app.core.protocol.event import Event, Warned


class Channel:
    """Emits events (to the parent and, for a run, to ``events.jsonl``) and hands over commands.

    ``claim`` must come before any library is imported that prints: it keeps the real stdout for events and
    sends everything else that is printed to stderr, which the parent shows as the log.
    """

    def __init__(self, out: TextIO, commands: queue.Queue[Command]) -> None:
        self._out: TextIO | None = out
        self._file: TextIO | None = None
        self._commands = commands
        self.refuse: Callable[[Refused], None] = self._warn_of  # a task that owes answers has its own

    @classmethod
    def claim(cls) -> Channel:
        """Claims stdout for events and starts to read commands from stdin."""
        out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        commands: queue.Queue[Command] = queue.Queue()
        threading.Thread(target=_read_commands, args=(commands,), daemon=True).start()
        return cls(out, commands)

    def record_to(self, path: Path) -> None:
        """From now on every event is also appended to ``path``; a line cut by a crash is closed first."""
        if path.exists() and path.stat().st_size and path.read_bytes()[-1:] != b"\n":
            with path.open("a", encoding="utf-8") as file:
                file.write("\n")
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def emit(self, event: Event) -> None:
        """Writes one event line. A parent that is gone does not stop the worker from recording it."""
        line = event.to_line() + "\n"
        if self._file is not None:
            self._file.write(line)
        if self._out is None:
            return
        try:
            self._out.write(line)
            self._out.flush()
        except (BrokenPipeError, ValueError):
            self._out = None
            self._commands.put(EndOfInput())

    def poll(self) -> Command | None:
        """The next command, or None if there is none yet. Costs under a microsecond when there is none."""
        while not self._commands.empty():
            command = self._commands.get_nowait()
            if not isinstance(command, Refused):
                return command
            self.refuse(command)
        return None

    def wait(self) -> Command:
        """The next command; blocks until there is one (`EndOfInput` when the parent has gone)."""
        while isinstance(command := self._commands.get(), Refused):
            self.refuse(command)
        return command

    def _warn_of(self, refused: Refused) -> None:
        """Tells what is wrong with a line that is no command; the task goes on."""
        self.emit(Warned(message=refused.reason))

    def decline(self, command: Command) -> None:
        """Tells that the task has no use for a command; it goes on."""
        self.emit(Warned(message=f"The command `{command.command}` means nothing to this task."))


def _read_commands(commands: queue.Queue[Command]) -> None:
    """Reads JSON lines like ``{"command": "stop"}`` until the end of stdin."""
    try:
        for line in sys.stdin:
            commands.put(heard_command(line))
    finally:
        commands.put(EndOfInput())
