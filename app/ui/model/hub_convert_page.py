"""The page that quantizes a Hugging Face model for MLX."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QButtonGroup,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QMenu,
    QPushButton,
    QRadioButton,
    QVBoxLayout,
    QWidget,
)

from app.core.config.train_config import FieldSpec
from app.core.language import tr
from app.core.model.conversion import DEFAULT_QUANTIZATION, QUANTIZATIONS, converted_folder
from app.core.model.hub import models_place
from app.core.protocol import event
from app.core.protocol.job import ConvertJob
from app.core.quantity import bytes_text
from app.core.system.setting import load_settings
from app.core.typed_path import typed_path
from app.ui.form.path_editor import PathEditor
from app.ui.model.finder import ModelFinder
from app.ui.model.job_progress import JobProgress
from app.ui.widget import theme
from app.ui.widget.card import Card
from app.ui.worker.job import JobRunner
from app.ui.worker.process import WorkerOutcome

SOURCE = FieldSpec("convert.model", tr("Model to convert"), "path", "")
OUT = FieldSpec("convert.out", tr("New folder"), "path", "")
CONVERT_TIP = tr("Writes the new folder")
TAKEN = tr("This folder is there already, and nothing is written over.")
SOURCE_BITS = 16  # what models on the hub are stored in, nearly always


class HubConvertPage(QWidget):
    """Asks the task ``convert``. ``arrived`` names the new folder, ``chosen`` the one to use."""

    arrived = Signal(str)
    chosen = Signal(str)

    def __init__(self, finder: ModelFinder, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._finder = finder
        self._made = self._offered = ""  # a folder that was written, and the one that Into was filled with
        self._job = JobRunner(self)
        self._job.emitted.connect(self._on_event)
        self._job.ended.connect(self._on_ended)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, theme.SPACE * 2, 0, 0)
        layout.setSpacing(theme.SPACE * 2)
        layout.addWidget(self._card())
        layout.addStretch(1)
        finder.found.connect(self._show_sizes)
        self._on_model()

    def set_model(self, model: str) -> None:
        """Takes over a model to convert."""
        self.source.choose(model)

    def convert(self) -> None:
        """Starts with what stands in the form."""
        self._made = ""
        self.progress.begin(tr("Starting …"))
        source, out = self.source.value() or "", Path(self.out.value() or "")
        self._job.start(ConvertJob(model=source, out=out, quantization=self.quantization))
        self._show_buttons()

    @property
    def quantization(self) -> str:
        """The name of the chosen way."""
        return next(name for name, button in self._ways.items() if button.isChecked())

    def stop(self) -> None:
        """Stops a conversion; nothing of it stays."""
        self._job.stop()

    def shutdown(self) -> None:
        """Ends everything before the window closes."""
        self._job.shutdown()

    # -- parts ------------------------------------------------------------------------------------------------

    def _card(self) -> Card:
        card = Card(
            tr("Convert and quantize"),
            tr(
                "Makes a model from Hugging Face smaller, with mlx-lm: it then trains in less memory "
                "(QLoRA). The original stays as it is."
            ),
            self,
        )
        self.source = PathEditor(
            SOURCE,
            card,
            folder=True,
            placeholder=tr("Folder or name of a model that is here"),
            fill_menu=self._fill,
        )
        self.out = PathEditor(OUT, card, new=True, placeholder=tr("A folder that does not exist yet"))
        for editor, spec in ((self.source, SOURCE), (self.out, OUT)):
            editor.line.setObjectName(spec.path)
            editor.line.setAccessibleName(spec.label)
        self.source.edited.connect(self._on_model)
        self.out.edited.connect(self._show_buttons)
        for text, part in (
            (tr("Model"), self.source),
            (tr("Store weights as"), self._choices()),
            (tr("Into"), self.out),
        ):
            card.body.addLayout(_labelled(text, part))
        card.body.addLayout(self._foot())
        return card

    def _choices(self) -> QWidget:
        box = QWidget(self)
        grid = QGridLayout(box)
        grid.setContentsMargins(0, 0, 0, 0)
        grid.setHorizontalSpacing(theme.SPACE * 2)
        grid.setVerticalSpacing(theme.SPACE)
        grid.setColumnStretch(1, 1)
        self._group = QButtonGroup(self)
        self._sizes: dict[str, QLabel] = {}
        self._ways: dict[str, QRadioButton] = {}
        for row, way in enumerate(QUANTIZATIONS.values()):
            button = QRadioButton(way.label, box)
            button.setObjectName(f"convert.quantization.{way.name}")
            button.setAccessibleName(f"{way.label}: {way.help}")
            button.setToolTip(way.help)
            button.setChecked(way.name == DEFAULT_QUANTIZATION)
            self._group.addButton(button)
            self._ways[way.name] = button
            help_text, self._sizes[way.name] = QLabel(way.help, box), QLabel(box)
            for label in (help_text, self._sizes[way.name]):
                label.setProperty("role", "muted")
            help_text.setWordWrap(True)
            grid.addWidget(button, row, 0)
            grid.addWidget(help_text, row, 1)
            grid.addWidget(self._sizes[way.name], row, 2, Qt.AlignmentFlag.AlignRight)
        self._group.buttonToggled.connect(self._on_way)
        return box

    def _foot(self) -> QVBoxLayout:
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        self._why_not = QLabel(self)
        self._why_not.setObjectName("convert.why_not")
        self._why_not.setWordWrap(True)
        theme.set_role(self._why_not, role="error")
        row.addWidget(self._why_not, 1)
        self.cancel_button = QPushButton(tr("Stop"), self)
        self.convert_button = QPushButton(tr("Convert"), self)
        self.use_button = QPushButton(tr("Use this model"), self)
        for button, name, tip in (
            (self.cancel_button, "convert.cancel", tr("Stops, and removes what was written")),
            (self.convert_button, "convert.start", CONVERT_TIP),
            (self.use_button, "convert.use", tr("Takes the new model over into the form")),
        ):
            button.setObjectName(name)
            button.setToolTip(tip)
            button.setAutoDefault(False)
            row.addWidget(button)
        theme.set_role(self.use_button, kind="primary")
        self.cancel_button.clicked.connect(self._job.stop)
        self.convert_button.clicked.connect(self.convert)
        self.use_button.clicked.connect(self._on_use)
        self.progress = JobProgress("convert", self)
        foot = QVBoxLayout()
        foot.setSpacing(theme.SPACE)
        foot.addWidget(self.progress)
        foot.addLayout(row)
        return foot

    def _fill(self, menu: QMenu) -> None:
        for entry in self._finder.entries:
            action = menu.addAction(f"{entry.name}   {bytes_text(entry.size_bytes)}".replace("&", "&&"))
            action.setToolTip(str(entry.path))
            action.setData(entry.name if entry.cached else str(entry.path))

    # -- what happens -----------------------------------------------------------------------------------------

    def _on_model(self) -> None:
        if self.source.value():
            self._offer()
        else:
            self.out.set_value("")
        self._show_sizes()
        self._show_buttons()

    def _on_way(self, _button: QRadioButton, chosen: bool) -> None:
        out, offered = Path(self.out.value() or ""), Path(self._offered)
        has_own_name = bool(self.out.value()) and out.name != offered.name and str(out) != self._made
        if chosen and self.source.value() and not has_own_name:
            self._offer()
        self._show_buttons()

    def _offer(self) -> None:
        """Fills Into: beside what was to be written there, where a person chose that."""
        shown, place = self.out.value() or "", models_place(load_settings())
        if shown != self._offered and (chosen := typed_path(shown)).is_absolute():
            place = chosen.parent
        offered = converted_folder(self.source.value() or "", QUANTIZATIONS[self.quantization], place)
        self._offered = str(offered)
        self.out.set_value(self._offered)

    def _show_sizes(self) -> None:
        """About how large each result will be, from the size of the model if it is a known one."""
        model = self.source.value() or ""
        size = next((e.size_bytes for e in self._finder.entries if model in (e.name, str(e.path))), 0)
        for name, label in self._sizes.items():
            bits = QUANTIZATIONS[name].bits_per_weight
            known = tr("about {size}", size=bytes_text(size / SOURCE_BITS * bits))
            label.setText(known if size else tr("{bits:g} bits a weight", bits=bits))

    def _on_event(self, said: event.Event) -> None:
        if isinstance(said, event.Progressed):
            self.progress.show_progress(said)
        elif isinstance(said, event.Result):
            self._made = str(said.data["path"])
            small, large = bytes_text(said.data["bytes"]), bytes_text(said.data["source_bytes"])
            self.progress.say(
                tr("Converted: {small} instead of {large}, in {made}", small=small, large=large, made=self._made),
                "good",
            )
            self.arrived.emit(self._made)

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        self.progress.end(outcome)
        self._finder.find()
        self._show_buttons()

    def _on_use(self) -> None:
        self.chosen.emit(self._made)

    def _show_buttons(self) -> None:
        running = self._job.is_running
        ready = bool(self.source.value()) and bool(self.out.value()) and not running
        self.cancel_button.setVisible(running)
        self.convert_button.setVisible(not running)
        is_there = bool(self.out.value()) and typed_path(self.out.value() or "").exists()
        said = TAKEN if is_there and not running and self.out.value() != self._made else ""
        self._why_not.setText(said)
        self.convert_button.setEnabled(ready and not is_there)
        self.convert_button.setToolTip(said or CONVERT_TIP)
        self.use_button.setVisible(bool(self._made) and not running)
        theme.set_role(self.convert_button, kind="" if self._made else "primary")


def _labelled(text: str, part: QWidget) -> QVBoxLayout:
    label = QLabel(text)
    label.setProperty("role", "label")
    label.setBuddy(part)
    layout = QVBoxLayout()
    layout.setSpacing(theme.SPACE // 2)
    layout.addWidget(label)
    layout.addWidget(part)
    return layout
