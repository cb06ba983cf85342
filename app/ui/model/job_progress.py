"""The progress of a job: a bar, and in words what is done, how fast where that is bytes, and how long it takes."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QProgressBar, QVBoxLayout, QWidget

from app.core.language import tr
from app.core.protocol import event
from app.core.system.transfer_rate import TransferRate
from app.ui.platform.motion import show_unmeasured
from app.ui.widget import theme
from app.ui.worker.process import WorkerOutcome

PROGRESS_STEPS = 1000


class JobProgress(QWidget):
    """Shows `Progressed` events; where nothing is counted, or a single thing, the bar only moves."""

    def __init__(self, name: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        self.bar = QProgressBar(self)
        self.bar.setObjectName(f"{name}.progress")
        self.bar.setAccessibleName(tr("Progress"))
        self.bar.setTextVisible(False)
        self.text = QLabel(self)
        self.text.setObjectName(f"{name}.text")
        self.text.setWordWrap(True)
        layout.addWidget(self.bar)
        layout.addWidget(self.text)
        self._rate, self._phase = TransferRate(), ""
        self.say("")

    def begin(self, text: str) -> None:
        """A new job starts."""
        self._rate, self._phase = TransferRate(), ""
        show_unmeasured(self.bar)
        self.bar.show()
        self._write(text, "muted")

    def show_progress(self, said: event.Progressed) -> None:
        """Shows one step."""
        if said.total < 2:
            show_unmeasured(self.bar)
            self._write(f"{said.phase} …", "muted")
            return
        if said.phase != self._phase:
            self._rate, self._phase = TransferRate(), said.phase
        self._rate.add(said.done, said.total)
        self.bar.setRange(0, PROGRESS_STEPS)
        self.bar.setValue(said.done * PROGRESS_STEPS // said.total)
        self._write(f"{said.phase} · {self._rate.sentence(said.in_bytes)}", "muted")

    def end(self, outcome: WorkerOutcome) -> None:
        """Shows how it ended; a stop keeps the bar where it was."""
        if outcome.failure is not None or outcome.crashed:
            self.say(outcome.sentence(), "error")
        elif outcome.finished is not None and outcome.finished.reason == "stopped":
            self._write(outcome.finished.message, "muted")
            if not self.bar.maximum():
                self.bar.hide()

    def say(self, text: str, role: str = "muted") -> None:
        """Shows words alone."""
        self.bar.hide()
        self._write(text, role)

    def _write(self, text: str, role: str) -> None:
        self.text.setText(text)
        self.setVisible(bool(text))
        theme.set_role(self.text, role=role)
