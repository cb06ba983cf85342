"""The switch of the Runs tab: the list of all runs, the queue, and the results of sweeps."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QStackedWidget, QVBoxLayout, QWidget

from app.core.language import tr
from app.core.power.sleep import Sleeper
from app.ui.platform.scrolling import CalmTabBar
from app.ui.queue.page import QueuePage
from app.ui.queue.session import QueueSession
from app.ui.queue.sweep_page import SweepPage
from app.ui.widget import theme

RUNS_PAGE, QUEUE_PAGE, SWEEPS_PAGE = range(3)


class QueueSwitch(QWidget):
    """Shows one of three pages. The first is given; the others are made when they are first looked at."""

    open_requested = Signal(object)  # Path of a run
    config_requested = Signal(object)  # TrainConfig
    warned = Signal(str)

    def __init__(self, runs: QWidget, queue: QueueSession, sleeper: Sleeper, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._queue, self._sleeper = queue, sleeper
        self._queue_page: QueuePage | None = None
        self._sweep_page: SweepPage | None = None
        self.bar = CalmTabBar(self)
        self.bar.setObjectName("runs.switch")
        self.bar.setAccessibleName(tr("Runs, queue or sweeps"))
        self.bar.setDrawBase(False)
        self.bar.setExpanding(False)
        for name, tip in (
            (tr("Runs"), tr("Every run, also of the command line")),
            (tr("Queue"), tr("What is trained next, one run after the other")),
            (tr("Sweeps"), tr("What the variants of a setup came to")),
        ):
            self.bar.setTabToolTip(self.bar.addTab(name), tip)
        self._pages = QStackedWidget(self)
        for page in (runs, QWidget(self), QWidget(self)):
            self._pages.addWidget(page)
        head = QHBoxLayout()
        head.setContentsMargins(theme.SPACE * 2, 0, theme.SPACE, 0)
        head.addWidget(self.bar)
        head.addStretch(1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(theme.SPACE // 2)
        layout.addLayout(head)
        layout.addWidget(self._pages, 1)
        self.bar.currentChanged.connect(self._on_page)
        queue.changed.connect(self._show_count)
        self._show_count()

    @property
    def queue_page(self) -> QueuePage:
        """The Queue page."""
        if self._queue_page is None:
            self._queue_page = QueuePage(self._queue, self._sleeper, self)
            self._queue_page.open_requested.connect(self.open_requested)
            self._queue_page.config_requested.connect(self.config_requested)
            self._queue_page.warned.connect(self.warned)
            self._put(QUEUE_PAGE, self._queue_page)
        return self._queue_page

    @property
    def sweep_page(self) -> SweepPage:
        """The Sweeps page."""
        if self._sweep_page is None:
            self._sweep_page = SweepPage(self._queue, self)
            self._sweep_page.open_requested.connect(self.open_requested)
            self._put(SWEEPS_PAGE, self._sweep_page)
        return self._sweep_page

    def show_page(self, page: int) -> None:
        """Brings a page to the front."""
        self.bar.setCurrentIndex(page)

    def _put(self, place: int, page: QWidget) -> None:
        shown = self._pages.currentIndex()
        if (empty := self._pages.widget(place)) is not None:
            self._pages.removeWidget(empty)
            empty.deleteLater()
        self._pages.insertWidget(place, page)
        self._pages.setCurrentIndex(shown)

    def _on_page(self, page: int) -> None:
        if page == QUEUE_PAGE:
            self.queue_page.refresh()
        elif page == SWEEPS_PAGE:
            self.sweep_page.refresh()
        self._pages.setCurrentIndex(page)

    def _show_count(self) -> None:
        """How many runs are still to come, beside the word."""
        state = self._queue.state
        ahead = len(state.waiting) + (state.running is not None)
        self.bar.setTabText(QUEUE_PAGE, tr("Queue ({ahead:,})", ahead=ahead) if ahead else tr("Queue"))
