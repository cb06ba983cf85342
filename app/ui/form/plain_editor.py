"""Editors of one Qt widget each: a choice, a tick and a line of text."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QCheckBox, QLineEdit, QWidget

from app.ui.platform.scrolling import CalmBox


class ChoiceBox(CalmBox):
    """One of a few values. ``opening`` comes before its list."""

    edited = Signal(object)
    opening = Signal()

    def __init__(self, choices: tuple[tuple[Any, str], ...] = (), parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMinimumContentsLength(8)
        self.setSizeAdjustPolicy(self.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        for value, text in choices:
            self.addItem(text, value)
        self.activated.connect(self._on_activated)

    def value(self) -> Any:
        """The value chosen."""
        return self.currentData()

    def set_value(self, value: Any) -> None:
        """Shows a value without telling anyone."""
        self.setCurrentIndex(next((i for i in range(self.count()) if self.itemData(i) == value), -1))

    def _on_activated(self) -> None:
        self.edited.emit(self.currentData())

    def sizeHint(self) -> QSize:
        """What Qt asks for, and the pixels left and right that it draws the text away from the edge."""
        return super().sizeHint() + QSize(4, 0)

    def showPopup(self) -> None:
        self.opening.emit()
        super().showPopup()


class CheckEditor(QCheckBox):
    """Yes or no."""

    edited = Signal(object)

    def __init__(self, text: str, parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.clicked.connect(self._on_clicked)

    def value(self) -> bool:
        return self.isChecked()

    def set_value(self, value: Any) -> None:
        """Shows a value without telling anyone."""
        self.setChecked(bool(value))

    def _on_clicked(self, checked: bool) -> None:
        self.edited.emit(checked)


class TextEditor(QLineEdit):
    """A word or a sentence."""

    edited = Signal(object)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.textEdited.connect(self._on_text)

    def value(self) -> str:
        return self.text()

    def set_value(self, value: Any) -> None:
        """Shows a value without telling anyone; the cursor stays while the text is the same. Of a long one the
        beginning is shown."""
        text = "" if value is None else str(value)
        if text != self.text():
            self.setText(text)
            if not self.hasFocus():
                self.setCursorPosition(0)

    def _on_text(self, text: str) -> None:
        self.edited.emit(text)
