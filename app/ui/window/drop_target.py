"""The window as a drop target: it says what a drop would do while files hover, and hands over what fell."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, QObject, Qt, Signal
from PySide6.QtGui import QColor, QDragEnterEvent, QDropEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QLabel, QVBoxLayout, QWidget

from app.core.language import tr
from app.core.setup.path_kind import PathKind, sort_paths
from app.ui.widget import theme
from app.ui.widget.drop import local_paths

NAMED = 3


class DropTarget(QObject):
    """Makes a whole window take files. Widgets inside that take a file themselves come first."""

    dropped = Signal(list)  # list[SortedPath]

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self._window = window
        self._overlay = DropOverlay(window)
        window.setAcceptDrops(True)
        window.installEventFilter(self)

    def eventFilter(self, watched: QObject, found: QEvent) -> bool:
        kind = found.type()
        if kind == QEvent.Type.DragEnter and isinstance(found, QDragEnterEvent):
            return self._enter(found)
        if kind == QEvent.Type.DragLeave:
            self._overlay.hide()
        elif kind == QEvent.Type.Drop and isinstance(found, QDropEvent):
            return self._drop(found)
        elif kind == QEvent.Type.Resize:
            self._overlay.setGeometry(self._window.rect())
        return super().eventFilter(watched, found)

    def _enter(self, found: QDragEnterEvent) -> bool:
        """Also what cannot be used is taken: the drop then says why, instead of silently flying back."""
        paths = local_paths(found)
        if not paths:
            found.ignore()
            return True
        self._overlay.show_intents(paths)
        found.setDropAction(Qt.DropAction.CopyAction)
        found.accept()
        return True

    def _drop(self, found: QDropEvent) -> bool:
        self._overlay.hide()
        paths = local_paths(found)
        if not paths:
            found.ignore()
            return True
        found.setDropAction(Qt.DropAction.CopyAction)
        found.accept()
        self.dropped.emit(sort_paths(paths))
        return True


class DropOverlay(QWidget):
    """A veil over the window with what dropping would do."""

    def __init__(self, window: QWidget) -> None:
        super().__init__(window)
        self.setObjectName("drop_overlay")
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self._title, self._name = QLabel(self), QLabel(self)
        theme.set_role(self._title, role="title")
        theme.set_role(self._name, role="muted")
        layout = QVBoxLayout(self)
        layout.addStretch(1)
        for label in (self._title, self._name):
            label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
            label.setWordWrap(True)
            layout.addWidget(label)
        layout.addStretch(1)
        self.hide()

    def show_intents(self, paths: list[Path]) -> None:
        """Says what would happen to the paths."""
        sorted_paths = sort_paths(paths)
        usable = [found for found in sorted_paths if found.kind is not PathKind.UNUSABLE]
        intents = dict.fromkeys(found.intent for found in usable)
        self._title.setText(" · ".join(intents) if intents else tr("This cannot be used here"))
        names = [found.path.name for found in usable] or list(dict.fromkeys(one.reason for one in sorted_paths))
        more = tr(" and {names} more", names=len(names) - NAMED) if len(names) > NAMED else ""
        self._name.setText(", ".join(names[:NAMED]) + more)
        parent = self.parentWidget()
        if parent is not None:
            self.setGeometry(parent.rect())
        self.raise_()
        self.show()

    @property
    def text(self) -> str:
        """What the veil says."""
        return self._title.text()

    def paintEvent(self, _painted: QPaintEvent) -> None:
        c = theme.colors()
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        veil = QColor(c.window)
        veil.setAlphaF(0.92)
        painter.fillRect(self.rect(), veil)
        painter.setPen(QPen(QColor(c.accent), 2, Qt.PenStyle.DashLine))
        margin = theme.SPACE * 2
        painter.drawRoundedRect(self.rect().adjusted(margin, margin, -margin, -margin), 12, 12)
