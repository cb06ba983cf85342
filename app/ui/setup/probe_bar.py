"""The probe: a button that measures the longest batch for real, and what it found, beside the estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QWidget

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.model.inspection import Inspection
from app.core.protocol import event
from app.core.protocol.job import ProbeJob
from app.core.protocol.program import compiles_kernels
from app.core.setup.memory_term import StepSize
from app.core.setup.step_plan import StepPlan
from app.core.target.selection import Selection
from app.ui.widget import theme
from app.ui.worker.job import JobRunner
from app.ui.worker.process import WorkerOutcome

if TYPE_CHECKING:
    from app.core.setup.duration import Pace
    from app.core.setup.memory import Calibration

READY_TEXT = tr("Runs the longest batch on this machine: its real memory, and how long the run will take.")
# What a probe's result does not depend on, or scales with: everything else makes it worthless.
KEPT_BY = (
    "iters", "epochs", "seed", "adapter_name", "learning_rate", "steps_per_report", "steps_per_eval", "save_every",
    "val_batches", "neutral_tokens", "sampled_prompts", "final_adapter",
    "early_stopping.enabled", "early_stopping.patience", "early_stopping.min_delta",
    "batch_size", "max_seq_length", "lora_parameters.scale", "lora_parameters.dropout", "schedule", "warmup",
    "weight_decay", "bias_correction", "report_to", "project_name",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ProbeQuestion:
    """What a probe would measure: a config of a model, its targets, and the steps that its data make."""

    config: TrainConfig
    inspection: Inspection
    selection: Selection
    steps: StepPlan


class ProbeBar(QWidget):
    """Runs the worker's probe of a config; ``measured`` fires with a `Calibration`, or None when forgotten.

    ``pace`` is the speed that it found, for as long as the calibration holds.
    """

    measured = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._asked: ProbeQuestion | None = None
        self._data: dict[str, Any] | None = None
        self.pace: Pace | None = None
        self._calibration: Calibration | None = None
        self._job = JobRunner(self)
        self._job.emitted.connect(self._on_event)
        self._job.ended.connect(self._on_ended)
        self.button = QPushButton(tr("Measure"), self)
        self.button.setObjectName("estimate.probe")
        self.button.setAccessibleName(tr("Measure memory and time on this machine"))
        self.button.clicked.connect(self._on_clicked)
        self._label = QLabel(READY_TEXT, self)
        self._label.setObjectName("estimate.probe.text")
        self._label.setWordWrap(True)
        self._label.setProperty("role", "small")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE * 3 // 2)
        layout.addWidget(self.button)
        layout.addWidget(self._label, 1)
        self.set_question(None)

    @property
    def calibration(self) -> Calibration | None:
        """What the last probe taught of the present config; None if there was none since it changed."""
        return self._calibration

    @property
    def text(self) -> str:
        """What stands beside the button."""
        return self._label.text()

    def set_question(self, question: ProbeQuestion | None) -> None:
        """What a click would measure; None while something is missing."""
        self._question = question
        self.button.setEnabled(question is not None or self._job.is_running)
        self.button.setToolTip("" if question is not None else tr("Choose a model and training data first."))

    def forget(self, path: str) -> None:
        """A config value changed: what was measured may no longer hold."""
        if path in KEPT_BY:
            return
        if self._job.is_running:
            self._job.stop()
        if self._calibration is not None:
            self._calibration = self.pace = None
            self._say(READY_TEXT)
            self.measured.emit(None)

    def shutdown(self) -> None:
        """Ends a probe before the window closes."""
        self._job.shutdown()

    def _on_clicked(self) -> None:
        if self._job.is_running:
            self._job.stop()
            return
        if self._question is None:
            return
        self._asked, self._data = self._question, None
        self._job.start(ProbeJob(config=self._question.config.model_dump(mode="json")))
        self.button.setText(tr("Cancel"))
        self._say(tr("Starting…"))

    def _on_event(self, found: event.Event) -> None:
        if isinstance(found, event.Progressed):
            self._say(f"{found.phase}…")
        elif isinstance(found, event.Result) and found.name == "probe":
            self._data = found.data

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        self.button.setText(tr("Measure"))
        if self._data is None or self._asked is None:
            stopped = outcome.finished is not None
            self._say(READY_TEXT if stopped else outcome.sentence(), "small" if stopped else "error")
            return
        from app.core.setup.duration import Pace
        from app.core.setup.memory import calibrate

        asked, data = self._asked, self._data
        steps = StepPlan.counted(asked.config, data["steps"], data["step_batches"], labelled=data["labelled"])
        self.pace = Pace.from_dict(data["pace"])
        self._calibration = calibrate(
            asked.inspection, asked.config, asked.selection, int(data["peak_bytes"]), asked.steps.or_else(steps),
            probed=StepSize(data["rows"], data["width"], data["targets"]), compiled=compiles_kernels(),
        )  # fmt: skip
        size = tr("{rows:,} × {width:,} tokens", rows=data["rows"], width=data["width"])
        self._say(
            tr("Measured at {size} at a time: {step_s:.3g}\u00a0s an iteration.", size=size, step_s=data["step_s"]),
            "good",
        )
        self.measured.emit(self._calibration)

    def _say(self, text: str, role: str = "small") -> None:
        self._label.setText(text)
        theme.set_role(self._label, role=role)
