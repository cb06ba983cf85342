"""A line of text and a button, as pages of choices have them."""

from __future__ import annotations

from PySide6.QtWidgets import QLabel, QPushButton, QWidget


def note_label(text: str, parent: QWidget, role: str = "small") -> QLabel:
    """A line of text that wraps, such as one below a field."""
    label = QLabel(text, parent)
    label.setProperty("role", role)
    label.setWordWrap(True)
    return label


def quiet_button(name: str, text: str, tip: str, parent: QWidget) -> QPushButton:
    """A button that Return does not press by itself."""
    button = QPushButton(text, parent)
    button.setObjectName(name)
    button.setToolTip(tip)
    button.setAutoDefault(False)
    return button
