"""What cannot be used without seeing or pointing: controls without name or role, or that Tab does not come to."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QAccessible, QKeyEvent
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QApplication,
    QCheckBox,
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QListView,
    QPlainTextEdit,
    QPushButton,
    QRadioButton,
    QScrollBar,
    QSlider,
    QTabBar,
    QTextEdit,
    QToolButton,
    QTreeView,
    QWidget,
)

ROLE = QAccessible.Role
ROLES: tuple[tuple[type[QWidget], set[QAccessible.Role]], ...] = (
    (QCheckBox, {ROLE.CheckBox}),
    (QRadioButton, {ROLE.RadioButton}),
    (QToolButton, {ROLE.Button, ROLE.ButtonMenu, ROLE.CheckBox, ROLE.ButtonDropDown}),
    (QPushButton, {ROLE.Button, ROLE.ButtonMenu, ROLE.CheckBox}),
    (QComboBox, {ROLE.ComboBox}),
    (QAbstractSpinBox, {ROLE.SpinBox}),
    (QLineEdit, {ROLE.EditableText}),
    (QPlainTextEdit, {ROLE.EditableText}),
    (QTextEdit, {ROLE.EditableText, ROLE.StaticText}),
    (QSlider, {ROLE.Slider}),
    (QTabBar, {ROLE.PageTabList}),
    (QTreeView, {ROLE.Tree, ROLE.Table}),
    (QListView, {ROLE.List}),
    (QAbstractItemView, {ROLE.Table}),
)
MOST_STOPS = 400
MOST_LINKS = 20  # of a text, which Tab goes through one by one


def unnamed(page: QWidget) -> list[str]:
    """One sentence for each visible control that a screen reader has no name or the wrong role for."""
    return [f"{_told(widget)}: {why}" for widget in _controls(page) for why in _faults(widget)]


def untabbed(page: QWidget) -> list[str]:
    """The visible controls that Tab does not come to, and the one that it does not leave, if there is one."""
    window = page.window()
    window.activateWindow()
    wanted = [widget for widget in _controls(page) if widget.isEnabled() and not _is_another_way(widget)]
    seen: list[QWidget] = []
    turns = 0
    first = next(iter(wanted), None)
    if first is None:
        return []
    first.setFocus()
    for _ in range(MOST_STOPS):
        at = QApplication.focusWidget()
        if at is None or (seen and at is seen[0]):
            break
        if seen and at is seen[-1]:
            turns += 1
            if isinstance(at, QLabel) and turns < MOST_LINKS:
                _press_tab(at)
                continue
            return [f"{_told(at)}: Tab does not leave it"]
        turns = 0
        seen.append(at)
        _press_tab(at)
    reached = {owner for stop in seen for owner in (stop, stop.parentWidget(), *_choices_beside(stop))}
    return [f"{_told(widget)}: Tab does not come to it" for widget in wanted if widget not in reached]


def _press_tab(at: QWidget) -> None:
    QApplication.sendEvent(at, QKeyEvent(QEvent.Type.KeyPress, Qt.Key.Key_Tab, Qt.KeyboardModifier.NoModifier))


def _controls(page: QWidget) -> Iterator[QWidget]:
    for widget in page.findChildren(QWidget):
        inner = widget.objectName().startswith("qt_") or isinstance(widget, (QScrollBar, QHeaderView))
        inner = inner or widget.focusProxy() is not None  # whatever has the keyboard for it is looked at itself
        shown = widget.isVisibleTo(page) and widget.window() is page.window() and not inner
        if shown and not _is_part(widget) and (_kind(widget) or widget.focusPolicy() & Qt.FocusPolicy.TabFocus):
            yield widget


def _is_part(widget: QWidget) -> bool:
    """The line of an editable box is the box's own; buttons of a tab bar or table corner are those of Qt."""
    return isinstance(widget.parentWidget(), (QComboBox, QAbstractSpinBox, QTabBar, QAbstractItemView, QLineEdit))


def _kind(widget: QWidget) -> set[QAccessible.Role]:
    return next((roles for kind, roles in ROLES if isinstance(widget, kind)), set())


def _faults(widget: QWidget) -> Iterator[str]:
    found = QAccessible.queryAccessibleInterface(widget)
    if found is None:
        yield "nothing is known of it"
        return
    if not found.text(QAccessible.Text.Name).strip():
        yield "has no name"
    roles = _kind(widget)
    if roles and found.role() not in roles:
        yield f"is a {found.role().name}"


def _is_another_way(widget: QWidget) -> bool:
    """Controls that the keyboard has another way to: F1 for a field's help, arrows within a group of choices."""
    if widget.objectName().endswith(".help"):
        return True
    return isinstance(widget, QAbstractButton) and widget.autoExclusive() and not widget.isChecked()


def _choices_beside(stop: QWidget) -> list[QAbstractButton]:
    """The other buttons of one choice, which the arrows go to."""
    if not isinstance(stop, QRadioButton):
        return []
    group, parent = stop.group(), stop.parentWidget()
    return (
        group.buttons() if group is not None else parent.findChildren(QAbstractButton) if parent is not None else []
    )


def _told(widget: QWidget) -> str:
    named: QWidget | None = widget
    while named is not None and (not named.objectName() or named.objectName().startswith("qt_")):
        named = named.parentWidget()
    text = widget.text() if isinstance(widget, QAbstractButton) else ""
    return f"{type(widget).__name__} {text!r} in {named.objectName() if named is not None else '?'}"
