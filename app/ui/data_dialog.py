"""The dialog "Data": what the model will see of them, how long they are, what is wrong, and how they are read."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QDialog, QHBoxLayout, QLabel, QPushButton, QTabWidget, QVBoxLayout, QWidget

from app.core.problem import Severity
from app.ui import theme
from app.ui.config_store import ConfigStore
from app.ui.data_column_page import DataColumnPage
from app.ui.data_edit_page import DataEditPage
from app.ui.data_example_page import DataExamplePage
from app.ui.data_inspector import DataInspector
from app.ui.data_length_page import DataLengthPage
from app.ui.data_problem_page import DataProblemPage
from app.ui.data_split_page import DataSplitPage, data_text
from app.ui.field import Field


class DataDialog(QDialog):
    """Six pages over one `DataInspector`; what they edit is in the `ConfigStore` at once."""

    def __init__(self, store: ConfigStore, inspector: DataInspector, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("data_dialog")
        self.setWindowTitle("Data")
        self.resize(960, 680)
        self.setMinimumSize(760, 560)
        self._inspector = inspector
        self._store = store
        self.examples = DataExamplePage(store, inspector, self)
        self.lengths = DataLengthPage(store, inspector, self)
        self.problems = DataProblemPage(store, inspector, self)
        self.columns = DataColumnPage(store, inspector, self)
        self.split = DataSplitPage(store, inspector, self)
        self.edit = DataEditPage(store, inspector, self)
        self.pages = QTabWidget(self)
        self.pages.setObjectName("data.pages")
        for page, title in (
            (self.examples, "Examples"), (self.lengths, "Lengths"), (self.problems, "Problems"),
            (self.columns, "Columns"), (self.split, "Split"), (self.edit, "Edit"),
        ):  # fmt: skip
            self.pages.addTab(page, title)
        self._lay_out()
        for asking in (self.examples, self.problems):
            asking.edit_requested.connect(self.show_row)
        inspector.reported.connect(self._on_reported)
        self._on_reported()

    @property
    def fields(self) -> dict[str, Field]:
        """Every config field of the dialog by its path."""
        pages = (self.examples, self.lengths, self.problems, self.columns, self.split)
        return {path: field for page in pages for path, field in page.fields.items()}

    def done(self, result: int) -> None:
        """Closes; the preview's worker ends, and what was edited but not saved stays for the next time."""
        self.examples.previewer.close()
        super().done(result)

    def shutdown(self) -> None:
        """Ends the workers before the window closes."""
        self.examples.shutdown()
        self.edit.shutdown()

    def show_problems(self, severity: Severity | None = None) -> None:
        """Shows what was found, all or one severity."""
        if severity is not None:
            self.problems.show_severity(severity)
        self.pages.setCurrentWidget(self.problems)

    def show_columns(self) -> None:
        """Shows which columns are read."""
        self.pages.setCurrentWidget(self.columns)

    def show_row(self, file: str, line: int) -> None:
        """Shows a row to edit."""
        self.pages.setCurrentWidget(self.edit)
        self.edit.show_row(file, line)

    def _lay_out(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE * 2, theme.SPACE, theme.SPACE * 2, theme.SPACE * 2)
        layout.setSpacing(theme.SPACE * 3 // 2)
        layout.addWidget(self.pages, 1)
        foot = QHBoxLayout()
        self._name = QLabel(self)
        self._name.setProperty("role", "small")
        self._name.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        foot.addWidget(self._name, 1)
        close = QPushButton("Close", self)
        close.setObjectName("data.close")
        close.setAutoDefault(False)
        close.clicked.connect(self.reject)
        foot.addWidget(close)
        layout.addLayout(foot)

    def _on_reported(self) -> None:
        report = self._inspector.last_report
        count = report.error_count + report.warning_count if report is not None else 0
        self.pages.setTabText(2, f"Problems · {count:,}" if count else "Problems")
        name = data_text(self._store.config.data) if self._inspector.has_data else ""
        self._name.setText(name)
        self.setWindowTitle(f"Data – {name}" if name else "Data")
