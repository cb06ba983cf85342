"""Who follows runs elsewhere for the window: a worker for each, which writes what it hears into their folders."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, Signal

from app.core.protocol import event
from app.core.protocol.job import RemoteJob
from app.ui.worker.job import JobRunner
from app.ui.worker.process import WorkerOutcome


class RemoteFollowers(QObject):
    """Follows runs until they are here. What ends a follower ends no run."""

    said = Signal(object, str)  # the run's folder, and what is told of its link
    came = Signal(object)  # a run is here
    failed = Signal(object, str)  # the run's folder, and why it is not followed any more
    stopped = Signal(object, str)  # what a stop came to

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._runners: dict[Path, JobRunner] = {}
        self._stops: dict[Path, JobRunner] = {}

    def is_following(self, path: Path) -> bool:
        """Whether a worker of this window follows the run."""
        return path in self._runners

    def attend(self, path: Path) -> None:
        """Follows a run from now on; does nothing if it is followed."""
        if path in self._runners:
            return
        runner = self._runners[path] = JobRunner(self)
        runner.emitted.connect(self._on_event)
        runner.ended.connect(self._on_ended)
        runner.start(RemoteJob(action="attend", run=path))

    def stop(self, path: Path) -> None:
        """Asks a run to save and end."""
        if path in self._stops:
            return
        runner = self._stops[path] = JobRunner(self)
        runner.emitted.connect(self._on_stop_event)
        runner.ended.connect(self._on_stop_ended)
        runner.start(RemoteJob(action="stop", run=path))

    def detach(self) -> None:
        """Ends all followers at once; the runs go on, and are gone on with where they were."""
        for runner in (*self._runners.values(), *self._stops.values()):
            runner.give_up()
            runner.shutdown()
        self._runners.clear()
        self._stops.clear()

    def _path(self, runners: dict[Path, JobRunner]) -> Path:
        sender = self.sender()
        return next(path for path, runner in runners.items() if runner is sender)

    def _on_event(self, found: event.Event) -> None:
        if isinstance(found, event.Progressed):
            self.said.emit(self._path(self._runners), found.phase)

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        path = self._path(self._runners)
        self._runners.pop(path).deleteLater()
        if outcome.completed:
            self.came.emit(path)
        elif not outcome.ok:
            self.failed.emit(path, outcome.sentence())

    def _on_stop_event(self, found: event.Event) -> None:
        if isinstance(found, event.Result):
            self.stopped.emit(self._path(self._stops), str(found.data["said"]))

    def _on_stop_ended(self, outcome: WorkerOutcome) -> None:
        path = self._path(self._stops)
        self._stops.pop(path).deleteLater()
        if not outcome.ok:
            self.stopped.emit(path, outcome.sentence())
