"""The attendant: does what a run needs while nobody looks. It owns the menu-bar item, the badge and the keeper."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from subprocess import TimeoutExpired, run

from PySide6.QtCore import QObject, QTimer, Signal
from PySide6.QtWidgets import QWidget

from app.core.language import tr
from app.core.power.awake import AwakeKeeper, window_keeper
from app.core.power.condition import (
    BATTERY_COMMAND,
    HEAT_COMMAND,
    Condition,
    linux_condition,
    mac_condition,
)
from app.core.protocol import event
from app.core.protocol.event import Event
from app.core.system.disk import DISK_FULL
from app.core.system.setting import load_settings
from app.ui.away.tray import RunTray
from app.ui.platform.dock import set_badge
from app.ui.run.session import RunSession, RunState
from app.ui.worker.process import WorkerOutcome

CONDITION_EVERY_MS = 60_000
ATTEND_EVERY_MS = 3_000  # exports and the queue say nothing here: they are looked at
ASKED_S = 5.0
HALTED = (RunState.PAUSED,)  # live, and the computer may sleep all the same


class Attendant(QObject):
    """Watches a session. ``told`` says of the computer what somebody should know while a run trains, once each.

    ``is_busy`` says whether something else than the run works for long: a queue, an export.
    """

    told = Signal(str)

    def __init__(
        self,
        session: RunSession,
        window: QWidget,
        is_busy: Callable[[], bool],
        *,
        keeper: AwakeKeeper | None = None,
        find_condition: Callable[[], Condition] | None = None,
    ) -> None:
        super().__init__(window)
        self._session, self._window, self._is_busy = session, window, is_busy
        self._keeper = keeper if keeper is not None else window_keeper()
        self._find_condition = find_condition if find_condition is not None else computers_condition
        self._badge: int | None = None
        self._conditions: list[Condition] = []  # found, and not looked at yet
        self._is_awake = False
        self._said: set[str] = set()
        self.tray = RunTray(session, window)
        self._look = QTimer(self)
        self._look.setInterval(CONDITION_EVERY_MS)
        self._look.timeout.connect(self._on_look)
        self._attending = QTimer(self)
        self._attending.setInterval(ATTEND_EVERY_MS)
        self._attending.timeout.connect(self.attend)
        self._attending.start()
        session.state_changed.connect(self.attend)
        session.emitted.connect(self._on_event)
        session.ended.connect(self._on_ended)
        session.silent.connect(self._on_silence)

    def attend(self) -> None:
        """Does what the moment needs: awake or not, the badge, the look at battery and heat."""
        session = self._session
        works = (session.is_live and session.state not in HALTED) or self._is_busy()
        if works and not self._is_awake:
            self._is_awake = load_settings().keep_awake and self._keeper.hold(self._reason())
        elif not works and self._is_awake:
            self._is_awake = False
            self._keeper.release()
        if not session.is_live:
            self._look.stop()
            self._said.clear()
        elif not self._look.isActive():
            self._look.start()
            self._on_look()
        self._show_badge()
        while self._conditions:
            self._on_condition(self._conditions.pop())

    def shutdown(self) -> None:
        """Leaves nothing behind: no assertion, no badge, no icon."""
        self._look.stop()
        self._attending.stop()
        self._is_awake = False
        self._keeper.release()
        self.tray.shutdown()
        if self._badge is not None:
            self._badge = None
            set_badge(None)

    def _reason(self) -> str:
        return (
            tr("{adapter_name} trains", adapter_name=self._session.name)
            if self._session.is_live
            else tr("It works")
        )

    def _show_badge(self) -> None:
        percent = self.tray.percent()
        if percent != self._badge:
            self._badge = percent
            set_badge(percent)

    def _on_event(self, found: Event) -> None:
        if self._session.is_live and isinstance(found, (event.TrainReported, event.Started)):
            self.tray.show_state()
            self._show_badge()

    # -- what is told -----------------------------------------------------------------------------------------

    def _on_ended(self, outcome: WorkerOutcome) -> None:
        if text := self._ending(outcome):
            self._tell(text)

    def _ending(self, outcome: WorkerOutcome) -> str:
        """What somebody who looks elsewhere should know of a run's end; empty where a person asked for it."""
        name = self._session.name
        match self._session.state:
            case RunState.COMPLETED | RunState.EARLY_STOPPED if self._session.history.never_improved:
                return tr("{name} has ended, and no measurement was better than the untrained model's.", name=name)
            case RunState.COMPLETED:
                return tr("{name} is ready.", name=name)
            case RunState.EARLY_STOPPED:
                kept = outcome.finished.message if outcome.finished is not None else ""
                return tr("{name} stopped early: it no longer improved. {kept}", name=name, kept=kept).strip()
            case RunState.FAILED | RunState.CRASHED:
                return tr("{name} ended: {sentence}", name=name, sentence=outcome.sentence())
            case RunState.PARKED if outcome.finished is not None and outcome.finished.message.startswith(DISK_FULL):
                return tr("{name} waits for an answer: {message}", name=name, message=outcome.finished.message)
        return ""

    def _on_silence(self, _seconds: int) -> None:
        self._tell(tr("The worker has not said a word for long: the window asks whether to end it."))

    def _tell(self, text: str) -> None:
        """Only where nobody looks at the window, and only if notifications are wanted."""
        if load_settings().notifications and not self._window.isActiveWindow():
            self.tray.tell(text)

    # -- the computer -----------------------------------------------------------------------------------------

    def _on_look(self) -> None:
        """In a thread, as a Mac is asked by two programs; it knows nothing of Qt, and its answer is picked up."""
        find, answers = self._find_condition, self._conditions
        threading.Thread(target=lambda: answers.append(find()), daemon=True, name="condition").start()

    def _on_condition(self, found: Condition) -> None:
        for kind, text in found.sentences().items() if self._session.is_live else ():
            if kind not in self._said:  # once in a run, whatever the figure is by now
                self._said.add(kind)
                self.told.emit(text)
                self._tell(text)


def computers_condition(platform: str = sys.platform) -> Condition:
    """Battery and heat, as this system tells them."""
    if platform == "darwin":
        return mac_condition(_said_by(BATTERY_COMMAND), _said_by(HEAT_COMMAND))
    return linux_condition() if platform == "linux" else Condition()


def _said_by(command: tuple[str, ...]) -> str:
    try:
        return run(command, capture_output=True, text=True, timeout=ASKED_S, check=False).stdout
    except (OSError, TimeoutExpired):
        return ""
