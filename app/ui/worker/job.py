"""A job: one worker in a temporary folder that the window can stop, and that is cleaned up when it ends."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from PySide6.QtCore import QObject, QTimer, Signal

from app.core.protocol.command import Command, Stop
from app.core.protocol.job import Job, write_job
from app.ui.worker.process import WorkerOutcome, WorkerProcess

PATIENCE_MS = 5000  # what a worker gets to end by itself after a stop


class JobRunner(QObject):
    """Runs one task at a time. ``stop`` asks the worker to end by itself; one that does not is ended."""

    emitted = Signal(object)  # an app.core.protocol.event.Event
    ended = Signal(object)  # WorkerOutcome

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._folder: TemporaryDirectory[str] | None = None
        self._worker: WorkerProcess | None = None
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._kill)

    @property
    def is_running(self) -> bool:
        return self._worker is not None

    def start(self, job: Job) -> None:
        """Starts the job; does nothing while one runs."""
        if self._worker is not None:
            return
        self._folder = TemporaryDirectory(prefix="luthier-", ignore_cleanup_errors=True)
        path = Path(self._folder.name)
        write_job(path, job)
        self._worker = WorkerProcess(path, job.task, self)
        self._worker.emitted.connect(self.emitted)
        self._worker.ended.connect(self._on_ended)
        self._worker.start()

    def send(self, command: Command) -> None:
        """Sends one command to the worker, if it runs."""
        if self._worker is not None:
            self._worker.send(command)

    def stop(self) -> None:
        """Asks the worker to stop."""
        if self._worker is not None:
            self._worker.send(Stop())
            self._patience.start()

    def shutdown(self) -> None:
        """Stops the worker and waits for it, before the window closes."""
        if self._worker is not None:
            self.stop()
            if not self._worker.wait(PATIENCE_MS):
                self._kill()
                self._worker.wait(PATIENCE_MS)

    def _kill(self) -> None:
        if self._worker is not None:
            self._worker.kill()

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        self._patience.stop()
        worker, folder, self._worker, self._folder = self._worker, self._folder, None, None
        if worker is not None:
            worker.deleteLater()
        if folder is not None:
            folder.cleanup()
        self.ended.emit(outcome)
