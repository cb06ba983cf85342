"""What does not fit: the texts of a page that are cut off, covered or wider than their room, in any font."""

from __future__ import annotations

from collections.abc import Iterator

from PySide6.QtCore import QPoint, QRect, Qt
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QHeaderView,
    QLabel,
    QLineEdit,
    QPushButton,
    QRadioButton,
    QScrollArea,
    QStyle,
    QStyleOptionComboBox,
    QTabBar,
    QToolButton,
    QWidget,
)

from app.ui.compare.answer_chooser import ElidedBox
from app.ui.widget.elided_label import ElidedLabel


def unfit(page: QWidget) -> list[str]:
    """One sentence for each visible text of a page that cannot be read whole, and for each part that sticks out."""
    return [f"{_name(widget)}: {why}" for widget in _visible(page) for why in _faults(widget, page)]


def _visible(page: QWidget) -> list[QWidget]:
    return [page, *(widget for widget in page.findChildren(QWidget) if widget.isVisibleTo(page))]


def _name(widget: QWidget) -> str:
    named = widget
    while not named.objectName() or named.objectName().startswith("qt_"):
        parent = named.parentWidget()
        if parent is None:
            break
        named = parent
    kind = type(widget).__name__
    return kind if named is widget and not widget.objectName() else f"{kind} in {named.objectName()}"


def _faults(widget: QWidget, page: QWidget) -> Iterator[str]:
    if isinstance(widget, QScrollArea):
        yield from _of_scroll_area(widget)
    elif isinstance(widget, QLabel):
        yield from _of_label(widget)
    elif isinstance(widget, QCheckBox | QRadioButton | QPushButton | QToolButton):
        yield from _of_button(widget)
    elif isinstance(widget, QComboBox):
        yield from _of_choice(widget)
    elif isinstance(widget, QLineEdit):
        yield from _of_line(widget)
    elif isinstance(widget, QTabBar):
        yield from _of_tabs(widget)
    elif isinstance(widget, QHeaderView):
        yield from _of_header(widget)
    if widget is not page and _says_something(widget):
        yield from _of_place(widget, page)
        yield from _of_neighbours(widget)


def _of_scroll_area(area: QScrollArea) -> Iterator[str]:
    inner = area.widget()
    never = area.horizontalScrollBarPolicy() is Qt.ScrollBarPolicy.ScrollBarAlwaysOff
    if inner is not None and never and (needed := inner.minimumSizeHint().width()) > area.viewport().width():
        yield f"its page needs {needed} px and has {area.viewport().width()}"


def _of_label(label: QLabel) -> Iterator[str]:
    if not label.text():
        return
    if isinstance(label, ElidedLabel):
        if label.property("role") == "label" and label.width() < label.sizeHint().width():
            yield f"“{label.text()}” needs {label.sizeHint().width()} px and has {label.width()}"
        elif label.height() < label.minimumSizeHint().height():
            yield f"“{label.text()}” is cut in height"
        return
    needed = label.heightForWidth(label.width()) if label.wordWrap() else label.sizeHint().height()
    if label.height() < needed:
        yield f"“{label.text()}” needs a height of {needed} px and has {label.height()}"
    wide = label.minimumSizeHint().width() if label.wordWrap() else label.sizeHint().width()
    if label.width() < wide:
        yield f"“{label.text()}” needs {wide} px and has {label.width()}"


def _of_button(button: QAbstractButton) -> Iterator[str]:
    needed = button.minimumSizeHint()
    if button.text() and (button.width() < needed.width() or button.height() < needed.height()):
        yield f"“{button.text()}” needs {needed.toTuple()} px and has {button.size().toTuple()}"


def _of_choice(box: QComboBox) -> Iterator[str]:
    if isinstance(box, ElidedBox):
        return
    option = QStyleOptionComboBox()
    box.initStyleOption(option)
    part = QStyle.SubControl.SC_ComboBoxEditField
    room = box.style().subControlRect(QStyle.ComplexControl.CC_ComboBox, option, part, box)
    needed = box.fontMetrics().horizontalAdvance(box.currentText())
    if not box.isEditable() and room.width() < needed:
        yield f"“{box.currentText()}” needs {needed} px and has {room.width()}"
    if room.height() < box.fontMetrics().height():
        yield f"its line is {box.fontMetrics().height()} px high and has {room.height()}"


def _of_line(line: QLineEdit) -> Iterator[str]:
    if line.contentsRect().height() < line.fontMetrics().height():
        yield f"its line is {line.fontMetrics().height()} px high and has {line.contentsRect().height()}"


def _of_tabs(bar: QTabBar) -> Iterator[str]:
    for index in filter(bar.isTabVisible, range(bar.count())):
        shown = bar.tabRect(index)
        needed = bar.fontMetrics().horizontalAdvance(bar.tabText(index))
        if shown.right() > bar.width() or shown.width() < needed:
            yield f"the tab “{bar.tabText(index)}” has no room"


def _of_header(header: QHeaderView) -> Iterator[str]:
    if header.orientation() is not Qt.Orientation.Horizontal or header.model() is None:
        return
    for section in range(header.count()):
        text = str(header.model().headerData(section, Qt.Orientation.Horizontal) or "")
        needed = header.fontMetrics().horizontalAdvance(text)
        if not header.isSectionHidden(section) and text and header.sectionSize(section) < needed:
            yield f"the column “{text}” needs {needed} px and has {header.sectionSize(section)}"


def _says_something(widget: QWidget) -> bool:
    kinds = QLabel | QAbstractButton | QComboBox | QLineEdit
    return isinstance(widget, kinds) and not widget.visibleRegion().isEmpty()


def _of_neighbours(widget: QWidget) -> Iterator[str]:
    """Nothing that says something lies over what stands after it in the same widget."""
    parent = widget.parentWidget()
    beside = parent.children() if parent is not None else []
    for other in beside[beside.index(widget) + 1 :]:
        if isinstance(other, QLabel) and not other.text():
            continue  # a unit that a number has not
        if isinstance(other, QWidget) and other.isVisible() and _says_something(other):
            shared = _written(widget) & other.geometry()
            if shared.width() > 1 and shared.height() > 1:
                yield f"it and {_name(other)} lie over each other, {shared.width()} × {shared.height()} px"


def _written(widget: QWidget) -> QRect:
    """Where a widget shows something: a number's unit stands in its line, behind the digits."""
    place = widget.geometry()
    if isinstance(widget, QLineEdit):
        needed = widget.textMargins().left() + widget.fontMetrics().horizontalAdvance(widget.text())
        place.setWidth(min(needed, place.width()))
    return place


def _of_place(widget: QWidget, page: QWidget) -> Iterator[str]:
    """A widget must lie inside what holds it, unless that is a view that scrolls."""
    parent = widget.parentWidget()
    while parent is not None and parent is not page:
        if isinstance(parent.parentWidget(), QScrollArea | QAbstractItemView):
            return
        room = QRect(QPoint(), parent.size())
        place = QRect(widget.mapTo(parent, QPoint()), widget.size())
        if place.right() > room.right() or place.left() < 0:
            yield f"it lies at {place.left()}–{place.right()} of {room.width()} px in {_name(parent)}"
            return
        parent = parent.parentWidget()
