"""The kept view: how the window was left (size and place, its two parts, the chart's view), for the next start."""

from __future__ import annotations

import base64
import binascii

from PySide6.QtCore import QByteArray, QObject, QTimer
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMainWindow, QSplitter

from app.core.system.setting import load_settings, save_settings
from app.ui.run.panel import RunPanel

SIZE = (1320, 840)
PANEL_WIDTH = 430
KEEP_DELAY_MS = 800  # a splitter that is being dragged is written once


class KeptView(QObject):
    """Restores and keeps the view of a window with a `RunPanel` at the right of ``splitter``.

    ``panel_shown`` is the menu's tick for the panel.
    """

    def __init__(self, window: QMainWindow, splitter: QSplitter, run_panel: RunPanel, panel_shown: QAction) -> None:
        super().__init__(window)
        self._window, self._splitter, self._run_panel = window, splitter, run_panel
        self._panel_shown = panel_shown
        self._keeping = QTimer(self)
        self._keeping.setSingleShot(True)
        self._keeping.setInterval(KEEP_DELAY_MS)
        self._keeping.timeout.connect(self.keep)
        splitter.splitterMoved.connect(self._on_moved)
        run_panel.view_changed.connect(self._keeping.start)
        panel_shown.toggled.connect(self._show_panel)
        self._restore()

    def keep(self) -> None:
        """Writes the view now."""
        window = {
            "geometry": base64.b64encode(self._window.saveGeometry().data()).decode("ascii"),
            "splitter": base64.b64encode(self._splitter.saveState().data()).decode("ascii"),
            "panel": self._panel_shown.isChecked(),
        }
        settings = self._run_panel.with_view(load_settings())
        save_settings(settings.model_copy(update={"window": settings.window | window}))

    def _restore(self) -> None:
        settings = load_settings()
        self._window.resize(*SIZE)
        self._splitter.setSizes([SIZE[0] - PANEL_WIDTH, PANEL_WIDTH])
        self._window.restoreGeometry(_bytes(settings.window.get("geometry")))
        self._splitter.restoreState(_bytes(settings.window.get("splitter")))
        self._panel_shown.setChecked(settings.window.get("panel", True) is not False)

    def _show_panel(self, shown: bool) -> None:
        if shown and self._splitter.sizes()[1] == 0:
            self._splitter.setSizes([self._splitter.width() - PANEL_WIDTH, PANEL_WIDTH])
        self._run_panel.setVisible(shown)
        self._keeping.start()

    def _on_moved(self) -> None:
        self._keeping.start()


def _bytes(text: object) -> QByteArray:
    """Saved state; what is unreadable is as good as nothing saved."""
    try:
        return QByteArray(base64.b64decode(text if isinstance(text, str) else ""))
    except (binascii.Error, ValueError):
        return QByteArray()
