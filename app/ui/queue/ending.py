"""What happens when the queue is at its end: nothing, a notice, or the computer's sleep after a countdown."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, Qt, QTimer, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QPushButton,
    QSystemTrayIcon,
    QVBoxLayout,
    QWidget,
)

from app.core.language import tr
from app.core.power.sleep import Sleeper, find_sleeper
from app.core.queue.queue import QueueTally
from app.ui.message.bar import Notice
from app.ui.platform.notification import NOTICE_MS, notify
from app.ui.queue.session import QueueSession
from app.ui.widget import theme
from app.ui.widget.keyed_dialog import KeyedDialog

COUNTDOWN_S = 60


class QueueEnding(QObject):
    """Does at the end of a `QueueSession` what the queue's ``when_done`` says. Its message is the session's own."""

    told = Signal(object)  # Message

    def __init__(self, queue: QueueSession, window: QWidget, *, sleeper: Sleeper | None = None) -> None:
        super().__init__(window)
        self._queue, self._window = queue, window
        self.sleeper = sleeper if sleeper is not None else find_sleeper()
        self.countdown: SleepCountdown | None = None
        self._tray: QSystemTrayIcon | None = None
        queue.ended.connect(self._on_ended)

    def _on_ended(self, found: QueueTally) -> None:
        chosen = self._queue.state.when_done
        if chosen == "notify":
            self._notify(tr("The queue is at its end: {sentence}.", sentence=found.sentence()))
        elif chosen == "sleep" and self.sleeper.obstacle:
            self.told.emit(
                Notice(tr("The computer stays awake. {obstacle}", obstacle=self.sleeper.obstacle), "warning")
            )
        elif chosen == "sleep":
            self.countdown = SleepCountdown(self._sleep, self._window)
            self.countdown.show()

    def _notify(self, text: str) -> None:
        """Draws attention to the window, and says it where the system shows such things."""
        if self._tray is None:
            self._tray = QSystemTrayIcon(self._window.windowIcon(), self)
        if QSystemTrayIcon.isSystemTrayAvailable():
            self._tray.show()
        notify(text, self._window, self._tray)
        QTimer.singleShot(NOTICE_MS, self._tray, self._tray.hide)

    def _sleep(self) -> None:
        if problem := self.sleeper.sleep():
            self.told.emit(Notice(problem, "warning"))


class SleepCountdown(KeyedDialog):
    """Counts down a minute, then acts; Cancel, Escape or closing it keeps the computer awake."""

    def __init__(
        self, act: Callable[[], object], parent: QWidget | None = None, *, seconds: int = COUNTDOWN_S
    ) -> None:
        super().__init__(parent)
        self.setObjectName("sleep_countdown")
        self.setWindowTitle("Luthier")
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._act, self.seconds = act, seconds
        self._text = QLabel(self)
        self._text.setObjectName("sleep_countdown.text")
        theme.set_role(self._text, role="section")
        why = QLabel(tr("All runs of the queue have ended and are saved."), self)
        theme.set_role(why, role="muted")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(*[theme.SPACE * 3] * 4)
        layout.setSpacing(theme.SPACE)
        layout.addWidget(self._text)
        layout.addWidget(why)
        layout.addSpacing(theme.SPACE)
        layout.addLayout(self._buttons())
        self._timer = QTimer(self)
        self._timer.setInterval(1000)
        self._timer.timeout.connect(self.tick)
        self._timer.start()
        self._show()

    def tick(self) -> None:
        """A second has passed."""
        self.seconds -= 1
        if self.seconds <= 0:
            self._sleep_now()
        else:
            self._show()

    def reject(self) -> None:
        self._timer.stop()
        super().reject()

    def _sleep_now(self) -> None:
        self._timer.stop()
        self.accept()
        self._act()

    def _show(self) -> None:
        self._text.setText(tr("The computer goes to sleep in {seconds}\u00a0s", seconds=self.seconds))

    def _buttons(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addStretch(1)
        for name, text, act in (("now", tr("Sleep now"), self._sleep_now), ("cancel", tr("Cancel"), self.reject)):
            button = QPushButton(text, self)
            button.setObjectName(f"sleep_countdown.{name}")
            button.setAccessibleName(text)
            button.clicked.connect(act)
            row.addWidget(button)
        theme.set_role(button, kind="primary")
        button.setToolTip(tr("Keep the computer awake"))
        button.setDefault(True)
        button.setFocus()
        return row
