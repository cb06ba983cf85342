"""The inspector: asks a worker what a model is made of and keeps the answer for every part of the window."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from pydantic import ValidationError
from PySide6.QtCore import QObject, Signal

from app.core.language import tr
from app.core.model.folder import MODEL_CONFIG, locate_model
from app.core.model.inspection import Inspection
from app.core.problem import Problem, UnusableError
from app.core.protocol import event
from app.core.protocol.job import InspectJob
from app.ui.worker.latest import LatestWorker
from app.ui.worker.process import WorkerOutcome

KEPT = 8  # inspections; a large one takes some 5 MB
DELAY_MS = 150  # a path that is being typed is not inspected letter by letter

Stamp = tuple[Path, int, int]


class Inspector(QObject):
    """Inspects one model at a time in a worker; the newest request wins. Answers for unchanged models are kept.

    ``last`` is the inspection of the model asked for last, None while it is not known; ``problem`` says why not.
    """

    started = Signal(str)  # the model's name or path
    inspected = Signal(object)  # Inspection
    failed = Signal(object)  # Problem
    cleared = Signal()  # no model is chosen

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.last: Inspection | None = None
        self.problem: Problem | None = None
        self.model = ""
        self.memory_bytes = 0
        self.working_set_bytes = 0
        self._known: OrderedDict[Stamp, Inspection] = OrderedDict()
        self._stamp: Stamp | None = None
        self._worker = LatestWorker(self, delay_ms=DELAY_MS)
        self._worker.emitted.connect(self._on_event)
        self._worker.ended.connect(self._on_ended)

    @property
    def is_busy(self) -> bool:
        """True while an answer is on its way."""
        return self._worker.is_busy

    def inspect(self, model: str) -> None:
        """Asks about a model (folder or cached hub id). The answer comes as ``inspected`` or ``failed``."""
        self._worker.cancel()
        self.model, self.last, self.problem = model, None, None
        if not model.strip():
            self.cleared.emit()
            return
        self.started.emit(model)
        try:
            folder = locate_model(model)
        except UnusableError as error:
            self._fail(error.problems[0])
            return
        self._stamp = _stamp(folder)
        if (found := self._known.get(self._stamp)) is not None:
            self._answer(found)
        else:
            self._worker.request(InspectJob(model=str(folder)))

    def stop(self) -> None:
        """Ends the worker before the window closes."""
        self._worker.stop()

    def _on_event(self, found: event.Event) -> None:
        if isinstance(found, event.Hello):
            self.memory_bytes = int(found.memory_gb * 1e9)
            self.working_set_bytes = int(found.working_set_gb * 1e9)
        elif isinstance(found, event.Inspected):
            self._read(found)

    def _read(self, found: event.Inspected) -> None:
        try:
            inspection = Inspection.model_validate(found.inspection)
        except ValidationError as error:
            self._fail(Problem("model", tr("The inspection cannot be read: {msg}.", msg=error.errors()[0]["msg"])))
            return
        if self._stamp is not None:
            self._known[self._stamp] = inspection
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        self._answer(inspection)

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        if self.last is None and self.problem is None:
            said = outcome.failure.message if outcome.failure else outcome.sentence()
            hint = outcome.failure.hint if outcome.failure else tr("The log tells more.")
            self._fail(Problem("model", said or tr("The worker ended without an answer."), hint=hint))

    def _answer(self, inspection: Inspection) -> None:
        self.last = inspection
        self.inspected.emit(inspection)

    def _fail(self, problem: Problem) -> None:
        self.problem = problem
        self.failed.emit(problem)


def _stamp(folder: Path) -> Stamp:
    """What changes when the model in a folder does."""
    config = folder / MODEL_CONFIG
    times = [config.stat().st_mtime_ns] if config.exists() else [0]
    return folder, times[0], folder.stat().st_mtime_ns
