"""The measure bar: Measure or Stop, what is happening in words, and a bar of how far it is, over one worker."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from app.core.language import tr
from app.core.protocol import event
from app.core.protocol.job import Job
from app.ui.widget import theme
from app.ui.worker.latest import LatestWorker


class MeasureBar(QWidget):
    """Runs the worker of a card that measures. ``name`` begins the names of its parts, ``what`` is being measured.

    The card asks by `request` when ``asked`` says that Measure was pressed, and says with `show_state` what stands
    in the way. ``busy_changed`` while it measures: a model is in memory.
    """

    asked = Signal()
    stopped = Signal()
    emitted = Signal(object)  # Event
    ended = Signal(object)  # WorkerOutcome
    busy_changed = Signal(bool)

    def __init__(self, name: str, what: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._worker = LatestWorker(self)
        self._worker.emitted.connect(self.emitted)
        self._worker.ended.connect(self._on_ended)
        self.note = QLabel(self)
        self.note.setObjectName(f"{name}.note")
        self.note.setWordWrap(True)
        theme.set_role(self.note, role="small")
        self.button, self._stop = QPushButton(tr("Measure"), self), QPushButton(tr("Stop"), self)
        self.button.setObjectName(f"{name}.measure")
        self._stop.setObjectName(f"{name}.stop")
        self._stop.setToolTip(tr("End the measurement; there will be no figures"))
        self.button.clicked.connect(self.asked)
        self._stop.clicked.connect(self.stop)
        self._bar = QProgressBar(self)
        self._bar.setAccessibleName(tr("Progress of the {what}", what=what))
        self._bar.setTextVisible(False)
        row = QHBoxLayout()
        row.addWidget(self.note, 1)
        row.addWidget(self.button)
        row.addWidget(self._stop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE * 3 // 2)
        layout.addLayout(row)
        layout.addWidget(self._bar)

    @property
    def is_busy(self) -> bool:
        """True while it measures."""
        return self._worker.is_busy

    def request(self, job: Job) -> None:
        """Starts the worker."""
        self.say(tr("Starting the worker…"))
        self._worker.request(job)
        self.busy_changed.emit(True)

    def stop(self) -> None:
        """Ends the measurement; there will be no figures."""
        if self.is_busy:
            self._worker.cancel()
            self.say(tr("Stopped."))
            self.stopped.emit()
            self.busy_changed.emit(False)

    def shutdown(self) -> None:
        """Ends everything before the window closes."""
        self._worker.stop()

    def show_progress(self, said: event.Progressed, phase: str) -> None:
        """How far it is, in these words."""
        self.say(f"{phase}…")
        self._bar.setRange(0, said.total)
        self._bar.setValue(said.done)

    def show_state(self, hindrance: str, tip: str) -> None:
        """Why it cannot be measured now, or else what Measure does."""
        busy = self.is_busy
        self.button.setVisible(not busy)
        self._stop.setVisible(busy)
        self._bar.setVisible(busy)
        self.button.setEnabled(not hindrance)
        self.button.setToolTip(hindrance or tip)
        if not busy and (hindrance or self.note.property("hint")):
            self.say(hindrance, hint=True)

    def say(self, text: str, role: str = "small", *, hint: bool = False) -> None:
        """What stands beside the buttons; a ``hint`` goes when there is no hindrance any more."""
        self.note.setText(text)
        self.note.setProperty("hint", hint)
        theme.set_role(self.note, role=role)

    def _on_ended(self, outcome: object) -> None:
        self.ended.emit(outcome)
        self.busy_changed.emit(False)
