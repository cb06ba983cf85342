"""The Edit menu: each entry acts on whatever has the keyboard, and is off where it could do nothing."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QAction, QKeyEvent, QKeySequence
from PySide6.QtWidgets import QApplication, QMainWindow, QMenu, QMenuBar, QWidget
from shiboken6 import isValid

from app.core.language import tr
from app.ui.menu.editing import EDITS, EditActs, own_edits, possible_edits
from app.ui.menu.entry import add_entry

# macOS finds cut, copy, paste and select all by these very words, and has them work in its own panels too.
BY_WORDS = QAction.MenuRole.TextHeuristicRole
ENTRIES = {
    "undo": (tr("Undo"), "Ctrl+Z", QAction.MenuRole.NoRole),
    "redo": (tr("Redo"), "Ctrl+Shift+Z", QAction.MenuRole.NoRole),
    "cut": (tr("Cut"), "Ctrl+X", BY_WORDS),
    "copy": (tr("Copy"), "Ctrl+C", BY_WORDS),
    "paste": (tr("Paste"), "Ctrl+V", BY_WORDS),
    # Without a key: Delete is each field's, and each table's, own.
    "delete": (tr("Delete"), "", QAction.MenuRole.NoRole),
    "selectAll": (tr("Select All"), "Ctrl+A", BY_WORDS),
}
assert tuple(ENTRIES) == EDITS


class FormSteps(Protocol):
    """What is undone where neither field nor page has steps of its own: the form in use."""

    @property
    def can_undo(self) -> bool: ...

    @property
    def can_redo(self) -> bool: ...

    def undo(self) -> None: ...

    def redo(self) -> None: ...


class EditMenu(QObject):
    """Fills the Edit menu of a window. While it is closed every key counts, and what can be done is found then."""

    def __init__(self, menu: QMenu, window: QMainWindow) -> None:
        super().__init__(menu)
        self._window = window
        self._find_form: Callable[[], FormSteps | None] = lambda: None
        self._actions: dict[str, QAction] = {}
        for name, (text, keys, role) in ENTRIES.items():
            if name == "cut":
                menu.addSeparator()
            action = add_entry(menu, f"edit.{name}", text, keys, role)
            action.triggered.connect(partial(self._act, name))
            self._actions[name] = action
        application = QApplication.instance()
        assert isinstance(application, QApplication)
        application.focusChanged.connect(self._watch)
        menu.aboutToShow.connect(self._show_possible)
        menu.aboutToHide.connect(self._allow_all)

    def set_form(self, find: Callable[[], FormSteps | None]) -> None:
        """``find`` gives the form that is shown, if one is."""
        self._find_form = find

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Fields claim the keys of undo and redo, also where they have no step of their own: then these are the
        form's, as in the menu."""
        if event.type() == QEvent.Type.ShortcutOverride and isinstance(event, QKeyEvent):
            for name, key in (("undo", QKeySequence.StandardKey.Undo), ("redo", QKeySequence.StandardKey.Redo)):
                if isinstance(watched, QWidget) and event.matches(key) and name not in own_edits(watched):
                    event.ignore()
                    return True
        return super().eventFilter(watched, event)

    def _watch(self, before: QWidget | None, now: QWidget | None) -> None:
        if before is not None and isValid(before):
            before.removeEventFilter(self)
        if now is not None and now.window() is self._window:
            now.installEventFilter(self)

    def _possible(self) -> EditActs:
        at = QApplication.focusWidget()
        if at is None or isinstance(at, (QMenu, QMenuBar)):
            at = self._window.focusWidget()
        found = possible_edits(at)
        form = self._find_form()
        if form is not None and (at is None or at.window() is self._window):
            steps = {"undo": (form.can_undo, form.undo), "redo": (form.can_redo, form.redo)}
            found = {name: act for name, (can, act) in steps.items() if can} | found
        return found

    def _act(self, name: str) -> None:
        act = self._possible().get(name)
        if act is not None:
            act()

    def _show_possible(self) -> None:
        possible = self._possible()
        for name, action in self._actions.items():
            action.setEnabled(name in possible)

    def _allow_all(self) -> None:
        for action in self._actions.values():
            action.setEnabled(True)
