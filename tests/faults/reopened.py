"""The window, as it is started, in a process of its own: prints its run's state and every event that it takes.

Of reports it prints the points that its curve then has: those of the past are taken together.
With a config it starts a run of it; without, it shows what it finds. SIGUSR1 closes it as *Keep training* does.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PySide6.QtCore import QObject, QTimer
from PySide6.QtWidgets import QApplication

from app.core.protocol import event
from app.core.setup.config_file import load_config
from app.ui.run.session import RunSession
from app.ui.window.application import run_window


def point(iteration: float, loss: float) -> str:
    """One point of the curve of losses, as it is printed."""
    return f"point {iteration:.0f} {float(loss)!r}"


class ToldSession(RunSession):
    """Says what it does."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._said, self._points = "", 0
        self.run_changed.connect(self._begin)
        self.emitted.connect(self._say)
        self.state_changed.connect(self._say_state)
        signal.signal(signal.SIGUSR1, lambda *_: QTimer.singleShot(0, self, self._leave))
        if len(sys.argv) > 1:
            config = load_config(Path(sys.argv[1])).config
            QTimer.singleShot(0, self, lambda: self.start(config))

    def _begin(self) -> None:
        self._points = 0

    def _say(self, found: event.Event) -> None:
        iterations, losses = self.history.x("iterations"), self.history.losses
        for at in range(self._points, len(losses)):
            print(point(iterations[at], losses[at]))
        self._points = len(losses)
        if not isinstance(found, event.TrainReported):
            print(found.to_line())
        sys.stdout.flush()

    def _say_state(self) -> None:
        if self._said != self.state.value:
            self._said = self.state.value
            print(f"state {self._said}", flush=True)

    def _leave(self) -> None:
        self.let_go()
        QApplication.quit()


if __name__ == "__main__":
    with mock.patch("app.ui.window.application.RunSession", ToldSession):
        sys.exit(run_window([]))
