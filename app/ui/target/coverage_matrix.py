"""The coverage matrix: rows are matrices, columns layers, a filled cell is a module that is adapted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from PySide6.QtCore import QEvent, QPointF, QRectF, QSize, Qt, Signal
from PySide6.QtGui import QColor, QFontMetricsF, QHelpEvent, QKeyEvent, QMouseEvent, QPainter, QPaintEvent, QPen
from PySide6.QtWidgets import QSizePolicy, QToolTip, QWidget

from app.core.language import tr
from app.core.model.inspection import MatrixRow, Module
from app.core.model.module_group import GROUP_LABELS, Group
from app.core.quantity import plural
from app.ui.widget import theme

MATRIX_ROW_HEIGHT = 20  # px
HEAD_HEIGHT = 20
MAX_CELL_WIDTH = 44
COUNT_WIDTH = 64  # px in Inter
ROUNDED = 8  # px; narrower cells are plain rectangles
BEYOND_PX = 1_000_000  # further than any matrix is wide
MOVES = {
    Qt.Key.Key_Left: (0, -1), Qt.Key.Key_Right: (0, 1), Qt.Key.Key_Up: (-1, 0), Qt.Key.Key_Down: (1, 0),
    Qt.Key.Key_Home: (0, -BEYOND_PX), Qt.Key.Key_End: (0, BEYOND_PX),
}  # fmt: skip
LABEL_STEPS = (1, 2, 4, 5, 8, 10, 16, 20, 32, 64)

# Which of the theme's series colours a group has, so that attention and MLP are told apart at a glance.
_GROUP_COLORS = {
    Group.ATTENTION: 0, Group.MLP: 1, Group.EXPERTS: 3, Group.SHARED_EXPERTS: 5,
    Group.ROUTER: 6, Group.STATE_SPACE: 2, Group.OTHER: 4,
}  # fmt: skip


def group_color(group: Group) -> str:
    """The colour of a group in the present theme."""
    series = theme.colors().series
    return series[_GROUP_COLORS.get(group, 7) % len(series)]


@dataclass(frozen=True, slots=True)
class Cell:
    """A place in the matrix; row −1 means the whole column, column −1 the whole row."""

    row: int
    column: int


class CoverageMatrix(QWidget):
    """Shows `MatrixRow`s of an inspection and which of their modules are selected; edits come out as ``edited``.

    Mouse: a cell, a row's name, a layer's number, or a dragged block. Keyboard: arrows move, Shift extends the
    block, Space switches it, R its row, C its column. ``edited(paths, on)`` asks to switch these modules on or off.
    """

    edited = Signal(object, bool)  # frozenset[str] of module paths, on or off

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._rows: Sequence[MatrixRow] = ()
        self._layers = 0
        self._labels: list[str] = []
        self._states: list[list[bool | None]] = []
        self._selected: frozenset[str] = frozenset()
        self._editable = True
        self._cursor = Cell(0, 0)
        self._anchor: Cell | None = None
        self._hover: Cell | None = None
        self._dragging = False
        self._label_width = 0.0
        self.setObjectName("coverage_matrix")
        self.setAccessibleName(tr("Coverage: matrices by layers"))
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setMouseTracking(True)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self._count_width = theme.text_width(COUNT_WIDTH)
        theme.theme().changed.connect(self.update)

    # -- what it shows ----------------------------------------------------------------------------------------

    def set_rows(self, rows: Sequence[MatrixRow]) -> None:
        """Shows another model's matrices."""
        self._rows = rows
        self._layers = len(rows[0].cells) if rows else 0
        self._cursor, self._anchor, self._hover = Cell(0, 0), None, None
        self._read_states()
        names = [row.label for row in rows]  # short, and the key wherever two rows share one
        self._labels = [row.key if names.count(row.label) > 1 else row.label for row in rows]
        metrics = QFontMetricsF(theme.ui_font(-1))
        self._label_width = max((metrics.horizontalAdvance(label) for label in self._labels), default=0.0)
        self.updateGeometry()
        self.update()

    def set_selected(self, paths: frozenset[str], *, editable: bool = True) -> None:
        """Shows which modules are adapted."""
        self._selected, self._editable = paths, editable
        self._read_states()
        counts = [self.row_count(row) for row in range(len(self._rows))]
        on, all_of_them = sum(count[0] for count in counts), sum(count[1] for count in counts)
        self.setAccessibleDescription(
            tr("Adapted: {on} of {all_of_them}", on=on, all_of_them=plural(all_of_them, "matrix", "matrices"))
        )
        self.update()

    def row_count(self, row: int) -> tuple[int, int]:
        """How many modules of a row are selected, and how many there are."""
        states = self._states[row]
        return states.count(True), len(states) - states.count(None)

    def _read_states(self) -> None:
        """For each cell whether it is adapted; None where the layer lacks the matrix."""
        chosen = self._selected
        self._states = [
            [None if module is None else module.path in chosen for module in row.cells] for row in self._rows
        ]

    # -- geometry ---------------------------------------------------------------------------------------------

    def sizeHint(self) -> QSize:
        return QSize(480, self.minimumSizeHint().height())

    def minimumSizeHint(self) -> QSize:
        return QSize(200, HEAD_HEIGHT + MATRIX_ROW_HEIGHT * max(1, len(self._rows)) + 4)

    @property
    def left(self) -> float:
        """Where the first column begins, in px."""
        return min(self._label_width + 12, self.width() * 0.4)

    @property
    def cell_width(self) -> float:
        """The width of a column with its gap, in px."""
        room = self.width() - self.left - self._count_width
        return max(1.0, min(MAX_CELL_WIDTH, room / max(1, self._layers)))

    def cell_rect(self, row: int, column: int) -> QRectF:
        """The drawn cell."""
        width = self.cell_width
        gap = 2.0 if width >= ROUNDED else 1.0 if width >= 3 else 0.0
        x, y = self.left + column * width, HEAD_HEIGHT + row * MATRIX_ROW_HEIGHT
        return QRectF(x, y + 2, max(1.0, width - gap), MATRIX_ROW_HEIGHT - 4)

    def cell_at(self, point: QPointF) -> Cell | None:
        """The cell, row name (column −1) or layer number (row −1) at a point."""
        column = int((point.x() - self.left) // self.cell_width)
        row = int((point.y() - HEAD_HEIGHT) // MATRIX_ROW_HEIGHT)
        if row >= len(self._rows) or column >= self._layers:
            return None
        row, column = max(row, -1), max(column, -1)
        return None if row < 0 and column < 0 else Cell(row, column)

    def module_at(self, cell: Cell) -> Module | None:
        """The module of a cell; None where the layer lacks the matrix."""
        if cell.row < 0 or cell.column < 0 or not self._rows:
            return None
        return self._rows[cell.row].cells[cell.column]

    # -- painting ---------------------------------------------------------------------------------------------

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: ARG002
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, self.cell_width >= ROUNDED)
        painter.setFont(theme.ui_font(-1))
        self._paint_layers(painter)
        for row in range(len(self._rows)):
            self._paint_row(painter, row)
        self._paint_block(painter)
        painter.end()

    def _paint_layers(self, painter: QPainter) -> None:
        c, width = theme.colors(), self.cell_width
        need = painter.fontMetrics().horizontalAdvance(str(self._layers)) + 8
        step = next((s for s in LABEL_STEPS if s * width >= need), LABEL_STEPS[-1])
        for column in range(0, self._layers, step):
            hovered = self._hover is not None and self._hover.column == column
            painter.setPen(QColor(c.text if hovered else c.muted))
            area = QRectF(self.left + column * width - 10, 0, self.cell_rect(0, 0).width() + 20, HEAD_HEIGHT)
            painter.drawText(area, Qt.AlignmentFlag.AlignCenter, str(column))

    def _paint_row(self, painter: QPainter, row: int) -> None:
        c = theme.colors()
        y = HEAD_HEIGHT + row * MATRIX_ROW_HEIGHT
        hovered = self._hover is not None and self._hover.row == row
        painter.setPen(QColor(c.text if hovered else c.muted))
        label = painter.fontMetrics().elidedText(
            self._labels[row], Qt.TextElideMode.ElideMiddle, int(self.left - 8)
        )
        middle = Qt.AlignmentFlag.AlignVCenter
        painter.drawText(QRectF(0, y, self.left - 8, MATRIX_ROW_HEIGHT), middle | Qt.AlignmentFlag.AlignLeft, label)
        on, count = self.row_count(row)
        end = self.left + self._layers * self.cell_width + 6
        painter.setPen(QColor(c.text if on else c.faint))
        painter.drawText(QRectF(end, y, self._count_width - 6, MATRIX_ROW_HEIGHT), middle, f"{on} / {count}")
        self._paint_cells(painter, row)

    def _paint_cells(self, painter: QPainter, row: int) -> None:
        painter.setPen(Qt.PenStyle.NoPen)
        first, step = self.cell_rect(row, 0), self.cell_width
        x, y, width, height = first.x(), first.y(), first.width(), first.height()
        group = self._rows[row].group
        for state, color in ((False, theme.colors().border), (True, group_color(group))):
            painter.setBrush(QColor(color))
            rects = [
                QRectF(x + column * step, y, width, height)
                for column, found in enumerate(self._states[row])
                if found is state
            ]
            if step >= ROUNDED:
                for rect in rects:
                    painter.drawRoundedRect(rect, 3, 3)
            elif rects:
                painter.drawRects(rects)

    def _paint_block(self, painter: QPainter) -> None:
        """The block under the drag or the keyboard, or the one cell under the mouse."""
        c = theme.colors()
        painter.setBrush(Qt.BrushStyle.NoBrush)
        if self._dragging or self.hasFocus():
            cells = list(self._block())
            color = c.accent if self._dragging or self.hasFocus() else c.faint
        elif self._hover is not None and self._editable:
            cells, color = list(self._cells(self._hover, self._hover)), c.faint
        else:
            return
        if not cells:
            return
        first, last = cells[0], cells[-1]
        area = self.cell_rect(first.row, first.column).united(self.cell_rect(last.row, last.column))
        painter.setPen(QPen(QColor(color), 1.5))
        painter.drawRoundedRect(area.adjusted(-1.5, -1.5, 1.5, 1.5), 3, 3)

    # -- blocks -----------------------------------------------------------------------------------------------

    def _block(self) -> Iterator[Cell]:
        return self._cells(self._anchor or self._cursor, self._cursor)

    def _cells(self, one: Cell, other: Cell) -> Iterator[Cell]:
        rows = self._span(one.row, other.row, len(self._rows))
        columns = self._span(one.column, other.column, self._layers)
        return (Cell(row, column) for row in rows for column in columns)

    @staticmethod
    def _span(one: int, other: int, count: int) -> range:
        return range(count) if min(one, other) < 0 else range(min(one, other), max(one, other) + 1)

    def _switch(self, cells: Iterable[Cell]) -> None:
        """On if any of them is off, else off; empty places do not count."""
        modules = [module for cell in cells if (module := self.module_at(cell)) is not None]
        if modules and self._editable:
            on = any(module.path not in self._selected for module in modules)
            self.edited.emit(frozenset(module.path for module in modules), on)

    # -- mouse ------------------------------------------------------------------------------------------------

    def mousePressEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position())
        if event.button() != Qt.MouseButton.LeftButton or cell is None or not self._editable:
            super().mousePressEvent(event)
            return
        self._anchor = self._cursor = cell
        self._dragging = True
        self.update()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        cell = self.cell_at(event.position())
        if self._dragging and cell is not None and self._anchor is not None:
            # A drag that began on a header stays one of whole rows or columns.
            row = -1 if self._anchor.row < 0 else max(cell.row, 0)
            column = -1 if self._anchor.column < 0 else max(cell.column, 0)
            self._cursor = Cell(row, column)
        if cell != self._hover:
            self._hover = cell
        self.update()

    def mouseReleaseEvent(self, event: QMouseEvent) -> None:
        if not self._dragging or event.button() != Qt.MouseButton.LeftButton:
            super().mouseReleaseEvent(event)
            return
        cells = list(self._block())
        self._dragging = False
        self._cursor, self._anchor = Cell(max(self._cursor.row, 0), max(self._cursor.column, 0)), None
        self._switch(cells)
        self.update()

    def leaveEvent(self, event: QEvent) -> None:
        self._hover = None
        self.update()
        super().leaveEvent(event)

    def event(self, event: QEvent) -> bool:
        if isinstance(event, QHelpEvent) and event.type() == QEvent.Type.ToolTip:
            text = self.tip(self.cell_at(QPointF(event.pos())))
            QToolTip.showText(event.globalPos(), text, self) if text else QToolTip.hideText()
            return True
        return super().event(event)

    def tip(self, cell: Cell | None) -> str:
        """What hovering over a place tells."""
        if cell is None or not self._rows:
            return ""
        if cell.row < 0:
            return tr("Layer {column}: click to switch all its matrices", column=cell.column)
        row = self._rows[cell.row]
        if cell.column < 0:
            on, count = self.row_count(cell.row)
            return tr(
                "{key} · {group_labels} · {on} of {count} layers\nClick to switch all of them",
                key=row.key,
                group_labels=GROUP_LABELS[row.group],
                on=on,
                count=count,
            )
        module = self.module_at(cell)
        if module is None:
            return tr("Layer {column} has no {key}", column=cell.column, key=row.key)
        state = tr("adapted") if module.path in self._selected else tr("not adapted")
        return tr(
            "{path}\n{type} {shape_text} · {parameters:,} parameters · {state}",
            path=module.path,
            type=module.type,
            shape_text=module.shape_text,
            parameters=module.parameters,
            state=state,
        )

    # -- keyboard ---------------------------------------------------------------------------------------------

    def keyPressEvent(self, event: QKeyEvent) -> None:
        key, extend = event.key(), bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        cursor = self._cursor
        if key in MOVES and self._rows:
            down, right = MOVES[Qt.Key(key)]
            self._move(cursor.row + down, cursor.column + right, extend)
        elif key in (Qt.Key.Key_Space, Qt.Key.Key_Return, Qt.Key.Key_Enter):
            self._switch(self._block())
        elif key == Qt.Key.Key_R:
            self._switch(self._cells(Cell(cursor.row, -1), Cell(cursor.row, -1)))
        elif key == Qt.Key.Key_C:
            self._switch(self._cells(Cell(-1, cursor.column), Cell(-1, cursor.column)))
        elif key == Qt.Key.Key_Escape and self._anchor is not None:
            self._anchor = None
            self.update()
        else:
            super().keyPressEvent(event)

    def _move(self, row: int, column: int, extend: bool) -> None:
        if extend and self._anchor is None:
            self._anchor = self._cursor
        elif not extend:
            self._anchor = None
        self._cursor = Cell(
            min(max(row, 0), len(self._rows) - 1),
            min(max(column, 0), self._layers - 1),
        )
        self.update()
