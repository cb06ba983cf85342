"""The licences of what Luthier is made of: the parts on the left, what the chosen one says on the right."""

from __future__ import annotations

from PySide6.QtGui import QFontDatabase
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QPlainTextEdit,
    QVBoxLayout,
    QWidget,
)

from app.core.language import tr
from app.core.system.licence import Licence, licences
from app.ui.widget import theme
from app.ui.widget.keyed_dialog import KeyedDialog

LICENCE_SIZE = (820, 520)  # px in Inter
PARTS_WIDTH = 230  # px in Inter


class LicenceDialog(KeyedDialog):
    """Reads the packages' metadata when it is made (some 50 ms)."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("licence_dialog")
        self.setWindowTitle(tr("Licences"))
        self.resize(*(theme.text_width(side) for side in LICENCE_SIZE))
        self._licences = licences()
        self.parts = QListWidget(self)
        self.parts.setObjectName("licences.parts")
        self.parts.setAccessibleName(tr("Parts of Luthier"))
        self.parts.setFixedWidth(theme.text_width(PARTS_WIDTH))
        self.parts.addItems([one.title for one in self._licences])
        self.terms = QLabel(self)
        self.terms.setWordWrap(True)
        self.text = QPlainTextEdit(self)
        self.text.setObjectName("licences.text")
        self.text.setAccessibleName(tr("Text of the licence"))
        self.text.setReadOnly(True)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        box = QDialogButtonBox(QDialogButtonBox.StandardButton.Close, self)
        box.rejected.connect(self.reject)
        right = QVBoxLayout()
        right.setSpacing(theme.SPACE)
        right.addWidget(self.terms)
        right.addWidget(self.text, 1)
        middle = QHBoxLayout()
        middle.setSpacing(theme.SPACE * 2)
        middle.addWidget(self.parts)
        middle.addLayout(right, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE * 3 // 2)
        layout.addLayout(middle, 1)
        layout.addWidget(box)
        self.parts.currentRowChanged.connect(self._show)
        self.parts.setCurrentRow(0)

    @property
    def licence(self) -> Licence:
        """What is shown."""
        return self._licences[max(0, self.parts.currentRow())]

    def _show(self) -> None:
        shown = self.licence
        self.terms.setText(f"{shown.title}: {shown.terms}" if shown.terms else shown.title)
        self.text.setPlainText(shown.text or tr("The package brings no text of its licence beside its name."))
