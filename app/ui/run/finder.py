"""Finds runs that train without this window: one that is shown becomes live, of any other it is told once."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QObject, QTimer, Signal

from app.core.live.training_list import training_runs
from app.ui.run.session import RunSession, RunState

FIRST_LOOK_MS = 800  # after the run of the last time was opened
LOOK_EVERY_MS = 2_000


class RunFinder(QObject):
    """Looks at the list of runs that train on this machine, whoever started them."""

    found = Signal(object)  # the folder (Path) of a run that trains and is not shown; once for each

    def __init__(self, session: RunSession, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._session = session
        self._told: set[Path] = set()
        self._timer = QTimer(self)
        self._timer.setInterval(LOOK_EVERY_MS)
        self._timer.timeout.connect(self.look)
        QTimer.singleShot(FIRST_LOOK_MS, self, self._begin)

    def _begin(self) -> None:
        self.look()
        self._timer.start()

    def look(self) -> None:
        """Looks now."""
        session = self._session
        training = [run.path for run in training_runs()]
        self._told &= set(training)
        for path in training:
            if session.run is not None and session.run.path == path:
                if not session.is_live and session.state not in (RunState.LOADING, RunState.ELSEWHERE):
                    session.open(path)  # it began, or went on, after it was shown
            elif path not in self._told:
                self._told.add(path)
                self.found.emit(path)
