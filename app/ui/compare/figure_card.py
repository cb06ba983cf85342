"""The figures card: held-out loss of every candidate on the same examples, with what of it could be chance.

How a tab uses it: `set_candidates` whenever the choice changes, `set_training` while a run has the memory,
`shutdown` before the window closes. It runs the ``evaluate`` worker by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.core.compare.candidate import Candidate
from app.core.compare.comparison import HeldOutFile, held_out_file
from app.core.compare.figure_row import figure_rows, verdicts
from app.core.config.train_config import FieldSpec, TrainConfig
from app.core.language import tr
from app.core.method.reward import declared_in
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.protocol.job import EvaluateJob
from app.core.quantity import plural
from app.core.run.folder import RunDir
from app.core.setup.config_file import load_config
from app.core.setup.path_kind import DATA_KINDS, sort_path
from app.core.typed_path import typed_path
from app.ui.compare.figure_table import FigureTable, FigureView
from app.ui.compare.moved_view import MovedView
from app.ui.compare.score_choice import ScoreChoice
from app.ui.form.path_editor import PathEditor
from app.ui.widget import theme
from app.ui.widget.card import Disclosure
from app.ui.widget.drop import DropCard
from app.ui.worker.measure_bar import MeasureBar
from app.ui.worker.process import WorkerOutcome

DATA = FieldSpec(
    "figures.data", tr("Examples"), "path", "", what=tr("A file of examples that nothing was trained on")
)
ABOUT = tr("The loss of every column on the same examples; the first column is what the others are compared with.")
OPENS_EXAMPLES = tr("Best and worst examples")


class FigureCard(DropCard):
    """Measures candidates; the first one is what the others are compared with."""

    measured = Signal(object)  # the data of the `evaluate` result (app/worker/compare/evaluate.py)
    busy_changed = Signal(bool)  # while it measures, a model is in memory

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Figures"), ABOUT, parent)
        self.setObjectName("figures")
        self._model = ""
        self._candidates: tuple[Candidate, ...] = ()
        self._config = TrainConfig()
        self._proposed = HeldOutFile(Path())
        self._training = False
        self._warnings: list[str] = []
        self.result: dict[str, Any] | None = None
        self._build()
        self._connect()
        self._show_result()
        self._show_state()

    @property
    def is_busy(self) -> bool:
        """True while it measures."""
        return self.measuring.is_busy

    @property
    def data(self) -> Path | None:
        """The file that is measured on; None while there is none."""
        text = str(self._data.value() or "")
        return typed_path(text) if text else None

    def set_candidates(self, model: str, candidates: tuple[Candidate, ...], data: Path | None = None) -> None:
        """What is measured. Without ``data``: the held-out data of the first candidate that is a run's.

        Figures of other candidates are taken away; the same candidates again change nothing.
        """
        if (model, candidates) != (self._model, self._candidates):
            self.stop()
            self._model, self._candidates = model, candidates
            self._read_run()
            self._forget_result()
        elif [one.title for one in candidates] != [one.title for one in self._candidates]:
            self._candidates = candidates
            self._show_result()
        if data is not None:
            self.choose_data(data)
        self._show_state()

    def set_training(self, training: bool) -> None:
        """When a run begins to train, the memory is its own: measuring is stopped. Beside it one asks first."""
        if training and not self._training:
            self.stop()
        self._training = training

    def choose_data(self, path: Path) -> None:
        """Takes a file of examples, as if it had been dropped on the card."""
        self._data.choose(str(path))

    def accepts(self, path: Path) -> bool:
        """Files of examples; folders are for the window."""
        return path.is_file() and sort_path(path).kind in DATA_KINDS

    def measure(self) -> None:
        """Starts the worker."""
        if self.is_busy or self._hindrance() or self.data is None:
            self._show_state()
            return
        self._forget_result()
        self.measuring.request(
            EvaluateJob(
                model=self._model,
                adapters=tuple(str(one.adapter) if one.adapter else None for one in self._candidates),
                strengths=tuple(one.strength for one in self._candidates),
                data=self.data,
                config=self._config.model_dump(mode="json"),
                scores=self.scores.asked(),
            )
        )
        self._show_state()

    def stop(self) -> None:
        """Ends the measurement; there will be no figures."""
        self.measuring.stop()

    def shutdown(self) -> None:
        """Ends everything before the window closes."""
        self.measuring.shutdown()

    # -- choosing ---------------------------------------------------------------------------------------------

    def _read_run(self) -> None:
        """The first run tells how its data are read, which reward functions there are, and what to measure on."""
        run = next((one.run for one in self._candidates if one.run is not None), None)
        self._config, own = TrainConfig(), []
        proposed: HeldOutFile | None = None
        if run is not None:
            try:
                self._config = load_config(RunDir(run).config).config
                proposed = held_out_file(run, self._config)
                own = self._own_functions()
            except (UnusableError, OSError):
                self._config = TrainConfig()  # measured as data of no run: the user chooses the file
        self.scores.set_functions(own)
        if self.data in (None, self._proposed.path):
            self._data.set_value(str(proposed.path) if proposed else "")
        self._proposed = proposed or HeldOutFile(Path())

    def _own_functions(self) -> list[str]:
        if not self._config.reward_functions_file:
            return []
        try:
            return [function.name for function in declared_in(Path(self._config.reward_functions_file))]
        except (OSError, SyntaxError, ValueError):
            return []  # the built-in ones are there; the run itself told what is wrong with the file

    def _hindrance(self) -> str:
        """Why it cannot be measured now; empty if it can."""
        if not self._model or not self._candidates:
            return tr("Choose what is compared, above.")
        if self.data is None:
            return tr("Choose a file of examples that nothing was trained on, or drop it here.")
        if not self.data.exists():
            return tr("{data} does not exist.", data=self.data)
        return self.scores.hindrance()

    def _on_dropped(self, paths: list[Path]) -> None:
        self.choose_data(paths[0])

    def _on_edited(self) -> None:
        self._forget_result()
        self._show_state()

    # -- measuring --------------------------------------------------------------------------------------------

    def _on_event(self, found: Event) -> None:
        if isinstance(found, event.Progressed):
            self.measuring.show_progress(found, self._named(found.phase))
        elif isinstance(found, event.Warned):
            self._warnings.append(self._named(found.text))
        elif isinstance(found, event.Result):
            self.result = found.data

    def _named(self, text: str) -> str:
        """The same with the names that the columns have instead of paths."""
        for one in self._candidates:
            if one.adapter is not None:
                text = text.replace(str(one.adapter), f"“{one.label}”")
        return text

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        said = self._named(outcome.sentence())
        self.measuring.say(said, "error" if said else "small")
        self._show_result()
        self._show_state()
        if self.result is not None:
            self.measured.emit(self.result)

    # -- showing ----------------------------------------------------------------------------------------------

    def _forget_result(self) -> None:
        self.result, self._warnings = None, []
        self.measuring.say("")
        self._show_result()

    def _show_result(self) -> None:
        found, labels = self.result, [one.title for one in self._candidates]
        self._results.setVisible(found is not None)
        self._examples.show_result(found, labels)
        self._warning.setText("\n".join(dict.fromkeys(self._warnings)))
        self._warning.setVisible(bool(self._warnings) and found is not None)
        if found is None:
            return
        self._verdict.setText("\n".join(verdicts(found, labels)))
        self._verdict.setVisible(len(labels) > 1)
        self._count.setText(_measured_on(found))
        self._table.show(labels, figure_rows(found))
        moved = any(column["moved"][side] for column in found["columns"] for side in ("better", "worse"))
        self._disclosure.setVisible(moved)

    def _show_state(self) -> None:
        for part in (self._data, self.scores):
            part.setEnabled(not self.is_busy)
        self._source.setText(self._proposed.note if self.data == self._proposed.path else "")
        self._source.setVisible(bool(self._source.text()))
        self.measuring.show_state(self._hindrance(), tr("Measure every column on these examples"))

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self._data = PathEditor(DATA, self, placeholder=tr("Drop a file of examples that nothing was trained on"))
        self._data.line.setObjectName(DATA.path)
        self._data.line.setAccessibleName(DATA.label)
        self._data.line.setToolTip(DATA.what)
        self._source = self._label("figures.source", "small")
        self.scores = ScoreChoice(self)
        self.measuring = MeasureBar("figures", "measurement", self)
        theme.set_role(self.measuring.button, kind="primary")
        self._build_results()
        self.body.setSpacing(theme.SPACE * 3 // 2)
        for part in (self._data, self._source, self.scores):
            self.body.addWidget(part)
        self.body.addWidget(self.measuring)
        self.body.addWidget(self._results)

    def _build_results(self) -> None:
        self._results = QWidget(self)
        self._warning = self._label("figures.warning", "warning")
        self._verdict = self._label("figures.verdict", "label")
        self._count = self._label("figures.count", "small")
        self._table = FigureTable(self)
        self._view = FigureView(self._table, self._results)
        self._examples = MovedView(self)
        self._disclosure = Disclosure(OPENS_EXAMPLES, self._examples, self._results)
        self._disclosure.button.setObjectName("figures.examples.open")
        self._disclosure.button.setToolTip(tr("The examples whose loss changed most, with their text"))
        layout = QVBoxLayout(self._results)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        for part in (self._warning, self._verdict, self._view, self._count, self._disclosure):
            layout.addWidget(part)

    def _label(self, name: str, role: str) -> QLabel:
        label = QLabel(self)
        label.setObjectName(name)
        label.setWordWrap(True)
        theme.set_role(label, role=role)
        return label

    def _connect(self) -> None:
        self.dropped.connect(self._on_dropped)
        self._data.edited.connect(self._on_edited)
        self.scores.changed.connect(self._show_state)
        self.measuring.asked.connect(self.measure)
        self.measuring.stopped.connect(self._show_state)
        self.measuring.emitted.connect(self._on_event)
        self.measuring.ended.connect(self._on_ended)
        self.measuring.busy_changed.connect(self.busy_changed)


def _measured_on(found: dict[str, Any]) -> str:
    said = tr(
        "{examples}, {target_tokens}.",
        examples=plural(found["examples"], "example"),
        target_tokens=plural(sum(found["tokens"]), "target token"),
    )
    scored = found["scored"]
    if scored is None:
        return said
    prompts = tr("{prompts:,} of {prompts2}", prompts=scored["prompts"], prompts2=plural(scored["of"], "prompt"))
    return tr(
        "{said} Scores: {prompts}, answered greedily, up to {max_tokens:,} tokens.",
        said=said,
        prompts=prompts,
        max_tokens=scored["max_tokens"],
    )
