"""Dropping files: a card that lights up for what it takes, and what stands in it while nothing was dropped."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QFrame, QLabel, QPushButton, QVBoxLayout, QWidget

from app.ui.widget import theme
from app.ui.widget.card import Card
from app.ui.widget.flow import Flow


class DropCard(Card):
    """A `Card` that takes files; subclasses say which with `accepts`. ``dropped(paths)`` hands them over.

    Among others that it has no use for, or of several where it can use one, it takes none: the window behind knows
    what to do with each, and says so.
    """

    dropped = Signal(list)  # list[Path]
    takes_several = False  # at once

    def __init__(self, title: str, description: str = "", parent: QWidget | None = None) -> None:
        super().__init__(title, description, parent)
        self.setAcceptDrops(True)

    def accepts(self, path: Path) -> bool:
        """Whether this card has a use for a file or folder; must be quick."""
        raise NotImplementedError

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        if self._paths(event):
            theme.set_role(self, drop="true")
            event.acceptProposedAction()
        else:
            event.ignore()  # the window behind may want it

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        theme.set_role(self, drop="")
        super().dragLeaveEvent(event)

    def dropEvent(self, event: QDropEvent) -> None:
        theme.set_role(self, drop="")
        paths = self._paths(event)
        if not paths:
            event.ignore()
            return
        event.acceptProposedAction()
        self.dropped.emit(paths)

    def _paths(self, event: QDropEvent) -> list[Path]:
        paths = local_paths(event)
        few = self.takes_several or len(paths) == 1
        return paths if few and all(self.accepts(path) for path in paths) else []


class DropZone(QFrame):
    """The empty state of a `DropCard`: what to drop here, and buttons for those who would rather not."""

    def __init__(self, title: str, wanted: str, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setProperty("role", "drop-zone")
        self.wanted = self._line(wanted, "small")
        self._buttons = Flow(align=Qt.AlignmentFlag.AlignHCenter)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 2] * 4)
        layout.setSpacing(theme.SPACE // 2)
        layout.addWidget(self._line(title, "label"))
        layout.addWidget(self.wanted)
        layout.addSpacing(theme.SPACE)
        layout.addLayout(self._buttons)

    def add_button(
        self, name: str, text: str, tip: str, act: Callable[[], object], *, kind: str = ""
    ) -> QPushButton:
        """One more button, right of those before."""
        button = QPushButton(text, self)
        button.setObjectName(name)
        button.setToolTip(tip)
        if kind:
            theme.set_role(button, kind=kind)
        button.clicked.connect(act)
        self._buttons.addWidget(button)
        return button

    def _line(self, text: str, role: str) -> QLabel:
        label = QLabel(text, self)
        label.setProperty("role", role)
        label.setWordWrap(True)
        label.setAlignment(Qt.AlignmentFlag.AlignHCenter)
        return label


def local_paths(found: QDropEvent) -> list[Path]:
    """The files and folders on this machine that an event carries."""
    return [Path(url.toLocalFile()) for url in found.mimeData().urls() if url.isLocalFile()]
