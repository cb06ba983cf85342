"""The window in a process of its own: starts a run of a config, prints its folder, then each iteration reported."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from PySide6.QtCore import QTimer

from app.core.protocol import event
from app.core.setup.config_file import load_config
from app.ui.form.store import ConfigStore
from app.ui.run.session import RunSession
from app.ui.window.appearance import Appearance
from app.ui.window.application import make_application
from app.ui.window.main_window import MainWindow


def say(found: event.Event) -> None:
    """Tells the test how far the training is."""
    if isinstance(found, event.TrainReported):
        print(found.iteration, flush=True)


if __name__ == "__main__":
    application = make_application()
    appearance = Appearance(application)
    appearance.apply()
    session = RunSession(application)
    store = ConfigStore(application)
    store.replace(load_config(Path(sys.argv[1])).config)
    window = MainWindow(store, session, appearance)
    window.show()
    session.emitted.connect(say)
    QTimer.singleShot(0, lambda: print(session.start(store.config).path, flush=True))
    sys.exit(application.exec())
