"""The card "Model": choose one by drop, dialog, name or list, and see at once what it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QFrame, QGridLayout, QLabel, QMenu, QPushButton, QWidget

from app.core.config.spec import field_specs
from app.core.language import tr
from app.core.model.folder import locate_model
from app.core.model.inspection import Inspection
from app.core.model.template import is_templated
from app.core.problem import Problem
from app.core.quantity import bytes_text, count_text
from app.core.setup.path_kind import PathKind, sort_path
from app.core.system import starter
from app.core.system.setting import load_settings, save_settings
from app.ui.form.field import Field
from app.ui.form.path_editor import PathEditor
from app.ui.form.store import ConfigStore
from app.ui.model.finder import ModelFinder
from app.ui.widget import theme
from app.ui.widget.drop import DropCard, DropZone
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.layout import clear_layout
from app.ui.worker.inspector import Inspector

if TYPE_CHECKING:
    from app.ui.model.hub_dialog import HubDialog
    from app.ui.model.template_dialog import TemplateDialog

MENU_LIMIT = 20


class ModelPanel(DropCard):
    """Edits ``model`` of a `ConfigStore` and shows the `Inspector`'s answer about it."""

    def __init__(self, store: ConfigStore, inspector: Inspector, parent: QWidget | None = None) -> None:
        super().__init__(tr("Model"), parent=parent)
        self.setObjectName("model_panel")
        self._store, self._inspector = store, inspector
        self.hub: HubDialog | None = None
        self._finder = ModelFinder(self)
        self._editor = PathEditor(
            field_specs()["model"],
            self,
            folder=True,
            placeholder=tr("Folder or name of a model"),
            fill_menu=self._fill,
        )
        self.field = Field(
            "model",
            store,
            self,
            editor=self._editor,
            labelled=False,
            commit=lambda path: store.choose("model", path),
        )
        self.body.addWidget(self.field)
        self._empty, self._status, self._facts = self._empty_state(), QLabel(self), QFrame(self)
        self._status.setProperty("role", "muted")
        self._status.setWordWrap(True)
        self._grid = QGridLayout(self._facts)
        self._grid.setContentsMargins(0, 0, 0, 0)
        self._grid.setVerticalSpacing(theme.SPACE // 2)
        for part in (self._empty, self._status, self._facts):
            self.body.addWidget(part)
        self.body.addStretch(1)
        self._template_button = self._make_template_button()
        self.body.insertWidget(self.body.count() - 1, self._template_button)
        self._add_get_button()
        self._connect()
        self._show_state("empty")
        self._finder.find()
        inspector.inspect(store.config.model)

    def shutdown(self) -> None:
        """Ends the search for models, and what the dialog does, before the window closes."""
        self._finder.stop()
        if self.hub is not None:
            self.hub.shutdown()

    def accepts(self, path: Path) -> bool:
        """Model folders, and the files in one that are dragged instead of it."""
        return sort_path(path).kind is PathKind.MODEL

    def _connect(self) -> None:
        self.dropped.connect(self._on_dropped)
        self._store.changed.connect(self._on_changed)
        self._inspector.started.connect(self._on_started)
        self._inspector.inspected.connect(self._on_inspected)
        self._inspector.failed.connect(self._on_failed)
        self._inspector.cleared.connect(self._on_cleared)

    # -- parts ------------------------------------------------------------------------------------------------

    def _add_get_button(self) -> None:
        self.get_button = QPushButton(tr("Get a model…"), self)
        self.get_button.setObjectName("model.get")
        self.get_button.setToolTip(tr("Search, download and convert models"))
        theme.set_role(self.get_button, kind="link")
        self.get_button.clicked.connect(self.get_model)
        self.tools.addWidget(self.get_button)

    def _make_template_button(self) -> QPushButton:
        button = QPushButton(tr("Chat template…"), self)
        button.setObjectName("model.template")
        button.setToolTip(tr("Give the model a chat template, so that conversations can be trained"))
        theme.set_role(button, kind="link")
        button.clicked.connect(self.ask_template)
        button.hide()
        return button

    def _empty_state(self) -> DropZone:
        wanted = tr("Any model that mlx-lm knows, from Hugging Face or converted for MLX")
        zone = DropZone(tr("Drop a model folder here"), wanted, self)
        tip = tr("A small model that came with Luthier: a first run takes about a minute")
        self.starter_button = zone.add_button("model.starter", tr("Use the starter model"), tip, self.use_starter)
        zone.add_button(
            "model.browse_folder", tr("Browse…"), tr("Choose a model folder"), self._editor.browse, kind="quiet"
        )
        return zone

    def _fill(self, menu: QMenu) -> None:
        """Recent models, then those found on this machine."""
        self._finder.find()
        menu.addSection(tr("Recent"))
        for path in load_settings().recent_models:
            self._offer(menu, path, path, "")
        menu.addSection(tr("On this machine"))
        for entry in self._finder.entries[:MENU_LIMIT]:
            value = entry.name if entry.cached else str(entry.path)
            self._offer(menu, f"{entry.name}   {bytes_text(entry.size_bytes)}", value, str(entry.path))
        self._offer(
            menu, tr("Starter model"), str(starter.model_dir()), tr("The small model that came with Luthier")
        )

    def _offer(self, menu: QMenu, text: str, value: str, tip: str) -> None:
        shown = menu.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, 420)
        action = menu.addAction(shown.replace("&", "&&"))  # else a key, and not there
        action.setToolTip(tip or value)
        action.setData(value)

    # -- what happens -----------------------------------------------------------------------------------------

    def get_model(self) -> None:
        """Opens the dialog that searches, downloads and converts models, where it was."""
        if self.hub is None:
            from app.ui.model.hub_dialog import HubDialog  # many widgets, which few starts of the window need

            self.hub = HubDialog(self.window())
            self.hub.model_chosen.connect(self._editor.choose)
        self.hub.show()
        self.hub.raise_()
        self.hub.activateWindow()

    def ask_template(self) -> TemplateDialog:
        """Opens the dialog that gives the chosen model a chat template."""
        from app.ui.model.template_dialog import TemplateDialog  # few models need it

        dialog = TemplateDialog(locate_model(self._store.config.model), self.window())
        dialog.chosen.connect(self._editor.choose)
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()
        return dialog

    def use_starter(self) -> None:
        """Chooses the bundled model, with the settings that its own config has for a model so small."""
        self._editor.choose(str(starter.model_dir()))

    def _on_dropped(self, paths: list[Path]) -> None:
        self._store.take(map(sort_path, paths))  # what is wrong with it is told once it was inspected

    def _on_changed(self, path: str) -> None:
        if path in ("", "model") and self._store.config.model != self._inspector.model:
            self._inspector.inspect(self._store.config.model)

    def _on_started(self, model: str) -> None:
        self._status.setText(tr("Reading {name} …", name=Path(model).name or model))
        self._show_state("status")

    def _on_failed(self, problem: Problem) -> None:  # noqa: ARG002  # told under the field
        self._show_state("empty")

    def _on_cleared(self) -> None:
        self._show_state("empty")

    def _on_inspected(self, inspection: Inspection) -> None:
        self._show_facts(inspection)
        self._show_state("facts")
        own = is_templated(Path(self._inspector.model))
        is_lacking = inspection.has_tokenizer and not inspection.has_chat_template
        self._template_button.setText(tr("Edit the chat template…") if own else tr("Give it a chat template…"))
        self._template_button.setVisible(own or is_lacking)
        settings = load_settings()
        if self._inspector.model and self._inspector.model not in settings.recent_models[:1]:
            save_settings(settings.with_recent("recent_models", self._inspector.model))

    def _show_state(self, state: str) -> None:
        self._empty.setVisible(state == "empty")
        self._status.setVisible(state == "status")
        self._facts.setVisible(state == "facts")
        if state != "facts":
            self._template_button.hide()

    def _show_facts(self, inspection: Inspection) -> None:
        clear_layout(self._grid)
        for index, (name, text, role) in enumerate(facts(inspection)):
            self._grid.addWidget(_label(name, "muted"), index, 0, Qt.AlignmentFlag.AlignTop)
            value = ElidedLabel(text, self._facts)
            value.setProperty("role", role)
            self._grid.addWidget(value, index, 1)
        self._grid.setColumnStretch(1, 1)
        self._grid.setHorizontalSpacing(theme.SPACE * 2)


def facts(inspection: Inspection) -> list[tuple[str, str, str]]:
    """What the card shows of a model: name, value and the role that colours it."""
    kind = inspection.architecture or inspection.model_type or tr("unknown")
    size = tr("{total_parameters} parameters", total_parameters=count_text(inspection.total_parameters))
    weights = bytes_text(inspection.weight_bytes) + (
        tr(" as {dtype}", dtype=inspection.dtype) if inspection.dtype else ""
    )
    if not inspection.has_weights:
        weights += tr(", not in the folder")
    rows = [
        (tr("Type"), f"{inspection.model_type or '–'} · {kind}", ""),
        (tr("Size"), size, ""),
        (tr("Weights"), weights, "" if inspection.has_weights else "warning"),
        (
            tr("Layers"),
            tr(
                "{num_layers} × {hidden_size:,} wide",
                num_layers=inspection.num_layers,
                hidden_size=inspection.hidden_size,
            ),
            "",
        ),
        (
            tr("Vocabulary"),
            tr("{vocab_size:,} tokens", vocab_size=inspection.vocab_size)
            if inspection.vocab_size
            else tr("not stated"),
            "",
        ),
        (
            tr("Context"),
            tr("{max_length:,} tokens", max_length=inspection.max_length)
            if inspection.max_length
            else tr("not stated"),
            "",
        ),
        (tr("Quantization"), inspection.quantization or tr("none"), ""),
        _found(tr("Tokenizer"), inspection.has_tokenizer),
        _found(tr("Chat template"), inspection.has_chat_template),
    ]
    return rows + [(tr("Note"), note, "note") for note in inspection.notes]


def _found(name: str, there: bool) -> tuple[str, str, str]:
    return name, tr("found") if there else tr("not found"), "good" if there else "warning"


def _label(text: str, role: str) -> QLabel:
    label = QLabel(text)
    label.setProperty("role", role)
    return label
