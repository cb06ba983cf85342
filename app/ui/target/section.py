"""The card "Full-Layer LoRA Configuration": the adapter's shape, and which matrices of which layers get one."""

from __future__ import annotations

from PySide6.QtCore import QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.core.language import inside, tr
from app.core.model.inspection import Inspection
from app.core.quantity import plural
from app.core.target.preset import PRESETS
from app.ui.form.field import Field
from app.ui.form.grid import FieldGrid
from app.ui.form.selection_model import SelectionModel
from app.ui.form.store import ConfigStore
from app.ui.platform.link_label import LinkLabel
from app.ui.target.alpha import Alpha
from app.ui.target.chooser import TargetChooser
from app.ui.target.coverage_matrix import CoverageMatrix
from app.ui.target.layer_editor import LayerEditor
from app.ui.widget import theme
from app.ui.widget.card import Card

PAPER = "https://thinkingmachines.ai/blog/lora/"


class TargetSection(Card):
    """Edits type, rank, alpha, dropout, coverage and targets of a `ConfigStore`; shows a `SelectionModel`."""

    def __init__(self, store: ConfigStore, model: SelectionModel, parent: QWidget | None = None) -> None:
        super().__init__(tr("Full-Layer LoRA Configuration"), parent=parent)
        self.setObjectName("target_section")
        self._store, self._model = store, model
        self._inspection: Inspection | None = None
        self.fields: dict[str, Field] = {}
        self.body.addWidget(self._banner())
        self.body.addWidget(self._shape())
        self.chooser = TargetChooser(store, model, self)
        self.body.addWidget(self.chooser)
        self.body.addWidget(self._coverage())
        self.body.addWidget(self.chooser.details)
        model.changed.connect(self._show)
        model.refused.connect(self._on_refused)
        store.changed.connect(self._on_changed)
        self._show()

    # -- parts ------------------------------------------------------------------------------------------------

    def _banner(self) -> QFrame:
        banner = QFrame(self)
        banner.setProperty("role", "banner")
        layout = QVBoxLayout(banner)
        layout.setContentsMargins(theme.SPACE * 3 // 2, theme.SPACE, theme.SPACE * 3 // 2, theme.SPACE)
        layout.setSpacing(2)
        self._what = QLabel(banner)
        self._what.setObjectName("target_section.what")
        self._what.setWordWrap(True)
        self.link = LinkLabel(banner)
        self.link.setObjectName("target_section.link")
        self.link.setProperty("role", "small")
        self.link.setToolTip(PAPER)
        self.link.setAccessibleName(tr("Research: LoRA Without Regret, opens in the browser"))
        self.link.linkActivated.connect(self._open_paper)
        theme.theme().changed.connect(self._show_link)
        self._show_link()
        layout.addWidget(self._what)
        layout.addWidget(self.link)
        return banner

    def _shape(self) -> FieldGrid:
        grid = FieldGrid(self)
        hints = {
            "lora_parameters.rank": tr("Rank 32 recommended for full-layer training"),
            "lora_parameters.dropout": tr("0.0 recommended for stable training"),
        }
        self._layers = LayerEditor(self)
        self._alpha = Alpha(self._store, self)
        self.fields["lora_parameters.scale"] = self._alpha.field
        self.fields["fine_tune_type"] = Field("fine_tune_type", self._store, self)
        path = "lora_parameters.rank"
        self.fields[path] = Field(path, self._store, self, hint=hints[path], commit=self._alpha.store_rank)
        for path in ("fine_tune_type", "lora_parameters.rank"):
            grid.add(self.fields[path])
        grid.add(self._alpha.field)
        grid.add(self._alpha.reading_part)
        path = "lora_parameters.dropout"
        self.fields[path] = Field(path, self._store, self, hint=hints[path])
        grid.add(self.fields[path])
        self.fields["num_layers"] = Field("num_layers", self._store, self, editor=self._layers)
        grid.add(self.fields["num_layers"])
        return grid

    def _coverage(self) -> QFrame:
        well = QFrame(self)
        well.setProperty("role", "well")
        layout = QVBoxLayout(well)
        layout.setContentsMargins(*[theme.SPACE * 3 // 2] * 4)
        layout.setSpacing(theme.SPACE)
        head = QHBoxLayout()
        title = QLabel(tr("Coverage"), well)
        title.setProperty("role", "label")
        self._total = QLabel(well)
        self._total.setObjectName("coverage.total")
        self._total.setProperty("role", "small")
        head.addWidget(title)
        head.addStretch(1)
        head.addWidget(self._total)
        layout.addLayout(head)
        self.matrix = CoverageMatrix(well)
        self.matrix.edited.connect(self._model.switch)
        layout.addWidget(self.matrix)
        self._say = QLabel(well)
        self._say.setObjectName("coverage.say")
        self._say.setProperty("role", "small")
        self._say.setWordWrap(True)
        layout.addWidget(self._say)
        return well

    # -- what it shows ----------------------------------------------------------------------------------------

    def _show(self) -> None:
        inspection, selection = self._model.inspection, self._model.selection
        if inspection is not self._inspection:
            self._inspection = inspection
            layers = inspection.num_layers if inspection else 0
            self._layers.set_layers(layers)
            name = (inspection.path.rstrip("/").rsplit("/", 1)[-1] or tr("The model")) if inspection else ""
            self.fields["num_layers"].set_hint(
                tr("“{name}” has {layers}", name=name, layers=plural(layers, "transformer block")) if layers else ""
            )
            self.matrix.set_rows(inspection.rows if inspection else ())
        known = inspection is not None and selection is not None and bool(inspection.rows)
        self.matrix.setVisible(known)
        if inspection is None or selection is None:
            self._what.setText(self._sentence_without_model())
            self._total.setText("")
            self._say.setText(tr("Choose a model to see its matrices and layers here."))
            return
        full = selection.kind == "full"
        self.matrix.set_selected(selection.paths, editable=not full)
        layers = len({m.layer for m in selection.modules if m.layer is not None})
        value, of_layers = tr("all ") if layers == inspection.num_layers else "", plural(layers, "layer")
        if full or _is_block(inspection, selection.paths):
            matrices = plural(len(selection.matrices), "matrix", "matrices")
            total = tr("{matrices} × {value}{layers}", matrices=matrices, value=value, layers=of_layers)
        else:
            matrices = plural(selection.adapted_modules, "module")
            total = tr("{matrices} in {value}{layers}", matrices=matrices, value=value, layers=of_layers)
        self._total.setText(total)
        self._what.setText(self._sentence(selection.kind, matrices, layers, inspection))
        self._say.setText(
            tr("Full fine-tuning changes whole layers; single matrices cannot be chosen.")
            if full
            else tr("Click a cell, a name, a layer's number, or drag a block. Layer 0 is nearest to the input.")
        )

    def _sentence_without_model(self) -> str:
        config = self._store.config
        if config.fine_tune_type == "full":
            return tr("<b>Full fine-tuning</b> changes the model's weights themselves; there is no small adapter.")
        word = "DoRA" if config.fine_tune_type == "dora" else "LoRA"
        where = (
            tr("in all layers")
            if config.num_layers < 1
            else tr("in the last {layers}", layers=plural(config.num_layers, "layer"))
        )
        if config.targets == "full":
            return tr(
                "<b>Full-layer {word}</b> trains all matrices of attention and MLP, {where}.",
                word=word,
                where=where,
            )
        if (preset := PRESETS.get(config.targets)) is None:
            return tr("<b>{word}</b> trains the matrices that the targets name, {where}.", word=word, where=where)
        return tr(
            "<b>{word}</b> trains, {where}: {what}",
            word=word,
            where=where,
            what=inside(preset.what),
        )

    def _sentence(self, kind: str, matrices: str, layers: int, inspection: Inspection) -> str:
        where = (
            tr("all {layers}", layers=plural(layers, "layer"))
            if layers == inspection.num_layers
            else plural(layers, "layer")
        )
        if kind == "full":
            return tr(
                "<b>Full fine-tuning</b> changes the weights of {where} themselves; there is no small adapter.",
                where=where,
            )
        word = "DoRA" if kind == "dora" else "LoRA"
        said = tr(
            "<b>{word}</b> puts an adapter on {matrices} across {where}.", word=word, matrices=matrices, where=where
        )
        if self._store.config.targets == "full":
            said = tr(
                "<b>Full-layer {word}</b> puts an adapter on {matrices} across {where}.",
                word=word,
                matrices=matrices,
                where=where,
            )
        return said

    def _show_link(self) -> None:
        color = theme.colors().accent
        self.link.setText(
            tr(
                "Research: <a href='{paper}' style='color:{color}'>“LoRA Without Regret”</a>",
                paper=PAPER,
                color=color,
            )
        )

    def _open_paper(self, address: str) -> None:
        QDesktopServices.openUrl(QUrl(address))

    def _on_refused(self, why: str) -> None:
        self._say.setText(why)

    def _on_changed(self, path: str) -> None:
        if path in ("", "fine_tune_type"):
            adapters = self._store.config.fine_tune_type != "full"
            for name in ("lora_parameters.rank", "lora_parameters.scale", "lora_parameters.dropout"):
                self.fields[name].setEnabled(adapters)
            self._alpha.reading.setEnabled(adapters)
            self.chooser.setEnabled(adapters)


def _is_block(inspection: Inspection, chosen: frozenset[str]) -> bool:
    """True if each matrix that is chosen at all is chosen in every layer that is and that has it."""
    states = [[cell and cell.path in chosen for cell in row.cells] for row in inspection.rows]
    rows = [row for row in states if any(row)]
    layers = [layer for layer in range(inspection.num_layers) if any(row[layer] for row in rows)]
    return not any(row[layer] is False for row in rows for layer in layers)
