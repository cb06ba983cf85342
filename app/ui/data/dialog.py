"""The dialog "Data": what the model will see of them, how long they are, what is wrong, and how they are read."""

from __future__ import annotations

from functools import cached_property
from typing import TypeVar

from PySide6.QtCore import QSignalBlocker, Qt, QTimer
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from app.core.language import tr
from app.core.problem import Severity
from app.ui.data.column_page import DataColumnPage
from app.ui.data.edit_page import DataEditPage
from app.ui.data.example_page import DataExamplePage
from app.ui.data.inspector import DataInspector
from app.ui.data.length_page import DataLengthPage
from app.ui.data.problem_page import DataProblemPage
from app.ui.data.split_page import DataSplitPage
from app.ui.data.split_text import data_text
from app.ui.form.field import Field
from app.ui.form.store import ConfigStore
from app.ui.platform.scrolling import calm_tabs
from app.ui.widget import theme
from app.ui.widget.keyed_dialog import KeyedDialog

Page = TypeVar("Page", bound=QWidget)
BETWEEN_PAGES_MS = 50
PAGE_TITLES = {
    "examples": tr("Examples"),
    "lengths": tr("Lengths"),
    "problems": tr("Problems"),
    "columns": tr("Columns"),
    "split": tr("Split"),
    "edit": tr("Edit"),
}
PAGES = tuple(PAGE_TITLES)


class DataDialog(KeyedDialog):
    """Six pages over one `DataInspector`; what they edit is in the `ConfigStore` at once."""

    def __init__(self, store: ConfigStore, inspector: DataInspector, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("data_dialog")
        self.setWindowTitle(tr("Data"))
        self.resize(960, 680)
        self.setMinimumSize(760, 560)
        self._inspector = inspector
        self._store = store
        self.pages = calm_tabs("data.pages", tr("Parts of the data"), self)
        for name in PAGES:
            self.pages.addTab(QWidget(self), PAGE_TITLES[name])
        self._lay_out()
        self._building = QTimer(self)
        self._building.setInterval(BETWEEN_PAGES_MS)
        self._building.timeout.connect(self._build_next)
        self.pages.currentChanged.connect(self._on_page)
        inspector.reported.connect(self._on_reported)
        self._on_reported()

    # Each page is built in a turn of its own: all six together would keep the window waiting.

    @cached_property
    def examples(self) -> DataExamplePage:
        """What the model will see."""
        page = self._put("examples", DataExamplePage(self._store, self._inspector, self))
        page.edit_requested.connect(self.show_row)
        return page

    @cached_property
    def lengths(self) -> DataLengthPage:
        """How long the examples are."""
        return self._put("lengths", DataLengthPage(self._store, self._inspector, self))

    @cached_property
    def problems(self) -> DataProblemPage:
        """What is wrong."""
        page = self._put("problems", DataProblemPage(self._store, self._inspector, self))
        page.edit_requested.connect(self.show_row)
        page.repair_requested.connect(self.repair)
        return page

    @cached_property
    def columns(self) -> DataColumnPage:
        """Which columns are read."""
        return self._put("columns", DataColumnPage(self._store, self._inspector, self))

    @cached_property
    def split(self) -> DataSplitPage:
        """What is trained on and what is set aside."""
        return self._put("split", DataSplitPage(self._store, self._inspector, self))

    @cached_property
    def edit(self) -> DataEditPage:
        """Rows to change."""
        return self._put("edit", DataEditPage(self._store, self._inspector, self))

    def _put(self, name: str, page: Page) -> Page:
        at = PAGES.index(name)
        current, title, empty = self.pages.currentIndex(), self.pages.tabText(at), self.pages.widget(at)
        with QSignalBlocker(self.pages):
            self.pages.removeTab(at)
            self.pages.insertTab(at, page, title)
            self.pages.setCurrentIndex(current)
        if empty is not None:
            empty.deleteLater()
        return page

    def _on_page(self, at: int) -> None:
        getattr(self, PAGES[at])

    def showEvent(self, event: QShowEvent) -> None:
        self._on_page(self.pages.currentIndex())
        self._building.start()
        super().showEvent(event)

    def _build_next(self) -> None:
        """Builds one of the pages that nobody asked for yet, so that a click on its tab is answered at once."""
        missing = [name for name in PAGES if name not in vars(self)]
        if missing:
            getattr(self, missing[0])
        else:
            self._building.stop()

    @property
    def fields(self) -> dict[str, Field]:
        """Every config field of the dialog by its path."""
        pages = (self.examples, self.lengths, self.problems, self.columns, self.split)
        return {path: field for page in pages for path, field in page.fields.items()}

    def done(self, result: int) -> None:
        """Closes; the preview's worker ends, and what was edited but not saved stays for the next time."""
        if "examples" in vars(self):
            self.examples.previewer.close()
        super().done(result)

    def shutdown(self) -> None:
        """Ends the workers before the window closes."""
        for name in ("examples", "edit"):
            if name in vars(self):
                getattr(self, name).shutdown()

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

    def repair(self, file: str, line: int, repair: str) -> None:
        """Repairs all rows of a file that are alike, in the editor's copy."""
        self.show_row(file, line)
        self.edit.all_rows.repair(repair)

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
        close = QPushButton(tr("Close"), self)
        close.setObjectName("data.close")
        close.setAutoDefault(False)
        close.clicked.connect(self.reject)
        foot.addWidget(close)
        layout.addLayout(foot)

    def _on_reported(self) -> None:
        report = self._inspector.last_report
        count = report.error_count + report.warning_count if report is not None else 0
        self.pages.setTabText(
            PAGES.index("problems"), tr("Problems · {count:,}", count=count) if count else tr("Problems")
        )
        name = data_text(self._store.config.data) if self._inspector.has_data else ""
        self._name.setText(name)
        self.setWindowTitle(tr("Data – {name}", name=name) if name else tr("Data"))
