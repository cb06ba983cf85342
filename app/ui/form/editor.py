"""Editors: the plain input widgets behind config fields, all with ``value``, ``set_value`` and ``edited``."""

from __future__ import annotations

from PySide6.QtWidgets import (
    QWidget,
)

from app.core.config.train_config import FieldSpec
from app.ui.form.number_box import NumberBox
from app.ui.form.path_editor import ComposedEditor, PathEditor
from app.ui.form.plain_editor import CheckEditor, ChoiceBox, TextEditor
from app.ui.widget import theme

EDITOR_PADDING = 10  # px, above, below and around the line of an editor, as the style sheet has it


def editor_height() -> int:
    """The height of every editor in a row, in px: what the style sheet gives a line edit."""
    return theme.line_px() + EDITOR_PADDING


Editor = NumberBox | ChoiceBox | CheckEditor | TextEditor | ComposedEditor


def make_editor(spec: FieldSpec, parent: QWidget | None = None) -> Editor:
    """The editor of a field's kind, named by its path."""
    editor: Editor
    if spec.kind in ("int", "float"):
        editor = NumberBox(spec, parent)
    elif spec.kind == "bool":
        editor = CheckEditor(spec.label, parent)
    elif spec.kind == "choice":
        editor = ChoiceBox(spec.choices, parent)
    elif spec.kind == "path":
        editor = PathEditor(spec, parent)
    else:
        editor = TextEditor(parent)
    name_editor(editor, spec)
    return editor


def name_editor(editor: Editor, spec: FieldSpec) -> None:
    """Gives the widget that takes the keyboard the field's path and texts, and all of them one height."""
    named = editor.line if isinstance(editor, ComposedEditor) else editor
    named.setObjectName(spec.path)
    named.setAccessibleName(spec.label)
    named.setAccessibleDescription(spec.help)
    if not isinstance(named, CheckEditor | ComposedEditor):  # one that is its own line is as tall as its parts
        named.setFixedHeight(editor_height())
