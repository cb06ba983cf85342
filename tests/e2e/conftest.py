"""What the end-to-end tests share: the window, and from other tests the tiny model and drag and drop."""

from collections.abc import Iterator

import pytest
from PySide6.QtCore import QCoreApplication, QEvent
from PySide6.QtWidgets import QApplication

from app.ui.form.store import form_store
from app.ui.run.session import RunSession
from app.ui.widget import theme
from app.ui.window.appearance import Appearance
from app.ui.window.main_window import MainWindow

WAIT_MS = 200_000


@pytest.fixture
def window(qapp: QApplication) -> Iterator[MainWindow]:
    if not qapp.styleSheet():
        theme.apply_theme("light")
    found = MainWindow(form_store(), RunSession(), Appearance())
    found.resize(1100, 700)
    found.show()
    yield found
    found.session.wait(WAIT_MS)
    found.dispose()
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
