"""The settings dialog: the theme at once, the folder for runs when accepted, and not when it cannot be one."""

from __future__ import annotations

from pathlib import Path

import pytest
from PySide6.QtWidgets import QDialogButtonBox, QLineEdit
from pytestqt.qtbot import QtBot

from app.core.run.folder import runs_dir
from app.ui.window.appearance import Appearance
from app.ui.window.settings_dialog import SettingsDialog
from tests.ui.child import child


@pytest.fixture
def dialog(qtbot: QtBot) -> SettingsDialog:
    found = SettingsDialog(Appearance())
    qtbot.addWidget(found)
    return found


def enter(dialog: SettingsDialog, text: str) -> bool:
    """Types a folder; returns whether the dialog can be accepted."""
    line = child(dialog, QLineEdit, "settings.runs_dir")
    line.setText(text)
    line.textEdited.emit(text)
    return child(dialog, QDialogButtonBox).button(QDialogButtonBox.StandardButton.Ok).isEnabled()


def test_runs_go_where_the_user_says(dialog: SettingsDialog, tmp_path: Path) -> None:
    assert enter(dialog, str(tmp_path / "my runs"))
    dialog.accept()
    assert runs_dir() == tmp_path / "my runs"


def test_what_can_be_no_folder_is_refused(dialog: SettingsDialog, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not enter(dialog, str(tmp_path / "file"))
    assert not enter(dialog, "runs")
    assert enter(dialog, "")


def test_cancel_keeps_what_was(dialog: SettingsDialog, tmp_path: Path, home: Path) -> None:
    enter(dialog, str(tmp_path))
    dialog.reject()
    assert runs_dir() == home / "data" / "runs"
