"""The page "Edit": rows of a file fixed, dropped or added, and saved as a new file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QIntValidator, QKeySequence, QShortcut, QShowEvent
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListView,
    QPushButton,
    QSplitter,
    QVBoxLayout,
    QWidget,
)

from app.core.config.train_config import TrainConfig
from app.core.data.edit import EditHistory, Edits
from app.core.language import tr
from app.core.quantity import plural
from app.core.source.archive import outer_file
from app.core.source.collection import shown_path
from app.ui.data.inspector import DataInspector
from app.ui.edit.all_rows import AllRows
from app.ui.edit.row_list import RowList
from app.ui.edit.row_source import FEATURE_PATHS, RowSource, SourceRow
from app.ui.edit.row_view import RowView, parse_row, pretty_row
from app.ui.form.plain_editor import ChoiceBox
from app.ui.form.store import OF_THE_DATA, ConfigStore
from app.ui.platform.file_panel import ask_new_file
from app.ui.platform.key_text import with_keys
from app.ui.widget import theme
from app.ui.widget.icon_button import IconButton

WINDOW_ROWS = 50
_UNCHANGED = tr("Nothing is changed yet.")
_ASSEMBLED = tr("The rows are put together of what the file holds; a new file holds them as JSONL.")


class DataEditPage(QWidget):
    """Edits the files of a `DataInspector`'s data; the new file can become the training data of a `ConfigStore`."""

    saved = Signal(str)  # the new file

    def __init__(self, store: ConfigStore, inspector: DataInspector, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("data_edit_page")
        self._store, self._inspector = store, inspector
        self.source = RowSource(self)
        self.history = EditHistory()
        self._histories = {"": self.history}  # what is edited of a file stays while another is looked at
        self._shown: SourceRow | None = None
        self._wanted = 1
        self._target = ""
        self._build()
        self.source.arrived.connect(self._on_rows)
        self.source.saved.connect(self._on_saved)
        self.source.failed.connect(self._on_failed)
        inspector.reported.connect(self._on_reported)

    def shutdown(self) -> None:
        """Ends the worker before the window closes."""
        self.source.stop()

    @property
    def edits(self) -> Edits:
        """What is to become of the file that is shown."""
        return self.history.edits

    # -- parts ------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE, 0, 0)
        layout.setSpacing(theme.SPACE * 3 // 2)
        layout.addLayout(self._head())
        splitter = QSplitter(Qt.Orientation.Horizontal, self)
        splitter.setChildrenCollapsible(False)
        splitter.setHandleWidth(theme.SPACE * 2)
        splitter.addWidget(self._list())
        splitter.addWidget(self._editor())
        splitter.setSizes([340, 520])
        layout.addWidget(splitter, 1)
        layout.addLayout(self._foot())

    def _head(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        self.file_box = ChoiceBox((), self)
        self.file_box.setObjectName("edit.file")
        self.file_box.setAccessibleName(tr("File"))
        self.file_box.setToolTip(tr("Which file to edit"))
        self.file_box.setMinimumContentsLength(24)
        self.file_box.edited.connect(self._on_file)
        self.line_edit = QLineEdit(self)
        self.line_edit.setObjectName("edit.line")
        self.line_edit.setAccessibleName(tr("Line"))
        self.line_edit.setPlaceholderText(tr("Line"))
        self.line_edit.setToolTip(tr("Go to a line"))
        self.line_edit.setFixedWidth(theme.text_width(96))
        self.line_edit.setValidator(QIntValidator(1, 2**31 - 1, self))
        self.line_edit.returnPressed.connect(self._on_line)
        self.back_button = IconButton("ph.caret-left", tr("Rows before"), self)
        self.back_button.setObjectName("edit.back")
        self.back_button.clicked.connect(self._on_back)
        self.on_button = IconButton("ph.caret-right", tr("Rows after"), self)
        self.on_button.setObjectName("edit.on")
        self.on_button.clicked.connect(self._on_on)
        self._stretch = QLabel(self)
        self._stretch.setProperty("role", "muted")
        row.addWidget(self.file_box)
        row.addSpacing(theme.SPACE)
        for widget in (self.back_button, self._stretch, self.on_button, self.line_edit):
            row.addWidget(widget)
        row.addStretch(1)
        self.undo_button = IconButton(
            "ph.arrow-u-up-left", with_keys(tr("Undo"), QKeySequence.StandardKey.Undo), self
        )
        self.redo_button = IconButton(
            "ph.arrow-u-up-right", with_keys(tr("Redo"), QKeySequence.StandardKey.Redo), self
        )
        for button, name, act, key in (
            (self.undo_button, "edit.undo", self.undo, QKeySequence.StandardKey.Undo),
            (self.redo_button, "edit.redo", self.redo, QKeySequence.StandardKey.Redo),
        ):
            button.setObjectName(name)
            button.clicked.connect(act)
            keys = QShortcut(key, self)
            keys.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            keys.activated.connect(act)
            row.addWidget(button)
        self.all_rows = AllRows(self.source, self)
        self.all_rows.asked.connect(self._on_asked)
        self.all_rows.answered.connect(self._on_answered)
        row.addWidget(self.all_rows)
        self.add_button = self._button("edit.add", tr("Add a row"), tr("A new row at the end"), self._on_add)
        row.addWidget(self.add_button)
        return row

    def _list(self) -> QListView:
        self.rows = RowList(self.edits, self)
        self.list = QListView(self)
        self.list.setObjectName("edit.rows")
        self.list.setAccessibleName(tr("Rows"))
        self.list.setModel(self.rows)
        self.list.setUniformItemSizes(True)
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setStyleSheet("QListView::item { padding: 5px 6px; }")
        self.list.selectionModel().currentChanged.connect(self._on_row)
        return self.list

    def _editor(self) -> QWidget:
        part = QWidget(self)
        layout = QVBoxLayout(part)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        self.row_view = RowView(part)
        self.row_view.edited.connect(self._on_text)
        self.text_edit = self.row_view.text
        layout.addWidget(self.row_view, 1)
        self.fault_label = QLabel(part)
        self.fault_label.setObjectName("edit.fault")
        self.fault_label.setWordWrap(True)
        layout.addWidget(self.fault_label)
        row = QHBoxLayout()
        self.keep_button = self._button(
            "edit.keep", tr("Keep the change"), tr("The new file has the row as above"), self.keep
        )
        self.drop_button = self._button(
            "edit.drop", tr("Drop the row"), tr("The new file leaves the row out"), self.drop
        )
        self.restore_button = self._button(
            "edit.restore", tr("Restore the row"), tr("The row as it was"), self.restore
        )
        for button in (self.keep_button, self.drop_button, self.restore_button):
            row.addWidget(button)
        row.addStretch(1)
        layout.addLayout(row)
        return part

    def _foot(self) -> QHBoxLayout:
        row = QHBoxLayout()
        self.state_label = QLabel(self)
        self.state_label.setObjectName("edit.state")
        self.state_label.setWordWrap(True)
        row.addWidget(self.state_label, 1)
        self.use_button = self._button(
            "edit.use", tr("Use the new file"), tr("It becomes the training data"), self._on_use
        )
        self.use_button.hide()
        self.save_button = self._button("edit.save", tr("Save as a new file…"), tr("The original stays as it is"),
                                        self._on_save)  # fmt: skip
        row.addWidget(self.use_button)
        row.addWidget(self.save_button)
        return row

    def _button(self, name: str, text: str, tip: str, slot: Any) -> QPushButton:
        button = QPushButton(text, self)
        button.setObjectName(name)
        button.setToolTip(tip)
        button.setAutoDefault(False)
        button.clicked.connect(slot)
        return button

    # -- showing ----------------------------------------------------------------------------------------------

    @property
    def file(self) -> str:
        """The file that is edited."""
        return str(self.file_box.value() or "")

    def show_row(self, file: str, line: int) -> None:
        """Opens a file at a line."""
        self._fill_files()
        self.file_box.set_value(file)
        self._open(line)

    def _open(self, line: int) -> None:
        if not self.file:
            return
        self._settle()
        if not self.source.reads(self.file, self._config()):
            self._take(self._histories.setdefault(self._reading(), EditHistory()))
            self.rows.drafts = {}
            self._shown = None
            self.use_button.hide()
        self._wanted = line
        self._stretch.setText("…")
        self.source.ask(
            self.file,
            max(1, line - line % WINDOW_ROWS if line % WINDOW_ROWS > 5 else line - 5),
            WINDOW_ROWS,
            self._config(),
        )
        self._show_state()

    def _reading(self) -> str:
        """The file and how it is read: read otherwise, its rows are others."""
        return f"{self.file}\n{self._config().model_dump_json()}"

    def _config(self) -> TrainConfig:
        """What of the config says which rows a file holds: its maximum length only where it cuts them."""
        config, report = self._store.config, self._inspector.last_report
        paths = ("sheet", "answers_by", "encoding", "train_mode", *FEATURE_PATHS)
        values: dict[str, Any] = {path: config.value(path) for path in paths}
        if report is not None and (report.target == "text" or report.speakers):
            values["max_seq_length"] = config.max_seq_length
        return TrainConfig().with_values(values)

    def _fill_files(self) -> None:
        report = self._inspector.last_report
        files = [file for split in report.splits.values() for file in split.files] if report is not None else []
        chosen = self.file
        self.file_box.clear()
        for file in dict.fromkeys(files):
            self.file_box.addItem(shown_path(file).name, file)
        self.file_box.set_value(chosen if chosen in files else next(iter(files), None))

    def _on_reported(self) -> None:
        if self.isVisible() and self._inspector.last_report is not None:
            self._fill_files()
            if not self.source.reads(self.file, self._config()):
                self._open(1)

    def _on_rows(self, rows: list[SourceRow], more: bool) -> None:
        self._settle()
        self.rows.show(rows)
        self.on_button.setEnabled(more)
        self.back_button.setEnabled(bool(rows) and rows[0].line > 1)
        self._stretch.setText(
            tr("{line:,} – {line2:,}", line=rows[0].line, line2=rows[-1].line) if rows else tr("no rows")
        )
        chosen = next((at for at, row in enumerate(rows) if row.line == self._wanted), 0)
        self.list.setCurrentIndex(self.rows.index(chosen))
        self._on_row()

    def _chosen(self) -> SourceRow | None:
        at = self.list.currentIndex().row()
        return self.rows.rows[at] if 0 <= at < len(self.rows.rows) else None

    def _on_row(self) -> None:
        row = self._chosen()
        if row is None or self._shown is None or row.line != self._shown.line:
            self._settle()
        self._shown = row
        self.row_view.setEnabled(row is not None)
        if row is not None:
            value = self.rows.value(row)
            text = row.pretty if value is None else pretty_row(value)
            self.row_view.show_text(self.rows.drafts.get(row.line, text))
        self._on_text()

    def _settle(self) -> None:
        """What was typed is kept when another row is shown; what is no row yet waits, and is named."""
        row = self._shown
        if row is None:
            return
        text = self.text_edit.toPlainText()
        value, _ = parse_row(text)
        base = self.rows.value(row)
        if value is None and text != (row.pretty if base is None else pretty_row(base)):
            self.rows.drafts[row.line] = text
        else:
            self.rows.drafts.pop(row.line, None)
            if row.line not in self.edits.dropped and self._is_new(row, value):
                assert value is not None
                self._change(row, value)

    def _change(self, row: SourceRow, value: dict[str, Any]) -> None:
        edits = self.history.step()
        if row.line < 0:
            if -row.line <= len(edits.added):
                edits.added[-row.line - 1] = value
        else:
            edits.change(row.line, value)
        self._target = ""
        self.rows.refresh()

    def _on_text(self) -> None:
        """What is typed is checked at once: it must be one object."""
        row = self._chosen()
        value, fault = parse_row(self.text_edit.toPlainText()) if row is not None else (None, "")
        if row is not None and row.line in self.edits.dropped:
            fault = tr("The new file leaves this row out.")
        self.fault_label.setText(fault or (row.fault if row is not None and not self._is_new(row, value) else ""))
        theme.set_role(self.fault_label, role="error" if value is None else "small")
        self.keep_button.setEnabled(row is not None and self._is_new(row, value))
        self.drop_button.setEnabled(row is not None and row.line not in self.edits.dropped)
        kept = row is not None and (row.line in self.edits.changed or row.line in self.edits.dropped)
        self.restore_button.setEnabled(kept)
        self._show_state()

    def _is_new(self, row: SourceRow, value: Any) -> bool:
        return bool(value is not None and value != self.rows.value(row))

    def _is_assembled(self) -> bool:
        """True for a file whose rows are no lines of it: a document, or an exported chat."""
        report = self._inspector.last_report
        return report is not None and any(n.kind == "contents" and n.file == self.file for n in report.notes)

    def _show_state(self) -> None:
        edits = self.edits
        counts = (
            (len(edits.changed), tr("changed")),
            (len(edits.dropped), tr("dropped")),
            (len(edits.added), tr("added")),
        )
        parts = [tr("{count:,} {word}", count=count, word=word) for count, word in counts if count]
        parts += [tr("“{old}” → “{new}”", old=old, new=new) for old, new in edits.roles.items()]
        parts += [tr("{name} appended", name=file.name) for file in edits.appended]
        self.undo_button.setEnabled(self.history.can_undo)
        self.redo_button.setEnabled(self.history.can_redo)
        if parts or not self._target:
            self.state_label.setText(", ".join(parts) or (_ASSEMBLED if self._is_assembled() else _UNCHANGED))
            theme.set_role(self.state_label, role="muted")
        self.save_button.setEnabled(bool(edits) and not self.source.is_saving)

    # -- what happens -----------------------------------------------------------------------------------------

    def keep(self) -> None:
        """The row becomes what is typed."""
        row, (value, _) = self._chosen(), parse_row(self.text_edit.toPlainText())
        if row is None or value is None:
            return
        self.rows.drafts.pop(row.line, None)
        self._change(row, value)
        self._edited()

    def drop(self) -> None:
        """The row is left out."""
        row = self._chosen()
        if row is None:
            return
        self._forget(row)
        edits = self.history.step()
        if row.line < 0:
            del edits.added[-row.line - 1]
            self._show_again()
        else:
            edits.drop(row.line)
        self._edited()

    def _forget(self, row: SourceRow) -> None:
        """What was typed into a row is given up."""
        self.rows.drafts.pop(row.line, None)
        self._shown = None

    def _show_again(self, at: int | None = None) -> None:
        """The rows that are shown, after rows were added or taken away; the last of them, or one place, chosen."""
        self._shown = None
        self.rows.show([its for its in self.rows.rows if its.line > 0])
        last = len(self.rows.rows) - 1
        self.list.setCurrentIndex(self.rows.index(last if at is None else min(at, last)))

    def restore(self) -> None:
        """The row is as it was."""
        row = self._chosen()
        if row is not None:
            self._forget(row)
            self.history.step().restore(row.line)
            self._edited()

    @property
    def can_undo(self) -> bool:
        """Whether there is an edit to take back."""
        return self.history.can_undo

    @property
    def can_redo(self) -> bool:
        """Whether there is one that was taken back."""
        return self.history.can_redo

    def undo(self) -> None:
        """Takes the last edit back."""
        self._settle()
        self._turn(self.history.undo)

    def redo(self) -> None:
        """Does again what was taken back."""
        self._turn(self.history.redo)

    def _turn(self, act: Callable[[], None]) -> None:
        at = self.list.currentIndex().row()
        act()
        self._take(self.history)
        self._show_again(max(at, 0))
        self._edited()

    def _take(self, history: EditHistory) -> None:
        self.history = history
        self.rows.edits = history.edits

    def _on_asked(self) -> None:
        self._settle()
        report = self._inspector.last_report
        formats = report.formats if report is not None else {}
        self.all_rows.take(self.history, max(formats, key=lambda name: formats[name], default=""))
        self._tell(tr("Reading all rows …"))

    def _on_answered(self, said: str) -> None:
        self._edited()
        self._tell(said)

    def _tell(self, said: str) -> None:
        self.state_label.setText(said)
        theme.set_role(self.state_label, role="muted")

    def _on_add(self) -> None:
        self._settle()
        pattern = next((row.value for row in self.rows.rows if isinstance(row.value, dict)), {})
        self.history.step().add(_blank(pattern))
        self._show_again()
        self._edited()

    def _edited(self) -> None:
        self._target = ""
        self.use_button.hide()
        self.rows.refresh()
        self._shown = None
        self._on_row()

    def _on_file(self, _file: str) -> None:
        self._open(1)

    def _on_line(self) -> None:
        if self.line_edit.text():
            self._open(int(self.line_edit.text()))

    def _on_back(self) -> None:
        if self.rows.rows:
            self._open(max(1, self.rows.rows[0].line - WINDOW_ROWS))

    def _on_on(self) -> None:
        lines = [row.line for row in self.rows.rows if row.line > 0]
        if lines:
            self._open(lines[-1] + 1)

    def _on_save(self) -> None:
        path = outer_file(shown_path(self.file))
        name, _ = ask_new_file(
            self,
            tr("Save as a new file"),
            str(path.with_name(f"{path.stem.split('.')[0]}-edited.jsonl")),
            tr("JSONL (*.jsonl)"),
        )
        if name:
            self.save(Path(name))

    def save(self, target: Path) -> None:
        """Writes the new file, in the worker."""
        self._settle()
        if self.rows.drafts:
            line = min(self.rows.drafts)
            where = tr("Line {line:,}", line=line) if line > 0 else tr("A new row")
            self._on_failed(tr("{where} is not JSON yet. Finish it, or restore the row.", where=where))
            return
        self.source.save(target, self.edits, drop_bad_rows=self._store.config.skip_bad_rows)
        self.state_label.setText(tr("Saving {name} …", name=target.name))
        self.save_button.setEnabled(False)

    def _on_saved(self, target: str, rows: int) -> None:
        self._target = target
        self._histories = {key: its for key, its in self._histories.items() if its is not self.history}
        self._shown = None
        fresh = self._histories[self._reading()] = EditHistory()
        self._take(fresh)
        self._open(self._wanted)
        self.state_label.setText(tr("{rows} saved as {target}.", rows=plural(rows, "row"), target=target))
        theme.set_role(self.state_label, role="good")
        self.use_button.show()
        self.saved.emit(target)

    def _on_failed(self, text: str) -> None:
        theme.set_role(self.state_label, role="error")
        self.state_label.setText(text)
        self.save_button.setEnabled(bool(self.edits))

    def _on_use(self) -> None:
        # The same rows, read in the same way.
        self._store.set_many({path: self._store.value(path) for path in OF_THE_DATA} | {"data": self._target})
        self.use_button.hide()

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if not self.rows.rows:
            self._fill_files()
            self._open(1)


def _blank(value: Any) -> Any:
    """A row of the same shape without its texts; roles stay."""
    if isinstance(value, dict):
        return {key: item if key in ("role", "from") else _blank(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_blank(item) for item in value]
    return "" if isinstance(value, str) else value
