"""The system's file manager: it is shown a folder, of a file the one that it lies in."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtGui import QDesktopServices

from app.ui.widget.file_manager import show_in_file_manager


def test_a_file_is_shown_in_its_folder_and_a_folder_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: shown.append(url.toLocalFile()))
    folder = tmp_path / "a run #1"
    folder.mkdir()
    (folder / "config.yaml").write_text("")
    show_in_file_manager(folder)
    show_in_file_manager(folder / "config.yaml")
    assert shown == [str(folder), str(folder)]
