"""The fold of the run panel: open or a strip, by where one is and what there is to see, until a person says."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from PySide6.QtCore import QObject, Qt, Signal
from PySide6.QtGui import QAction, QResizeEvent
from PySide6.QtWidgets import QSplitter, QTabBar, QWidget

from app.core.language import tr
from app.ui.run.panel import RunPanel
from app.ui.run.session import RunSession
from app.ui.run.strip import STRIP_WIDTH
from app.ui.widget import theme
from app.ui.widget.icon_button import IconButton

PANEL_WIDTH = 430  # px; a wider window gives it the share, up to the most
PANEL_SHARE, PANEL_MOST = 0.28, 720
EMPTY = "empty"  # every tab while there is no run, and nothing to see
# Once a choice was kept for each kind of tabs: what these are by now.
EARLIER_KINDS = {"form": ("setup", "enhanced"), "reading": ("compare", "runs")}
FOLD_TIP = tr("Show or hide the run panel")


class PanelSplitter(QSplitter):
    """The tabs' pages, and the run panel at their right."""

    resized = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setObjectName("window_splitter")
        self.setHandleWidth(theme.SPACE)

    def fill(self, pages: QWidget, panel: RunPanel) -> None:
        """Shows both; they are its children already, for a part that is moved with all in it is dressed anew."""
        self.addWidget(pages)
        self.addWidget(panel)
        self.setChildrenCollapsible(False)
        self.setStretchFactor(0, 1)
        self.setStretchFactor(1, 0)

    def resizeEvent(self, event: QResizeEvent) -> None:
        super().resizeEvent(event)
        self.resized.emit()


class PanelFold(QObject):
    """Folds and unfolds a `RunPanel` when the tab or the run changes, never while one works on a page.

    ``shown`` is the menu's tick for the panel, ``forms`` the names of the tabs with a form; the data of a tab is
    its key. What a person chose, by the tick, the `toggle` of the window's head or a run to look at, holds for that
    tab, and is ``changed``. Until then tabs that are no forms need the width, unless a run trains.
    """

    changed = Signal()

    def __init__(
        self,
        splitter: PanelSplitter,
        panel: RunPanel,
        shown: QAction,
        tabs: QTabBar,
        session: RunSession,
        forms: Collection[str],
    ) -> None:
        super().__init__(splitter)
        self._splitter, self._panel, self._shown = splitter, panel, shown
        self._tabs, self._session, self._forms = tabs, session, forms
        self._chosen: dict[str, bool] = {}
        self._expects = False  # the run of the last time, which may be found live
        self._width = 0  # px, as it was dragged; 0 goes with the window
        self.toggle = IconButton("ph.caret-double-right", FOLD_TIP, size=18)
        self.toggle.setObjectName("panel_toggle")
        self.toggle.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        self.toggle.clicked.connect(lambda: self.choose(self._panel.is_folded))
        shown.toggled.connect(self.choose)
        panel.unfold_requested.connect(lambda: self.choose(True))
        tabs.currentChanged.connect(self._follow)
        session.run_changed.connect(self._on_run)
        session.state_changed.connect(self._on_state)
        splitter.splitterMoved.connect(self._on_dragged)
        splitter.resized.connect(self._fit)
        self._follow()

    def choose(self, is_open: bool) -> None:
        """A person wants the panel open, or folded, on this tab."""
        self._choose(self._place(), is_open)

    def open(self) -> None:
        """Somebody asked to see a run, which may come in a moment: on this tab the panel is open from now on."""
        self._choose(self._tab, True)

    def expect_run(self) -> None:
        """A run is about to be shown: the panel stands as it will then, so that nothing moves when it comes."""
        self._expects = True
        self._show(self._chosen.get(self._tab, self._is_form))

    def kept(self) -> dict[str, object]:
        """What comes back at the next start."""
        return {"panel": dict(self._chosen), "panel_width": self._width}

    def restore(self, kept: Mapping[str, object]) -> None:
        """Stands as it was left."""
        found, width = kept.get("panel"), kept.get("panel_width")
        if isinstance(found, dict):
            self._chosen = _choices(found)
        self._width = width if isinstance(width, int) and width > 0 else 0
        self._follow()

    @property
    def _is_form(self) -> bool:
        return self._tabs.tabText(self._tabs.currentIndex()) in self._forms

    @property
    def _tab(self) -> str:
        return str(self._tabs.tabData(self._tabs.currentIndex()))

    def _place(self) -> str:
        return EMPTY if self._session.run is None else self._tab

    def _choose(self, place: str, is_open: bool) -> None:
        self._expects = False
        self._chosen[place] = is_open
        self._show(is_open)
        self.changed.emit()

    def _follow(self, _tab: int = 0) -> None:
        place = self._place()
        usual = place != EMPTY and (self._is_form or self._session.is_live)
        self._show(self._chosen.get(place, usual))

    def _on_run(self) -> None:
        """On a form the run was started or asked for; elsewhere the queue's next one must not move the page."""
        if self._is_form:
            self._follow()

    def _on_state(self) -> None:
        """The run of the last time trains still: the panel is as a person left it beside a run that trains."""
        if self._expects and self._session.is_live:
            self._expects = False
            self._follow()

    def _show(self, is_open: bool) -> None:
        if is_open is self._panel.is_folded:
            self._panel.set_folded(not is_open)
        self._shown.blockSignals(True)
        self._shown.setChecked(is_open)
        self._shown.blockSignals(False)
        self.toggle.set_icon("ph.caret-double-right" if is_open else "ph.caret-double-left")
        self._fit()

    def _fit(self) -> None:
        """As wide as it was dragged, else by its share of the window."""
        whole = self._splitter.width()
        share = min(max(PANEL_WIDTH, round(PANEL_SHARE * whole)), PANEL_MOST)
        width = STRIP_WIDTH if self._panel.is_folded else self._width or share
        self._splitter.setSizes([whole - width - self._splitter.handleWidth(), width])

    def _on_dragged(self) -> None:
        if not self._panel.is_folded:
            self._width = self._splitter.sizes()[1]
            self.changed.emit()


def _choices(kept: Mapping[str, object]) -> dict[str, bool]:
    """What was chosen, by tab; a choice for a kind of tabs is one for each of them."""
    found = {place: value for place, value in kept.items() if isinstance(value, bool)}
    for kind, tabs in EARLIER_KINDS.items():
        if kind in found:
            found = dict.fromkeys(tabs, found.pop(kind)) | found
    return found
