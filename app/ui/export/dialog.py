"""The export dialog: in which format, with which options, where to; then how far it is and what came of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QSize, Qt, QTimer
from PySide6.QtWidgets import (
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
from app.core.export.destination import destination_problems, exports_dir, free_destination, usual_parent
from app.core.export.format import EXPORT_FORMATS, SCALE, ExportFormat
from app.core.export.option import option_values
from app.core.export.size import SourceSize, source_size
from app.core.export.source import ExportSource, checkpoints, export_source
from app.core.language import tr
from app.core.model.folder import locate_model
from app.core.problem import UnusableError
from app.core.protocol import event
from app.core.protocol.job import ExportJob
from app.core.quantity import bytes_text
from app.core.system.disk import free_bytes
from app.core.system.setting import keep_settings, load_settings
from app.core.typed_path import typed_path
from app.ui.export.option_grid import OPTION_LABEL_WIDTH, OptionGrid
from app.ui.export.result_card import ResultCard
from app.ui.form.path_editor import PathEditor
from app.ui.form.plain_editor import ChoiceBox, TextEditor
from app.ui.model.job_progress import JobProgress
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.file_manager import show_in_file_manager
from app.ui.widget.layout import FormRows
from app.ui.worker.job_dialog import JobDialog
from app.ui.worker.process import WorkerOutcome

EXPORT_DIALOG_SIZE = (820, 620)  # px in Inter, at least
FORMATS_WIDTH = 220
WHERE_SPEC = FieldSpec("export.where", tr("Where"), "path", "")
NEW_FOLDER = tr("New folder")


class ExportDialog(JobDialog):
    """Exports one run or adapter: ``source`` is a run's folder, an adapter's, or a checkpoint's file.

    ``strength`` of the adapter stands in the form at first.
    """

    def __init__(
        self,
        source: Path,
        parent: QWidget | None = None,
        *,
        strength: float = 1.0,
        reveal: Callable[[Path], object] = show_in_file_manager,
    ) -> None:
        super().__init__(parent)
        self.setObjectName("export_dialog")
        self.setWindowTitle(tr("Export"))
        self.resize(theme.text_width(EXPORT_DIALOG_SIZE[0]), EXPORT_DIALOG_SIZE[1])
        self._path = source
        self._source: ExportSource | None = None
        self._size: SourceSize | None = None
        self._strength = strength
        self._chosen_name = False
        self._parent = ""  # the folder that was chosen here
        self._build(reveal)
        self._on_checkpoint()
        self.formats.setCurrentRow(0)
        theme.theme().changed.connect(self._dress)
        self._dress()

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
            out=self.out,
            options=self.options.values(),
        )

    @property
    def out(self) -> Path:
        """The folder that comes to be: a new one where it was said."""
        return typed_path(self.where.value() or "") / self.name.value()

    def export(self) -> None:
        """Starts with what stands here; where it goes is remembered, if it is not LM Studio's own place."""
        if self._parent:
            keep_settings(exports_dir=self._parent)
        self.result_card.hide()
        self._problem.hide()
        self.progress.begin(tr("Starting …"))
        self._job.start(self.job)
        self._show_buttons()

    # -- showing ----------------------------------------------------------------------------------------------

    def _on_checkpoint(self, _value: object = None) -> None:
        try:
            self._source = export_source(self._path, str(self.checkpoint.value() or ""))
            self._title.setText(self._source.label)
            self._size = source_size(locate_model(self._source.base), self._source.adapter)
            self._fault = ""
        except UnusableError as error:
            found = error.problems[0]
            self._size, self._fault = None, found.sentence() if found.file else found.text
        self._show_place()

    def _on_format(self) -> None:
        chosen = self.format
        self._format_title.setText(chosen.title)
        self._what.setText(chosen.what)
        self._opens.setText(", ".join(chosen.opens))
        self._refuses.setText(chosen.refuses)
        self.options.show_options(chosen.options)
        self._chosen_name = False
        self.where.set_value(str(self._usual_parent()))
        self._show_place()

    def _usual_parent(self) -> Path:
        own = usual_parent(self.format.name)
        chosen = self._parent or load_settings().exports_dir
        return Path(chosen) if own == exports_dir() and chosen and (self._parent or Path(chosen).is_dir()) else own

    def _on_where(self, _value: object = None) -> None:
        if usual_parent(self.format.name) == exports_dir():
            self._parent = str(typed_path(self.where.value() or ""))
        self._show_place()

    def _on_name(self, _value: object = None) -> None:
        self._chosen_name = True
        self._show_size()

    def _show_place(self) -> None:
        if not self._chosen_name and self._source is not None:
            parent = typed_path(self.where.value() or "")
            self.name.set_value(free_destination(self._source.word, self.format.name, parent).name)
        self._show_size()

    def _show_size(self) -> None:
        """What it takes and what is free; what is in the way keeps Export off."""
        place, said = self.out, self._fault
        text = ""
        if self._size is not None:
            try:
                need = self.format.size(self._size, option_values(self.format.options, self.options.values()))
                text = tr("About {need}", need=bytes_text(need))
                if not self.name.value() or place.name != self.name.value():
                    said = tr("Give the new folder a name, without a path.")
                elif place.is_absolute():
                    text += tr("; {free_bytes} are free there", free_bytes=bytes_text(free_bytes(place)))
                    problems = destination_problems(place, need)
                    said = " ".join(one.text for one in problems)
                else:
                    said = tr("Choose a folder by its whole path.")
            except UnusableError as error:
                said = " ".join(problem.message for problem in error.problems)
        self._space.setText(text)
        self._problem.setText(said)
        self._problem.setVisible(bool(said) and not self._job.is_running)
        self.export_button.setToolTip(said)
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
            QTimer.singleShot(0, self._show_result)  # once it has its place

    def _show_result(self) -> None:
        self._scroll.ensureWidgetVisible(self.result_card)

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        if outcome.completed:
            self.progress.say("")
        else:
            self.progress.end(outcome)
        self._chosen_name = self._chosen_name and not self.result_card.isVisible()
        self._show_place()

    def _dress(self) -> None:
        self.export_button.setIcon(theme.icon("ph.export", theme.colors().on_accent))

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self, reveal: Callable[[Path], object]) -> None:
        self._title = ElidedLabel()
        self._title.setObjectName("export.title")
        theme.set_role(self._title, role="section")
        self.formats = QListWidget(self)
        self.formats.setObjectName("export.formats")
        self.formats.setAccessibleName(tr("Formats"))
        for one in EXPORT_FORMATS.values():
            item = QListWidgetItem(one.title, self.formats)
            item.setToolTip(one.what)
            item.setSizeHint(QSize(0, theme.line_px() + theme.SPACE))
        # As wide as its longest name: a format is known by the end of its name, too.
        widest = max(self.formats.fontMetrics().horizontalAdvance(one.title) for one in EXPORT_FORMATS.values())
        self.formats.setFixedWidth(max(round(theme.text_width(FORMATS_WIDTH)), widest + theme.SPACE * 5))
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
        scroll = self._scroll = QScrollArea(self)
        scroll.setAccessibleName(tr("What is exported, and how"))
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
        self.checkpoint.setAccessibleName(tr("Checkpoint"))
        self.checkpoint.setEnabled(self.checkpoint.count() > 1)
        self.checkpoint.edited.connect(self._on_checkpoint)
        self.options = OptionGrid(form, chosen={SCALE.name: self._strength})
        self.options.changed.connect(self._show_size)
        self.where = PathEditor(WHERE_SPEC, form, folder=True)
        self.where.line.setObjectName(WHERE_SPEC.path)
        self.where.line.setAccessibleName(WHERE_SPEC.label)
        self.where.edited.connect(self._on_where)
        self.name = TextEditor(form)
        self.name.setObjectName("export.name")
        self.name.setAccessibleName(NEW_FOLDER)
        self.name.edited.connect(self._on_name)
        self._space, self._problem = QLabel(form), QLabel(form)
        self._space.setObjectName("export.space")
        theme.set_role(self._space, role="small")
        self._problem.setObjectName("export.problem")
        self._problem.setWordWrap(True)
        theme.set_role(self._problem, role="error")
        rows = FormRows()
        opens = QLabel(tr("Opened by"), form)
        opens.setMinimumWidth(theme.text_width(OPTION_LABEL_WIDTH))
        rows.add_row(opens, self._opens)
        rows.add_row(tr("Note"), self._refuses)
        if self.checkpoint.count():
            rows.add_row(tr("Checkpoint"), self.checkpoint)
        else:
            self.checkpoint.hide()
        rows.add_whole(self.options)
        rows.add_row(WHERE_SPEC.label, self.where)
        rows.add_row(NEW_FOLDER, self.name)
        rows.add_row("", self._space)
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
        self.export_button = QPushButton(tr("Export"), self)
        self.export_button.setObjectName("export.start")
        self.export_button.setDefault(True)
        theme.set_role(self.export_button, kind="primary")
        self.stop_button = QPushButton(tr("Stop"), self)
        self.stop_button.setObjectName("export.stop")
        self.close_button = QPushButton(tr("Close"), self)
        self.close_button.setObjectName("export.close")
        self.export_button.setIconSize(QSize(16, 16))
        self.export_button.clicked.connect(self.export)
        self.stop_button.clicked.connect(self.stop)
        self.close_button.clicked.connect(self.close)
        row = QHBoxLayout()
        row.addStretch(1)
        for button in (self.close_button, self.stop_button, self.export_button):
            row.addWidget(button)
        return row
