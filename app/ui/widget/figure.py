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
        self._expected: tuple[tuple[str, str, str], ...] = ()
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
        self._name()

    def set_label(self, label: str) -> None:
        """Says what the value is."""
        if label != self._label:
            self._label = label
            self._caption.setText(label)
            self._name()

    def expect(self, *shown: tuple[str, str, str]) -> None:
        """Captions, values and notes for which a `FigureGrid` keeps room, so that nothing moves when they come."""
        self._expected = shown

    def needed_width(self) -> int:
        """What it takes to show it whole, now and with whatever it expects."""
        for label in (self._caption, self._value, self._note):
            label.ensurePolished()
        return max(self.minimumSizeHint().width(), *(self._width_of(*one) for one in self._expected), 0)

    def show_value(self, value: str, note: str = "") -> None:
        """Shows a value; nothing is drawn anew when it is the same."""
        if (value, note) != (self._value.text(), self._note.text()):
            self._value.setText(value)
            self._note.setText(note)
            self._name()

    def _name(self) -> None:
        self.setAccessibleName(f"{self._label}: {self._value.text()} {self._note.text()}".strip())

    def _width_of(self, label: str, value: str, note: str) -> int:
        below = self._value.fontMetrics().horizontalAdvance(value)
        if note:
            below += theme.SPACE // 2 + self._note.fontMetrics().horizontalAdvance(note)
        return max(self._caption.fontMetrics().horizontalAdvance(label), below)


class FigureGrid(QWidget):
    """Figures in columns of equal width: as many as was asked for, fewer where one would be cut, at least one.

    What once had too little room gets no less until `start_anew`: columns do not come and go with a digit.
    """

    def __init__(self, figures: Sequence[CaptionedFigure], across: int) -> None:
        super().__init__()
        self._figures, self._most, self._across = figures, across, 0
        self._widest = 0  # px, of any figure so far
        self._grid = QGridLayout(self)
        self._grid.setContentsMargins(0, theme.SPACE // 2, 0, 0)
        self._grid.setHorizontalSpacing(theme.SPACE * 2)
        self._grid.setVerticalSpacing(theme.SPACE * 3 // 2)
        self._place(across)

    def start_anew(self) -> None:
        """Other figures come, those of another run: forgets how wide one was."""
        self._widest = 0
        self._across = 0
        self.arrange()

    def arrange(self) -> None:
        """Takes as many columns as have room; to be called when a figure has become wider."""
        across = max((n for n in range(1, self._most + 1) if self._needed(n) <= self.width()), default=1)
        if across != self._across:
            self._place(across)

    def _place(self, across: int) -> None:
        self._across = across
        for column in range(self._most):
            self._grid.setColumnStretch(column, int(column < across))
        for index, figure in enumerate(sorted(self._figures, key=QWidget.isHidden)):  # these leave no hole
            self._grid.addWidget(figure, index // across, index % across)
        self.updateGeometry()

    def _needed(self, across: int) -> int:
        shown = (one.needed_width() for one in self._figures if not one.isHidden())
        self._widest = max(self._widest, *shown, 0)
        return across * self._widest + (across - 1) * self._grid.horizontalSpacing()

    def minimumSizeHint(self) -> QSize:
        return QSize(self._needed(1), super().minimumSizeHint().height())

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.arrange()
