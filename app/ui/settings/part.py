"""Parts of a settings page: rows with a label, a field, and what is to be known about it."""

from __future__ import annotations

from PySide6.QtWidgets import QFormLayout

from app.ui.widget import theme


def settings_form() -> QFormLayout:
    """The layout of a page's rows."""
    form = QFormLayout()
    form.setHorizontalSpacing(theme.SPACE * 2)
    form.setVerticalSpacing(theme.SPACE * 3 // 2)
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    return form
