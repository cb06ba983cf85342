"""The worker's two ends of the protocol: events out on a claimed stdout, commands in on stdin."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, BinaryIO, TextIO, TypeAlias

from app.core.language import tr
from app.core.protocol.command import Command, EndOfInput, Refused, Stop, heard_command
from app.core.protocol.event import Event, Warned
from app.core.system.disk import FULL_ERRORS

if TYPE_CHECKING:
    from app.core.live.door import CommandDoor

LISTEN_EVERY_S = 0.1  # at a run's door
ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
# SimpleQueue in a worker: a signal may come while a command is taken, and only this one bears that.
Commands: TypeAlias = queue.SimpleQueue[Command] | queue.Queue[Command]


class Channel:
    """Emits events (to the parent and, for a run, to ``events.jsonl``) and hands over commands.

    ``claim`` must come before any library is imported that prints: it keeps the real stdout for events and
    sends everything else that is printed to stderr, which the parent shows as the log.
    """

    def __init__(self, out: TextIO, commands: Commands) -> None:
        self._out: TextIO | None = out
        self._in: TextIO | None = None
        self._file: BinaryIO | None = None
        self._unwritten = b""
        self._commands = commands
        self.refuse: Callable[[Refused], None] = self._warn_of  # a task that owes answers has its own
        self.follow: Callable[[Event], None] | None = None  # is told every event after it was written
        self.outlives_parent = False  # the end of input, and nobody who reads, are no reason to end
        self.input_ended = threading.Event()  # whoever started this is gone, or holds it no more
        self.withheld: tuple[type[Event], ...] = ()  # what a part of a task says, and the task has not to say

    @classmethod
    def claim(cls, *, waits: bool = False) -> Channel:
        """Claims stdout for events and starts to read commands from stdin; one that ``waits`` once `first_line` was
        read."""
        out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        # A library that asks a question on stdin reads its end there, and not the commands.
        commands_in = os.fdopen(os.dup(0), encoding="utf-8", errors="replace")
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # as long as the process lives
        commands: Commands = queue.SimpleQueue()
        channel = cls(out, commands)
        channel._in = commands_in
        if not waits:
            channel._listen_to_parent()
        return channel

    def first_line(self) -> str:
        """The line that comes before all commands, which are read from then on; blocks, and is empty at the end."""
        assert self._in is not None
        line = self._in.readline()
        self._listen_to_parent()
        return line

    def _listen_to_parent(self) -> None:
        threading.Thread(target=self._read_commands, args=(self._in,), daemon=True).start()

    def _read_commands(self, lines: TextIO) -> None:
        """Reads JSON lines like ``{"command": "stop"}`` until their end."""
        try:
            for line in lines:
                self._commands.put(heard_command(line))
        finally:
            self._commands.put(EndOfInput())
            self.input_ended.set()

    def when_alone(self, act: Callable[[], None]) -> None:
        """Does something as soon as nobody holds this process's input any more."""

        def wait() -> None:
            self.input_ended.wait()
            act()

        threading.Thread(target=wait, daemon=True, name="alone").start()

    def end_on_signals(self) -> None:
        """From now on a signal to end (at shutdown and logout, say) is as good as the command to stop: the task
        saves what it has. The second one ends the process at once. Only in the main thread."""
        for number in ENDING_SIGNALS:
            signal.signal(number, self._end)

    def _end(self, number: int, _frame: FrameType | None) -> None:
        signal.signal(number, signal.SIG_DFL)
        self._commands.put(Stop())

    def listen_at(self, door: CommandDoor) -> None:
        """From now on commands are also taken that are told through a run's door, by whichever process."""
        threading.Thread(target=self._listen, args=(door,), daemon=True, name="door").start()

    def _listen(self, door: CommandDoor) -> None:
        while (heard := door.heard()) is not None:
            for command in heard:
                self._commands.put(command)
            time.sleep(LISTEN_EVERY_S)

    def record_to(self, path: Path) -> None:
        """From now on every event is also appended to ``path``; a line cut by a crash is closed first."""
        if path.exists() and path.stat().st_size and path.read_bytes()[-1:] != b"\n":
            with path.open("a", encoding="utf-8") as file:
                file.write("\n")
        self._file = path.open("ab", buffering=0)

    @property
    def is_full(self) -> bool:
        """Whether events wait for room on the disk; they are written with the next one that finds some."""
        return bool(self._unwritten)

    def emit(self, event: Event) -> None:
        """Writes one event line. A parent that is gone does not stop the worker from recording it."""
        self.put(event)
        if self.follow is not None:
            self.follow(event)

    def put(self, event: Event) -> None:
        """Writes it, and tells nobody else."""
        line = event.to_line() + "\n"
        if self._file is not None:
            self._record(self._file, line.encode())
        if self._out is None or isinstance(event, self.withheld):
            return
        try:
            self._out.write(line)
            self._out.flush()
        except (BrokenPipeError, ValueError):
            self._out = None
            self._commands.put(EndOfInput())

    def _record(self, file: BinaryIO, line: bytes) -> None:
        self._unwritten += line
        try:
            while self._unwritten:
                self._unwritten = self._unwritten[file.write(self._unwritten) :]
        except OSError as error:
            if error.errno not in FULL_ERRORS:
                raise

    def poll(self) -> Command | None:
        """The next command, or None if there is none yet. Costs under a microsecond when there is none."""
        while not self._commands.empty():
            if self._is_for_task(command := self._commands.get_nowait()):
                return command
        return None

    def wait(self) -> Command:
        """The next command; blocks until there is one (`EndOfInput` when the parent has gone)."""
        while not self._is_for_task(command := self._commands.get()):
            pass
        return command

    def _is_for_task(self, command: Command) -> bool:
        if isinstance(command, Refused):
            self.refuse(command)
            return False
        return not (self.outlives_parent and isinstance(command, EndOfInput))

    def _warn_of(self, refused: Refused) -> None:
        """Tells what is wrong with a line that is no command; the task goes on."""
        self.emit(Warned(message=refused.reason))

    def decline(self, command: Command) -> None:
        """Tells that the task has no use for a command; it goes on."""
        self.emit(
            Warned(message=tr("The command `{command}` means nothing to this task.", command=command.command))
        )
