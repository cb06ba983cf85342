"""The pages of the window, each with the keyboard where it last was, and at first in its first field."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QRegularExpression, Qt
from PySide6.QtWidgets import QAbstractButton, QStackedWidget, QWidget
from shiboken6 import isValid


class PageStack(QStackedWidget):
    """By itself Qt gives a page's first button the keyboard, which Space would press.

    Where the keyboard is on no page, as on the tab bar, it stays there.
    """

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self._first: Mapping[QWidget, str] = {}
        self._last: dict[QWidget, QWidget] = {}

    def set_first(self, first: Mapping[QWidget, str]) -> None:
        """For each page a pattern of names: of its first field, or of buttons, of which the one that is on."""
        self._first = first

    def setCurrentIndex(self, index: int) -> None:
        if (page := self.widget(index)) is not None:
            self._show(page)

    def setCurrentWidget(self, widget: QWidget) -> None:
        self._show(widget)

    def _show(self, page: QWidget) -> None:
        shown, at = self.currentWidget(), self.window().focusWidget()
        has_keyboard = page is not shown and at is not None and self.isAncestorOf(at)
        if has_keyboard and at is not None and shown is not None:
            self._last[shown] = at
        super().setCurrentWidget(page)
        if has_keyboard and (field := self._field(page)) is not None:
            field.setFocus(Qt.FocusReason.OtherFocusReason)

    def _field(self, page: QWidget) -> QWidget | None:
        last = self._last.get(page)
        if last is not None and isValid(last) and last.isVisible() and last.isEnabled():
            return last
        if not (pattern := self._first.get(page)):
            return None
        for field in page.findChildren(QWidget, QRegularExpression(f"^{pattern}$")):
            if isinstance(field, QWidget) and (not isinstance(field, QAbstractButton) or field.isChecked()):
                return field
        return None
