"""One number on its own: what it is, and its value; and several of them beside each other."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QGridLayout, QHBoxLayout, QLabel, QVBoxLayout, QWidget

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


class FigureGrid(QWidget):
    """Figures in columns of equal width: as many as was asked for, fewer where one would be cut.

    Figures of one cell stand in each other's place; whoever made them shows one at a time.
    """

    def __init__(self, cells: Sequence[Sequence[CaptionedFigure]], across: int) -> None:
        super().__init__()
        self._cells, self._most, self._across = cells, across, 0
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, theme.SPACE // 2, 0, 0)
        self._grid.setHorizontalSpacing(theme.SPACE * 2)
        self._grid.setVerticalSpacing(theme.SPACE * 3 // 2)
        self._place(across)

    def arrange(self) -> None:
        """Takes as many columns as have room; to be called when a figure has become wider."""
        across = max((n for n in range(2, self._most + 1) if self._needed(n) <= self.width()), default=2)
        if across != self._across:
            self._place(across)

    def _place(self, across: int) -> None:
        self._across = across
        for column in range(self._most):
            self._grid.setColumnStretch(column, int(column < across))
        for index, cell in enumerate(self._cells):
            for figure in cell:
                self._grid.addWidget(figure, index // across, index % across)
        self.updateGeometry()

    def _needed(self, across: int) -> int:
        shown = [one for cell in self._cells for one in cell if not one.isHidden()]
        widest = max((one.minimumSizeHint().width() for one in shown), default=0)
        return across * widest + (across - 1) * self._grid.horizontalSpacing()

    def minimumSizeHint(self) -> QSize:
        return QSize(self._needed(2), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.arrange()
