"""A job as the window runs it: one worker in a temporary folder, which is cleaned up however the worker ends.

Every worker of the window but that of a run lives here: those that are asked to stop (downloads, conversions),
those that the newest question replaces (`app.ui.worker.latest`), and the one that keeps a model loaded.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from PySide6.QtCore import QObject, QTimer, Signal

from app.core.protocol import event
from app.core.protocol.command import Command, Stop
from app.core.protocol.job import Job, write_job
from app.core.system.leftover import temporary_prefix
from app.ui.worker.beside import NOT_BEGUN, may_compute
from app.ui.worker.process import WorkerOutcome, WorkerProcess

PATIENCE_MS = 5000  # what a worker gets to end by itself after a stop


class JobRunner(QObject):
    """Runs one job at a time.

    ``stop`` asks the worker to end by itself, and ends one that does not; ``give_up`` ends it at once, and nothing
    more is heard of it.
    """

    emitted = Signal(object)  # an app.core.protocol.event.Event
    logged = Signal(str)  # what its libraries print, as it comes
    ended = Signal(object)  # WorkerOutcome; not of a job that was given up

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._worker: WorkerProcess | None = None
        # Of every worker that lives, also of one that was given up and is about to die.
        self._folders: dict[WorkerProcess, TemporaryDirectory[str]] = {}
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._kill)

    @property
    def is_running(self) -> bool:
        return self._worker is not None

    def start(self, job: Job) -> None:
        """Starts the job; does nothing while one runs.

        One that computes while a run trains is asked about first; where it is not to be, it ends at once.
        """
        if self._worker is not None:
            return
        if not may_compute(job.task):
            outcome = WorkerOutcome(job.task, None, event.Failed(message=NOT_BEGUN))
            QTimer.singleShot(0, self, lambda: self.ended.emit(outcome))
            return
        folder = TemporaryDirectory(prefix=temporary_prefix(), ignore_cleanup_errors=True)
        path = Path(folder.name)
        write_job(path, job)
        self._worker = worker = WorkerProcess(path, job.task, self)
        self._folders[worker] = folder
        worker.emitted.connect(self.emitted)
        worker.logged.connect(self.logged)
        worker.ended.connect(self._on_ended)
        worker.start()

    def send(self, command: Command) -> None:
        """Sends one command to the worker, if it runs."""
        if self._worker is not None:
            self._worker.send(command)

    def stop(self) -> None:
        """Asks the worker to stop."""
        if self._worker is not None:
            self._worker.send(Stop())
            self._patience.start()

    def give_up(self) -> None:
        """Ends the worker at once, for work that can be thrown away; neither an event nor its end is told."""
        self._patience.stop()
        worker, self._worker = self._worker, None
        if worker is None:
            return
        worker.emitted.disconnect(self.emitted)
        worker.logged.disconnect(self.logged)
        worker.ended.disconnect(self._on_ended)
        worker.ended.connect(lambda _outcome: self._clear(worker))
        worker.kill()

    def shutdown(self) -> None:
        """Stops the worker and waits for it, and for those that were given up, before the window closes."""
        self.stop()
        for worker, folder in list(self._folders.items()):
            if not worker.wait(PATIENCE_MS):
                worker.kill()
                worker.wait(PATIENCE_MS)
            folder.cleanup()  # also of a worker whose end is told only in a later turn, which may not come

    def _kill(self) -> None:
        if self._worker is not None:
            self._worker.kill()

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        self._patience.stop()
        worker, self._worker = self._worker, None
        if worker is not None:
            self._clear(worker)
        self.ended.emit(outcome)

    def _clear(self, worker: WorkerProcess) -> None:
        self._folders.pop(worker).cleanup()
        worker.deleteLater()
