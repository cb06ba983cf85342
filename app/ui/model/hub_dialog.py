"""The dialog "Get a model": search and download, convert, and where models come from."""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from app.core.language import tr
from app.ui.model.finder import ModelFinder
from app.ui.model.hub_access_page import HubAccessPage
from app.ui.model.hub_convert_page import HubConvertPage
from app.ui.model.hub_search_page import HubSearchPage
from app.ui.platform.scrolling import calm_tabs
from app.ui.widget import theme
from app.ui.widget.keyed_dialog import KeyedDialog

TALLEST = 860  # px


class HubDialog(KeyedDialog):
    """Three pages over the hub's tasks. ``model_chosen`` carries what the field ``model`` takes (path or name).

    Closing it stops what runs: a download goes on where it stopped, a conversion leaves nothing behind.
    """

    model_chosen = Signal(str)

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setObjectName("hub_dialog")
        self.setWindowTitle(tr("Get a model"))
        self.resize(920, min(theme.text_width(680), TALLEST))
        self.setMinimumSize(720, 560)
        self._finder = ModelFinder(self)
        self.search = HubSearchPage(self._finder, self)
        self.convert = HubConvertPage(self._finder, self)
        self.access = HubAccessPage(self)
        self.pages = calm_tabs("hub.pages", tr("Parts of getting a model"), self)
        for page, title in (
            (self.search, tr("Search")),
            (self.convert, tr("Convert")),
            (self.access, tr("Places and access")),
        ):
            self.pages.addTab(page, title)
        self._lay_out()
        self.search.chosen.connect(self._on_chosen)
        self.convert.chosen.connect(self._on_chosen)
        self.search.arrived.connect(self.convert.set_model)
        self.access.changed.connect(self._on_changed)
        self.pages.currentChanged.connect(self._on_page)
        self._finder.find()
        self.search.query.setFocus()

    def done(self, result: int) -> None:
        """Closes, and stops what runs without waiting for it."""
        self.search.stop()
        self.convert.stop()
        super().done(result)

    def shutdown(self) -> None:
        """Ends everything before the window closes."""
        self.search.shutdown()
        self.convert.shutdown()
        self.access.shutdown()
        self._finder.stop()

    def _lay_out(self) -> None:
        close = QPushButton(tr("Close"), self)
        close.setObjectName("hub.close")
        close.setToolTip(tr("Closes; a download can go on later"))
        close.setAutoDefault(False)
        close.clicked.connect(self.reject)
        foot = QHBoxLayout()
        foot.addStretch(1)
        foot.addWidget(close)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(theme.SPACE * 2, theme.SPACE, theme.SPACE * 2, theme.SPACE * 2)
        layout.setSpacing(theme.SPACE * 3 // 2)
        layout.addWidget(self.pages, 1)
        layout.addLayout(foot)

    def _on_chosen(self, model: str) -> None:
        self.model_chosen.emit(model)
        self.accept()

    def _on_changed(self) -> None:
        self._finder.find()
        self.search.refresh()

    def _on_page(self) -> None:
        if self.pages.currentWidget() is self.access:
            self.access.ask()
