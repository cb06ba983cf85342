"""One number on its own: what it is, and its value."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from app.core.language import tr
from app.ui.widget import theme

UNKNOWN = "–"


class CountFigure(QWidget):
    """One number with what it counts."""

    def __init__(self, name: str, label: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName(f"estimate.{name}")
        self._value, self._label = QLabel("–", self), QLabel(label, self)
        self._value.setProperty("role", "section")
        self._label.setProperty("role", "small")
        self._label.setWordWrap(True)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        layout.addWidget(self._value)
        layout.addWidget(self._label)

    @property
    def text(self) -> str:
        """The number as shown."""
        return self._value.text()

    def set_label(self, label: str) -> None:
        """Names what is counted anew."""
        self._label.setText(label)

    def show_value(self, text: str, tip: str = "") -> None:
        """Shows the number; "–" where it is not known."""
        self._value.setText(text or "–")
        self.setToolTip(tip)
        self.setAccessibleName(tr("{text}: {text2}", text=self._label.text(), text2=text or tr("not known yet")))


class CaptionedFigure(QWidget):
    """One figure: what it is, small, and its value, with an addition where there is one."""

    def __init__(self, name: str, label: str) -> None:
        super().__init__()
        self._label = label
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(0)
        self._caption = QLabel(label)
        theme.set_role(self._caption, role="small")
        self._value, self._note = QLabel(UNKNOWN), QLabel()
        self._value.setObjectName(f"figure.{name}")
        theme.set_role(self._value, role="section")
        theme.set_role(self._note, role="small")
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE // 2)
        row.addWidget(self._value, 0, Qt.AlignmentFlag.AlignBaseline)
        row.addWidget(self._note, 0, Qt.AlignmentFlag.AlignBaseline)
        row.addStretch(1)
        layout.addWidget(self._caption)
        layout.addLayout(row)

    def set_label(self, label: str) -> None:
        """Says what the value is."""
        if label != self._label:
            self._label = label
            self._caption.setText(label)

    def show_value(self, value: str, note: str = "") -> None:
        """Shows a value; nothing is drawn anew when it is the same."""
        if (value, note) != (self._value.text(), self._note.text()):
            self._value.setText(value)
            self._note.setText(note)
            self.setAccessibleName(f"{self._label}: {value} {note}".strip())
