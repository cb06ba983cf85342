"""The page "Problems": everything found in the data, counted, listed with file and line, with what to do."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QModelIndex, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QSizePolicy, QVBoxLayout, QWidget

from app.core.data.report import DataReport, save_findings
from app.core.language import joined, tr
from app.core.problem import Severity
from app.core.quantity import plural
from app.core.refusal import reason_of
from app.core.source.collection import shown_path
from app.core.source.finding import KEPT_PER_SEVERITY, KINDS, Finding
from app.ui.data.inspector import DataInspector
from app.ui.data.problem_table import ORDER, ProblemFilter, ProblemTable, ProblemView
from app.ui.edit.all_rows import REPEAT_REPAIR, ROLE_REPAIR
from app.ui.form.field import Field
from app.ui.form.plain_editor import ChoiceBox
from app.ui.form.store import ConfigStore
from app.ui.platform.file_panel import ask_new_file
from app.ui.widget import theme
from app.ui.widget.flow import Flow
from app.ui.widget.pill import ProblemPill

# What can be repaired in all rows at once, and how.
REPAIRS = {"unknown_role": ROLE_REPAIR, "renamed_role": ROLE_REPAIR, "duplicate": REPEAT_REPAIR}


class DataProblemPage(QWidget):
    """Lists the findings of a `DataInspector` and edits ``skip_bad_rows`` of a `ConfigStore`.

    ``edit_requested(file, line)`` asks to repair a row, ``repair_requested(file, line, repair)`` all alike.
    """

    edit_requested = Signal(str, int)
    repair_requested = Signal(str, int, str)

    def __init__(self, store: ConfigStore, inspector: DataInspector, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("data_problem_page")
        self._store, self._inspector = store, inspector
        self._table = ProblemTable(self)
        self.proxy = ProblemFilter(self)
        self.proxy.setSourceModel(self._table)
        self._build()
        inspector.reported.connect(self.refresh)
        self.refresh()

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, 0)
        layout.setSpacing(theme.SPACE * 3 // 2)
        layout.addLayout(self._filters())
        self.view = ProblemView(self.proxy, self)
        self.view.selectionModel().currentRowChanged.connect(self._on_row)
        self.view.doubleClicked.connect(self._on_activated)
        layout.addWidget(self.view, 1)
        self.hint_label = QLabel(self)
        self.hint_label.setObjectName("problems.hint")
        self.hint_label.setWordWrap(True)
        self.hint_label.setMinimumHeight(36)
        self.hint_label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self.hint_label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        layout.addWidget(self.hint_label)
        layout.addLayout(self._foot())

    def _filters(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        self.pills = {severity: ProblemPill(severity, self, always=True) for severity in Severity}
        for severity, pill in self.pills.items():
            pill.setObjectName(f"problems.{severity.value}")
            pill.setCheckable(True)
            pill.setChecked(True)
            pill.toggled.connect(self._filter)
            row.addWidget(pill)
        row.addSpacing(theme.SPACE)
        self.kind_box = ChoiceBox((), self)
        self.kind_box.setObjectName("problems.kind")
        self.kind_box.setAccessibleName(tr("Kind of problem"))
        self.kind_box.setToolTip(tr("Show one kind of problem"))
        self.kind_box.setMinimumContentsLength(28)
        self.kind_box.edited.connect(self._filter)
        row.addWidget(self.kind_box)
        row.addStretch(1)
        self.listed_label = QLabel(self)
        self.listed_label.setObjectName("problems.listed")
        self.listed_label.setProperty("role", "small")
        row.addWidget(self.listed_label)
        return row

    def _foot(self) -> Flow:
        row = Flow(align=Qt.AlignmentFlag.AlignRight)
        self.fields = {"skip_bad_rows": Field("skip_bad_rows", self._store, self)}
        self.fields["skip_bad_rows"].setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)
        row.addWidget(self.fields["skip_bad_rows"])
        self.edit_button = QPushButton(tr("Repair this row…"), self)
        self.edit_button.setObjectName("problems.edit")
        self.edit_button.setToolTip(tr("Change or drop the row, and save the data as a new file"))
        self.edit_button.clicked.connect(self._on_activated)
        self.repair_button = QPushButton(tr("Repair all alike…"), self)
        self.repair_button.setObjectName("problems.repair")
        self.repair_button.setToolTip(
            tr("For roles by another name, and rows that repeat: all of the file at once")
        )
        self.repair_button.clicked.connect(self._on_repair)
        self.export_button = QPushButton(tr("Export…"), self)
        self.export_button.setObjectName("problems.export")
        self.export_button.setToolTip(tr("Save the list as a table (CSV)"))
        self.export_button.clicked.connect(self._on_export)
        for button in (self.edit_button, self.repair_button, self.export_button):
            button.setAutoDefault(False)
            row.addWidget(button)
        return row

    # -- showing ----------------------------------------------------------------------------------------------

    def show_severity(self, severity: Severity) -> None:
        """Lists one severity."""
        for its, pill in self.pills.items():
            pill.setChecked(its is severity)

    def refresh(self) -> None:
        """Takes over the present report."""
        report = self._inspector.last_report
        findings = [*report.errors, *report.warnings, *report.notes] if report else []
        self._table.set_rows(findings)
        counts = report.counts if report else {}
        for severity, pill in self.pills.items():
            pill.set_count(sum(n for kind, n in counts.items() if KINDS[kind].severity is severity))
        shown = {severity for severity, pill in self.pills.items() if pill.isChecked()}
        if counts and not any(KINDS[kind].severity in shown for kind in counts):  # a choice that was of other data
            for pill in self.pills.values():
                pill.setChecked(True)
        self._fill_kinds(counts)
        self.export_button.setEnabled(bool(findings))
        self._filter()

    def _fill_kinds(self, counts: dict[str, int]) -> None:
        chosen = self.kind_box.value() or ""
        self.kind_box.clear()
        self.kind_box.addItem(tr("All kinds"), "")
        for kind in sorted(filter(counts.get, counts), key=lambda k: (ORDER[KINDS[k].severity], -counts[k])):
            self.kind_box.addItem(tr("{label} · {counts:,}", label=KINDS[kind].label, counts=counts[kind]), kind)
        self.kind_box.set_value(chosen if chosen in counts else "")

    def _filter(self, _value: object = None) -> None:
        wanted = frozenset(severity for severity, pill in self.pills.items() if pill.isChecked())
        self.proxy.set_wanted(wanted, str(self.kind_box.value() or ""))
        self._show_listed()
        self._show_hint(None)

    def _show_listed(self) -> None:
        report, listed = self._inspector.last_report, self.proxy.rowCount()
        total = sum(report.counts.values()) if report else 0
        text, tip = tr("{listed:,} listed", listed=listed), ""
        if report and any(
            len(kept) >= KEPT_PER_SEVERITY for kept in (report.errors, report.warnings, report.notes)
        ):
            text = tr("{listed:,} listed of {total:,}", listed=listed, total=total)
            tip = tr(
                "All are counted; the first {kept_per_severity:,} of a severity are listed",
                kept_per_severity=KEPT_PER_SEVERITY,
            )
        self.listed_label.setText(text if total else "")
        self.listed_label.setToolTip(tip)

    def _chosen(self) -> Finding | None:
        rows = self.view.selectionModel().selectedRows()
        return self._table.rows[self.proxy.mapToSource(rows[0]).row()] if rows else None

    def _show_hint(self, finding: Finding | None) -> None:
        self.edit_button.setEnabled(finding is not None and finding.line is not None)
        self.repair_button.setEnabled(finding is not None and finding.kind in REPAIRS)
        if finding is None:
            report = self._inspector.last_report
            nothing = report is not None and not any(report.counts.values())
            self.hint_label.setText(tr("Nothing was found: the data are clean.") if nothing else "")
            theme.set_role(self.hint_label, role="good" if nothing else "small")
            return
        where = f"{shown_path(finding.file)}" + (tr(", line {line:,}", line=finding.line) if finding.line else "")
        self.hint_label.setText(f"{joined((finding.reason, finding.hint))}\n{where}")
        theme.set_role(self.hint_label, role="small")

    # -- what happens -----------------------------------------------------------------------------------------

    def _on_row(self, current: QModelIndex, _previous: QModelIndex) -> None:
        row = self.proxy.mapToSource(current).row()
        self._show_hint(self._table.rows[row] if row >= 0 else None)

    def _on_activated(self) -> None:
        finding = self._chosen()
        if finding is not None and finding.line is not None:
            self.edit_requested.emit(finding.file, finding.line)

    def _on_repair(self) -> None:
        finding = self._chosen()
        if finding is not None and finding.kind in REPAIRS:
            self.repair_requested.emit(finding.file, finding.line or 1, REPAIRS[finding.kind])

    def _on_export(self) -> None:
        name, _ = ask_new_file(self, tr("Export the problems"), "problems.csv", tr("Table (*.csv);;JSON (*.json)"))
        if name and self._inspector.last_report is not None:
            self.export(Path(name), self._inspector.last_report)

    def export(self, path: Path, report: DataReport) -> None:
        """Writes the list; says so, or why not."""
        try:
            save_findings(report, path)
        except OSError as error:
            theme.set_role(self.hint_label, role="error")
            self.hint_label.setText(
                tr("{path} cannot be written: {reason_of}.", path=path, reason_of=reason_of(error))
            )
            return
        theme.set_role(self.hint_label, role="good")
        listed = len(report.errors) + len(report.warnings) + len(report.notes)
        self.hint_label.setText(tr("{lines} saved as {path}.", lines=plural(listed, "line"), path=path))
