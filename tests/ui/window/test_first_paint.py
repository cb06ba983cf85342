"""The first picture of the window is the one that stays: nothing in it moves when the event loop goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest
from PySide6.QtCore import QEvent, QObject
from PySide6.QtGui import QMoveEvent, QResizeEvent
from PySide6.QtWidgets import QApplication, QWidget

from app.ui.form.store import form_store
from app.ui.run.session import RunSession
from app.ui.widget import theme
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import MainWindow
from tests import ROOT

TURNS = 8


class Watcher(QObject):
    """Keeps a line for each part that comes to stand elsewhere, has another size, appears or goes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        if isinstance(watched, QWidget) and watched.isVisible() and not watched.isWindow():
            if isinstance(event, QResizeEvent):
                self.seen.append(f"{_named(watched)} {event.oldSize().toTuple()} -> {event.size().toTuple()}")
            elif isinstance(event, QMoveEvent):
                self.seen.append(f"{_named(watched)} {event.oldPos().toTuple()} -> {event.pos().toTuple()}")
            elif event.type() in (QEvent.Type.ShowToParent, QEvent.Type.HideToParent):
                self.seen.append(f"{_named(watched)} {event.type().name}")
        return False


def _named(widget: QWidget) -> str:
    return f"{type(widget).__name__} {widget.objectName()}"


@pytest.fixture
def application(qapp: QApplication) -> Iterator[QApplication]:
    theme.apply_theme("light")
    yield qapp
    qapp.setStyleSheet("")


@pytest.mark.parametrize("size", [(1320, 840), (1100, 700), (1700, 1000)], ids=str)
def test_nothing_moves_once_the_window_is_there(application: QApplication, size: tuple[int, int]) -> None:
    with theme.undressed():
        window = MainWindow(form_store(), RunSession(), Appearance())
    window.resize(*size)
    window.show()
    watcher = Watcher()
    application.installEventFilter(watcher)
    try:
        for _ in range(TURNS):
            application.processEvents()
    finally:
        application.removeEventFilter(watcher)
        window.dispose()
    assert watcher.seen == []


# Readers of data, tables and documents; what trains; the command line.
NO_START = (
    "app.core.document.document", "app.core.transcript.", "app.core.source.data_file", "app.command.",
    "app.worker", "jinja2", "mlx", "tarfile", "typer",
)  # fmt: skip


def test_a_start_imports_nothing_that_only_some_windows_need() -> None:
    """What one line of an import brings along is a tenth of the whole start."""
    program = "import json, sys, app.ui.window.main_window; print(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert "app.ui.queue.session" in found
    assert [name for name in found if name.startswith(NO_START)] == []
