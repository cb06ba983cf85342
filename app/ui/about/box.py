"""The box *About Luthier*: its version, what it is, and the way to the licences."""

from __future__ import annotations

from PySide6.QtCore import QObject, Qt
from PySide6.QtWidgets import QMessageBox, QWidget

from app import __version__
from app.core.language import tr
from app.ui.about.licence_dialog import LicenceDialog
from app.ui.platform.message_box import message_box


class About(QObject):
    """Open it with ``show``. *Licences…* shows them in the place of the box."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._window = parent
        self.box = message_box(parent, tr("About Luthier"))
        self.box.setIconPixmap(parent.windowIcon().pixmap(64, 64))
        self.box.setText(tr("Luthier {version}", version=__version__))
        self.box.setInformativeText(tr("Fine-tune language models on your own machine, with MLX and mlx-lm."))
        self.licences = self.box.addButton(tr("Licences…"), QMessageBox.ButtonRole.ActionRole)
        self.box.setDefaultButton(self.box.addButton(QMessageBox.StandardButton.Close))
        self.licences.clicked.connect(self._show_licences)

    def show(self) -> None:
        """Shows the box, and returns at once."""
        self.box.open()

    def _show_licences(self) -> None:
        dialog = LicenceDialog(self._window)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.open()
