"""The worker's two ends of the protocol: events out on a claimed stdout, commands in on stdin."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
from pathlib import Path
from typing import Any, TextIO

from app.core.protocol.event import Event

END_OF_INPUT = {"command": "end_of_input"}


class Channel:
    """Emits events (to the parent and, for a run, to ``events.jsonl``) and hands over commands.

    ``claim`` must come before any library is imported that prints: it keeps the real stdout for events and
    sends everything else that is printed to stderr, which the parent shows as the log.
    """

    def __init__(self, out: TextIO, commands: queue.Queue[dict[str, Any]]) -> None:
        self._out: TextIO | None = out
        self._file: TextIO | None = None
        self._commands = commands

    @classmethod
    def claim(cls) -> Channel:
        """Claims stdout for events and starts to read commands from stdin."""
        out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        commands: queue.Queue[dict[str, Any]] = queue.Queue()
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
            self._commands.put(END_OF_INPUT)

    def poll(self) -> dict[str, Any] | None:
        """The next command, or None if there is none yet. Costs under a microsecond when there is none."""
        if self._commands.empty():
            return None
        return self._commands.get_nowait()

    def wait(self) -> dict[str, Any]:
        """The next command; blocks until there is one (``end_of_input`` when the parent has gone)."""
        return self._commands.get()


def _read_commands(commands: queue.Queue[dict[str, Any]]) -> None:
    """Reads JSON lines like ``{"command": "stop"}`` until the end of stdin."""
    try:
        for line in sys.stdin:
            try:
                command = json.loads(line)
            except ValueError:
                print(f"Not a command: {line.strip()[:200]}", file=sys.stderr)
                continue
            if isinstance(command, dict) and isinstance(command.get("command"), str):
                commands.put(command)
    finally:
        commands.put(END_OF_INPUT)
