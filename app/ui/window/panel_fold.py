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
# Without a run there is nothing to see; tabs that are no forms need the width, unless a run trains.
OPEN = {"empty": False, "form": True, "reading": False}
FOLD_TIP = tr("Show or hide the run panel")


class PanelSplitter(QSplitter):
    """The tabs' pages, and the run panel at their right."""

    resized = Signal()

    def __init__(self, pages: QWidget, panel: RunPanel, parent: QWidget | None = None) -> None:
        super().__init__(Qt.Orientation.Horizontal, parent)
        self.setObjectName("window_splitter")
        self.setHandleWidth(theme.SPACE)
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

    ``shown`` is the menu's tick for the panel, ``forms`` the names of the tabs with a form. What a person chose, by
    the tick or the `toggle` of the window's head, holds for places of the same kind (`OPEN`), and is ``changed``.
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
        """A person wants the panel open, or folded, in places of this kind."""
        self._expects = False
        self._chosen[self._kind()] = is_open
        self._show(is_open)
        self.changed.emit()

    def open(self) -> None:
        """Opens the panel for now: somebody asked to see a run."""
        self._show(True)

    def expect_run(self) -> None:
        """A run is about to be shown: the panel stands as it will then, so that nothing moves when it comes."""
        self._expects = True
        self._follow(kind="form" if self._is_form else "reading")

    def kept(self) -> dict[str, object]:
        """What comes back at the next start."""
        return {"panel": dict(self._chosen), "panel_width": self._width}

    def restore(self, kept: Mapping[str, object]) -> None:
        """Stands as it was left."""
        found, width = kept.get("panel"), kept.get("panel_width")
        if isinstance(found, dict):
            self._chosen = {kind: found[kind] for kind in OPEN if isinstance(found.get(kind), bool)}
        self._width = width if isinstance(width, int) and width > 0 else 0
        self._follow()

    @property
    def _is_form(self) -> bool:
        return self._tabs.tabText(self._tabs.currentIndex()) in self._forms

    def _kind(self) -> str:
        if self._session.run is None:
            return "empty"
        return "form" if self._is_form or self._session.is_live else "reading"

    def _follow(self, _tab: int = 0, *, kind: str = "") -> None:
        kind = kind or self._kind()
        self._show(self._chosen.get(kind, OPEN[kind]))

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
