"""The kept view: how the window was left (size, parts, tab, scroll positions, the run), for the next start."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

from PySide6.QtCore import QByteArray, QObject, QTimer
from PySide6.QtWidgets import QAbstractScrollArea, QMainWindow, QScrollBar, QTabBar

from app.core.run.folder import RunDir
from app.core.system.setting import load_settings, save_settings
from app.ui.run.panel import RunPanel
from app.ui.run.session import RunSession
from app.ui.window.panel_fold import PanelFold

SIZE = (1320, 840)
KEEP_DELAY_MS = 800  # a splitter that is being dragged is written once
# What the tabs were called when they were kept by their names, which a change of the language lost.
EARLIER_KEYS = {
    "Setup": "setup", "Enhanced Setup": "enhanced", "Erweitertes Setup": "enhanced", "Compare": "compare",
    "Vergleichen": "compare", "Runs": "runs", "Läufe": "runs",
}  # fmt: skip
OPEN_DELAY_MS = 30  # the window is there before the page of a run, which takes a moment


class KeptView(QObject):
    """Restores and keeps the view of a window with a `RunPanel` and its fold; a tab's data is its key.

    Everything is written a moment after it changed, so that it is
    there after a crash too. Tab, scroll positions and the run come back when `restore_place` asks for them.
    """

    def __init__(
        self,
        window: QMainWindow,
        run_panel: RunPanel,
        fold: PanelFold,
        tabs: QTabBar,
        session: RunSession,
    ) -> None:
        super().__init__(window)
        self._tabs, self._session = tabs, session
        self._scrolls: dict[str, QScrollBar] = {}
        self._wanted: dict[str, int] = {}  # scroll positions for which a page is not high enough yet
        self._window, self._run_panel, self._fold = window, run_panel, fold
        self._keeping = QTimer(self)
        self._keeping.setSingleShot(True)
        self._keeping.setInterval(KEEP_DELAY_MS)
        self._keeping.timeout.connect(self.keep)
        fold.changed.connect(self._on_moved)
        run_panel.view_changed.connect(self._keeping.start)
        tabs.currentChanged.connect(self._on_moved)
        session.state_changed.connect(self._on_state)
        self._state = session.state
        self._restore()

    def keep(self) -> None:
        """Writes the view now."""
        window: dict[str, object] = {
            "geometry": base64.b64encode(self._window.saveGeometry().data()).decode("ascii"),
            **self._fold.kept(),
            "tab": self._tabs.tabData(self._tabs.currentIndex()),
            "scroll": {name: self._wanted.get(name, bar.value()) for name, bar in self._scrolls.items()},
        }
        if self._session.run is not None:
            # A run that was live, and whose end this window did not see, was interrupted.
            window["run"] = str(self._session.run.path)
            window["live"] = self._session.is_live or self._session.was_interrupted
        settings = self._run_panel.with_view(load_settings())
        save_settings(settings.model_copy(update={"window": settings.window | window}))

    def watch(self, name: str, area: QAbstractScrollArea) -> None:
        """Keeps the scroll position of a tab's page; what `restore_place` found for it is restored as it grows."""
        bar = self._scrolls[name] = area.verticalScrollBar()
        bar.valueChanged.connect(self._on_moved)
        bar.rangeChanged.connect(lambda _low, _high: self._scroll(name))
        bar.actionTriggered.connect(lambda _action: self._wanted.pop(name, None))  # a person scrolls
        self._scroll(name)

    def restore_place(self) -> None:
        """Shows the tab, the scroll positions and, a moment later, the run that the window was left with."""
        kept = load_settings().window
        scroll = kept.get("scroll")
        if isinstance(scroll, dict):
            self._wanted = {
                _key(name): value for name, value in scroll.items() if isinstance(value, int) and value > 0
            }
        keys = [self._tabs.tabData(index) for index in range(self._tabs.count())]
        if (tab := _key(kept.get("tab"))) in keys:
            self._tabs.setCurrentIndex(keys.index(tab))
        for name in self._scrolls:
            self._scroll(name)
        run = kept.get("run")
        if isinstance(run, str) and run:
            interrupted = kept.get("live") is True
            if RunDir(Path(run)).config.is_file():
                self._fold.expect_run()
            QTimer.singleShot(OPEN_DELAY_MS, self, lambda: self._open(Path(run), interrupted))

    def _open(self, run: Path, interrupted: bool) -> None:
        """The run of the last time, unless it is gone or another is shown by now."""
        if self._session.run is None and RunDir(run).config.is_file():
            self._session.open(run, interrupted=interrupted)

    def _scroll(self, name: str) -> None:
        wanted, bar = self._wanted.get(name), self._scrolls[name]
        if wanted is not None and bar.maximum() >= wanted:
            del self._wanted[name]
            bar.setValue(wanted)

    def _restore(self) -> None:
        settings = load_settings()
        self._window.resize(*SIZE)
        self._window.restoreGeometry(_bytes(settings.window.get("geometry")))
        self._fold.restore(settings.window)

    def _on_moved(self) -> None:
        self._keeping.start()

    def _on_state(self) -> None:
        """Progress of a phase is told as a state too; only what is kept is written."""
        if self._session.state is not self._state:
            self._state = self._session.state
            self._keeping.start()


def _key(kept: object) -> str:
    """The key of a tab, also where its name was kept."""
    return EARLIER_KEYS.get(str(kept), str(kept))


def _bytes(text: object) -> QByteArray:
    """Saved state; what is unreadable is as good as nothing saved."""
    try:
        return QByteArray(base64.b64decode(text if isinstance(text, str) else ""))
    except (binascii.Error, ValueError):
        return QByteArray()
