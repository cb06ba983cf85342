"""Parts of a settings page: rows with a label, a field, and what is to be known about it."""

from __future__ import annotations

from PySide6.QtWidgets import QFormLayout, QLabel, QPushButton, QWidget

from app.core.system.setting import load_settings, save_settings
from app.ui.widget import theme


def settings_form() -> QFormLayout:
    """The layout of a page's rows."""
    form = QFormLayout()
    form.setHorizontalSpacing(theme.SPACE * 2)
    form.setVerticalSpacing(theme.SPACE * 3 // 2)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return form


def settings_note(text: str, parent: QWidget, role: str = "small") -> QLabel:
    """A line below a field."""
    label = QLabel(text, parent)
    label.setProperty("role", role)
    label.setWordWrap(True)
    return label


def settings_button(name: str, text: str, tip: str, parent: QWidget) -> QPushButton:
    """A button that Return does not press by itself."""
    button = QPushButton(text, parent)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.setAutoDefault(False)
    return button


def keep_settings(**values: object) -> None:
    """Changes some settings on disk; the others stay as they are there."""
    save_settings(load_settings().model_copy(update=values))
