"""A worker for questions of the window (what is this model, is this data usable): the newest request wins."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from PySide6.QtCore import QObject, QTimer, Signal

from app.core.protocol.command import Command
from app.core.protocol.job import Job, write_job
from app.ui.worker.process import WorkerOutcome, WorkerProcess

STOP_WAIT_MS = 2000


class LatestWorker(QObject):
    """Runs one task at a time in a temporary folder. A new request ends the one before, whose answer never comes.

    ``delay_ms`` waits that long for a further request, so that typing does not start a process a letter.
    """

    emitted = Signal(object)  # an app.core.protocol.event.Event
    ended = Signal(object)  # WorkerOutcome

    def __init__(self, parent: QObject | None = None, *, delay_ms: int = 0) -> None:
        super().__init__(parent)
        self._job: Job | None = None
        self._folder: TemporaryDirectory[str] | None = None
        self._worker: WorkerProcess | None = None
        self._leaving: dict[WorkerProcess, TemporaryDirectory[str]] = {}
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(delay_ms)
        self._timer.timeout.connect(self._start)

    @property
    def is_busy(self) -> bool:
        """True from the request until its answer."""
        return self._timer.isActive() or self._worker is not None

    def request(self, job: Job) -> None:
        """Asks; what was asked before is given up."""
        self.cancel()
        self._job = job
        self._timer.start()

    def cancel(self) -> None:
        """Gives up the present request, if any; nothing more is heard of it."""
        self._timer.stop()
        worker, folder, self._worker, self._folder = self._worker, self._folder, None, None
        if worker is None or folder is None:
            return
        worker.emitted.disconnect(self.emitted)
        worker.ended.disconnect(self._on_ended)
        self._leaving[worker] = folder
        worker.ended.connect(self._on_left)
        worker.kill()

    def send(self, command: Command) -> None:
        """Sends a command to the task that answers several; does nothing while none runs."""
        if self._worker is not None:
            self._worker.send(command)

    def stop(self) -> None:
        """Ends everything before the window closes."""
        self.cancel()
        for worker in list(self._leaving):
            worker.wait(STOP_WAIT_MS)

    def _start(self) -> None:
        assert self._job is not None
        self._folder = TemporaryDirectory(prefix="luthier-", ignore_cleanup_errors=True)
        path = Path(self._folder.name)
        write_job(path, self._job)
        self._worker = WorkerProcess(path, self._job.task, self)
        self._worker.emitted.connect(self.emitted)
        self._worker.ended.connect(self._on_ended)
        self._worker.start()

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        worker, folder, self._worker, self._folder = self._worker, self._folder, None, None
        if worker is not None:
            worker.deleteLater()
        if folder is not None:
            folder.cleanup()
        self.ended.emit(outcome)

    def _on_left(self, _outcome: WorkerOutcome) -> None:
        worker = self.sender()
        assert isinstance(worker, WorkerProcess)
        self._leaving.pop(worker).cleanup()
        worker.deleteLater()
