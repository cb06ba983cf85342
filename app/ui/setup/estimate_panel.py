"""The card "Before the start": what this run would train, store and need, exactly, and what could be better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QWidget

from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.model.inspection import Inspection
from app.core.protocol.program import compiles_kernels
from app.core.quantity import bytes_text, count_text, duration_text, percent_text
from app.core.setup.recommendation import RANK_PATH, rank_values, suggest
from app.core.setup.step_plan import StepPlan
from app.core.system.setting import load_settings
from app.core.target.selection import Selection
from app.ui.form.grid import FieldGrid
from app.ui.form.selection_model import SelectionModel
from app.ui.form.store import ConfigStore
from app.ui.setup.memory_panel import MemoryPanel
from app.ui.setup.probe_bar import ProbeBar, ProbeQuestion
from app.ui.setup.remedy_search import RemedySearch
from app.ui.setup.suggestion_list import SuggestionList
from app.ui.widget.card import Card
from app.ui.widget.figure import CountFigure
from app.ui.worker.inspector import Inspector

if TYPE_CHECKING:  # nothing of it is needed before a model is known: the window should open quickly
    from app.core.setup.duration import Duration, Pace
    from app.core.setup.memory import Calibration, MemoryEstimate

FIGURE_WIDTH = 150  # px


@dataclass(frozen=True, slots=True)
class RunTime:
    """How long a run takes, and whether a probe of this very setup or an earlier run of its kind says so."""

    duration: Duration
    is_probed: bool

    @property
    def text(self) -> str:
        """about 3 min, from an earlier run on this machine."""
        said = tr(
            "{value} {total}",
            value=tr("at most") if self.duration.is_most else tr("about"),
            total=duration_text(self.duration.total),
        )
        return said if self.is_probed else tr("{said}, going by an earlier run on this machine", said=said)


class EstimatePanel(Card):
    """Shows the numbers of a `SelectionModel`, the memory and the suggestions for a `ConfigStore`'s config.

    ``estimate`` is the memory estimate shown, None while no model is known; ``estimated`` fires when it changed.
    The machine's size is what the `Inspector` was told.
    """

    estimated = Signal()

    def __init__(
        self, store: ConfigStore, model: SelectionModel, inspector: Inspector, parent: QWidget | None = None
    ) -> None:
        super().__init__(tr("Before the start"), parent=parent)
        self.setObjectName("estimate_panel")
        self._store, self._model, self._inspector = store, model, inspector
        self._examples: int | None = None
        self._tokens: int | None = None
        self._valid = 0
        self._steps: StepPlan | None = None
        self.estimate: MemoryEstimate | None = None
        self._search = RemedySearch(self)
        self._search.found.connect(self._on_found)
        self._turn = QTimer(self)  # the memory comes a turn after the numbers
        self._turn.setSingleShot(True)
        self._turn.setInterval(0)
        self._turn.timeout.connect(self._show_memory)
        grid = FieldGrid(self, max_columns=5, column_width=FIGURE_WIDTH)
        self.figures = {
            name: CountFigure(name, label, grid)
            for name, label in (
                ("modules", tr("adapted modules")),
                ("parameters", tr("trainable parameters")),
                ("percent", tr("of the model")),
                ("adapter", tr("adapter file")),
                ("optimizer", tr("optimizer memory")),
            )
        }
        for figure in self.figures.values():
            grid.add(figure)
        self.body.addWidget(grid)
        self.memory = MemoryPanel(self)
        self.memory.remedy_chosen.connect(self._on_remedy)
        self.body.addWidget(self.memory)
        self.probe = ProbeBar(self)
        self.probe.measured.connect(self._on_measured)
        self.body.addWidget(self.probe)
        self.suggestions = SuggestionList(self)
        self.suggestions.applied.connect(self._on_applied)
        self.body.addWidget(self.suggestions)
        model.changed.connect(self.update_figures)
        store.changed.connect(self._on_changed)
        self.update_figures()

    def set_data(
        self,
        examples: int | None,
        trained_tokens: int | None = None,
        steps: StepPlan | None = None,
        *,
        valid: int = 0,
    ) -> None:
        """Tells how many examples and trained tokens an epoch there are, and the steps that they make; None while
        that is not known. ``valid`` are the examples that measure."""
        known = (examples, trained_tokens, steps, valid)
        if known != (self._examples, self._tokens, self._steps, self._valid):
            self._examples, self._tokens, self._steps, self._valid = known
            self._turn.start()
            self._show_suggestions()

    def shutdown(self) -> None:
        """Waits for a search for remedies before the window closes."""
        self._search.stop()
        self.probe.shutdown()

    def update_figures(self) -> None:
        """Shows everything anew."""
        selection = self._model.selection
        self._show_selection(selection)
        self._show_suggestions()
        self._turn.start()

    def run_time(self, config: TrainConfig, iterations: int) -> RunTime | None:
        """How long a run of so many iterations takes under a config like the form's; None while nothing was
        measured: neither by a probe of this setup nor in an earlier run of its kind on this machine."""
        inspection = self._model.inspection
        if inspection is None:
            return None
        from app.core.setup.duration import duration, extent_of, work_costs

        probed = self.probe.pace
        pace = probed or self._earlier_pace(inspection, config)
        if pace is None:
            return None
        steps = self._steps or StepPlan(config)
        extent = extent_of(config, iterations, self._examples or 0, self._valid)
        found = duration(config, pace, work_costs(inspection), steps, extent)
        return RunTime(found, is_probed=probed is not None)

    def run_s(self, config: TrainConfig, iterations: int) -> float | None:
        """The seconds of `run_time`."""
        found = self.run_time(config, iterations)
        return None if found is None else found.duration.total

    def _earlier_pace(self, inspection: Inspection, config: TrainConfig) -> Pace | None:
        from app.core.setup.speed import kept_pace, speed_key

        return kept_pace(speed_key(inspection, config, compiled=compiles_kernels()))

    def memory_of(self, selection: Selection) -> int:
        """The bytes that a run would take with these modules instead of the chosen ones; 0 without a model."""
        question = self._question(selection)
        return question(False).total if question is not None else 0

    def _show_memory(self) -> None:
        known = self._model
        config = self._store.config
        if known.inspection is None or known.selection is None or not config.data:
            self.probe.set_question(None)
        else:
            steps = self._steps or StepPlan(config)
            self.probe.set_question(ProbeQuestion(config, known.inspection, known.selection, steps))
        self.estimate = self._search.request(self._question())
        searching = self.estimate is not None and self.estimate.is_too_large
        self._show_estimate(searching=searching)

    def _question(self, selection: Selection | None = None) -> Callable[[bool], MemoryEstimate] | None:
        known = self._model
        selection = selection or known.selection
        if known.inspection is None or selection is None:
            return None
        return partial(
            _estimate,
            known.inspection,
            self._store.config,
            selection,
            self._inspector.memory_bytes,
            self._inspector.working_set_bytes,
            self._steps,
            self.probe.calibration,
        )

    def _on_found(self, found: MemoryEstimate) -> None:
        self.estimate = found
        self._show_estimate(searching=False)

    def _show_estimate(self, *, searching: bool) -> None:
        self.memory.show_estimate(self.estimate, searching=searching)
        self.figures["optimizer"].show_value(bytes_text(self.estimate.optimizer) if self.estimate else "")
        self.estimated.emit()

    def _show_selection(self, selection: Selection | None) -> None:
        if selection is None:
            for figure in self.figures.values():
                figure.show_value("")
            return
        figures = self.figures
        figures["modules"].show_value(count_text(selection.adapted_modules))
        figures["parameters"].show_value(count_text(selection.trainable_parameters))
        figures["percent"].show_value(
            percent_text(selection.trainable_percent),
            tr("of {total_parameters:,} parameters", total_parameters=selection.total_parameters),
        )
        figures["adapter"].show_value(
            bytes_text(selection.adapter_bytes), tr("adapters.safetensors, each checkpoint")
        )

    def _show_suggestions(self) -> None:
        known = self._model.selection
        config = self._store.config
        self.suggestions.show_suggestions(
            suggest(
                config,
                examples=self._examples,
                trained_tokens=self._tokens,
                selection=known,
                inspection=self._model.inspection,
            )
        )

    def _on_measured(self, _calibration: Calibration | None) -> None:
        self._turn.start()

    def _on_changed(self, path: str) -> None:
        self.probe.forget(path)
        self._show_suggestions()
        self._turn.start()

    def _on_remedy(self, values: dict[str, Any]) -> None:
        self._store.set_many(values)

    def _on_applied(self, path: str, value: object) -> None:
        if path == RANK_PATH and isinstance(value, int) and load_settings().alpha_convention == "peft":
            self._store.set_many(rank_values(self._store.config, value))
        else:
            self._store.set(path, value)


def _estimate(
    inspection: Inspection,
    config: TrainConfig,
    selection: Selection,
    memory_bytes: int,
    working_set_bytes: int,
    steps: StepPlan | None,
    calibration: Calibration | None,
    with_remedies: bool,
) -> MemoryEstimate:
    from app.core.setup.memory import estimate

    return estimate(
        inspection,
        config,
        selection,
        machine_memory_gb=memory_bytes / 1e9,
        working_set_gb=working_set_bytes / 1e9,
        steps=steps,
        calibration=calibration,
        compiled=compiles_kernels(),
        with_remedies=with_remedies,
    )
