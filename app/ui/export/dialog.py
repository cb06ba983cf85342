"""The export dialog: in which format, with which options, where to; then how far it is and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QUrl
from PySide6.QtGui import QCloseEvent, QDesktopServices
from PySide6.QtWidgets import (
    QDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from app.core.config.train_config import FieldSpec
from app.core.export.destination import destination_problems, free_destination
from app.core.export.format import EXPORT_FORMATS, ExportFormat
from app.core.export.option import option_values
from app.core.export.size import SourceSize, source_size
from app.core.export.source import ExportSource, checkpoints, export_source
from app.core.model.folder import locate_model
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.job import ExportJob
from app.core.quantity import bytes_text
from app.core.system.disk import free_bytes
from app.ui.export.option_grid import OPTION_LABEL_WIDTH, OptionGrid
from app.ui.export.result_card import ResultCard
from app.ui.form.path_editor import PathEditor
from app.ui.form.plain_editor import ChoiceBox
from app.ui.model.job_progress import JobProgress
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.worker.job import JobRunner
from app.ui.worker.process import WorkerOutcome

EXPORT_DIALOG_SIZE = (820, 620)  # px in Inter, at least
FORMATS_WIDTH = 220
OUT_SPEC = FieldSpec("export.out", "New folder", "path", "")


def reveal_folder(path: Path) -> None:
    """Shows a folder in the system's file manager."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))


class ExportDialog(QDialog):
    """Exports one run or adapter: ``source`` is a run's folder, an adapter's, or a checkpoint's file."""

    def __init__(
        self,
        source: Path,
        parent: QWidget | None = None,
        *,
        reveal: Callable[[Path], object] = reveal_folder,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("export_dialog")
        self.setWindowTitle("Export")
        self.resize(theme.text_width(EXPORT_DIALOG_SIZE[0]), EXPORT_DIALOG_SIZE[1])
        self._path = source
        self._source: ExportSource | None = None
        self._size: SourceSize | None = None
        self._chosen_place = False
        self._job = JobRunner(self)
        self._job.emitted.connect(self._on_event)
        self._job.ended.connect(self._on_ended)
        self._build(reveal)
        self._on_checkpoint()
        self.formats.setCurrentRow(0)

    # -- what is chosen ---------------------------------------------------------------------------------------

    @property
    def format(self) -> ExportFormat:
        """The chosen format."""
        return list(EXPORT_FORMATS.values())[max(self.formats.currentRow(), 0)]

    @property
    def job(self) -> ExportJob:
        """What would be asked for now."""
        return ExportJob(
            source=self._path,
            checkpoint=str(self.checkpoint.value() or ""),
            format=self.format.name,
            out=Path(self.out.value() or "").expanduser(),
            options=self.options.values(),
        )

    def export(self) -> None:
        """Starts with what stands here."""
        self.result_card.hide()
        self._problem.hide()
        self.progress.begin("Starting …")
        self._job.start(self.job)
        self._show_buttons()

    def stop(self) -> None:
        """Stops; nothing of it stays."""
        self._job.stop()

    def shutdown(self) -> None:
        """Stops the work and waits for its end, before the window closes."""
        self._job.shutdown()

    def closeEvent(self, closing: QCloseEvent) -> None:
        self._job.shutdown()
        super().closeEvent(closing)

    def reject(self) -> None:
        """Escape and Close stop what runs."""
        self._job.shutdown()
        super().reject()

    # -- showing ----------------------------------------------------------------------------------------------

    def _on_checkpoint(self, _value: object = None) -> None:
        try:
            self._source = export_source(self._path, str(self.checkpoint.value() or ""))
            self._title.setText(self._source.label)
            self._size = source_size(locate_model(self._source.base), self._source.adapter)
            self._fault = ""
        except UnusableError as error:
            self._size, self._fault = None, error.problems[0].sentence()
        self._show_place()

    def _on_format(self) -> None:
        chosen = self.format
        self._format_title.setText(chosen.title)
        self._what.setText(chosen.what)
        self._opens.setText(", ".join(chosen.opens))
        self._refuses.setText(chosen.refuses)
        self.options.show_options(chosen.options)
        self._chosen_place = False
        self._show_place()

    def _on_place(self, _value: object = None) -> None:
        self._chosen_place = True
        self._show_size()

    def _show_place(self) -> None:
        if not self._chosen_place and self._source is not None:
            self.out.set_value(str(free_destination(self._source.word, self.format.name)))
        self._show_size()

    def _show_size(self) -> None:
        """What it takes and what is free; what is in the way keeps Export off."""
        place, said = Path(self.out.value() or "").expanduser(), self._fault
        text = ""
        if self._size is not None:
            try:
                need = self.format.size(self._size, option_values(self.format.options, self.options.values()))
                text = f"About {bytes_text(need)}"
                if place.is_absolute():
                    text += f"; {bytes_text(free_bytes(place))} are free there"
                    problems = destination_problems(place, need)
                    said = " ".join(f"{one.message} {one.hint}" for one in problems)
                else:
                    said = "Choose a folder by its whole path."
            except UnusableError as error:
                said = " ".join(problem.message for problem in error.problems)
        self._space.setText(text)
        self._problem.setText(said)
        self._problem.setVisible(bool(said) and not self._job.is_running)
        self._show_buttons()

    def _show_buttons(self) -> None:
        running = self._job.is_running
        self._form.setEnabled(not running)
        self.formats.setEnabled(not running)
        self.export_button.setVisible(not running)
        self.export_button.setEnabled(self._size is not None and not self._problem.text())
        self.stop_button.setVisible(running)

    def _on_event(self, said: event.Event) -> None:
        if isinstance(said, event.Progressed):
            self.progress.show_progress(said)
        elif isinstance(said, event.Result):
            self.result_card.show_result(said.data)
            self.result_card.show()

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        if outcome.ok and outcome.finished is not None and outcome.finished.reason == "completed":
            self.progress.say("")
        else:
            self.progress.end(outcome)
        self._chosen_place = self._chosen_place and not self.result_card.isVisible()
        self._show_place()

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self, reveal: Callable[[Path], object]) -> None:
        self._title = ElidedLabel()
        self._title.setObjectName("export.title")
        theme.set_role(self._title, role="section")
        self.formats = QListWidget(self)
        self.formats.setObjectName("export.formats")
        self.formats.setAccessibleName("Formats")
        self.formats.setFixedWidth(theme.text_width(FORMATS_WIDTH))
        for one in EXPORT_FORMATS.values():
            item = QListWidgetItem(one.title, self.formats)
            item.setToolTip(one.what)
            item.setSizeHint(QSize(0, theme.line_px() + theme.SPACE))
        self.progress = JobProgress("export", self)
        self.result_card = ResultCard(reveal, self)
        self.result_card.hide()
        self._form = self._built_form()
        page = QWidget(self)
        right = QVBoxLayout(page)
        right.setContentsMargins(theme.SPACE * 2, 0, theme.SPACE, 0)
        right.setSpacing(theme.SPACE * 2)
        right.addWidget(self._form)
        right.addWidget(self.progress)
        right.addWidget(self.result_card)
        right.addStretch(1)
        scroll = QScrollArea(self)
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(page)
        middle = QHBoxLayout()
        middle.setSpacing(theme.SPACE)
        middle.addWidget(self.formats)
        middle.addWidget(scroll, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE * 2)
        layout.addWidget(self._title)
        layout.addLayout(middle, 1)
        layout.addLayout(self._built_buttons())
        self.formats.currentRowChanged.connect(self._on_format)

    def _built_form(self) -> QWidget:
        form = QWidget(self)
        self._fault = ""
        self._format_title, self._what, self._opens, self._refuses = (QLabel(form) for _ in range(4))
        theme.set_role(self._format_title, role="section")
        for label in (self._what, self._opens, self._refuses):
            label.setWordWrap(True)
        theme.set_role(self._what, role="muted")
        self.checkpoint: ChoiceBox = ChoiceBox(tuple(checkpoints(self._path)), form)
        self.checkpoint.setObjectName("export.checkpoint")
        self.checkpoint.setAccessibleName("Checkpoint")
        self.checkpoint.setEnabled(self.checkpoint.count() > 1)
        self.checkpoint.edited.connect(self._on_checkpoint)
        self.options = OptionGrid(form)
        self.options.changed.connect(self._show_size)
        self.out = PathEditor(OUT_SPEC, form)
        self.out.browse_button.hide()
        self.out.line.setObjectName(OUT_SPEC.path)
        self.out.line.setAccessibleName(OUT_SPEC.label)
        self.out.edited.connect(self._on_place)
        self._space, self._problem = QLabel(form), QLabel(form)
        self._space.setObjectName("export.space")
        theme.set_role(self._space, role="small")
        self._problem.setObjectName("export.problem")
        self._problem.setWordWrap(True)
        theme.set_role(self._problem, role="error")
        rows = QFormLayout()
        rows.setHorizontalSpacing(theme.SPACE * 2)
        rows.setVerticalSpacing(theme.SPACE)
        opens = QLabel("Opened by", form)
        opens.setMinimumWidth(theme.text_width(OPTION_LABEL_WIDTH))
        rows.addRow(opens, self._opens)
        rows.addRow("Mind", self._refuses)
        if self.checkpoint.count():
            rows.addRow("Checkpoint", self.checkpoint)
        else:
            self.checkpoint.hide()
        rows.addRow(self.options)
        rows.addRow(OUT_SPEC.label, self.out)
        rows.addRow("", self._space)
        layout = QVBoxLayout(form)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self._format_title)
        layout.addWidget(self._what)
        layout.addSpacing(theme.SPACE)
        layout.addLayout(rows)
        layout.addWidget(self._problem)
        return form

    def _built_buttons(self) -> QHBoxLayout:
        self.export_button = QPushButton("Export", self)
        self.export_button.setObjectName("export.start")
        self.export_button.setDefault(True)
        theme.set_role(self.export_button, kind="primary")
        self.stop_button = QPushButton("Stop", self)
        self.stop_button.setObjectName("export.stop")
        self.close_button = QPushButton("Close", self)
        self.close_button.setObjectName("export.close")
        self.export_button.clicked.connect(self.export)
        self.stop_button.clicked.connect(self.stop)
        self.close_button.clicked.connect(self.close)
        row = QHBoxLayout()
        row.addStretch(1)
        for button in (self.close_button, self.stop_button, self.export_button):
            row.addWidget(button)
        return row
