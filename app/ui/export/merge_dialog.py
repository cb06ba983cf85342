"""The merge dialog: how much of each adapter, by which method, measured on which rows; then the figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtWidgets import (
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.core.config.train_config import FieldSpec
from app.core.export.destination import destination_problems, free_destination
from app.core.export.merge import DENSITY, MERGE_METHODS, MERGE_SEED, RANK, WEIGHT, MergeMethod, merge_sources
from app.core.language import tr
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.job import MergeJob
from app.core.quantity import count_text, loss_text, plural
from app.core.typed_path import typed_path
from app.ui.form.number_box import NumberBox
from app.ui.form.path_editor import PathEditor
from app.ui.form.plain_editor import ChoiceBox
from app.ui.model.job_progress import JobProgress
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.layout import FormRows, clear_layout
from app.ui.worker.job_dialog import JobDialog
from app.ui.worker.process import WorkerOutcome

MERGE_DIALOG_SIZE = (700, 640)  # px in Inter, at least
DATA_SPEC = FieldSpec("merge.data", tr("Held-out data"), "path", "")
MERGED_SPEC = FieldSpec("merge.out", tr("New folder"), "path", "")
NUMBER_WIDTH = 110
HEADS = (tr("Adapter"), tr("Weight"), tr("Rank"), tr("Held-out loss"))


class MergeDialog(JobDialog):
    """Merges the adapters of ``sources`` (runs, folders or checkpoints); Measure does all of it but writing."""

    def __init__(self, sources: Sequence[Path], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("merge_dialog")
        self.setWindowTitle(tr("Merge adapters"))
        self.resize(theme.text_width(MERGE_DIALOG_SIZE[0]), MERGE_DIALOG_SIZE[1])
        self._paths = tuple(sources)
        self._names, self._fault, self._word = self._read()
        self._build()
        self._on_method()

    # -- what is chosen ---------------------------------------------------------------------------------------

    @property
    def method(self) -> MergeMethod:
        """The chosen method."""
        return MERGE_METHODS[str(self.method_box.value())]

    @property
    def job(self) -> MergeJob:
        """What Merge would ask for now; Measure asks for the same without a folder."""
        data = str(self.data.value() or "")
        rank = self.rank.value()
        return MergeJob(
            adapters=self._paths,
            weights=tuple(float(box.value() or 0) for box in self.weights),
            method=self.method.name,
            density=float(self.density.value() or 0) if self.method.prunes else DENSITY.default,
            rank=None if rank is None else int(rank),
            seed=int(self.seed.value() or 0) if self.method.draws else MERGE_SEED.default,
            data=typed_path(data) if data else None,
            out=typed_path(str(self.out.value() or "")),
        )

    def merge(self) -> None:
        """Merges, measures and writes."""
        if self._is_possible():
            self._start(self.job)

    def measure(self) -> None:
        """Does the same, and writes nothing."""
        if self._is_possible():
            self._start(self.job.model_copy(update={"out": None}))

    def _is_possible(self) -> bool:
        """Whether nothing is in the way, a number that is still being typed either."""
        self._show()
        return not (self._fault or self._hindrance())

    def _start(self, job: MergeJob) -> None:
        self.progress.begin(tr("Starting …"))
        self._remark.hide()
        self._job.start(job)
        self._show()

    # -- showing ----------------------------------------------------------------------------------------------

    def _read(self) -> tuple[list[str], str, str]:
        """The adapters' names, why they cannot be merged, and a word for the new folder."""
        try:
            sources, _ = merge_sources(self._paths)
        except UnusableError as error:
            return [path.name for path in self._paths], error.problems[0].sentence(), "merged"
        return [source.label for source in sources], "", sources[0].word

    def _on_method(self, _value: object = None) -> None:
        self._what.setText(self.method.what)
        self.density.setEnabled(self.method.prunes)
        self.seed.setEnabled(self.method.draws)
        self._show()

    def _show(self, _value: object = None) -> None:
        running = self._job.is_running
        said = self._fault or self._hindrance()
        self._problem.setText(said)
        self._problem.setVisible(bool(said) and not running)
        self._form.setEnabled(not running)
        place = typed_path(str(self.out.value() or ""))
        writable = "" if not place.is_absolute() else " ".join(
            one.text for one in destination_problems(place, 0)
        )  # fmt: skip
        self.out.line.setToolTip(writable)
        self.merge_button.setEnabled(not running and not said and place.is_absolute() and not writable)
        self.merge_button.setToolTip(writable or tr("Merge, measure and write the new adapter"))
        self.measure_button.setEnabled(not running and not said)
        self.stop_button.setVisible(running)

    def _hindrance(self) -> str:
        used = [*self.weights, self.rank]
        used += [self.density] if self.method.prunes else []
        used += [self.seed] if self.method.draws else []
        if fault := next((box.fault for box in used if box.fault), ""):
            return fault
        if not any(box.value() for box in self.weights):
            return tr("All weights are 0: nothing would be left.")
        return ""

    def _on_event(self, said: event.Event) -> None:
        if isinstance(said, event.Progressed):
            self.progress.show_progress(said)
        elif isinstance(said, event.Warned):
            self._remark.setText(said.text)
            self._remark.show()
        elif isinstance(said, event.Result):
            self.show_result(said.data)

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        if outcome.completed:
            self.progress.say("")
        else:
            self.progress.end(outcome)
        self._show()

    def show_result(self, data: dict[str, Any]) -> None:
        """The figures of all, and where the new adapter is."""
        clear_layout(self._figures)
        for column, head in enumerate(HEADS):
            self._cell(0, column, head, "small")
        for row, one in enumerate(data["columns"], start=1):
            role = "strong" if one["kind"] == "merged" else ""
            self._cell(row, 0, str(one["name"]), role)
            self._cell(row, 1, "" if one["weight"] is None else f"{one['weight']:g}", role)
            self._cell(row, 2, count_text(one["rank"]) if one["rank"] else "", role)
            self._cell(row, 3, "–" if one["loss"] is None else loss_text(one["loss"]), role)
        measured = (
            tr("{examples} of {name}. ", examples=plural(data["examples"], "example"), name=Path(data["data"]).name)
            if data["data"]
            else ""
        )
        place = (
            tr("The merged adapter is in {path}.", path=data["path"])
            if data["path"]
            else tr("Nothing was written yet.")
        )
        self._result.setText(measured + place)
        self._result.show()

    def _cell(self, row: int, column: int, text: str, role: str) -> None:
        label = QLabel(text, self)
        if column:
            label.setAlignment(Qt.AlignmentFlag.AlignRight | Qt.AlignmentFlag.AlignVCenter)
        theme.set_role(label, role=role)
        self._figures.addWidget(label, row, column)

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.progress = JobProgress("merge", self)
        self._remark, self._result = QLabel(self), QLabel(self)
        for label, name, role in ((self._remark, "remark", "warning"), (self._result, "result", "small")):
            label.setObjectName(f"merge.{name}")
            label.setWordWrap(True)
            label.hide()
            theme.set_role(label, role=role)
        self._result.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._figures = QGridLayout()
        self._figures.setHorizontalSpacing(theme.SPACE * 3)
        self._figures.setVerticalSpacing(theme.SPACE // 2)
        self._figures.setColumnStretch(0, 1)
        self._form = self._built_form()
        page = QWidget(self)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 0, theme.SPACE, 0)
        column.setSpacing(theme.SPACE * 2)
        for part in (self._form, self.progress, self._remark):
            column.addWidget(part)
        column.addLayout(self._figures)
        column.addWidget(self._result)
        column.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(page)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE * 2)
        layout.addWidget(scroll, 1)
        layout.addLayout(self._built_buttons())

    def _built_form(self) -> QWidget:
        form = QWidget(self)
        layout = QVBoxLayout(form)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(self._built_weights(form))
        self._what, self._problem = QLabel(form), QLabel(form)
        self._what.setWordWrap(True)
        theme.set_role(self._what, role="muted")
        self._problem.setObjectName("merge.problem")
        self._problem.setWordWrap(True)
        theme.set_role(self._problem, role="error")
        self.method_box: ChoiceBox = ChoiceBox(tuple((m.name, m.label) for m in MERGE_METHODS.values()), form)
        self.method_box.setObjectName("merge.method")
        self.method_box.setAccessibleName(tr("Method"))
        self.method_box.edited.connect(self._on_method)
        self.density, self.rank, self.seed = (self._number(spec, form) for spec in (DENSITY, RANK, MERGE_SEED))
        self.data = PathEditor(DATA_SPEC, form, placeholder=tr("The held-out rows of the first run"))
        self.out = PathEditor(MERGED_SPEC, form, new=True)
        for editor, spec in ((self.data, DATA_SPEC), (self.out, MERGED_SPEC)):
            editor.line.setObjectName(spec.path)
            editor.line.setAccessibleName(spec.label)
            editor.edited.connect(self._show)
        self.out.set_value(str(free_destination(self._word, "merged")))
        rows = FormRows()
        rows.add_row(tr("Method"), self.method_box)
        rows.add_row("", self._what)
        for spec, box in ((DENSITY, self.density), (RANK, self.rank), (MERGE_SEED, self.seed)):
            rows.add_row(spec.label, box)
        rows.add_row(DATA_SPEC.label, self.data)
        rows.add_row(MERGED_SPEC.label, self.out)
        layout.addSpacing(theme.SPACE)
        layout.addLayout(rows)
        layout.addWidget(self._problem)
        return form

    def _built_weights(self, form: QWidget) -> QGridLayout:
        grid = QGridLayout()
        grid.setHorizontalSpacing(theme.SPACE * 2)
        grid.setVerticalSpacing(theme.SPACE)
        grid.setColumnStretch(0, 1)
        heads = QLabel(tr("Adapters"), form), QLabel(WEIGHT.label, form)
        for column, head in enumerate(heads):
            theme.set_role(head, role="label")
            grid.addWidget(head, 0, column)
        self.weights: list[NumberBox] = []
        for row, name in enumerate(self._names):
            label, box = ElidedLabel(name, form), self._number(WEIGHT, form)
            box.setObjectName(f"merge.weight.{row}")
            box.setAccessibleName(tr("Weight of {name}", name=name))
            self.weights.append(box)
            grid.addWidget(label, row + 1, 0)
            grid.addWidget(box, row + 1, 1)
        return grid

    def _number(self, spec: FieldSpec, form: QWidget) -> NumberBox:
        box = NumberBox(spec, form)
        box.setObjectName(spec.path)
        box.setAccessibleName(spec.label)
        box.setToolTip(spec.help)
        box.setFixedWidth(theme.text_width(NUMBER_WIDTH))
        box.set_value(spec.default)
        for happened in (box.edited, box.unreadable):
            happened.connect(self._show)
        return box

    def _built_buttons(self) -> QHBoxLayout:
        self.merge_button, self.measure_button = QPushButton(tr("Merge"), self), QPushButton(tr("Measure"), self)
        self.stop_button, self.close_button = QPushButton(tr("Stop"), self), QPushButton(tr("Close"), self)
        theme.set_role(self.merge_button, kind="primary")
        self.merge_button.setDefault(True)
        self.measure_button.setToolTip(tr("Merge in memory and measure all; nothing is written"))
        row = QHBoxLayout()
        row.addStretch(1)
        for button, name, act in (
            (self.close_button, "close", self.close),
            (self.stop_button, "stop", self.stop),
            (self.measure_button, "measure", self.measure),
            (self.merge_button, "start", self.merge),
        ):
            button.setObjectName(f"merge.{name}")
            button.clicked.connect(act)
            row.addWidget(button)
        return row
