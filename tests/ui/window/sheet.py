"""What a page consists of, in lines that can be compared: its parts, how they are arranged, what is listened to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pyqtgraph as pg
from PySide6.QtCore import QMetaMethod, QObject, Qt, QTimer
from PySide6.QtGui import QAction, QDoubleValidator, QIntValidator
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSlider,
    QAbstractSpinBox,
    QBoxLayout,
    QComboBox,
    QDoubleSpinBox,
    QFormLayout,
    QGridLayout,
    QGroupBox,
    QLabel,
    QLayout,
    QLayoutItem,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QScrollBar,
    QSizePolicy,
    QSpinBox,
    QSplitter,
    QStackedWidget,
    QTabBar,
    QTableView,
    QTabWidget,
    QTextEdit,
    QTreeView,
    QWidget,
)

LOOKS = ("kind", "role", "tone", "state", "flat", "there")  # properties that the style sheet asks for
ROWS = 6  # of a table that are read
OWN = ("qt_", "ScrollLeft", "ScrollRight")  # parts that Qt makes for its own parts
# Signals that Qt itself listens to; which ones differs from version to version.
QT_OWN = ("destroyed", "pressed", "released", "objectNameChanged", "changed()")


def sheet_of(page: QWidget, says: Callable[[str], str] | None = None) -> Iterator[str]:
    """A line for each part, in the order in which they were made; then what else is listened to.

    With ``says``, also what parts that are seen say, as it makes of that what does not change from run to run.
    """
    for thing in (page, *page.findChildren(QObject)):
        if isinstance(thing, QWidget):
            if says is not None and thing is not page and not thing.isVisibleTo(page):
                continue
            if not is_of_qt(thing):
                yield "  " + " ".join((type(thing).__name__, thing.objectName() or "-", *words(thing, page)))
                if says is not None:
                    yield from (f"    “{line}”" for text in texts(thing) for line in says(text).splitlines())
                if (layout := thing.layout()) is not None:
                    yield from (f"    {line}" for line in arrangement(layout))
                if isinstance(thing, pg.PlotWidget):
                    yield from (f"    {line}" for line in drawing(thing))
        elif isinstance(thing, QAction):
            if says is None and thing.objectName() and not thing.isSeparator():
                yield "  " + " ".join(("action", thing.objectName(), *action_words(thing)))
        elif says is None and (is_ours(thing) or isinstance(thing, QTimer)):
            found = [*timer_words(thing), *wires(thing)]
            if found:
                yield "  " + " ".join((type(thing).__name__, thing.objectName() or "-", *found))


def texts(part: QWidget) -> Iterator[str]:
    """What a part says, its tip as well; of a table the first rows."""
    match part:
        case QAbstractButton() | QLabel() | QLineEdit():
            yield part.text()
        case QComboBox():
            yield part.currentText()
        case QAbstractSpinBox():
            yield part.text()
        case QPlainTextEdit() | QTextEdit():
            yield part.toPlainText()
        case QTabBar():
            yield " | ".join(part.tabText(one) for one in range(part.count()))
        case QProgressBar() | QAbstractSlider():
            yield f"{part.value()} of {part.maximum()}"
        case QAbstractItemView() if (model := part.model()) is not None:
            columns = range(model.columnCount() if isinstance(part, QTableView | QTreeView) else 1)
            if isinstance(part, QTableView):
                yield " | ".join(str(model.headerData(one, Qt.Orientation.Horizontal)) for one in columns)
            for row in range(min(model.rowCount(), ROWS)):
                cells = [model.index(row, column) for column in columns]
                yield " | ".join(str(cell.data()) for cell in cells)
                yield from (str(tip) for cell in cells if (tip := cell.data(Qt.ItemDataRole.ToolTipRole)))
    yield from filter(None, (part.toolTip(), part.accessibleDescription()))


def is_ours(thing: QObject) -> bool:
    return type(thing).__module__.startswith("app.")


def is_of_qt(part: QWidget) -> bool:
    """Whether Qt made it for a part of ours: an editor's frame, a list's bars, what has a name of Qt's."""
    if part.objectName().startswith(OWN) or isinstance(part, QScrollBar):
        return True
    owner = part.parent()
    return not is_ours(part) and isinstance(
        owner, QAbstractItemView | QComboBox | QAbstractSpinBox | QLineEdit | QTabBar | pg.PlotWidget
    )


def name_of(part: QObject) -> str:
    return part.objectName() or type(part).__name__


def arrangement(layout: QLayout) -> Iterator[str]:
    """What stands in a layout and where; how far apart is left out."""
    for number in range(layout.count()):
        item = layout.itemAt(number)
        assert item is not None
        where = str(number)
        match layout:
            case QGridLayout() | QFormLayout():
                where = re.sub(r"[^\d,]", "", str(layout.getItemPosition(number)))
            case QBoxLayout() if layout.stretch(number):
                where = f"{number}*{layout.stretch(number)}"
        inner = item.layout()
        yield f"{where} {item_name(item)}"
        if inner is not None:
            yield from (f"  {line}" for line in arrangement(inner))


def item_name(item: QLayoutItem) -> str:
    if (part := item.widget()) is not None:
        return name_of(part)
    if (layout := item.layout()) is not None:
        return type(layout).__name__
    stretches = item.expandingDirections()
    return "stretch" if stretches else "space"


def wires(thing: QObject) -> Iterator[str]:
    """The signals that are listened to, and by how many."""
    kind = thing.metaObject()
    found: dict[str, int] = {}
    for number in range(kind.methodCount()):
        method = kind.method(number)
        if method.methodType() is QMetaMethod.MethodType.Signal:
            signature = bytes(method.methodSignature().data()).decode()
            name = signature.partition("(")[0]
            if not signature.startswith(QT_OWN) and (count := thing.receivers(f"2{signature}")):
                found[name] = max(count, found.get(name, 0))
    yield from (f"{name}→{count}" for name, count in found.items())


def timer_words(thing: QObject) -> Iterator[str]:
    if isinstance(thing, QTimer):
        yield f"{thing.interval()}ms"
        yield from ["once"] * thing.isSingleShot()


def words(part: QWidget, page: QWidget) -> Iterator[str]:
    """What can be told of a part without what it says."""
    yield from (f"{look}={part.property(look)}" for look in LOOKS if part.property(look))
    if not part.isVisibleTo(page):
        yield "hidden"
    if not part.isEnabledTo(page):
        yield "off"
    if part.toolTip():
        yield "tip"
    if part.accessibleName():
        yield "named"
    if part.accessibleDescription():
        yield "described"
    if part.acceptDrops():
        yield "drops"
    if (proxy := part.focusProxy()) is not None:
        yield f"focus={name_of(proxy)}"
    if part.focusPolicy() is not Qt.FocusPolicy.NoFocus:
        yield str(part.focusPolicy().name)
    if part.cursor().shape() not in (Qt.CursorShape.ArrowCursor, Qt.CursorShape.IBeamCursor):
        yield str(part.cursor().shape().name)
    if part.hasMouseTracking() and is_ours(part):
        yield "tracks"
    if part.sizePolicy().retainSizeWhenHidden():
        yield "keeps-its-place"
    if part.sizePolicy().horizontalPolicy() is QSizePolicy.Policy.Ignored:
        yield "any-width"
    if part.contextMenuPolicy() not in (
        Qt.ContextMenuPolicy.DefaultContextMenu,
        Qt.ContextMenuPolicy.NoContextMenu,
    ):
        yield part.contextMenuPolicy().name
    yield from kind_words(part)
    if is_ours(part) or isinstance(part, QAbstractButton | QTabBar | QComboBox | QAbstractSpinBox | QLineEdit):
        yield from wires(part)


def kind_words(part: QWidget) -> Iterator[str]:
    """What only one kind of part has."""
    match part:
        case QAbstractButton():
            yield from (
                name
                for name, holds in (
                    ("checkable", part.isCheckable()), ("checked", part.isChecked()),
                    ("icon", not part.icon().isNull()), ("text", bool(part.text())),
                    ("repeats", part.autoRepeat()), ("exclusive", part.autoExclusive()),
                    ("default", isinstance(part, QPushButton) and part.isDefault()),
                    ("menu", isinstance(part, QPushButton) and part.menu() is not None),
                )
                if holds
            )  # fmt: skip
        case QSpinBox() | QDoubleSpinBox():
            yield f"{part.minimum():g}..{part.maximum():g} by {part.singleStep():g}"
            yield from ["special"] * bool(part.specialValueText())
        case QComboBox():
            yield f"{part.count()} choices, {part.currentIndex()}"
        case QLineEdit():
            yield part.echoMode().name * (part.echoMode() is not QLineEdit.EchoMode.Normal) or "line"
            yield from ["placeholder"] * bool(part.placeholderText())
            yield from ["clears"] * part.isClearButtonEnabled()
            yield from ["read-only"] * part.isReadOnly()
            if isinstance(validator := part.validator(), QIntValidator | QDoubleValidator):
                yield f"{validator.bottom():g}..{validator.top():g}"
        case QPlainTextEdit() | QTextEdit():
            yield from ["placeholder"] * bool(part.placeholderText())
            yield from ["read-only"] * part.isReadOnly()
            yield str(part.lineWrapMode().name)
        case QLabel():
            yield from ["empty"] * (not part.text() and part.pixmap().isNull())
            yield from ["wraps"] * part.wordWrap()
            if part.textFormat() is not Qt.TextFormat.AutoText:
                yield part.textFormat().name
            if part.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse:
                yield "selectable"
            yield from ["opens"] * part.openExternalLinks()
            if (buddy := part.buddy()) is not None:
                yield f"for {name_of(buddy)}"
        case QGroupBox():
            yield from ["checkable"] * part.isCheckable()
        case QProgressBar():
            yield f"{part.minimum()}..{part.maximum()}" + " text" * part.isTextVisible()
        case QAbstractSlider():
            yield f"{part.minimum()}..{part.maximum()} by {part.singleStep()}, {part.pageStep()}"
        case QTabBar():
            yield f"{part.count()} tabs, {part.currentIndex()}"
        case QTabWidget():
            yield f"{part.count()} pages, {part.currentIndex()}"
        case QStackedWidget():
            yield f"{part.count()} pages, {part.currentIndex()}"
        case QSplitter():
            yield f"{part.orientation().name} {[part.isCollapsible(one) for one in range(part.count())]}"
        case QAbstractItemView():
            yield f"{part.selectionMode().name} {part.selectionBehavior().name} {part.editTriggers().value}"
            yield from table_words(part)
        case QScrollArea():
            yield from ["fills"] * part.widgetResizable()
            yield f"{part.horizontalScrollBarPolicy().name} {part.verticalScrollBarPolicy().name}"


def table_words(part: QAbstractItemView) -> Iterator[str]:
    """How a list or table behaves."""
    yield part.textElideMode().name
    yield from ["stripes"] * part.alternatingRowColors()
    yield from ["drags"] * part.dragEnabled()
    if isinstance(part, QTableView):
        across, down = part.horizontalHeader(), part.verticalHeader()
        yield f"{across.count()} columns"
        yield "".join(across.sectionResizeMode(one).name[0] for one in range(across.count()))
        yield "".join("-h"[part.isColumnHidden(one)] for one in range(across.count()))
        yield from (
            name
            for name, holds in (
                ("sorts", part.isSortingEnabled()), ("grid", part.showGrid()), ("wraps", part.wordWrap()),
                ("moves", across.sectionsMovable()), ("clicks", across.sectionsClickable()),
                ("no-head", across.isHidden()), ("no-side", down.isHidden()),
                ("stretches", across.stretchLastSection()), ("bold", across.highlightSections()),
            )
            if holds
        )  # fmt: skip
        yield from wires(across)
    elif isinstance(part, QTreeView):
        yield from ["no-head"] * part.isHeaderHidden()
        yield from ["roots"] * part.rootIsDecorated()
        yield from ["alike"] * part.uniformRowHeights()
    yield from wires(part)
    if (model := part.model()) is not None and is_ours(model):
        yield from wires(model)


def drawing(plot: pg.PlotWidget) -> Iterator[str]:
    """What is drawn in a chart: each item with its depth, whether it is seen, and its pen and brush."""
    for item in plot.plotItem.items:
        look = [type(item).__name__, f"z{item.zValue():g}"]
        look += ["hidden"] * (not item.isVisible())
        opts = getattr(item, "opts", {})
        for name in ("pen", "brush", "symbol", "symbolSize", "fillLevel", "stepMode", "connect", "antialias"):
            if isinstance(value := opts.get(name), str | int | float | bool) and value is not False:
                look.append(f"{name}={value}")
        pen = getattr(item, "pen", None) or opts.get("pen")
        if pen is not None and not callable(pen) and not isinstance(pen, str | tuple):
            pen = pg.mkPen(pen)
            look.append(f"{pen.color().name(pen.color().NameFormat.HexArgb)}/{pen.widthF():g}{pen.style().name}")
        yield " ".join(look)
    for name, axis in plot.plotItem.axes.items():
        shown = axis["item"]
        yield f"axis {name} " + ("shown" if shown.isVisible() else "hidden") + " label" * bool(shown.labelText)


def action_words(action: QAction) -> Iterator[str]:
    """What can be told of an entry of a menu without what it says."""
    yield from (
        name
        for name, holds in (
            ("off", not action.isEnabled()), ("hidden", not action.isVisible()),
            ("checkable", action.isCheckable()), ("checked", action.isChecked()), ("tip", bool(action.toolTip())),
            ("text", bool(action.text())), ("icon", not action.icon().isNull()), (action.menuRole().name, True),
        )
        if holds
    )  # fmt: skip
    if not action.shortcut().isEmpty():
        yield action.shortcut().toString()
    yield from (wire for wire in wires(action) if not wire.startswith("enabledChanged"))
