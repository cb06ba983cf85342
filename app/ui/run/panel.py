"""The run panel: the page of the shown run, what will appear there, or a strip. Its model is a `RunSession`."""

from __future__ import annotations

import importlib
import sys
import threading
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, QTimer, Signal
from PySide6.QtGui import QShowEvent
from PySide6.QtWidgets import QStackedLayout, QVBoxLayout, QWidget

from app.core.language import tr
from app.core.system.setting import Settings, load_settings
from app.ui.run.session import RunSession
from app.ui.run.strip import STRIP_WIDTH, RunStrip
from app.ui.widget import theme
from app.ui.widget.empty_card import EmptyCard

if TYPE_CHECKING:
    from app.ui.run.page import RunPage, ScrolledPage

PANEL_MINIMUM = 360  # px
UNBOUND = 16_777_215  # px; Qt's word for no maximum
PAGE_MODULE = "app.ui.run.page"
SETTLED_MS = 600  # after this the window stands there and somebody looks at it


def _read_page_module() -> None:
    """The plotting library takes a third of a second to import: beside the window, before there is a run."""
    threading.Thread(target=importlib.import_module, args=(PAGE_MODULE,), daemon=True).start()


class RunPanel(QWidget):
    """Shows a `RunPage` once there is a run. Without one the page and its chart cost the window's start nothing.

    It can be folded to a `RunStrip`, which asks to be opened again.
    """

    open_requested = Signal()
    requested = Signal(str)  # one of `app.ui.run.result_view.ACTIONS`
    extend_requested = Signal(int)  # the new number of iterations in all
    resume_requested = Signal()
    folded = Signal()  # or unfolded
    answer_requested = Signal()  # before and after
    told = Signal(str)
    view_changed = Signal()  # of the chart, by the user
    fill_requested = Signal(bool)  # the window with the chart, or no longer
    unfold_requested = Signal()

    def __init__(self, session: RunSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("run_panel")
        self._session = session
        self._page: RunPage | None = None
        self._scroll: ScrolledPage | None = None
        self._stack = QStackedLayout(self)
        self._nothing = self._empty()
        self._strip = RunStrip(session, self)
        self._strip.clicked.connect(self.unfold_requested)
        for part in (self._nothing, self._strip):
            self._stack.addWidget(part)
        self._is_folded = False
        self.setMinimumWidth(PANEL_MINIMUM)
        session.run_changed.connect(self._on_run)
        self._on_run()

    @property
    def page(self) -> RunPage:
        """The page of the run, made when it is first asked for."""
        if self._page is None:
            from app.ui.run.page import RunPage, ScrolledPage

            page = self._page = RunPage(self._session, self)
            page.restore_view(load_settings())
            page.requested.connect(self.requested)
            page.extend_requested.connect(self.extend_requested)
            page.answer_requested.connect(self.answer_requested)
            page.resume_requested.connect(self.resume_requested)
            page.told.connect(self.told)
            page.chart.view_changed.connect(self.view_changed)
            page.chart.fill_requested.connect(self.fill_requested)
            self._scroll = ScrolledPage(page, self)
            self._stack.addWidget(self._scroll)
        return self._page

    @property
    def is_folded(self) -> bool:
        """True while it is a strip."""
        return self._is_folded

    def set_folded(self, folded: bool) -> None:
        """Becomes a strip, or what it was before."""
        self._is_folded = folded
        self.setMinimumWidth(STRIP_WIDTH if folded else PANEL_MINIMUM)
        self.setMaximumWidth(STRIP_WIDTH if folded else UNBOUND)
        self._on_run()
        self.folded.emit()

    def with_view(self, settings: Settings) -> Settings:
        """The settings with the chart's view as it is now."""
        return settings if self._page is None else self._page.with_view(settings)

    def sizeHint(self) -> QSize:
        return QSize(420, 600)

    def showEvent(self, event: QShowEvent) -> None:
        super().showEvent(event)
        if PAGE_MODULE not in sys.modules:
            QTimer.singleShot(SETTLED_MS, self, _read_page_module)

    def _on_run(self) -> None:
        if self._session.run is not None:
            _ = self.page  # follows the run also while it is folded
        shown = self._scroll if self._session.run is not None and self._scroll is not None else self._nothing
        self._stack.setCurrentWidget(self._strip if self._is_folded else shown)

    def _empty(self) -> QWidget:
        """What will be here, and what to do for it."""
        page = QWidget()
        layout = QVBoxLayout(page)
        layout.setContentsMargins(theme.SPACE, 0, theme.SPACE * 2, theme.SPACE * 2)
        text = tr(
            "Choose a model and training data in Setup, then press Start training.\n\nYou "
            "will see the loss fall, the speed, the time left and the log. You can pause or stop "
            "at any time: what was learned is saved."
        )
        card = EmptyCard("run_empty", "ph.chart-line", tr("Your run appears here"), text, page)
        card.add_link("open_run", tr("Open an earlier run…"), self.open_requested)
        layout.addWidget(card)
        return page
