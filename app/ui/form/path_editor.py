"""Editors made of several widgets: a line of text with buttons, such as a path with its choosers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QHBoxLayout, QMenu, QToolButton, QWidget

from app.core.config.train_config import FieldSpec
from app.core.language import inside, tr
from app.core.typed_path import typed_path
from app.ui.form.plain_editor import TextEditor
from app.ui.platform.file_panel import ask_file, ask_folder
from app.ui.widget import theme
from app.ui.widget.icon_button import IconButton


class ComposedEditor(QWidget):
    """An editor of several widgets; ``line`` is the one that takes the keyboard and is named by the path."""

    edited = Signal(object)
    line: QWidget

    def value(self) -> Any:
        """The value shown."""
        raise NotImplementedError

    def set_value(self, value: Any) -> None:
        """Shows a value without telling anyone."""
        raise NotImplementedError


class PathEditor(ComposedEditor):
    """A file or folder: typed, found with a dialog, or picked from a menu (recent ones, known ones).

    ``fill_menu`` is called each time before the menu opens, and gives each action its path as data; without it
    there is no menu button. One that is ``new`` is made by what asks: the dialog finds the folder for it.
    """

    line: TextEditor
    chosen = Signal()  # and not typed: all of it is meant

    def __init__(
        self,
        spec: FieldSpec,
        parent: QWidget | None = None,
        *,
        folder: bool = False,
        new: bool = False,
        placeholder: str = "",
        fill_menu: Callable[[QMenu], None] | None = None,
    ) -> None:
        super().__init__(parent)
        self._spec, self._folder, self._new, self._fill_menu = spec, folder, new, fill_menu
        self.line = TextEditor(self)
        self.line.setPlaceholderText(placeholder)
        self.browse_button = IconButton("ph.folder-open", tr("Browse for {label}", label=inside(spec.label)), self)
        self.browse_button.setObjectName(f"{spec.path}.browse")
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        layout.addWidget(self.line, 1)
        layout.addWidget(self.browse_button)
        if fill_menu is not None:
            layout.addWidget(self._menu_button())
        self.setFocusProxy(self.line)
        self.line.edited.connect(self._on_edited)
        self.browse_button.clicked.connect(self.browse)

    def set_placeholder(self, text: str) -> None:
        """What stands in the line while nothing is chosen."""
        self.line.setPlaceholderText(text)

    def value(self) -> str | None:
        return self.line.text().strip() or (None if self._spec.optional else "")

    def set_value(self, value: Any) -> None:
        """Shows a value without telling anyone; the end of a long path is what tells paths apart."""
        self.line.set_value(value)
        if not self.line.hasFocus():
            self.line.end(False)
        self.line.setToolTip(self.line.text())

    def choose(self, path: str) -> None:
        """Takes a path as if it had been typed."""
        self.set_value(path)
        self._on_edited()
        self.chosen.emit()

    def browse(self) -> None:
        """Asks with the system's dialog."""
        start = self.line.text()
        if self._new:
            within, name = Path(start).parent, Path(start).name
            found = ask_folder(self, self._spec.label, str(within))
            path = str(Path(found) / name) if found else ""
        elif self._folder:
            path = ask_folder(self, self._spec.label, _around(start))
        else:
            path = ask_file(self, self._spec.label, start)
        if path:
            self.choose(path)

    def _menu_button(self) -> IconButton:
        button = IconButton(
            "ph.clock-counter-clockwise", tr("Recent and known: {label}", label=inside(self._spec.label)), self
        )
        button.setObjectName(f"{self._spec.path}.recent")
        button.setPopupMode(QToolButton.ToolButtonPopupMode.InstantPopup)
        self.menu = QMenu(button)
        self.menu.setToolTipsVisible(True)
        self.menu.aboutToShow.connect(self._on_menu)
        self.menu.triggered.connect(self._on_picked)
        button.setMenu(self.menu)
        return button

    def _on_menu(self) -> None:
        assert self._fill_menu is not None
        self.menu.clear()
        self._fill_menu(self.menu)

    def _on_picked(self, action: QAction) -> None:
        if action.data():
            self.choose(str(action.data()))

    def _on_edited(self) -> None:
        self.edited.emit(self.value())


def _around(folder: str) -> str:
    """Where a folder lies, among others to choose from: inside of a model there are none."""
    path = typed_path(folder)
    return str(path.parent) if path.is_absolute() else ""
