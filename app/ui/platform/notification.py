"""Notifications of the system: by the tray's icon, or by the system's own program where that cannot."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable

from PySide6.QtCore import QProcess
from PySide6.QtWidgets import QApplication, QSystemTrayIcon, QWidget

NOTICE_MS = 10_000
# The words are an argument of the script, never part of it.
APPLE_SCRIPT = (
    "-e", "on run argv",
    "-e", 'display notification (item 1 of argv) with title "Luthier"',
    "-e", "end run",
)  # fmt: skip


def notify(
    text: str,
    window: QWidget,
    tray: QSystemTrayIcon | None,
    *,
    platform: str = sys.platform,
    frozen: bool = getattr(sys, "frozen", False),
    start: Callable[[str, list[str]], object] = QProcess.startDetached,
    which: Callable[[str], str | None] = shutil.which,
) -> None:
    """Says something to somebody who looks elsewhere, and draws attention to the window.

    macOS takes what a tray says only from a bundle of its own; a Python that runs from source asks ``osascript``.
    Without a tray a Linux desktop is told by ``notify-send``, where it is there.
    """
    QApplication.alert(window)
    if platform == "darwin" and not frozen:
        start("osascript", [*APPLE_SCRIPT, text])
    elif tray is not None and tray.isVisible() and tray.supportsMessages():
        tray.showMessage("Luthier", text, window.windowIcon(), NOTICE_MS)
    elif platform == "linux" and which("notify-send"):
        start("notify-send", ["--app-name=Luthier", "--", "Luthier", text])
