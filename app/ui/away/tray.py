"""The menu-bar item (on Linux: in the tray): how far the live run is, Pause, Stop, the way back to the window."""

from __future__ import annotations

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtGui import QAction
from PySide6.QtWidgets import QMenu, QSystemTrayIcon, QWidget

from app.core.language import tr
from app.core.quantity import duration_text
from app.ui.platform.notification import NOTICE_MS, notify
from app.ui.run.session import RunSession, RunState
from app.ui.run.word import PILLS


class RunTray(QObject):
    """Is there while a run is live, and for a moment where something is told; not where the desktop has no tray."""

    open_requested = Signal()
    quit_requested = Signal()

    def __init__(self, session: RunSession, window: QWidget) -> None:
        super().__init__(window)
        self._session, self._window = session, window
        self.icon = QSystemTrayIcon(window.windowIcon(), self)
        self.icon.setObjectName("tray")
        self.menu = QMenu(window)
        self.menu.setObjectName("tray.menu")
        self.progress = self._action("tray.progress", "")
        self.progress.setEnabled(False)
        self.menu.addSeparator()
        self.pause = self._action("tray.pause", tr("Pause"))
        self.stop = self._action("tray.stop", tr("Stop and Save"))
        self.menu.addSeparator()
        self.open = self._action("tray.open", tr("Open Luthier"))
        self.quit = self._action("tray.quit", tr("Quit Luthier, Keep Training"))
        self.pause.triggered.connect(self._on_pause)
        self.stop.triggered.connect(session.stop)
        self.open.triggered.connect(self.open_requested)
        self.quit.triggered.connect(self.quit_requested)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(self._on_activated)
        self.icon.messageClicked.connect(self.open_requested)
        self._going = QTimer(self)
        self._going.setSingleShot(True)
        self._going.setInterval(NOTICE_MS)
        self._going.timeout.connect(self.show_state)
        session.state_changed.connect(self.show_state)
        session.renamed.connect(self.show_state)
        self.show_state()

    @property
    def is_there(self) -> bool:
        """True if somebody can see it, and come back by it."""
        return self.icon.isVisible() and QSystemTrayIcon.isSystemTrayAvailable()

    def show_state(self) -> None:
        """Says how the run is now."""
        session, state = self._session, self._session.state
        text = self.text()
        self.progress.setText(text)
        self.icon.setToolTip(tr("Luthier\n{text}", text=text) if session.is_live else "Luthier")
        waits = state in (RunState.PAUSED, RunState.PAUSING)
        self.pause.setText(tr("Continue") if waits else tr("Pause"))
        self.pause.setEnabled(waits or state is RunState.RUNNING)
        self.stop.setEnabled(session.is_live and state is not RunState.STOPPING)
        self.quit.setVisible(session.outlives_window)
        self._show_icon(session.is_live or self._going.isActive())

    def text(self) -> str:
        """The run in a few words: what it does, how much is done, the time that is left."""
        session = self._session
        if session.run is None:
            return PILLS[session.state][0]
        parts = [session.name, PILLS[session.state][0]]
        if (percent := self.percent()) is not None:
            parts.append(f"{percent}\u00a0%")
        if session.state is RunState.RUNNING and (left := session.remaining_s) is not None:
            parts.append(tr("{left} left", left=duration_text(left)))
        return " · ".join(parts)

    def percent(self) -> int | None:
        """How much of the live run is done; None while that is not known, and where none is live."""
        history = self._session.history
        if not self._session.is_live or not history.iterations:
            return None
        return 100 * history.iteration // history.iterations

    def tell(self, text: str) -> None:
        """A notification of the system."""
        self._going.start()
        self._show_icon(True)
        notify(text, self._window, self.icon)

    def shutdown(self) -> None:
        """Takes it away."""
        self._going.stop()
        self.icon.hide()

    def _show_icon(self, wanted: bool) -> None:
        shown = wanted and QSystemTrayIcon.isSystemTrayAvailable()
        if shown != self.icon.isVisible():
            self.icon.setVisible(shown)

    def _action(self, name: str, text: str) -> QAction:
        action = self.menu.addAction(text)
        action.setObjectName(name)
        return action

    def _on_pause(self) -> None:
        if self._session.state in (RunState.PAUSED, RunState.PAUSING):
            self._session.go_on()
        else:
            self._session.pause()

    def _on_activated(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.DoubleClick, QSystemTrayIcon.ActivationReason.MiddleClick):
            self.open_requested.emit()
