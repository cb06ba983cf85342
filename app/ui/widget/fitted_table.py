"""A table whose columns share the room by what their texts want, and cut none while another has room to spare."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QAbstractItemModel, Qt
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QStyledItemDelegate, QStyleOptionViewItem

from app.ui.widget import theme
from app.ui.widget.table import Index, TableView

MEASURED_ROWS = 200  # of a long list the first ones say how wide a column is
TEXT_PADDING, ICON_ROOM = 24, 22  # px around a cell's text, and beside it for an icon
LEAST_WIDTH = 64  # px in Inter


def shared_widths(wanted: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """What each column gets: its least, then an even part of the rest, up to what its texts want."""
    widths = [min(pair) for pair in zip(wanted, least, strict=True)]
    lacking = [want - width for want, width in zip(wanted, widths, strict=True)]
    spare = max(room - sum(widths), 0)
    for done, place in enumerate(sorted(range(len(wanted)), key=lacking.__getitem__)):
        more = min(lacking[place], spare // (len(wanted) - done))
        widths[place] += more
        spare -= more
    return widths


class FittedTableView(TableView):
    """A column grows with its texts and does not shrink with them; one that somebody has dragged stays."""

    least: Sequence[int] = ()  # px in Inter that the first columns get at any rate
    least_of_others = LEAST_WIDTH

    def setModel(self, model: QAbstractItemModel | None) -> None:
        self._wanted: list[int] = []
        self._chosen: set[int] = set()
        self._is_fitting = False
        super().setModel(model)
        assert model is not None
        model.modelReset.connect(self._measure_anew)
        model.dataChanged.connect(self._measure)
        self.horizontalHeader().sectionResized.connect(self._on_resized)
        self._measure_anew()

    def resizeEvent(self, resized: QResizeEvent) -> None:
        super().resizeEvent(resized)
        self._share()

    def _measure_anew(self) -> None:
        if len(self._wanted) != self.model().columnCount():
            self._chosen.clear()
        self._wanted = []
        self._measure()

    def _measure(self) -> None:
        columns = self.model().columnCount()
        if len(self._wanted) != columns:
            self._wanted = [0] * columns
        found = [max(self._wanted[place], self._widest(place)) for place in range(columns)]
        if found != self._wanted:
            self._wanted = found
            self._share()

    def _widest(self, place: int) -> int:
        """The room that a column's texts take, its title's among them."""
        model, metrics = self.model(), self.fontMetrics()
        texts, widest = set(), self.horizontalHeader().sectionSizeHint(place)
        icon = 0
        for row in range(min(model.rowCount(), MEASURED_ROWS)):
            index = model.index(row, place)
            texts.add(str(index.data() or ""))
            icon = ICON_ROOM if index.data(Qt.ItemDataRole.DecorationRole) is not None else icon
        return max(widest, max(map(metrics.horizontalAdvance, texts), default=0) + TEXT_PADDING + icon)

    def _share(self) -> None:
        header = self.horizontalHeader()
        free = {place for place in range(len(self._wanted)) if place not in self._chosen}
        free = {place for place in free if header.sectionResizeMode(place) is header.ResizeMode.Interactive}
        wanted = [want if place in free else self.columnWidth(place) for place, want in enumerate(self._wanted)]
        least = [self._least(place) if place in free else want for place, want in enumerate(wanted)]
        self._is_fitting = True
        for place, width in enumerate(shared_widths(wanted, least, self.viewport().width())):
            if place in free:
                self.setColumnWidth(place, width)
        self._is_fitting = False

    def _least(self, place: int) -> int:
        return round(theme.text_width(self.least[place] if place < len(self.least) else self.least_of_others))

    def _on_resized(self, place: int, _before: int, _now: int) -> None:
        is_last = self.horizontalHeader().stretchLastSection() and place == self.model().columnCount() - 1
        if not self._is_fitting and not is_last and self.isVisible():
            self._chosen.add(place)


def elided_at_word(text: str, metrics: QFontMetrics, room: int) -> str:
    """The words of a text that have room, and … for the others; a single word too long is cut where it must."""
    if metrics.horizontalAdvance(text) <= room:
        return text
    words = text.split(" ")
    while len(words) > 1:
        words.pop()
        found = f"{' '.join(words).rstrip(' ,;:(')} …"
        if metrics.horizontalAdvance(found) <= room:
            return found
    return metrics.elidedText(text, Qt.TextElideMode.ElideRight, room)


class WordDelegate(QStyledItemDelegate):
    """Sentences in cells end at a word where they have no room."""

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        super().initStyleOption(option, index)
        room = option.rect.width() - TEXT_PADDING
        option.text = elided_at_word(option.text, option.fontMetrics, room)
