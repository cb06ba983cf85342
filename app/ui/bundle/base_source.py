"""How the base model gets to another machine: by its name on the hub, or with its files; in 4 bit or not."""

from __future__ import annotations

from PySide6.QtCore import QObject, Signal
from PySide6.QtWidgets import QLabel, QWidget

from app.core.bundle.base_model import BaseModel, base_model
from app.core.bundle.launch import memory_gb
from app.core.config.train_config import TrainConfig
from app.core.language import tr
from app.core.model.hub import parse_model_id
from app.core.problem import UnusableError
from app.core.quantity import bytes_text
from app.ui.form.plain_editor import CheckEditor, ChoiceBox, TextEditor
from app.ui.widget import theme
from app.ui.widget.layout import FormRows

BASE_LABEL_WIDTH = 110


class BaseSource(QObject):
    """The rows of a form about the base; ``edited`` says that something else was chosen."""

    edited = Signal()

    def __init__(self, config: TrainConfig, form: QWidget) -> None:
        super().__init__(form)
        self.base, self.fault = _base_of(config)
        self.source = ChoiceBox(
            (("hub", tr("Downloaded there, from the hub")), ("files", tr("Its files come along"))), form
        )
        self.source.setObjectName("bundle.source")
        self.source.setAccessibleName(tr("Base model"))
        self.name = TextEditor(form)
        self.name.setObjectName("bundle.name")
        self.name.setAccessibleName(tr("Name on the hub"))
        self.name.setPlaceholderText("organization/model")
        self.four_bit = CheckEditor(tr("Load it in 4 bit there"), form)
        self.four_bit.setObjectName("bundle.four_bit")
        self.four_bit.setToolTip(tr("With bitsandbytes: a quarter of the memory, on NVIDIA only, and other losses"))
        self.about = QLabel(form)
        self.about.setObjectName("bundle.about")
        self.about.setWordWrap(True)
        theme.set_role(self.about, role="small")
        known = self._known_name()
        self.source.set_value("hub" if known or self.base is None or self.base.is_packed else "files")
        self.name.set_value(known)
        for editor in (self.source, self.name, self.four_bit):
            editor.edited.connect(self._on_edit)
        self._show()

    def add_to(self, rows: FormRows) -> None:
        """Puts the rows into a form."""
        first = QLabel(tr("Base model"), rows.parentWidget())
        first.setMinimumWidth(theme.text_width(BASE_LABEL_WIDTH))
        rows.add_row(first, self.source)
        rows.add_row(tr("Name on the hub"), self.name)
        rows.add_row("", self.four_bit)
        rows.add_row("", self.about)

    @property
    def brings(self) -> bool:
        """Whether the files come along."""
        return bool(self.source.value() == "files")

    @property
    def in_four_bit(self) -> bool:
        """Whether it is loaded in 4 bit there."""
        return not self.brings and bool(self.four_bit.value())

    @property
    def named(self) -> str:
        """The name on the hub, where it is another than the one that is known."""
        same = self.brings or self.name.value() == self._known_name()
        return "" if same else str(self.name.value()).strip()

    @property
    def need_gb(self) -> float:
        """About what the training takes of a GPU; 0 while the base is not known."""
        if self.base is None:
            return 0.0
        return memory_gb({"model": {"bytes": self.base.weight_bytes, "four_bit": self.in_four_bit}})

    def problem(self) -> str:
        """What is in the way; empty if nothing is."""
        if self.base is None:
            return self.fault
        if self.brings:
            said = tr(
                "This model is quantized by MLX, which transformers does not read. Name what it was made from."
            )
            return said if self.base.is_packed else ""
        if parse_model_id(self.name.value()) is None:
            return tr("Name the model on the hub (organization/model), or take its files along.")
        return ""

    def _known_name(self) -> str:
        return str(self.base.identity) if self.base is not None and self.base.identity is not None else ""

    def _on_edit(self, _value: object = None) -> None:
        self._show()
        self.edited.emit()

    def _show(self) -> None:
        self.name.setEnabled(not self.brings)
        self.four_bit.setEnabled(not self.brings)
        if self.base is not None:
            licence = self.base.licence or tr("not told here; read its page before you use it")
            self.about.setText(
                tr(
                    "{weight_bytes} here. Licence: {licence}.",
                    weight_bytes=bytes_text(self.base.weight_bytes),
                    licence=licence,
                )
            )


def _base_of(config: TrainConfig) -> tuple[BaseModel | None, str]:
    try:
        return base_model(config.model), ""
    except UnusableError as error:
        return None, error.problems[0].sentence()
