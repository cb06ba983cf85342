"""What layouts of Qt lack."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QGridLayout, QLabel, QLayout, QWidget

from app.ui.widget import theme


def clear_layout(layout: QLayout) -> None:
    """Takes all widgets out of a layout and deletes them; hidden, because they live until the next turn."""
    while (item := layout.takeAt(0)) is not None:
        if (widget := item.widget()) is not None:
            widget.hide()
            widget.deleteLater()


class FormRows(QGridLayout):
    """Labels and fields. Qt's form layout gives a row whose text is in several lines too little height, and a row
    whose text would be too wide for one too much."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__()
        if parent is not None:
            parent.setLayout(self)
        self.setColumnStretch(1, 1)
        self.setHorizontalSpacing(theme.SPACE * 2)
        self.setVerticalSpacing(theme.SPACE)

    def add_row(self, label: str | QLabel, field: QWidget) -> None:
        """A row more; its label stands at the first line of a text, and in the middle of an editor."""
        row = self.rowCount()
        beside = QLabel(label) if isinstance(label, str) else label
        top = isinstance(field, QLabel)
        if not top:
            beside.setBuddy(field)
        self.addWidget(beside, row, 0, Qt.AlignmentFlag.AlignTop if top else Qt.AlignmentFlag.AlignVCenter)
        self.addWidget(field, row, 1)

    def add_whole(self, part: QWidget) -> None:
        """A part as wide as labels and fields together."""
        self.addWidget(part, self.rowCount(), 0, 1, 2)

    def show_row(self, field: QWidget, shown: bool) -> None:
        """Shows or hides a field with its label."""
        for row in range(self.rowCount()):
            label, beside = (self.itemAtPosition(row, column) for column in (0, 1))
            if label is not None and beside is not None and beside.widget() is field:
                for part in (label.widget(), field):
                    assert part is not None
                    part.setVisible(shown)
