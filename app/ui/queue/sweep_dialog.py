"""The sweep dialog: which fields of the form to vary over which values, and what that makes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from PySide6.QtCore import QSize, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from app.core.config.train_config import FieldSpec, TrainConfig
from app.core.data.report import DataReport
from app.core.language import tr
from app.core.model.inspection import Inspection
from app.core.problem import Problem, UnusableError, errors
from app.core.quantity import duration_text, plural
from app.core.queue.sweep import (
    MAX_FIELDS,
    SweepAxis,
    Variant,
    check_variant,
    entries,
    example,
    expand,
    parse_axis,
    sweep_name,
    sweepable,
    total_iterations,
    value_words,
    variant_errors,
    variant_iterations,
)
from app.ui.form.plain_editor import ChoiceBox
from app.ui.runs.table import DOT, dot
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.icon_button import IconButton
from app.ui.widget.keyed_dialog import KeyedDialog
from app.ui.widget.sliced_work import SlicedWork

SWEEP_DIALOG_WIDTH = 600  # px in Inter
VALUES_WIDTH = 190  # px in Inter
LIST_HEIGHT = 148  # px
TYPED_MS = 150  # what is still being typed is not judged
NAMED_PROBLEMS = 3


class AxisRow(QWidget):
    """One field and the values it takes; ``axis`` is None while they cannot be read, and the row says why."""

    changed = Signal()
    removed = Signal()

    def __init__(self, specs: Sequence[FieldSpec], parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._specs = {spec.path: spec for spec in specs}
        self.axis: SweepAxis | None = None
        self.field = ChoiceBox(tuple((spec.path, spec.label) for spec in specs), self)
        self.field.setFixedWidth(theme.text_width(VALUES_WIDTH))
        self.values = QLineEdit(self)
        self.values.setToolTip(tr("Values divided by commas; where a value has commas itself, divide by ;"))
        self.remove = IconButton("ph.x", tr("Leave this field out"), self, size=14)
        self.remove.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.problem = QLabel(self)
        self.problem.setWordWrap(True)
        theme.set_role(self.problem, role="error")
        self._lay_out()
        self.field.edited.connect(self._on_field)
        self.values.textChanged.connect(self.read)
        self.remove.clicked.connect(self.removed)
        self._on_field()

    def set_number(self, number: int) -> None:
        """The row is called by its place, from 0, as rows come and go."""
        for name, part in {
            "field": self.field, "values": self.values, "remove": self.remove, "problem": self.problem
        }.items():  # fmt: skip
            part.setObjectName(f"sweep.{number}.{name}")
        self.field.setAccessibleName(tr("Field {number}", number=number + 1))
        self.values.setAccessibleName(tr("Values of field {number}", number=number + 1))

    def choose(self, path: str, text: str = "") -> None:
        """Takes a field and its values."""
        self.field.set_value(path)
        self._on_field()
        self.values.setText(text)

    def read(self) -> None:
        """Reads what is typed."""
        said = ""
        try:
            self.axis = parse_axis(str(self.field.value()), self.values.text())
        except UnusableError as error:
            self.axis = None
            if self.values.text().strip():
                said = " ".join(one.text for one in error.problems[:2])
        self.problem.setText(said)
        self.problem.setVisible(bool(said))
        if (self.values.property("problem") or "") != ("error" if said else ""):
            theme.set_role(self.values, problem="error" if said else "")
        self.changed.emit()

    def _on_field(self, _path: object = None) -> None:
        spec = self._specs[str(self.field.value())]
        self.field.setToolTip(spec.help)
        self.values.setPlaceholderText(example(spec))
        self.read()

    def _lay_out(self) -> None:
        row = QHBoxLayout()
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(theme.SPACE)
        row.addWidget(self.field)
        row.addWidget(self.values, 1)
        row.addWidget(self.remove)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        below = QHBoxLayout()
        below.setContentsMargins(theme.text_width(VALUES_WIDTH) + theme.SPACE, 0, 0, 0)
        below.addWidget(self.problem)
        layout.addLayout(row)
        layout.addLayout(below)


class SweepDialog(KeyedDialog):
    """Varies a config. Every variant is checked as Start checks the form; ``queued(entries)`` when it is accepted.

    ``run_s`` gives the seconds that a config takes for so many iterations, or None.
    """

    queued = Signal(list)  # list[QueueEntry]

    def __init__(
        self,
        config: TrainConfig,
        inspection: Inspection | None = None,
        data: DataReport | None = None,
        parent: QWidget | None = None,
        *,
        run_s: Callable[[TrainConfig, int], float | None] = lambda _config, _iterations: None,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("sweep_dialog")
        self.setWindowTitle(tr("Sweep"))
        self.resize(theme.text_width(SWEEP_DIALOG_WIDTH), 0)
        self._config, self._inspection, self._data, self._run_s = config, inspection, data, run_s
        self._specs = sweepable(config)
        self.rows: list[AxisRow] = []
        self.variants: list[Variant] = []
        self._found: list[list[Problem]] = []
        self._turn = QTimer(self)
        self._turn.setSingleShot(True)
        self._turn.setInterval(TYPED_MS)
        self._turn.timeout.connect(self.check)
        self._fitting = QTimer(self)
        self._fitting.setSingleShot(True)
        self._fitting.setInterval(0)
        self._fitting.timeout.connect(self._fit)
        self._work = SlicedWork(self)
        self._work.finished.connect(self._show_checked)
        self._build()
        first = "lora_parameters.rank" if any(s.path == "lora_parameters.rank" for s in self._specs) else "seed"
        row = self.add_row()
        row.choose(first, "8, 16, 32" if first != "seed" else "0, 1, 2")
        row.values.setFocus()
        row.values.selectAll()
        self.check()

    @property
    def is_busy(self) -> bool:
        """True while variants are being checked."""
        return self._turn.isActive() or self._work.is_busy

    # -- fields -----------------------------------------------------------------------------------------------

    def add_row(self) -> AxisRow:
        """Adds a field, the first that is not varied yet."""
        row = AxisRow(self._specs, self)
        used = {one.field.value() for one in self.rows}
        row.choose(next(spec.path for spec in self._specs if spec.path not in used))
        row.changed.connect(self._on_typed)
        row.removed.connect(self._on_removed)
        self.rows.append(row)
        self._fields.addWidget(row)
        self._arrange()
        return row

    def _on_add(self) -> None:
        self.add_row()
        self.check()  # it has no values yet

    def _on_typed(self) -> None:
        self._go.setEnabled(False)  # by Return, too, only what is shown is queued
        self._turn.start()

    def _on_removed(self) -> None:
        row = self.sender()
        assert isinstance(row, AxisRow)
        self.rows.remove(row)
        self._fields.removeWidget(row)
        row.hide()
        row.deleteLater()
        self._arrange()
        self.check()

    def _arrange(self) -> None:
        full = len(self.rows) >= MAX_FIELDS
        self._add.setEnabled(not full)
        self._add.setToolTip(
            tr("A sweep has at most {max_fields} fields", max_fields=MAX_FIELDS)
            if full
            else tr("Vary one more field")
        )
        for number, row in enumerate(self.rows):
            row.set_number(number)
            row.remove.setVisible(len(self.rows) > 1)

    # -- checks -----------------------------------------------------------------------------------------------

    def check(self) -> None:
        """Makes the variants of what is typed and checks them, one after the other between the window's events."""
        self._turn.stop()
        self._work.stop()
        self.variants, self._found = [], []
        self._go.setEnabled(False)
        self._go.setText(tr("Queue the runs"))
        axes = [row.axis for row in self.rows]
        if any(axis is None for axis in axes):
            self._show_nothing(tr("Every field needs values that it takes."))
            return
        try:
            self.variants = expand(self._config, [axis for axis in axes if axis is not None])
        except UnusableError as error:
            self._show_nothing("", error.problems)
            return
        self._show_variants()
        self._work.start(self._check_each())

    def _check_each(self) -> Iterator[None]:
        for variant in self.variants:
            self._found.append(check_variant(variant, self._inspection, self._data))
            yield

    def _show_nothing(self, said: str, problems: Sequence[Problem] = ()) -> None:
        self._count.setText("–")
        self._total.setText(said)
        self._list.clear()
        self._show_problems(problems)
        self._go.setToolTip(said or tr("Something stands in the way: see above"))

    def _show_variants(self) -> None:
        self._count.setText(plural(len(self.variants), "run"))
        self._total.setText(self._total_text())
        self._list.clear()
        for variant in self.variants:
            item = QListWidgetItem(dot(theme.colors().faint), value_words(variant.values))
            item.setToolTip(variant.name)
            self._list.addItem(item)
        self._show_problems(())

    def _total_text(self) -> str:
        total = total_iterations(self.variants, self._data)
        if total is None:
            return tr("one after the other")
        parts = [tr("{iterations} in all", iterations=plural(total, "iteration"))]
        counts = [(v.config, variant_iterations(v, self._data)) for v in self.variants]
        seconds = [self._run_s(config, count) for config, count in counts if count is not None]
        known = [one for one in seconds if one is not None]
        if len(known) == len(counts):
            parts.append(
                tr("about {known}, going by what was measured on this machine", known=duration_text(sum(known)))
            )
        return " · ".join(parts)

    def _show_checked(self) -> None:
        c = theme.colors()
        for row, problems in enumerate(self._found):
            bad = errors(problems)
            item = self._list.item(row)
            item.setIcon(theme.icon("ph.x-circle", c.error) if bad else theme.icon("ph.check-circle", c.good))
            told = "\n".join(one.sentence() for one in bad)
            item.setData(
                Qt.ItemDataRole.AccessibleTextRole,
                tr("{text}: {told}", text=item.text(), told=told or tr("can run")),
            )
            if bad:
                item.setToolTip(told)
        found = variant_errors(self.variants, self._found)
        self._show_problems(found)
        self._go.setEnabled(not found)
        self._go.setText(tr("Queue {runs}", runs=plural(len(self.variants), "run")))
        self._go.setToolTip(
            tr("Something stands in the way: see above") if found else tr("Put all of them into the queue")
        )

    def _show_problems(self, problems: Sequence[Problem]) -> None:
        lines = [one.text for one in problems[:NAMED_PROBLEMS]]
        if len(problems) > NAMED_PROBLEMS:
            lines.append(tr("… and {problems} more", problems=len(problems) - NAMED_PROBLEMS))
        self._problems.setText("\n".join(lines))
        self._problems.setVisible(bool(lines))
        self._fitting.start()

    def _fit(self) -> None:
        """As high as what is in it: wrapped lines come and go."""
        layout = self.layout()
        if layout is not None:
            self.resize(self.width(), layout.totalHeightForWidth(self.width()))

    def accept(self) -> None:
        """Gives out the variants as entries of the queue."""
        axes = [row.axis for row in self.rows if row.axis is not None]
        self.queued.emit(entries(self.variants, sweep_name(self._config, axes)))
        super().accept()

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 3] * 4)
        layout.setSpacing(theme.SPACE * 3 // 2)
        title, line = QLabel(tr("Sweep"), self), QLabel(self)
        line.setText(tr("Trains the setup of the form once for every combination of the values below."))
        line.setWordWrap(True)
        theme.set_role(title, role="title")
        theme.set_role(line, role="muted")
        heading = QVBoxLayout()
        heading.setSpacing(2)
        heading.addWidget(title)
        heading.addWidget(line)
        layout.addLayout(heading)
        self._fields = QVBoxLayout()
        self._fields.setSpacing(theme.SPACE)
        layout.addLayout(self._fields)
        self._add = QPushButton(theme.icon("ph.plus"), tr("Vary one more field"), self)
        self._add.setObjectName("sweep.add")
        self._add.setAccessibleName(tr("Vary one more field"))
        theme.set_role(self._add, kind="quiet")
        self._add.clicked.connect(self._on_add)
        layout.addWidget(self._add, 0, Qt.AlignmentFlag.AlignLeft)
        layout.addLayout(self._sum())
        layout.addWidget(self._variant_list())
        self._problems = QLabel(self)
        self._problems.setObjectName("sweep.problems")
        self._problems.setWordWrap(True)
        theme.set_role(self._problems, role="error")
        layout.addWidget(self._problems)
        layout.addStretch(1)
        layout.addLayout(self._buttons())

    def _sum(self) -> QHBoxLayout:
        self._count, self._total = QLabel(self), ElidedLabel("", self)
        self._count.setObjectName("sweep.count")
        self._total.setObjectName("sweep.total")
        theme.set_role(self._count, role="section")
        theme.set_role(self._total, role="muted")
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(self._count)
        row.addWidget(self._total, 1)
        return row

    def _variant_list(self) -> QListWidget:
        self._list = QListWidget(self)
        self._list.setObjectName("sweep.variants")
        self._list.setAccessibleName(tr("The runs of the sweep"))
        self._list.setToolTip(tr("The runs of the sweep, in the order they are trained"))
        self._list.setIconSize(QSize(DOT, DOT))
        self._list.setFixedHeight(LIST_HEIGHT)
        self._list.setSelectionMode(QListWidget.SelectionMode.NoSelection)
        return self._list

    def _buttons(self) -> QHBoxLayout:
        cancel, self._go = QPushButton(tr("Cancel"), self), QPushButton(tr("Queue the runs"), self)
        cancel.setObjectName("sweep.cancel")
        cancel.setToolTip(tr("Queue nothing"))
        self._go.setObjectName("sweep.queue")
        self._go.setAccessibleName(tr("Queue the runs"))
        theme.set_role(self._go, kind="primary")
        self._go.setDefault(True)
        cancel.clicked.connect(self.reject)
        self._go.clicked.connect(self.accept)
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addStretch(1)
        row.addWidget(cancel)
        row.addWidget(self._go)
        return row
