"""The chooser of a column: the base model, a run's adapter at one of its checkpoints, or any other folder."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject, QSignalBlocker, QSize, Qt, Signal
from PySide6.QtGui import QPaintEvent, QStandardItem, QStandardItemModel
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QListView,
    QSizePolicy,
    QStyle,
    QStyledItemDelegate,
    QStyleOptionComboBox,
    QStyleOptionViewItem,
    QStylePainter,
    QWidget,
)

from app.core.compare.candidate import (
    BASE,
    Candidate,
    candidate_of,
    is_adapter,
    run_candidates,
    short_label,
    title_of,
)
from app.core.compare.kept_comparison import present_candidate
from app.core.language import tr
from app.core.model.adapter_file import ADAPTER_FILE
from app.core.run.folder import find_runs
from app.ui.platform.file_panel import ask_folder
from app.ui.platform.scrolling import CalmBox
from app.ui.widget import theme
from app.ui.widget.sliced_work import SlicedWork
from app.ui.widget.table import Index

RUNS_A_SLICE = 20  # runs looked at between two events of the window
FIRST_RUN_ROW = 2  # the row of the newest run, behind the base and the one that asks for a folder
ENTRIES_SHOWN = 14  # entries of the list on the screen
LIST_WIDTH = 320  # px
CHECKPOINT_WIDTH = 84  # px
TEXT_MARGIN = 38  # px of a combo box that are not its text's


class CandidateList(QObject):
    """What there is to choose from, for all columns: the base, every run with an adapter, folders once chosen.

    The runs are looked for in slices: there may be thousands.
    """

    listed = Signal()
    named = Signal()  # runs have other names

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.model = QStandardItemModel(self)
        self.model.appendRow(_item(BASE))
        self.model.appendRow(QStandardItem(tr("Browse for a folder…")))
        self._work = SlicedWork(self)
        self._work.finished.connect(self.listed)

    def refresh(self) -> None:
        """Looks for runs; those that are gone are taken out, folders from elsewhere stay."""
        if not self._work.is_busy:
            self._work.start(self._scan())

    def take_names(self) -> None:
        """Looks anew what the listed runs are called."""
        for row in range(FIRST_RUN_ROW, self.model.rowCount()):
            found = self.at(row)
            if found is not None and found.run is not None:
                named = replace(found, label=title_of(found.run))
                self.model.item(row).setText(named.label)
                self.model.item(row).setData(named, Qt.ItemDataRole.UserRole)
        self.named.emit()

    def add(self, candidate: Candidate) -> int:
        """Sees to it that a candidate is listed (a checkpoint stands under its run); returns its row."""
        row = self.row_of(candidate)
        if row < 0:
            row = FIRST_RUN_ROW
            first = run_candidates(candidate.run) if candidate.run is not None else []
            self.model.insertRow(row, _item(first[0] if first else candidate))
        return row

    def row_of(self, candidate: Candidate) -> int:
        """The row of a candidate or of its run; -1 if it is not listed."""
        for row in range(self.model.rowCount()):
            found = self.at(row)
            if found is not None and _is_same(found, candidate):
                return row
        return -1

    def at(self, row: int) -> Candidate | None:
        """The candidate of a row; None for the one that asks for a folder."""
        found = self.model.item(row).data(Qt.ItemDataRole.UserRole)
        return found if isinstance(found, Candidate) else None

    def runs(self) -> list[Candidate]:
        """The last adapter of every run, the newest run first."""
        found = [self.at(row) for row in range(FIRST_RUN_ROW, self.model.rowCount())]
        return [candidate for candidate in found if candidate is not None and candidate.run is not None]

    def _scan(self) -> Iterator[None]:
        known = {candidate.run for candidate in self.runs()}
        there: set[Path] = set()
        place = FIRST_RUN_ROW
        for number, run in enumerate(find_runs()):
            if number % RUNS_A_SLICE == RUNS_A_SLICE - 1:
                yield
            if not (run.adapters / ADAPTER_FILE).is_file():
                continue
            there.add(run.path)
            if run.path not in known:
                self.model.insertRow(min(place, self.model.rowCount()), _item(_last(run.path, run.adapters)))
            place += 1
        for row in reversed(range(FIRST_RUN_ROW, self.model.rowCount())):
            found = self.at(row)
            path = found.run if found is not None else None
            if path is not None and path not in there and not path.is_dir():
                self.model.removeRow(row)


class ElidedBox(CalmBox):
    """A combo box that ends in … where there is no room for its text, and does not ask for room."""

    opening = Signal()  # its list is about to be shown

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setMinimumContentsLength(4)
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMaxVisibleItems(ENTRIES_SHOWN)

    def showPopup(self) -> None:
        self.opening.emit()
        super().showPopup()

    def paintEvent(self, _painted: QPaintEvent) -> None:
        painter, option = QStylePainter(self), QStyleOptionComboBox()
        self.initStyleOption(option)
        painter.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option)
        text = self.currentText() or self.placeholderText()
        room = self.width() - TEXT_MARGIN
        # In the middle: names begin alike, and what tells them apart stands at their end.
        option.currentText = self.fontMetrics().elidedText(text, Qt.TextElideMode.ElideMiddle, room)
        painter.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option)


class CandidateView(QListView):
    """The list that drops down. Its thousands of entries are not measured one by one."""

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setUniformItemSizes(True)
        self.setTextElideMode(Qt.TextElideMode.ElideRight)

    def sizeHintForColumn(self, _column: int) -> int:
        return theme.text_width(LIST_WIDTH)


class CandidateDelegate(QStyledItemDelegate):
    """Entries as high as those of other lists that drop down."""

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        return QSize(super().sizeHint(option, index).width(), theme.line_px() + theme.SPACE)


class AnswerChooser(QWidget):
    """Chooses one `Candidate`."""

    chosen = Signal()

    def __init__(self, found: CandidateList, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._list = found
        self._candidate: Candidate | None = None
        self.box, self.checkpoints = ElidedBox(self), ElidedBox(self)
        self.box.setView(CandidateView(self.box))
        self.box.setItemDelegate(CandidateDelegate(self.box))
        self.box.setModel(found.model)
        self.box.setPlaceholderText(tr("Choose an adapter"))
        for box, title in (
            (self.box, tr("Who answers in this column")),
            (self.checkpoints, tr("Which of the run's weights")),
        ):
            box.setAccessibleName(title)
            box.setToolTip(title)
        self.checkpoints.setMinimumWidth(theme.text_width(CHECKPOINT_WIDTH))
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        layout.addWidget(self.box, 3)
        layout.addWidget(self.checkpoints, 2)
        self.box.activated.connect(self._on_row)
        self.checkpoints.activated.connect(self._on_checkpoint)
        self.box.opening.connect(found.refresh)
        self.checkpoints.opening.connect(self._show)  # a run that trains writes new ones meanwhile
        found.listed.connect(self._show)
        found.named.connect(self._take_name)
        self._show()

    @property
    def candidate(self) -> Candidate | None:
        """What is chosen; None while nothing is."""
        return self._candidate

    def set_candidate(self, candidate: Candidate | None) -> None:
        """Chooses without telling anyone."""
        self._candidate = candidate
        self._show()

    def _take_name(self) -> None:
        """The run that is chosen may be called otherwise by now; it is the same all the same."""
        self.set_candidate(present_candidate(self._candidate))

    def choose(self, candidate: Candidate) -> None:
        """Chooses as a person does."""
        if candidate != self._candidate:
            self.set_candidate(candidate)
            self.chosen.emit()

    def choose_path(self, path: Path) -> None:
        """Chooses the adapter that a path means: a folder, a checkpoint, a run."""
        self.choose(candidate_of(path))

    def _on_row(self, row: int) -> None:
        found = self._list.at(row)
        if found is None:
            self._show()
            self._browse()
        else:
            self.choose(found)

    def _on_checkpoint(self, index: int) -> None:
        found = self.checkpoints.itemData(index)
        assert isinstance(found, Candidate)
        self.choose(found)

    def _browse(self) -> None:
        at = self._candidate.adapter if self._candidate is not None else None
        chosen = ask_folder(self, tr("Adapter folder (mlx-lm or PEFT)"), str(at.parent if at is not None else ""))
        if chosen:
            self.choose_path(Path(chosen))

    def _show(self) -> None:
        candidate = self._candidate
        with QSignalBlocker(self.box), QSignalBlocker(self.checkpoints):
            self.box.setCurrentIndex(self._list.add(candidate) if candidate is not None else -1)
            self.checkpoints.clear()
            of_run = run_candidates(candidate.run) if candidate is not None and candidate.run is not None else []
            for found in of_run:
                self.checkpoints.addItem(short_label(found), found)
            places = [index for index, found in enumerate(of_run) if _is_same_adapter(found, candidate)]
            self.checkpoints.setCurrentIndex(places[0] if places else -1)
        self.checkpoints.setVisible(len(of_run) > 1)
        told = "" if candidate is None or candidate.adapter is None else f"{candidate.label}\n{candidate.adapter}"
        self.box.setToolTip(told or tr("Who answers in this column"))


def takes(path: Path) -> bool:
    """Whether a dropped path is something for a column."""
    return is_adapter(path) or is_adapter(path / "adapters")


def _last(run: Path, adapters: Path) -> Candidate:
    return Candidate(title_of(run), adapters, run)


def _is_same(listed: Candidate, wanted: Candidate) -> bool:
    if listed.run is not None or wanted.run is not None:
        return listed.run == wanted.run
    return listed.adapter == wanted.adapter


def _is_same_adapter(found: Candidate, wanted: Candidate | None) -> bool:
    return wanted is not None and found.adapter == wanted.adapter


def _item(candidate: Candidate) -> QStandardItem:
    item = QStandardItem(candidate.label)
    item.setData(candidate, Qt.ItemDataRole.UserRole)
    if candidate.adapter is not None:
        item.setToolTip(str(candidate.adapter))
    return item
