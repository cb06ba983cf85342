"""A line of text that counts once it is left: the beginning of a path is a path as well, and nobody meant it."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QKeyEvent

from app.ui.form.plain_editor import TextEditor


class SettledText(QObject):
    """Hears a line: ``settled`` when what was typed is left, by Return or by going on; Escape takes it back.

    Whoever hears that says with `begin` what counts by then.
    """

    settled = Signal()

    def __init__(self, line: TextEditor) -> None:
        super().__init__(line)
        self._line, self._before = line, line.text()
        line.installEventFilter(self)
        line.editingFinished.connect(self.settle)

    def settle(self) -> None:
        """What stands there is meant."""
        if self.is_open:
            self.settled.emit()

    def begin(self, text: str) -> None:
        """What counts now, and Escape leads back to."""
        self._before = text

    @property
    def is_open(self) -> bool:
        """Whether something stands there that does not count."""
        return self._line.text() != self._before

    def eventFilter(self, watched: QObject, happened: QEvent) -> bool:
        if happened.type() == QEvent.Type.Hide:
            self.settle()
        elif isinstance(happened, QKeyEvent) and self.is_open and self._is_own(happened):
            return True
        return super().eventFilter(watched, happened)

    def _is_own(self, pressed: QKeyEvent) -> bool:
        """Both keys would end a dialog; while something is being typed they are about that alone."""
        if pressed.key() not in (Qt.Key.Key_Escape, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            return False
        if pressed.type() == QEvent.Type.ShortcutOverride:
            pressed.accept()
            return True
        if pressed.type() != QEvent.Type.KeyPress:
            return False
        if pressed.key() == Qt.Key.Key_Escape:
            self._line.set_value(self._before)
            self._line.edited.emit(self._before)
        else:
            self.settle()
        return True
