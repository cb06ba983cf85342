"""The card "Before the start": what this run would train, store and need, exactly, and what could be better."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from PySide6.QtCore import QTimer, Signal
from PySide6.QtWidgets import QWidget

from app.core.config.train_config import TrainConfig
from app.core.model.inspection import Inspection
from app.core.protocol.program import compiles_kernels
from app.core.quantity import bytes_text, percent_text
from app.core.setup.memory import Calibration, MemoryEstimate, MemoryFit, estimate
from app.core.setup.memory_term import step_of
from app.core.setup.recommendation import RANK_PATH, rank_values, suggest
from app.core.system.setting import load_settings
from app.core.target.selection import Selection
from app.ui.form.grid import FieldGrid
from app.ui.form.selection_model import SelectionModel
from app.ui.form.store import ConfigStore
from app.ui.setup.memory_panel import MemoryPanel
from app.ui.setup.probe_bar import ProbeBar
from app.ui.setup.remedy_search import RemedySearch
from app.ui.setup.suggestion_list import SuggestionList
from app.ui.widget.card import Card
from app.ui.widget.figure import CountFigure
from app.ui.worker.inspector import Inspector

FIGURE_WIDTH = 150  # px


class EstimatePanel(Card):
    """Shows the numbers of a `SelectionModel`, the memory and the suggestions for a `ConfigStore`'s config.

    ``estimate`` is the memory estimate shown, None while no model is known; ``estimated`` fires when it changed.
    The machine's size is what the `Inspector` was told.
    """

    estimated = Signal()

    def __init__(
        self, store: ConfigStore, model: SelectionModel, inspector: Inspector, parent: QWidget | None = None
    ) -> None:
        super().__init__("Before the start", parent=parent)
        self.setObjectName("estimate_panel")
        self._store, self._model, self._inspector = store, model, inspector
        self._examples: int | None = None
        self._tokens: int | None = None
        self._longest: int | None = None
        self._labelled = False
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
                ("modules", "adapted modules"),
                ("parameters", "trainable parameters"),
                ("percent", "of the model"),
                ("adapter", "adapter file"),
                ("optimizer", "optimizer memory"),
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
        longest: int | None = None,
        *,
        labelled: bool = False,
    ) -> None:
        """Tells how many examples and trained tokens an epoch there are, and the longest example in tokens; None
        while that is not known. ``labelled``: an example is one answer with a label, not a pair."""
        known = (examples, trained_tokens, longest, labelled)
        if known != (self._examples, self._tokens, self._longest, self._labelled):
            self._examples, self._tokens, self._longest, self._labelled = known
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

    def run_s(self, iterations: int) -> float | None:
        """Seconds that so many iterations take at most, by the probe's longest batch; None without a probe."""
        known = self.probe.calibration
        if known is None:
            return None
        config = self._store.config
        largest = known.step_for(config, step_of(config, self._longest, labelled=self._labelled))
        return iterations * known.step_s(largest, config.batch_size)

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
            self.probe.set_question((config, known.inspection, known.selection))
        self.estimate = self._search.request(self._question())
        searching = self.estimate is not None and self.estimate.verdict is MemoryFit.WONT_FIT
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
            self._longest,
            self._labelled,
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
        figures["modules"].show_value(f"{selection.adapted_modules:,}")
        figures["parameters"].show_value(f"{selection.trainable_parameters:,}")
        figures["percent"].show_value(
            percent_text(selection.trainable_percent), f"of {selection.total_parameters:,} parameters"
        )
        figures["adapter"].show_value(bytes_text(selection.adapter_bytes), "adapters.safetensors, each checkpoint")

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
    longest: int | None,
    labelled: bool,
    calibration: Calibration | None,
    with_remedies: bool,
) -> MemoryEstimate:
    return estimate(
        inspection,
        config,
        selection,
        machine_memory_gb=memory_bytes / 1e9,
        working_set_gb=working_set_bytes / 1e9,
        longest=longest,
        labelled=labelled,
        calibration=calibration,
        compiled=compiles_kernels(),
        with_remedies=with_remedies,
    )
