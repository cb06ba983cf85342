"""The Sweeps page: what each variant of a sweep came to, as a table and a chart that grow as runs end."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from PySide6.QtCore import Qt, QTimer, Signal
from PySide6.QtGui import QHideEvent, QShowEvent
from PySide6.QtWidgets import (
    QFrame,
    QHBoxLayout,
    QPushButton,
    QSplitter,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from app.core.language import joined, tr
from app.core.quantity import plural
from app.core.queue.queue import QueueEntry
from app.core.queue.sweep import SweepResult, best_result, differ_in_data, value_words
from app.core.run.folder import RunDir
from app.core.run.reader import RunReader
from app.core.run.summary import RunSummary, summary_of
from app.ui.form.plain_editor import ChoiceBox
from app.ui.queue.session import QueueSession
from app.ui.queue.sweep_chart import SweepChart
from app.ui.queue.sweep_table import SweepTable, SweepView
from app.ui.widget import theme
from app.ui.widget.elided_label import ElidedLabel
from app.ui.widget.empty_card import EmptyCard
from app.ui.widget.icon_button import IconButton
from app.ui.widget.sliced_work import SlicedWork

SWEEP_SLICE_S = 0.008
LIVE_MS = 2000  # how often the run in progress is read on
NO_SWEEPS = tr(
    "A sweep trains one setup in several variants, such as three ranks with two learning rates "
    "each, and shows here which of them is best. Fill in the form, then press “Sweep…” at its "
    "top."
)


class SweepPage(QWidget):
    """One sweep of a `QueueSession` at a time."""

    open_requested = Signal(object)  # Path of a run

    def __init__(self, queue: QueueSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("sweep_page")
        self._queue = queue
        self._readers: dict[str, RunReader] = {}  # by the run's folder
        self._summaries: dict[str, tuple[str, RunSummary]] = {}  # with the entry's state when it was read
        self._stale = False
        self._work = SlicedWork(self)
        self._work.finished.connect(self._show_results)
        self._live = QTimer(self)
        self._live.setInterval(LIVE_MS)
        self._live.timeout.connect(self._read)
        self._build()
        queue.changed.connect(self.refresh)
        self._choice.edited.connect(self._on_choice)
        self.view.opened.connect(self._on_opened)
        self.refresh()

    @property
    def is_busy(self) -> bool:
        """True while results are being read."""
        return self._work.is_busy

    @property
    def sweep(self) -> str:
        """The sweep that is shown; empty if there is none."""
        return str(self._choice.value() or "")

    def refresh(self) -> None:
        """Takes over the sweeps of the queue; the newest is shown unless another one was chosen."""
        sweeps, shown = self._queue.state.sweeps(), self.sweep
        if list(sweeps) != [self._choice.itemData(place) for place in range(self._choice.count())]:
            self._choice.clear()
            for key, found in sweeps.items():
                self._choice.addItem(found[0].sweep_name, key)
            self._choice.set_value(shown if shown in sweeps else next(iter(sweeps), ""))
        self._pages.setCurrentIndex(0 if sweeps else 1)
        self._read()

    # -- results ----------------------------------------------------------------------------------------------

    def _entries(self) -> list[QueueEntry]:
        return self._queue.state.sweeps().get(self.sweep, [])

    def _read(self) -> None:
        if not self.isVisible() and self.table.results:
            return
        self._stale = self._work.is_busy  # what is being read began with what was known before
        if not self._stale:
            self._work.start(self._read_each(self._entries()))

    def _read_each(self, found: list[QueueEntry]) -> Iterator[None]:
        """Reads the runs that changed since they were read last, a slice at a time."""
        for one in found:
            known = self._summaries.get(one.run)
            if not one.run or (known is not None and known[0] == one.state and one.is_ended):
                continue
            reader = self._readers.setdefault(one.run, RunReader(RunDir(Path(one.run))))
            try:
                while not reader.read(SWEEP_SLICE_S):
                    yield
            except OSError:  # the run was deleted meanwhile: its line stays, without figures
                continue
            self._summaries[one.run] = (one.state, summary_of(reader))
            if one.is_ended:
                self._readers.pop(one.run, None)
            yield

    def _show_results(self) -> None:
        found = [SweepResult(one, self._summary(one)) for one in self._entries()]
        self.table.show(found)
        self.chart.show_results(found)
        self._verdict.setText(verdict(found))
        if self._stale:
            self._read()

    def _summary(self, one: QueueEntry) -> RunSummary | None:
        known = self._summaries.get(one.run)
        return known[1] if known is not None else None

    # -- building ---------------------------------------------------------------------------------------------

    def _build(self) -> None:
        self.table = SweepTable(self)
        self.view = SweepView(self.table, self)
        self.chart = SweepChart(self)
        page = QWidget(self)
        split = QSplitter(Qt.Orientation.Vertical, page)
        split.setObjectName("sweep.splitter")
        split.setHandleWidth(theme.SPACE * 3 // 2)
        split.setChildrenCollapsible(False)
        split.addWidget(self.view)
        split.addWidget(self._chart_card())
        split.setSizes([220, 300])
        rows = QVBoxLayout(page)
        rows.setContentsMargins(0, 0, 0, 0)
        rows.setSpacing(theme.SPACE)
        rows.addLayout(self._head())
        rows.addWidget(split, 1)
        self._pages = QStackedWidget(self)
        self._pages.addWidget(page)
        self._pages.addWidget(EmptyCard("sweep.empty", "ph.squares-four", tr("No sweep yet"), NO_SWEEPS, self))
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE * 2, 0, theme.SPACE, theme.SPACE * 2)
        layout.addWidget(self._pages)

    def _head(self) -> QVBoxLayout:
        self._choice = ChoiceBox((), self)
        self._choice.setObjectName("sweep.choice")
        self._choice.setAccessibleName(tr("Sweep"))
        self._choice.setToolTip(tr("The sweep that is shown"))
        self._show = QPushButton(tr("Show run"), self)
        self._show.setObjectName("sweep.show")
        self._show.setToolTip(tr("Show the run of the selected line, or of the best one"))
        self._show.clicked.connect(self._on_show)
        self._forget = IconButton("ph.trash", tr("Forget this sweep; its runs stay"), self, size=18)
        self._forget.setObjectName("sweep.forget")
        self._forget.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self._forget.clicked.connect(self._on_forget)
        self._verdict = ElidedLabel("", self)
        self._verdict.setObjectName("sweep.verdict")
        theme.set_role(self._verdict, role="muted")
        row = QHBoxLayout()
        row.setSpacing(theme.SPACE)
        row.addWidget(self._choice, 1)
        row.addWidget(self._show)
        row.addWidget(self._forget)
        rows = QVBoxLayout()
        rows.setSpacing(theme.SPACE // 2)
        rows.addLayout(row)
        rows.addWidget(self._verdict)
        return rows

    def _chart_card(self) -> QFrame:
        card = QFrame(self)
        theme.set_role(card, role="card")
        layout = QVBoxLayout(card)
        layout.setContentsMargins(*[theme.SPACE * 3 // 2] * 4)
        layout.addWidget(self.chart)
        card.setMinimumHeight(190)
        return card

    # -- acts -------------------------------------------------------------------------------------------------

    def _on_choice(self, _sweep: object) -> None:
        self._work.stop()
        self.view.sortByColumn(-1, Qt.SortOrder.AscendingOrder)
        self._work.start(self._read_each(self._entries()))

    def _on_opened(self, entry: QueueEntry) -> None:
        if entry.run:
            self.open_requested.emit(Path(entry.run))

    def _on_show(self) -> None:
        rows = self.view.selectionModel().selectedRows()
        chosen = self.table.results[rows[0].row()] if rows else self.table.best
        if chosen is not None:
            self._on_opened(chosen.entry)

    def _on_forget(self) -> None:
        self._queue.forget_sweep(self.sweep)

    def showEvent(self, shown: QShowEvent) -> None:
        super().showEvent(shown)
        self._live.start()
        self._read()

    def hideEvent(self, hidden: QHideEvent) -> None:
        self._live.stop()
        super().hideEvent(hidden)


def verdict(results: list[SweepResult]) -> str:
    """``4 of 6 runs have ended · Best so far: rank 16, lr 0.001``, and what makes that doubtful."""
    ended = sum(one.entry.is_ended for one in results)
    runs = plural(len(results), "run")
    count = tr("1 of {runs} has ended", runs=runs)
    if ended != 1:
        count = tr("{ended:,} of {runs} have ended", ended=ended, runs=runs)
    if differ_in_data(results):
        count = joined((count, tr("the data was changed in between")), " · ")
    best = best_result(results)
    if best is None:
        return count
    word = tr("Best") if ended == len(results) else tr("Best so far")
    return f"{count} · {word}: {value_words(best.entry.values)}"
