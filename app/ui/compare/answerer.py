"""The answerer: a worker that keeps one base model loaded and answers from it, plain and with adapters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from app.core.language import tr
from app.core.model.folder import files_stamp
from app.core.protocol import event
from app.core.protocol.command import Ask, AskAll, LoadAdapters, Stop
from app.core.protocol.event import Event
from app.core.protocol.job import GenerateJob
from app.core.protocol.question import Question
from app.ui.worker.job import JobRunner
from app.ui.worker.process import WorkerOutcome

IDLE_MS = 5 * 60 * 1000  # a model that nobody asks gives its memory back


class Answerer(QObject):
    """Answers one question, or a set of them, at a time.

    The worker stays as long as the base stays, on disk too, and is freed when idle.
    """

    answered = Signal(int, object)  # the number of a question in progress, and event.Answered of it
    progressed = Signal(str)  # what it is doing before the first word comes
    warned = Signal(str)
    failed = Signal(str)  # the questions in progress have no answer
    state_changed = Signal()
    shut_down = Signal()  # the window closes

    def __init__(self, parent: QObject | None = None, *, idle_ms: int = IDLE_MS) -> None:
        super().__init__(parent)
        self._runner = JobRunner(self)
        self._runner.emitted.connect(self._on_event)
        self._runner.ended.connect(self._on_ended)
        self._model = ""
        self._files: tuple[tuple[str, int, int], ...] = ()  # of the model, as it was loaded
        self._adapters: tuple[tuple[str | None, ...], tuple[float, ...]] = ((), ())
        self._ready = False
        self._request = 0  # of the first question in progress
        self._next_request = 1
        self._open: set[tuple[int, int]] = set()  # request and column
        self._idle = QTimer(self)
        self._idle.setSingleShot(True)
        self._idle.setInterval(idle_ms)
        self._idle.timeout.connect(self.release)

    @property
    def is_busy(self) -> bool:
        """True from questions to the last word of the last column."""
        return bool(self._open)

    @property
    def is_loaded(self) -> bool:
        """True while a worker holds a model, or loads it."""
        return self._runner.is_running

    def ask(
        self,
        model: str,
        adapters: Sequence[str | None],
        questions: Sequence[Question],
        order: Sequence[int] = (),
        strengths: Sequence[float] = (),
    ) -> None:
        """Asks every column (None is the base), in ``order`` if one is given. What was being answered is given up.

        Several questions are answered together. Their ``conversations`` are in that order, too. ``strengths`` are
        those of the adapters; none is 1 for all.
        """
        if self.is_busy:
            self.stop()
        self._idle.stop()
        wanted, files = (tuple(adapters), tuple(strengths)), files_stamp(Path(model))
        if not self.is_loaded or (model, files) != (self._model, self._files):
            self._start(model, wanted)
            self._files = files
        elif wanted != self._adapters:
            self._runner.send(LoadAdapters(adapters=wanted[0], strengths=wanted[1]))
        self._adapters = wanted
        columns = tuple(order) or tuple(range(len(adapters)))
        asks = tuple(
            Ask(request=number, columns=columns, question=question)
            for number, question in enumerate(questions, start=self._next_request)
        )
        self._request, self._next_request = self._next_request, self._next_request + len(asks)
        self._open = {(ask.request, column) for ask in asks for column in columns}
        self._runner.send(asks[0] if len(asks) == 1 else AskAll(asks=asks))
        self.state_changed.emit()

    def stop(self) -> None:
        """Ends the answers in progress; a worker that is still loading is given up: nothing is quicker."""
        if not self.is_loaded or not self.is_busy:
            return
        if self._ready:
            self._runner.send(Stop())
        else:
            self.release()

    def release(self) -> None:
        """Gives the memory back. A question in progress is given up without a word."""
        self._idle.stop()
        self._runner.give_up()  # it has nothing to save
        self._finish()

    def shutdown(self) -> None:
        """Ends everything before the window closes."""
        self.shut_down.emit()
        self.release()
        self._runner.shutdown()

    def _start(self, model: str, wanted: tuple[tuple[str | None, ...], tuple[float, ...]]) -> None:
        self.release()
        self._model, self._ready = model, False
        self._runner.start(GenerateJob(model=model, adapters=wanted[0], strengths=wanted[1]))
        self.progressed.emit(tr("Starting the worker"))

    def _on_event(self, found: Event) -> None:
        if isinstance(found, event.Progressed):
            self.progressed.emit(found.phase)
        elif isinstance(found, event.Ready):
            self._ready = True
            if self.is_busy:
                self.progressed.emit(tr("Reading the prompt"))
        elif isinstance(found, event.Warned):
            self.warned.emit(found.text)
        elif isinstance(found, event.Answered) and found.request >= self._request:
            self.answered.emit(found.request - self._request, found)
            if found.done:
                self._open.discard((found.request, found.column))
                if not self._open:
                    self._finish()

    def _finish(self) -> None:
        self._open = set()
        if self.is_loaded:
            self._idle.start()
        self.state_changed.emit()

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        """A worker that ends by itself while it is wanted has failed."""
        if self.is_busy:
            self.failed.emit(outcome.sentence() or tr("The worker ended before it answered."))
        self._finish()
