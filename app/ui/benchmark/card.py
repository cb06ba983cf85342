"""The benchmark card: tasks of lm-eval asked of every candidate, and what each reached with its standard error.

How a tab uses it: `set_candidates` whenever the choice changes, `set_training` while a run has the memory,
`shutdown` before the window closes. It runs the ``benchmark`` worker by itself.
"""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QGridLayout, QLabel, QWidget

from app.core.compare.candidate import Candidate
from app.core.config.field import FieldSpec
from app.core.language import tr
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.protocol.job import BenchmarkJob
from app.core.run.benchmark import benchmark_figures, harness_problem
from app.core.typed_path import typed_path
from app.ui.form.editor import editor_height
from app.ui.form.number_box import NumberBox
from app.ui.form.path_editor import PathEditor
from app.ui.form.plain_editor import CheckEditor, TextEditor
from app.ui.widget import theme
from app.ui.widget.card import Card, Disclosure
from app.ui.widget.layout import clear_layout
from app.ui.worker.measure_bar import MeasureBar
from app.ui.worker.process import WorkerOutcome

BENCHMARK_TASKS = FieldSpec(
    "benchmark.tasks", tr("Tasks"), "text", "", what=tr("Tasks of lm-eval, with commas: arc_easy, hellaswag")
)
OWN_TASKS = FieldSpec(
    "benchmark.include_path",
    tr("Folder with own tasks"),
    "path",
    "",
    what=tr("A folder with tasks (YAML) and their data"),
    optional=True,
)
LIMIT = FieldSpec(
    "benchmark.limit", tr("Questions of each task"), "int", None, what=tr("The first of each task; empty: all"),
    minimum=1, optional=True,
)  # fmt: skip
SHOTS = FieldSpec(
    "benchmark.shots", tr("Examples before"), "int", None, what=tr("Before each question; empty: as the task says"),
    minimum=0, maximum=64, optional=True,
)  # fmt: skip
CHAT = FieldSpec(
    "benchmark.chat", tr("Ask in the chat template"), "bool", False, what=tr("As for models that chat")
)
DOWNLOAD = FieldSpec(
    "benchmark.download", tr("Download data of tasks"), "bool", False,
    what=tr("Data that is not on this machine may be fetched from the hub"),
)  # fmt: skip
ABOUT_BENCHMARKS = tr("Public tasks, asked of every column by lm-eval; ± is one standard error.")


class BenchmarkCard(Card):
    """Measures candidates on tasks; ``busy_changed`` while a model of its own is in memory."""

    busy_changed = Signal(bool)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(tr("Benchmarks"), ABOUT_BENCHMARKS, parent)
        self.setObjectName("benchmarks")
        self._model = ""
        self._candidates: tuple[Candidate, ...] = ()
        self._training = False
        self.result: dict[str, Any] | None = None
        self._build()
        self._show_result()
        self._show_state()

    @property
    def is_busy(self) -> bool:
        """True while it measures."""
        return self.measuring.is_busy

    @property
    def job(self) -> BenchmarkJob:
        """What Measure would ask for now."""
        own, limit, shots = self.own_tasks.value(), self.limit.value(), self.shots.value()
        return BenchmarkJob(
            model=self._model,
            adapters=tuple(str(one.adapter) if one.adapter else None for one in self._candidates),
            strengths=tuple(one.strength for one in self._candidates),
            tasks=self._names(),
            include_path=typed_path(str(own)) if own else None,
            limit=None if limit is None else int(limit),
            shots=None if shots is None else int(shots),
            chat=bool(self.chat.value()),
            download=bool(self.download.value()),
        )

    def set_candidates(self, model: str, candidates: tuple[Candidate, ...]) -> None:
        """What is measured; figures of others are taken away."""
        if (model, candidates) != (self._model, self._candidates):
            self.stop()
            self._model, self._candidates, self.result = model, candidates, None
            self._show_result()
        elif [one.title for one in candidates] != [one.title for one in self._candidates]:
            self._candidates = candidates
            self._show_result()
        self._show_state()

    def set_training(self, training: bool) -> None:
        """When a run begins to train, the memory is its own: measuring is stopped. Beside it one asks first."""
        if training and not self._training:
            self.stop()
        self._training = training

    def measure(self) -> None:
        """Starts the worker."""
        if self.is_busy or self._hindrance():
            self._show_state()
            return
        self.result = None
        self._show_result()
        self.measuring.request(self.job)
        self._show_state()

    def stop(self) -> None:
        """Ends the measurement; there will be no figures."""
        self.measuring.stop()

    def shutdown(self) -> None:
        """Ends everything before the window closes."""
        self.measuring.shutdown()

    # -- what happens -----------------------------------------------------------------------------------------

    def _names(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in str(self.tasks.value() or "").split(",") if name.strip())

    def _hindrance(self) -> str:
        if (problem := harness_problem()) is not None:
            return problem.text
        if not self._model or not self._candidates:
            return tr("Choose what is compared, above.")
        if not self._names():
            return tr("Name tasks, such as arc_easy.")
        return self.limit.fault or self.shots.fault

    def _on_event(self, found: Event) -> None:
        if isinstance(found, event.Progressed):
            self.measuring.show_progress(found, found.phase)
        elif isinstance(found, event.Result):
            self.result = found.data

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        said = outcome.sentence()
        self.measuring.say(said, "error" if said else "small")
        self._show_result()
        self._show_state()

    def _show_state(self, _value: object = None) -> None:
        for part in (self.tasks, self._more):
            part.setEnabled(not self.is_busy)
        self.measuring.show_state(self._hindrance(), tr("Ask every column these tasks"))

    def _show_result(self) -> None:
        clear_layout(self._figures)
        if self.result is None:
            return
        for column, title in enumerate((tr("Task"), tr("Metric"), *(one.title for one in self._candidates))):
            self._cell(0, column, title, "small")
        for row, figure in enumerate(benchmark_figures(self.result["columns"]), start=1):
            for column, text in enumerate((figure.task, figure.metric, *figure.texts())):
                self._cell(row, column, text, "muted" if column < 2 else "")

    def _cell(self, row: int, column: int, text: str, role: str) -> None:
        label = QLabel(text, self)
        theme.set_role(label, role=role)
        label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        if column > 1:
            label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        self._figures.addWidget(label, row, column)

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.tasks = TextEditor(self)
        self.tasks.setPlaceholderText(tr("arc_easy, hellaswag"))
        self.own_tasks = PathEditor(OWN_TASKS, self, folder=True, placeholder=tr("None"))
        self.limit, self.shots = NumberBox(LIMIT, self), NumberBox(SHOTS, self)
        self.chat, self.download = CheckEditor(CHAT.label, self), CheckEditor(DOWNLOAD.label, self)
        for editor, spec in ((self.tasks, BENCHMARK_TASKS), (self.own_tasks.line, OWN_TASKS), (self.limit, LIMIT),
                             (self.shots, SHOTS), (self.chat, CHAT), (self.download, DOWNLOAD)):  # fmt: skip
            editor.setObjectName(spec.path)
            editor.setAccessibleName(spec.label)
            editor.setToolTip(spec.what)
            if not isinstance(editor, CheckEditor):
                editor.setFixedHeight(editor_height())
        self.tasks.edited.connect(self._show_state)
        for box in (self.limit, self.shots):
            box.edited.connect(self._show_state)
            box.unreadable.connect(self._show_state)
        self._more = QWidget(self)
        grid = QGridLayout(self._more)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(theme.SPACE * 2)
        grid.setVerticalSpacing(theme.SPACE)
        grid.setColumnStretch(1, 1)
        for row, (spec, part) in enumerate(((OWN_TASKS, self.own_tasks), (LIMIT, self.limit), (SHOTS, self.shots))):
            grid.addWidget(QLabel(spec.label, self._more), row, 0)
            grid.addWidget(part, row, 1)
        grid.addWidget(self.chat, 3, 0, 1, 2)
        grid.addWidget(self.download, 4, 0, 1, 2)
        more = Disclosure(tr("Options"), self._more, self)
        more.button.setObjectName("benchmark.options")
        self.measuring = MeasureBar("benchmark", "benchmarks", self)
        self.measuring.asked.connect(self.measure)
        self.measuring.stopped.connect(self._show_state)
        self.measuring.emitted.connect(self._on_event)
        self.measuring.ended.connect(self._on_ended)
        self.measuring.busy_changed.connect(self.busy_changed)
        self._figures = QGridLayout()
        self._figures.setHorizontalSpacing(theme.SPACE * 3)
        self._figures.setVerticalSpacing(theme.SPACE // 2)
        self._figures.setColumnStretch(1, 1)
        self.body.setSpacing(theme.SPACE * 3 // 2)
        self.body.addWidget(self.tasks)
        self.body.addWidget(more)
        self.body.addWidget(self.measuring)
        self.body.addLayout(self._figures)
