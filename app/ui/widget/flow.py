"""A row that goes on in the next line where there is no room, as for buttons, which keep their width."""

from __future__ import annotations

from PySide6.QtCore import QPoint, QRect, QSize, Qt
from PySide6.QtWidgets import QLayout, QLayoutItem, QWidget

from app.ui.widget import theme


class Flow(QLayout):
    """Lays its items out as a text is set: side by side, each as wide as it wants, line after line.

    An item that expands takes what its line has left; ``align`` says where the lines of others stand. It wants one
    line, and can do with the width of its widest item. Aligned to the bottom it stands at its area's lower edge.
    """

    def __init__(self, *, gap: int = theme.SPACE, align: Qt.AlignmentFlag = Qt.AlignmentFlag.AlignLeft) -> None:
        super().__init__()
        self._gap, self._align = gap, align
        self._items: list[QLayoutItem] = []
        self._heights: dict[int, int] = {}  # by width: Qt asks many times while a page is laid out
        self.setContentsMargins(0, 0, 0, 0)

    def insert_first(self, widget: QWidget) -> None:
        """Puts a widget before all others."""
        self.addWidget(widget)
        self._items.insert(0, self._items.pop())

    # -- what Qt asks of a layout -----------------------------------------------------------------------------

    def addItem(self, item: QLayoutItem) -> None:
        self._items.append(item)

    def count(self) -> int:
        return len(self._items)

    def itemAt(self, index: int) -> QLayoutItem | None:
        return self._items[index] if 0 <= index < len(self._items) else None

    def takeAt(self, index: int) -> QLayoutItem | None:
        return self._items.pop(index) if 0 <= index < len(self._items) else None

    def expandingDirections(self) -> Qt.Orientation:
        return Qt.Orientation(0)

    def hasHeightForWidth(self) -> bool:
        return True

    def heightForWidth(self, width: int) -> int:
        if width not in self._heights:
            lines = self._lines(width)
            self._heights[width] = sum(map(_height, lines)) + self._gap * max(0, len(lines) - 1)
        return self._heights[width]

    def invalidate(self) -> None:
        """Something in it has another size, or there is more or less of it."""
        self._heights.clear()
        super().invalidate()

    def sizeHint(self) -> QSize:
        shown = self._shown()
        return QSize(self._length(shown), max(map(_height, [shown])))

    def minimumSize(self) -> QSize:
        sizes = [item.minimumSize() for item in self._shown()]
        return QSize(max((s.width() for s in sizes), default=0), max((s.height() for s in sizes), default=0))

    def setGeometry(self, area: QRect) -> None:
        super().setGeometry(area)
        top = area.top()
        if self.alignment() & Qt.AlignmentFlag.AlignBottom:
            top = max(top, area.bottom() + 1 - self.heightForWidth(area.width()))
        for line in self._lines(area.width()):
            spare = max(0, area.width() - self._length(line))
            left = area.left() + self._indent(line, spare)
            height = _height(line)
            for item in line:
                width = min(item.sizeHint().width() + (spare if _expands(item) else 0), area.width())
                width = min(width, item.maximumSize().width())
                item.setGeometry(QRect(QPoint(left, top), QSize(width, height)))
                left += width + self._gap
            top += height + self._gap

    # -- lines ------------------------------------------------------------------------------------------------

    def _shown(self) -> list[QLayoutItem]:
        return [item for item in self._items if not item.isEmpty()]

    def _lines(self, width: int) -> list[list[QLayoutItem]]:
        lines: list[list[QLayoutItem]] = []
        for item in self._shown():
            if lines and self._length([*lines[-1], item]) <= width:
                lines[-1].append(item)
            else:
                lines.append([item])
        return lines

    def _indent(self, line: list[QLayoutItem], spare: int) -> int:
        if self._align is Qt.AlignmentFlag.AlignLeft or any(map(_expands, line)):
            return 0
        return spare if self._align is Qt.AlignmentFlag.AlignRight else spare // 2

    def _length(self, line: list[QLayoutItem]) -> int:
        return sum(item.sizeHint().width() for item in line) + self._gap * max(0, len(line) - 1)


def _expands(item: QLayoutItem) -> bool:
    return bool(item.expandingDirections() & Qt.Orientation.Horizontal)


def _height(line: list[QLayoutItem]) -> int:
    return max((item.sizeHint().height() for item in line), default=0)
