"""Choosing targets: a preset with its cost, groups to tick, or patterns of one's own with live matches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QCheckBox, QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from app.core.language import tr
from app.core.model.module_group import GROUP_HELP, Group
from app.core.problem import Problem
from app.core.quantity import bytes_text, percent_text, plural, short_count
from app.core.target.pattern import HOW_TEXT, PatternMatch
from app.core.target.preset import PRESETS
from app.core.target.selection import KEYS, GroupCount, Selection, group_counts, preset_costs
from app.ui.form.editor import editor_height
from app.ui.form.field import Field
from app.ui.form.grid import FieldGrid
from app.ui.form.plain_editor import ChoiceBox, TextEditor
from app.ui.form.selection_model import SelectionModel
from app.ui.form.store import ConfigStore
from app.ui.target.coverage_matrix import group_color
from app.ui.target.module_dialog import ModuleDialog
from app.ui.widget import theme
from app.ui.widget.flow import Flow

CUSTOM = "custom"
CUSTOM_HELP = tr("Names separated by commas: q_proj, self_attn.k_proj, a part of a name, or a glob such as *.mlp.*")
KEYS_HELP = tr("Exactly the keys of the config file, as mlx-lm reads them.")


class TargetChooser(QWidget):
    """Edits ``targets`` of a `ConfigStore` with the help of a `SelectionModel`."""

    def __init__(self, store: ConfigStore, model: SelectionModel, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._store, self._model = store, model
        self._custom = store.config.targets not in PRESETS
        self._told = False
        self._from = ""  # the preset that a choice of one's own began with
        self._origins: dict[str, str] = {}  # the same for each such choice that was shown
        self._memory = ""  # what a run takes with the present choice
        self.memory_of: Callable[[Selection], int] | None = None  # bytes that a run takes with another choice
        self._boxes: dict[Group, QCheckBox] = {}
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE)
        layout.addLayout(self._head())
        self._help = _text_label("targets.help", "small")
        self._patterns = self._pattern_part()
        self._groups = FieldGrid(self, max_columns=3, column_width=200)
        layout.addWidget(self._groups)
        # What grows and shrinks with the choice stands below the matrix: a click on a cell must not move the cells.
        self.details = QWidget(self)
        below = QVBoxLayout(self.details)
        below.setContentsMargins(0, 0, 0, 0)
        below.setSpacing(theme.SPACE)
        below.addWidget(self._help)
        below.addWidget(self._patterns)
        model.changed.connect(self._show)
        store.changed.connect(self._on_changed)
        theme.theme().changed.connect(self._show)
        self._show()

    # -- parts ------------------------------------------------------------------------------------------------

    def _head(self) -> Flow:
        head = Flow()
        label = QLabel(tr("Targets"), self)
        label.setProperty("role", "label")
        self.preset = ChoiceBox((), self)
        self.preset.setObjectName("targets.preset")
        self.preset.setAccessibleName(tr("Targets: preset"))
        self.preset.setToolTip(tr("Which matrices get an adapter"))
        self.preset.setFixedHeight(editor_height())
        self.preset.setSizeAdjustPolicy(ChoiceBox.SizeAdjustPolicy.AdjustToContents)
        for index, preset in enumerate(PRESETS.values()):
            self.preset.addItem(preset.label, preset.name)
            self.preset.setItemData(index, f"{preset.what} {preset.when}", Qt.ItemDataRole.ToolTipRole)
        self.preset.addItem(tr("Custom"), CUSTOM)
        self.preset.setItemData(self.preset.count() - 1, CUSTOM_HELP, Qt.ItemDataRole.ToolTipRole)
        self.preset.edited.connect(self._on_preset)
        self.preset.opening.connect(self._show_costs)
        label.setBuddy(self.preset)
        self.modules_button = QPushButton(tr("All modules…"), self)
        self.modules_button.setObjectName("targets.modules")
        self.modules_button.setToolTip(tr("Every matrix of the model with its shape, searchable"))
        theme.set_role(self.modules_button, kind="quiet")
        self.modules_button.clicked.connect(self.show_modules)
        head.addWidget(label)
        head.addWidget(self.preset)
        head.addWidget(self.modules_button)
        return head

    def _pattern_part(self) -> QFrame:
        part = QFrame(self)
        layout = QVBoxLayout(part)
        layout.setContentsMargins(0, 0, 0, 0)
        editor = TextEditor(part)
        editor.setPlaceholderText(tr("q_proj, v_proj, *.mlp.*"))
        self.field = Field("targets", self._store, part, editor=editor, labelled=False)
        self._matches = _text_label("targets.matches", "small")
        self._matches.setTextFormat(Qt.TextFormat.RichText)
        layout.addWidget(self.field)
        layout.addWidget(self._matches)
        return part

    # -- what it shows ----------------------------------------------------------------------------------------

    def _show(self) -> None:
        text, inspection = self._store.config.targets, self._model.inspection
        self._custom = self._custom or text not in PRESETS
        if not self._custom:
            self._from = PRESETS[text].label.partition(" (")[0]
        else:
            self._from = self._origins.setdefault(text, self._from)  # undo may come back to it from elsewhere
        self.preset.setItemText(
            self.preset.count() - 1, tr("Custom, from {from_}", from_=self._from) if self._from else tr("Custom")
        )
        self.preset.set_value(CUSTOM if self._custom else text)
        self._show_patterns()
        self.modules_button.setEnabled(inspection is not None)
        self._help.setText(self._help_text())
        self._show_groups()
        self._show_matches()

    def _show_patterns(self) -> None:
        """The line to type in is for patterns of one's own; what is wrong with a preset is told there as well."""
        self._patterns.setVisible(self._custom or self._told)
        self.field.editor.setVisible(self._custom)

    def _help_text(self) -> str:
        text, selection = self._store.config.targets, self._model.selection
        if self._custom:
            return KEYS_HELP if text == KEYS else CUSTOM_HELP
        preset = PRESETS[text]
        if selection is None or selection.kind == "full":
            return f"{preset.what} {preset.when}"
        cost = tr(
            "{modules}, {trainable_parameters:,} parameters ({trainable_percent}), {adapter_bytes} on disk",
            modules=plural(selection.adapted_modules, "module"),
            trainable_parameters=selection.trainable_parameters,
            trainable_percent=percent_text(selection.trainable_percent),
            adapter_bytes=bytes_text(selection.adapter_bytes),
        )
        return tr(
            "{what} {when} Here: {cost}{memory}.",
            what=preset.what,
            when=preset.when,
            cost=cost,
            memory=self._memory,
        )

    def _show_costs(self) -> None:
        """What each preset costs for this model, worked out only when the list opens: an edit must stay quick."""
        inspection, config = self._model.inspection, self._store.config
        if inspection is None or config.fine_tune_type == "full":
            return
        memory_of = self.memory_of
        told = None if memory_of is None else lambda selection: _memory_text(memory_of(selection))
        for index, cost in enumerate(preset_costs(inspection, config, told)):
            self.preset.setItemText(index, f"{cost.label} · {short_count(cost.selection.trainable_parameters)}")
            self.preset.setItemData(index, cost.help, Qt.ItemDataRole.ToolTipRole)

    def _show_groups(self) -> None:
        inspection, selection = self._model.inspection, self._model.selection
        counts: tuple[GroupCount, ...] = ()
        if inspection is not None and selection is not None and selection.kind != "full":
            counts = group_counts(inspection, self._store.config, selection)
        if [count.group for count in counts] != list(self._boxes):
            self._make_boxes(counts)
        for count in counts:
            self._show_box(self._boxes[count.group], count)
        self._groups.setVisible(bool(counts))

    def _make_boxes(self, counts: tuple[GroupCount, ...]) -> None:
        for old in self._boxes.values():
            self._groups.remove(old)
        self._boxes = {}
        for count in counts:
            box = QCheckBox(self._groups)
            box.setObjectName(f"targets.group.{count.group.value}")
            box.setProperty("group", count.group.value)
            box.clicked.connect(self._on_group)
            self._groups.add(box)
            self._boxes[count.group] = box

    def _show_box(self, box: QCheckBox, count: GroupCount) -> None:
        state = Qt.CheckState
        on = state.Checked if count.selected == count.count else state.PartiallyChecked
        box.setCheckState(on if count.selected else state.Unchecked)
        share = (
            tr("{selected} of {count}", selected=count.selected, count=count.count)
            if 0 < count.selected < count.count
            else f"{count.count}"
        )
        box.setText(f"{count.label}  {share} · {short_count(count.parameters)}")
        box.setIcon(_swatch(group_color(count.group)))
        box.setAccessibleName(f"{count.label}: {plural(count.count, 'matrix', 'matrices')}")
        box.setToolTip(
            tr(
                "{group_help}.\n{selected} of {modules} are adapted; {these} take {parameters:,} "
                "trainable parameters.",
                group_help=GROUP_HELP[count.group],
                selected=count.selected,
                modules=plural(count.count, "module"),
                these=tr("these") if 0 < count.selected < count.count else tr("all of them"),
                parameters=count.parameters,
            )
        )

    def _show_matches(self) -> None:
        selection = self._model.selection
        matches = selection.matches if selection is not None and self._custom else ()
        self._matches.setText("<br>".join(_match_line(match) for match in matches))
        self._matches.setVisible(bool(matches))

    # -- what happens -----------------------------------------------------------------------------------------

    def set_problems(self, problems: Sequence[Problem]) -> None:
        """Shows what checks found about the targets."""
        self.field.set_problems(problems)
        self._told = bool(problems)
        self._show_patterns()

    def show_memory(self, total: int | None) -> None:
        """Shows the bytes that a run takes with the present choice; None while they are not known."""
        memory = "" if total is None else f", {_memory_text(total)}"
        if memory != self._memory:
            self._memory = memory
            self._help.setText(self._help_text())

    def focus(self) -> None:
        """Gives the keyboard to what edits the targets now."""
        (self.field.editor if self._custom else self.preset).setFocus(Qt.FocusReason.ShortcutFocusReason)

    def show_modules(self) -> None:
        """Opens the list of modules."""
        if self._model.inspection is None or self._model.selection is None:
            return
        dialog = ModuleDialog(self._model.inspection, self._model.selection.paths, self.window())
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.picked.connect(self._on_picked)
        dialog.open()

    def _on_preset(self, name: Any) -> None:
        self._custom = name == CUSTOM
        if not self._custom:
            self._store.set("targets", name)
            self._show()
            return
        selection = self._model.selection
        if selection is not None and selection.kind != "full" and self._store.config.targets in PRESETS:
            self._store.set("targets", ", ".join(dict.fromkeys(m.name for m in selection.modules)) or "q_proj")
        self._show()
        self.field.focus()

    def _on_group(self, on: bool) -> None:
        box = self.sender()
        assert isinstance(box, QCheckBox)
        inspection, selection = self._model.inspection, self._model.selection
        if inspection is None or selection is None:
            return
        counts = group_counts(inspection, self._store.config, selection)
        chosen = next(count for count in counts if count.group.value == box.property("group"))
        on = chosen.selected < chosen.count
        self._custom = False
        self._model.switch((module.path for module in chosen.modules), on)
        self._show()

    def _on_picked(self, keys: list[str]) -> None:
        self._custom = True
        self._store.set("targets", ", ".join(keys))
        self._show()

    def _on_changed(self, path: str) -> None:
        if path == "" or (path == "targets" and not self.field.editor.hasFocus()):
            self._custom = self._store.config.targets not in PRESETS
            if not self._custom:  # the model may have told of the change before this
                self._show()
        if path in ("", "targets") and self._model.inspection is None:
            self._show()


def _memory_text(total: int) -> str:
    return tr("about {total} of memory in training", total=bytes_text(total))


def _match_line(match: PatternMatch) -> str:
    c = theme.colors()
    name = f"<b>{escape(match.pattern)}</b>"
    if match.modules:
        examples = ", ".join(escape(path) for path in match.examples[:2])
        more = " …" if len(match.modules) > 2 else ""
        return f"{name} → {plural(len(match.modules), 'module')} ({HOW_TEXT[match.how]}): {examples}{more}"
    if match.refused:
        why = escape(match.refused[0].refused)
        return f"<span style='color:{c.warning}'>{name} → {escape(match.refused[0].path)}: {why}</span>"
    return tr("<span style='color:{error}'>{name} → nothing</span>", error=c.error, name=name)


def _swatch(color: str) -> QIcon:
    """A small square in a group's colour: the same as its cells."""
    pixmap = QPixmap(24, 24)
    pixmap.setDevicePixelRatio(2)
    pixmap.fill(Qt.GlobalColor.transparent)
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(Qt.PenStyle.NoPen)
    painter.setBrush(QColor(color))
    painter.drawRoundedRect(0, 1, 10, 10, 3, 3)
    painter.end()
    return QIcon(pixmap)


def _text_label(name: str, role: str) -> QLabel:
    label = QLabel()
    label.setObjectName(name)
    label.setProperty("role", role)
    label.setWordWrap(True)
    label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
    return label
