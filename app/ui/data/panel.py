"""The card "Data": training, validation and test examples, what they are in one line, and what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QMenu, QPushButton, QWidget

from app.core.config.spec import field_specs
from app.core.data.report import DataReport
from app.core.language import tr
from app.core.problem import Problem, Severity
from app.core.setup.path_kind import DATA_KINDS, sort_path
from app.core.system import starter
from app.core.system.setting import load_settings
from app.ui.data.inspector import DataInspector
from app.ui.data.summary import DataSummary
from app.ui.form.field import Field
from app.ui.form.path_editor import PathEditor
from app.ui.form.store import ConfigStore
from app.ui.widget import theme
from app.ui.widget.drop import DropCard, DropZone

if TYPE_CHECKING:
    from app.ui.data.dialog import DataDialog

PLACEHOLDERS = {
    "data": tr("File or folder of examples"),
    "valid_data": tr("Optional: a share is set aside"),
    "test_data": tr("Optional: a share is set aside"),
}


class DataPanel(DropCard):
    """Edits ``data``, ``valid_data`` and ``test_data`` of a `ConfigStore`; what they are is told by ``inspector``.

    ``reported`` fires when ``report`` or ``problem`` (why there is no report) changed.
    """

    reported = Signal()
    takes_several = True

    def __init__(self, store: ConfigStore, parent: QWidget | None = None) -> None:
        super().__init__(tr("Data"), parent=parent)
        self.setObjectName("data_panel")
        self._store = store
        self.dialog: DataDialog | None = None
        self._starter: Callable[[], Path] = starter.examples_dir
        self.inspector = DataInspector(store, self)
        self.editors = {
            path: PathEditor(field_specs()[path], self, placeholder=text, fill_menu=self._fill)
            for path, text in PLACEHOLDERS.items()
        }
        self.fields = {
            path: Field(
                path, store, self, editor=editor, labelled=path != "data", commit=partial(store.choose, path)
            )
            for path, editor in self.editors.items()
        }
        self.summary = DataSummary(store, self.inspector, self)
        self._empty = self._empty_state()
        for part in (self.fields["data"], self._empty, self.summary, self.fields["valid_data"],
                     self.fields["test_data"]):  # fmt: skip
            self.body.addWidget(part)
        self.body.addStretch(1)
        self._add_look_button()
        self.dropped.connect(self.take)
        self.summary.problems_requested.connect(self.show_problems)
        self.summary.columns_requested.connect(self.show_columns)
        self.inspector.started.connect(self._show_parts)
        self.inspector.reported.connect(self._on_reported)
        self._show_parts()

    # -- what others ask --------------------------------------------------------------------------------------

    @property
    def report(self) -> DataReport | None:
        """What the check of the present data found; None while it is not known."""
        return self.inspector.report

    @property
    def problem(self) -> Problem | None:
        """Why the data cannot be known."""
        return self.inspector.problem

    @property
    def is_busy(self) -> bool:
        """True while anything about the data is being found out."""
        return self.inspector.is_busy

    def set_model(self, model: str) -> None:
        """Tells whose tokenizer the rows should pass; "" while there is none."""
        self.inspector.set_model(model)

    def shutdown(self) -> None:
        """Ends the workers before the window closes."""
        self.inspector.stop()
        if self.dialog is not None:
            self.dialog.shutdown()

    def accepts(self, path: Path) -> bool:
        """Data files, and folders that hold some; decided by names, as the window does."""
        return sort_path(path).kind in DATA_KINDS

    def take(self, paths: list[Path]) -> None:
        """Takes dropped files in any number: each goes where its name says, several of one kind together."""
        before = self._store.config
        problem = self._store.take(map(sort_path, paths))
        if problem is not None:
            self.summary.say(problem.sentence(), "error")
        elif self._store.config is before:  # dropped once more: it was given up before, or the file has changed
            self.inspector.read()

    def use_starter(self) -> None:
        """Chooses the bundled data, with the settings that their own config has for them."""
        self.editors["data"].choose(str(self._starter()))

    def set_starter(self, folder: Callable[[], Path], tip: str, wanted: str) -> None:
        """Offers other bundled data; ``wanted`` says which files and rows may be dropped."""
        self._starter = folder
        self._starter_button.setToolTip(tip)
        self._empty.wanted.setText(wanted)

    # -- the dialog -------------------------------------------------------------------------------------------

    def look(self) -> DataDialog:
        """Opens the dialog, where it was."""
        dialog = self._made_dialog()
        dialog.show()
        dialog.raise_()
        dialog.activateWindow()
        return dialog

    def show_problems(self, severity: Severity) -> None:
        """Opens the list of problems."""
        self._made_dialog().show_problems(severity)
        self.look()

    def show_columns(self) -> None:
        """Opens the choice of columns."""
        self._made_dialog().show_columns()
        self.look()

    def _made_dialog(self) -> DataDialog:
        if self.dialog is None:
            from app.ui.data.dialog import DataDialog  # not before: the window should open quickly

            self.dialog = DataDialog(self._store, self.inspector, self.window())
        return self.dialog

    # -- parts ------------------------------------------------------------------------------------------------

    def _add_look_button(self) -> None:
        self.look_button = QPushButton(tr("Look at the data…"), self)
        self.look_button.setObjectName("data.look")
        self.look_button.setToolTip(tr("Examples as the model sees them, lengths, problems, columns, split"))
        theme.set_role(self.look_button, kind="link")
        self.look_button.clicked.connect(self.look)
        self.tools.addWidget(self.look_button)

    def _empty_state(self) -> DropZone:
        wanted = tr("JSONL, JSON, CSV, Excel, Parquet, Arrow, text, Word, PDF, EPUB or ZIP, one file or many:")
        wanted += tr(" chats, prompts with answers, or plain text")
        zone = DropZone(tr("Drop training data here"), wanted, self)
        self._starter_button = zone.add_button(
            "data.starter", tr("Use the starter data"), tr("Some 700 chats that teach a style"), self.use_starter
        )
        zone.add_button(
            "data.browse_file", tr("Browse…"), tr("Choose a data file"), self.editors["data"].browse, kind="quiet"
        )
        return zone

    def _fill(self, menu: QMenu) -> None:
        menu.addSection(tr("Recent"))
        for path in load_settings().recent_data:
            action = menu.addAction(menu.fontMetrics().elidedText(path, Qt.TextElideMode.ElideMiddle, 420))
            action.setData(path)
            action.setToolTip(path)
        menu.addAction(tr("Starter data")).setData(str(self._starter()))

    # -- what happens -----------------------------------------------------------------------------------------

    def _show_parts(self) -> None:
        chosen = self.inspector.has_data
        self._empty.setVisible(not chosen)
        self.summary.setVisible(chosen)
        self.look_button.setVisible(chosen)

    def _on_reported(self) -> None:
        if self.report is not None:
            import app.ui.data.dialog  # noqa: F401 — in a turn of its own, before somebody clicks

        self._show_parts()
        self._show_given()
        self.reported.emit()

    def _show_given(self) -> None:
        """Where the folder of the training data has the other parts, nothing is set aside for them."""
        splits = self.report.splits if self.report is not None else {}
        for path, split in (("valid_data", "valid"), ("test_data", "test")):
            files = splits[split].files if split in splits else ()
            given = tr("From the folder: {names}", names=", ".join(Path(file).name for file in files))
            # With validation data of its own a data set has all its test data too, if it has any.
            other = tr("Optional") if path == "test_data" and "valid" in splits else PLACEHOLDERS[path]
            self.editors[path].set_placeholder(given if files else other)
