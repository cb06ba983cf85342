"""A worker for questions of the window (what is this model, is this data usable): the newest request wins."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal

from app.core.protocol.command import Command
from app.core.protocol.job import Job
from app.ui.worker.job import JobRunner


class LatestWorker(QObject):
    """Runs one job at a time. A new request ends the one before, whose answer never comes.

    ``delay_ms`` waits that long for a further request, so that typing does not start a process a letter.
    """

    emitted = Signal(object)  # an app.core.protocol.event.Event
    ended = Signal(object)  # WorkerOutcome

    def __init__(self, parent: QObject | None = None, *, delay_ms: int = 0) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self._runner = JobRunner(self)
        self._runner.emitted.connect(self.emitted)
        self._runner.ended.connect(self.ended)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(delay_ms)
        self._timer.timeout.connect(self._start)

    @property
    def is_busy(self) -> bool:
        """True from the request until its answer."""
        return self._timer.isActive() or self._runner.is_running

    def request(self, job: Job) -> None:
        """Asks; what was asked before is given up."""
        self.cancel()
        self._job = job
        self._timer.start()

    def cancel(self) -> None:
        """Gives up the present request, if any; nothing more is heard of it."""
        self._timer.stop()
        self._runner.give_up()

    def send(self, command: Command) -> None:
        """Sends a command to the task that answers several; does nothing while none runs."""
        self._runner.send(command)

    def stop(self) -> None:
        """Ends everything before the window closes."""
        self.cancel()
        self._runner.shutdown()

    def _start(self) -> None:
        assert self._job is not None
        self._runner.start(self._job)
