"""Message boxes: questions and words that wait for an answer, drawn by Qt on every system."""

from __future__ import annotations

from PySide6.QtWidgets import QMessageBox, QWidget


def message_box(parent: QWidget | None, title: str = "Luthier") -> QMessageBox:
    """A message box that is never the system's own: macOS 26's hang. (Panels for files are the system's.)

    Qt draws its own also where the application has a style sheet, but not before it is dressed, nor by a promise.
    """
    box = QMessageBox(parent)
    box.setOption(QMessageBox.Option.DontUseNativeDialog)
    box.setWindowTitle(title)
    return box
