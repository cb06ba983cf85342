"""The system's panels for files and folders. Each begins where the last one was left, also after a restart."""

from __future__ import annotations

import contextlib
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from app.core.system.setting import keep_settings, load_settings
from app.core.typed_path import typed_path


def ask_file(parent: QWidget, caption: str, start: str = "", filters: str = "") -> str:
    """The path of a file that is there; empty if none was chosen. ``start`` may be a folder to begin in."""
    chosen, _ = QFileDialog.getOpenFileName(parent, caption, _place(start), filters)
    return _remembered(chosen)


def ask_new_file(parent: QWidget, caption: str, name: str, filters: str = "") -> tuple[str, str]:
    """Where to save and by which of the filters; both empty if it was left. ``name`` is offered."""
    chosen, kind = QFileDialog.getSaveFileName(parent, caption, _place(name), filters)
    return _remembered(chosen), kind


def ask_folder(parent: QWidget, caption: str, start: str = "") -> str:
    """The path of a folder; empty if none was chosen."""
    return _remembered(QFileDialog.getExistingDirectory(parent, caption, _place(start)))


def _place(start: str) -> str:
    """What is asked for, where it says a place; else so named in the last folder, or at home. A start from Finder
    is in `/`."""
    if typed_path(start).is_absolute():
        return start
    last = Path(load_settings().last_folder or Path.home())
    with contextlib.suppress(OSError):
        if not last.is_dir():
            last = Path.home()
    return str(last / start)


def _remembered(chosen: str) -> str:
    if chosen:
        path = Path(chosen)
        with contextlib.suppress(OSError):  # settings that cannot be written keep nobody from a file
            folder = str(path if path.is_dir() else path.parent)
            if folder != load_settings().last_folder:
                keep_settings(last_folder=folder)
    return chosen
