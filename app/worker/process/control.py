"""Control: the commands that reach a running task, remembered until the task comes round to them."""

from __future__ import annotations

from app.core.protocol.command import Command, EndOfInput, Park, Pause, Resume, Save, Stop
from app.worker.process.channel import Channel

ENDING = (Stop, EndOfInput)


class StoppedError(Exception):
    """The task was asked to stop before it had anything to save."""


class Control:
    """Reads commands from the channel. ``stop`` and the end of input last; the others are met once."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._stopping = False
        self._pausing = False
        self._parking = False
        self._saving = False

    def is_stopping(self) -> bool:
        """True from the moment that stop was asked for, or the parent is gone."""
        self._read()
        return self._stopping

    def raise_if_stopped(self) -> None:
        """Raises `StoppedError` if stop was asked for."""
        if self.is_stopping():
            raise StoppedError

    def take_pause(self) -> bool:
        """True once for a pause that was asked for (and not taken back)."""
        self._read()
        asked, self._pausing = self._pausing, False
        return asked and not self._stopping

    def take_park(self) -> bool:
        """True once if the task was asked to pause by leaving (and that was not taken back)."""
        self._read()
        asked, self._parking = self._parking, False
        return asked and not self._stopping

    def take_save(self) -> bool:
        """True once for a save that was asked for."""
        self._read()
        asked, self._saving = self._saving, False
        return asked

    def wait(self) -> Command:
        """Blocks until the next command, for a task that is paused."""
        command = self._channel.wait()
        self._stopping = self._stopping or isinstance(command, ENDING)
        self._parking = isinstance(command, Park)
        return command

    def _read(self) -> None:
        while (command := self._channel.poll()) is not None:
            self._note(command)

    def _note(self, command: Command) -> None:
        match command:
            case Stop() | EndOfInput():
                self._stopping = True
            case Pause() | Resume():
                self._pausing, self._parking = isinstance(command, Pause), False
            case Park():
                self._parking = True
            case Save():
                self._saving = True
            case _:
                self._channel.decline(command)
