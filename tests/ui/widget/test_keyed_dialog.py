"""Every dialog closes by the key that closes windows, and Tab goes through it as it is read."""

from __future__ import annotations

import ast
from pathlib import Path

from PySide6.QtCore import QPoint, Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QApplication,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.ui.queue.sweep_dialog import SweepDialog
from app.ui.replica.dialog import HostsDialog
from app.ui.widget.keyed_dialog import KeyedDialog
from app.ui.window.appearance import Appearance
from app.ui.window.settings_dialog import SettingsDialog

UI = Path(__file__).resolve().parents[3] / "app" / "ui"


def gone_through(qtbot: QtBot, dialog: QWidget) -> list[QWidget]:
    """Where Tab stops, from what has the keyboard when the dialog opens, until it is there again."""
    qtbot.addWidget(dialog)
    with qtbot.waitExposed(dialog):
        dialog.show()
    dialog.activateWindow()
    qtbot.waitUntil(dialog.isActiveWindow)
    found: list[QWidget] = []
    while (at := QApplication.focusWidget()) is not None and at not in found:
        found.append(at)
        QTest.keyClick(at, Qt.Key.Key_Tab)
    return found


def test_the_key_closes(qtbot: QtBot) -> None:
    dialog = SettingsDialog(Appearance())
    qtbot.addWidget(dialog)
    with qtbot.waitExposed(dialog):
        dialog.show()
    QTest.keyClick(dialog, Qt.Key.Key_W, Qt.KeyboardModifier.ControlModifier)
    assert not dialog.isVisible()


def test_every_dialog_is_one() -> None:
    found = {}
    for path in UI.rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                bases = [ast.unparse(base) for base in node.bases]
                if any(base in ("QDialog", "KeyedDialog") for base in bases):
                    found[node.name] = bases
    assert found.pop("KeyedDialog") == ["QDialog"]
    assert len(found) > 10
    assert [name for name, bases in found.items() if "QDialog" in bases] == []


def test_tab_goes_through_a_dialog_as_it_is_read(qtbot: QtBot) -> None:
    dialog = KeyedDialog()
    close, late, early, second = QPushButton("Close"), QLineEdit(), QLineEdit(), QLineEdit()
    area, inside, pages = QScrollArea(), QLineEdit(), QTabWidget()
    area.setWidget(inside)
    pages.addTab(second, "one")
    pages.addTab(QLineEdit(), "hidden")
    layout = QVBoxLayout(dialog)
    for part in (early, pages, area, late, close):
        layout.addWidget(part)
    assert gone_through(qtbot, dialog) == [early, pages.tabBar(), second, area, inside, late, close]
    later = QLineEdit()
    assert early.hasFocus()
    layout.insertWidget(1, later)
    qtbot.waitUntil(later.isVisible)
    QTest.keyClick(early, Qt.Key.Key_Tab)  # which has the keyboard again
    assert later.hasFocus()
    QTest.keyClick(later, Qt.Key.Key_Backtab)
    assert early.hasFocus()


def test_a_sweep_begins_with_its_values(qtbot: QtBot) -> None:
    dialog = SweepDialog(TrainConfig(model="/m", data="/d"))  # which lives as long as its parts are looked at
    names = [one.objectName() for one in gone_through(qtbot, dialog)]
    assert names[:3] == ["sweep.0.values", "sweep.add", "sweep.variants"]
    assert names[-1] == "sweep.0.field"


def test_fields_that_scroll_come_before_the_buttons_below_them(qtbot: QtBot) -> None:
    dialog = HostsDialog(TrainConfig(model="/m", data="/d"))
    found = gone_through(qtbot, dialog)
    heights = [one.mapTo(dialog, QPoint(0, 0)).y() for one in found]
    names = [one.objectName() for one in found]
    assert names.index("hosts.1.ssh") < names.index("hosts.add") < names.index("hosts.close")
    assert heights.index(max(heights)) > names.index("hosts.add")
