"""The status line: the run in one line at the foot of the window, also while its panel is hidden."""

from __future__ import annotations

from PySide6.QtCore import QEvent, QTimer, Signal
from PySide6.QtWidgets import QApplication, QLabel, QStatusBar, QWidget

from app.core.language import tr
from app.core.quantity import duration_text, memory_text
from app.ui.run.session import RunSession
from app.ui.run.word import PILLS
from app.ui.widget import theme

SOON_MS = 120  # figures change at most so often
REFRESH_MS = 1000  # while a run is live its time left goes down without an event


class StatusLine(QStatusBar):
    """How a `RunSession` is doing, and on which device. ``titled`` has the window's title, when that changed."""

    titled = Signal(str)

    def __init__(self, session: RunSession, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._title = ""
        self._status, self._device = QLabel(self), QLabel(self)
        self._status.setObjectName("status")
        self._device.setObjectName("status.device")
        for label in (self._status, self._device):
            theme.set_role(label, role="small")
            label.setContentsMargins(theme.SPACE * 2, 0, theme.SPACE * 2, 0)
        self.setSizeGripEnabled(False)
        self.addWidget(self._status, 1)
        self.addPermanentWidget(self._device)
        self._refreshing = QTimer(self)
        self._refreshing.setInterval(REFRESH_MS)
        self._refreshing.timeout.connect(self._show_run)
        session.state_changed.connect(self._on_state)
        session.renamed.connect(self._show_run)
        session.emitted.connect(self._show_device)
        session.run_changed.connect(self._show_device)
        # As soon as the panel: the same figures stand in both.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(SOON_MS)
        self._soon.timeout.connect(self._show_run)
        session.emitted.connect(self._show_soon)
        self._on_state()

    def changeEvent(self, event: QEvent) -> None:
        """Qt measures what is in a status bar when it is put there, and after another style a turn too late."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.StyleChange:
            for label in (self._status, self._device):
                label.ensurePolished()
            QApplication.sendEvent(self, QEvent(QEvent.Type.LayoutRequest))

    def _on_state(self) -> None:
        self._show_run()
        self._show_device()
        if self._session.is_live:
            self._refreshing.start()
        else:
            self._refreshing.stop()

    def _show_soon(self) -> None:
        if not self._soon.isActive():
            self._soon.start()

    def _show_run(self) -> None:
        session = self._session
        text, title = PILLS[session.state][0], "Luthier"
        if session.run is not None and session.history.iterations:
            text += tr(
                " · iteration {iteration:,} of {iterations:,}",
                iteration=session.history.iteration,
                iterations=session.history.iterations,
            )
        if session.is_live and session.config is not None:
            history = session.history
            remaining = session.remaining_s
            text += tr(" · {remaining} left", remaining=duration_text(remaining)) if remaining is not None else ""
            done = f"{100 * history.iteration / history.iterations:.0f}\u00a0% · " if history.iterations else ""
            title = tr("{done}{adapter_name} – Luthier", done=done, adapter_name=session.name)
        if text != self._status.text():
            self._status.setText(text)
        if title != self._title:
            self._title = title
            self.titled.emit(title)

    def _show_device(self) -> None:
        """What the shown run's worker said of itself: the run may be from another machine than the one before."""
        hello, text = self._session.hello, ""
        if hello is not None:
            versions = tr("MLX {mlx}", mlx=hello.versions["mlx"]) if "mlx" in hello.versions else ""
            memory = memory_text(hello.memory_gb) if hello.memory_gb else ""
            text = " · ".join(part for part in (hello.device, memory, versions) if part)
        if text != self._device.text():
            self._device.setText(text)
