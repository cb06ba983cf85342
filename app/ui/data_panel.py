"""The card "Data": choose training and validation examples, and see the first of them and what is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QMenu, QPushButton, QVBoxLayout, QWidget

from app.core import event, starter
from app.core.config import field_specs
from app.core.dataset.report import DataReport
from app.core.problem import Problem
from app.core.quantity import plural
from app.core.setting import load_settings, save_settings
from app.ui import theme
from app.ui.config_store import ConfigStore
from app.ui.drop import DropCard
from app.ui.editor import PathEditor
from app.ui.elided_label import ElidedLabel
from app.ui.field import Field
from app.ui.latest_worker import LatestWorker
from app.ui.worker_process import WorkerOutcome

SUFFIXES = {".jsonl", ".json", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow", ".txt", ".md", ".gz", ".zst"}
SHOWN_ROWS = 3
CHECK_DELAY_MS = 250
# What of the config changes what a check finds.
READ_PATHS = (
    "data", "valid_data", "test_data", "data_format", "prompt_feature", "completion_feature",
    "chat_feature", "text_feature", "system_feature", "group_feature", "skip_bad_rows",
    "max_seq_length", "mask_prompt", "mask_turns",
)  # fmt: skip


class DataPanel(DropCard):
    """Edits ``data`` and ``valid_data`` of a `ConfigStore`; ``report`` is what a worker's check found, if it has.

    ``reported`` fires when ``report`` or ``problem`` (why there is no report) changed.
    """

    reported = Signal()

    def __init__(self, store: ConfigStore, parent: QWidget | None = None) -> None:
        super().__init__("Data", parent=parent)
        self.setObjectName("data_panel")
        self._store = store
        self._model = ""
        self._asked: tuple[Any, ...] = ()
        self.report: DataReport | None = None
        self.problem: Problem | None = None
        self._worker = LatestWorker("check", self, delay_ms=CHECK_DELAY_MS)
        self._worker.emitted.connect(self._on_event)
        self._worker.ended.connect(self._on_ended)
        self.train_editor = self._editor("data", "File or folder of examples")
        self.valid_editor = self._editor("valid_data", "Optional: a share is set aside")
        self.fields = {
            "data": Field("data", store, self, editor=self.train_editor, labelled=False),
            "valid_data": Field("valid_data", store, self, editor=self.valid_editor),
        }
        self._empty, self._result = self._empty_state(), self._result_part()
        for part in (self.fields["data"], self._empty, self._result, self.fields["valid_data"]):
            self.body.addWidget(part)
        self.body.addStretch(1)
        self.dropped.connect(self._on_dropped)
        store.changed.connect(self._on_changed)
        self._read()

    def set_model(self, model: str) -> None:
        """Tells whose tokenizer the rows should pass; "" while there is none."""
        if model != self._model:
            self._model = model
            self._read()

    def shutdown(self) -> None:
        """Ends the worker before the window closes."""
        self._worker.stop()

    @property
    def is_busy(self) -> bool:
        """True while a check is under way."""
        return self._worker.is_busy

    def accepts(self, path: Path) -> bool:
        """Data files, and folders that hold a training file."""
        if path.is_dir():
            return any(path.glob("train.*"))
        return path.suffix.lower() in SUFFIXES and path.name != "config.json"

    # -- parts ------------------------------------------------------------------------------------------------

    def _editor(self, path: str, placeholder: str) -> PathEditor:
        return PathEditor(field_specs()[path], self, placeholder=placeholder, fill_menu=self._fill)

    def _empty_state(self) -> QFrame:
        zone = QFrame(self)
        zone.setProperty("role", "drop-zone")
        layout = QVBoxLayout(zone)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE // 2)
        for text, role in (
            ("Drop training data here", "label"),
            ("JSONL, CSV, Parquet or text: chats, prompts with answers, or plain text", "small"),
        ):
            label = QLabel(text, zone)
            label.setProperty("role", role)
            label.setWordWrap(True)
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            layout.addWidget(label)
        buttons = QHBoxLayout()
        buttons.addStretch(1)
        for name, text, tip, slot in (
            ("data.starter", "Use the starter data", "200 chats that teach a style", self.use_starter),
            ("data.browse_file", "Browse…", "Choose a data file", self.train_editor.browse),
        ):
            button = QPushButton(text, zone)
            button.setObjectName(name)
            button.setToolTip(tip)
            button.clicked.connect(slot)
            buttons.addWidget(button)
        theme.set_role(button, kind="quiet")
        buttons.addStretch(1)
        layout.addSpacing(theme.SPACE)
        layout.addLayout(buttons)
        return zone

    def _result_part(self) -> QWidget:
        part = QWidget(self)
        layout = QVBoxLayout(part)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        self._summary = QLabel(part)
        self._summary.setObjectName("data.summary")
        self._summary.setWordWrap(True)
        layout.addWidget(self._summary)
        self._rows = QFrame(part)
        self._rows.setProperty("role", "well")
        self._rows.setAccessibleName("The first examples")
        self._row_layout = QVBoxLayout(self._rows)
        self._row_layout.setContentsMargins(*[theme.SPACE * 3 // 2] * 4)
        self._row_layout.setSpacing(theme.SPACE)
        layout.addWidget(self._rows)
        return part

    def _fill(self, menu: QMenu) -> None:
        menu.addSection("Recent")
        for path in load_settings().recent_data:
            action = menu.addAction(menu.fontMetrics().elidedText(path, Qt.TextElideMode.ElideMiddle, 420))
            action.setData(path)
            action.setToolTip(path)
        menu.addAction("Starter data").setData(str(starter.data_dir()))

    # -- what happens -----------------------------------------------------------------------------------------

    def use_starter(self) -> None:
        """Chooses the bundled data."""
        self.train_editor.choose(str(starter.data_dir()))

    def _on_dropped(self, paths: list[Path]) -> None:
        """One file is training data; of two, the one called valid, validation or dev is the other."""
        for path in paths:
            is_valid = any(word in path.stem.lower() for word in ("valid", "dev", "eval")) and path.is_file()
            (self.valid_editor if is_valid else self.train_editor).choose(str(path))

    def _on_changed(self, path: str) -> None:
        if path == "" or path in READ_PATHS:
            asked = tuple(self._store.value(name) for name in READ_PATHS)
            if asked != self._asked:
                self._asked = asked
                self._read()

    def _read(self) -> None:
        self.report, self.problem = None, None
        chosen = bool(self._store.config.data.strip())
        if chosen:
            self._say("Reading the data …", "muted")
            # A model that cannot be used is told elsewhere; the data are checked without it then.
            config = self._store.config.with_value("model", self._model)
            self._worker.request(config=config.model_dump(mode="json"))
        else:
            self._worker.cancel()
        self._empty.setVisible(not chosen)
        self._result.setVisible(chosen)
        self._rows.hide()
        self.reported.emit()

    def _on_event(self, found: event.Event) -> None:
        if isinstance(found, event.Result):
            self._take(DataReport.from_dict(found.data))
        elif isinstance(found, event.Progressed) and found.total:
            self._say(f"{found.phase}: {found.done * 100 // found.total} %", "muted")

    def _take(self, report: DataReport) -> None:
        self.report = report
        counts = ", ".join(f"{part.examples:,} {name}" for name, part in report.splits.items())
        said = f"{plural(report.examples, 'example')} ({counts}) · {report.format}"
        told = ((report.error_count, "error"), (report.warning_count, "warning"))
        faults = [plural(number, word) for number, word in told if number]
        self._say(" · ".join([said, *faults]), "" if report.usable else "error")
        self._show_rows(report.preview[:SHOWN_ROWS])
        settings = load_settings()
        if self._store.config.data not in settings.recent_data[:1]:
            save_settings(settings.with_recent("recent_data", self._store.config.data))
        self.reported.emit()

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        if self.report is None:
            failure = outcome.failure
            said = failure.message if failure else outcome.sentence()
            self.problem = Problem("data", said or "The check ended without a result.", hint="The log tells more.")
            self._say("", "muted")
            self.reported.emit()

    def _say(self, text: str, role: str) -> None:
        theme.set_role(self._summary, role=role)
        self._summary.setText(text)
        self._summary.setVisible(bool(text))

    def _show_rows(self, rows: tuple[dict[str, Any], ...]) -> None:
        while self._row_layout.count():
            item = self._row_layout.takeAt(0)
            if item is not None and (widget := item.widget()) is not None:
                widget.deleteLater()
        for row in rows:
            for speaker, text in turns(row):
                label = ElidedLabel(f"{speaker}: {text}" if speaker else text, self._rows)
                label.setProperty("role", "small")
                self._row_layout.addWidget(label)
        self._rows.setVisible(bool(rows))


def turns(row: dict[str, Any]) -> list[tuple[str, str]]:
    """A row as (who, one line of text) pairs, whatever its format."""
    messages = row.get("messages") or row.get("conversations")
    if isinstance(messages, list):
        parts = [m for m in messages if isinstance(m, dict)]
        return [
            (str(m.get("role") or m.get("from") or ""), _line(m.get("content") or m.get("value"))) for m in parts
        ]
    return [(str(name), _line(value)) for name, value in row.items()]


def _line(value: Any) -> str:
    return " ".join(str(value or "").split())
