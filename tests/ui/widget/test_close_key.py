"""Every dialog closes by the key that closes windows."""

from __future__ import annotations

import ast
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from pytestqt.qtbot import QtBot

from app.ui.window.appearance import Appearance
from app.ui.window.settings_dialog import SettingsDialog

UI = Path(__file__).resolve().parents[3] / "app" / "ui"


def test_the_key_closes(qtbot: QtBot) -> None:
    dialog = SettingsDialog(Appearance())
    qtbot.addWidget(dialog)
    with qtbot.waitExposed(dialog):
        dialog.show()
    QTest.keyClick(dialog, Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)
    assert not dialog.isVisible()


def test_every_dialog_has_it() -> None:
    found = {}
    for path in UI.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and any(ast.unparse(base) == "QDialog" for base in node.bases):
                found[node.name] = "close_by_key(self)" in ast.unparse(node)
    assert len(found) > 10
    assert [name for name, has in found.items() if not has] == []
