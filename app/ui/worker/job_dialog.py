"""A dialog that has one job done: closing it, however it is closed, ends the work first."""

from __future__ import annotations

from PySide6.QtGui import QCloseEvent
from PySide6.QtWidgets import QWidget

from app.core.protocol.event import Event
from app.ui.widget.keyed_dialog import KeyedDialog
from app.ui.worker.job import JobRunner
from app.ui.worker.process import WorkerOutcome


class JobDialog(KeyedDialog):
    """Runs jobs by ``_job``; subclasses say in `_on_event` and `_on_ended` what of it is shown."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._job = JobRunner(self)
        self._job.emitted.connect(self._on_event)
        self._job.ended.connect(self._on_ended)

    @property
    def is_working(self) -> bool:
        """True while its job is being done."""
        return self._job.is_running

    def stop(self) -> None:
        """Stops; nothing of it stays."""
        self._job.stop()

    def shutdown(self) -> None:
        """Stops the work and waits for its end, before the window closes."""
        self._job.shutdown()

    def closeEvent(self, closing: QCloseEvent) -> None:
        self._job.shutdown()
        super().closeEvent(closing)

    def reject(self) -> None:
        """Escape and Close stop what runs."""
        self._job.shutdown()
        super().reject()

    def _on_event(self, said: Event) -> None:
        raise NotImplementedError

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        raise NotImplementedError
