"""Every part of the pages and dialogs is there, can be used or not, and looks and acts as what it is.

`page_sheet.txt` lists them as they were looked at; what they say and where they stand is left out. Where a page has
changed, ``LUTHIER_SHEET=1`` before this test writes the list anew: its difference is looked at, and committed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtGui import QAction, QDoubleValidator, QIntValidator
from PySide6.QtWidgets import (
    QAbstractButton,
    QAbstractItemView,
    QAbstractSpinBox,
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QTabBar,
    QTableView,
    QTabWidget,
    QTextEdit,
    QWidget,
)
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.method.table import METHODS
from app.core.queue.queue import make_entry
from app.core.run.folder import runs_dir
from app.core.setup.trial import trial_config
from app.ui.bundle.dialog import BundleDialog
from app.ui.bundle.remote_dialog import RemoteDialog
from app.ui.chat.dialog import ChatDialog
from app.ui.endpoint.dialog import ServeDialog
from app.ui.export.dialog import ExportDialog
from app.ui.form.store import ConfigStore
from app.ui.method.advice_dialog import AdviceDialog
from app.ui.model.hub_dialog import HubDialog
from app.ui.queue.ending import SleepCountdown
from app.ui.replica.dialog import HostsDialog
from app.ui.run.session import RunSession
from app.ui.window.appearance import Appearance
from app.ui.window.help_dialog import HelpDialog, ShortcutDialog
from app.ui.window.main_window import MainWindow
from app.ui.window.settings_dialog import SettingsDialog
from tests.ui.comparing import base_folder, run_with_checkpoints
from tests.ui.fake_worker import FakeWorker

SHEET = Path(__file__).with_name("page_sheet.txt")
LOOKS = ("kind", "role", "tone", "state", "flat", "there")  # properties that the style sheet asks for


@pytest.fixture(autouse=True)
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeWorker.made = []
    monkeypatch.setattr("app.ui.run.session.WorkerProcess", FakeWorker)
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)


def sheet_of(page: QWidget) -> Iterator[str]:
    """A line for each part with a name of its own or an action, in the order in which they were made."""
    for part in page.findChildren(QWidget):
        name = part.objectName()
        is_ours = bool(name) and not name.startswith("qt_")
        if is_ours or (isinstance(part, QAbstractButton) and part.text()):
            yield "  " + " ".join((type(part).__name__, name if is_ours else "-", *filter(None, words(part, page))))
    for action in page.findChildren(QAction):
        if action.objectName() and not action.isSeparator():
            yield "  " + " ".join(("action", action.objectName(), *action_words(action)))


def words(part: QWidget, page: QWidget) -> Iterator[str]:
    """What can be told of a part without what it says."""
    yield from (f"{look}={part.property(look)}" for look in LOOKS if part.property(look))
    if not part.isVisibleTo(page):
        yield "hidden"
    if not part.isEnabledTo(page):
        yield "off"
    if part.toolTip():
        yield "tip"
    if part.acceptDrops():
        yield "drops"
    if part.contextMenuPolicy() not in (
        Qt.ContextMenuPolicy.DefaultContextMenu,
        Qt.ContextMenuPolicy.NoContextMenu,
    ):
        yield part.contextMenuPolicy().name
    match part:
        case QAbstractButton():
            yield from (
                name
                for name, holds in (
                    ("checkable", part.isCheckable()), ("checked", part.isChecked()),
                    ("icon", not part.icon().isNull()), ("text", bool(part.text())),
                    ("repeats", part.autoRepeat()), ("exclusive", part.autoExclusive()),
                    ("default", isinstance(part, QPushButton) and part.isDefault()),
                    ("menu", isinstance(part, QPushButton) and part.menu() is not None),
                )
                if holds
            )  # fmt: skip
        case QSpinBox() | QDoubleSpinBox():
            yield f"{part.minimum():g}..{part.maximum():g} by {part.singleStep():g}"
        case QComboBox():
            yield f"{part.count()} choices, {part.currentIndex()}"
        case QLineEdit():
            yield part.echoMode().name * (part.echoMode() is not QLineEdit.EchoMode.Normal) or "line"
            yield from ["placeholder"] * bool(part.placeholderText())
            yield from ["clears"] * part.isClearButtonEnabled()
            yield from ["read-only"] * part.isReadOnly()
            if isinstance(validator := part.validator(), QIntValidator | QDoubleValidator):
                yield f"{validator.bottom():g}..{validator.top():g}"
        case QPlainTextEdit() | QTextEdit():
            yield from ["placeholder"] * bool(part.placeholderText())
            yield from ["read-only"] * part.isReadOnly()
        case QLabel():
            yield from ["wraps"] * part.wordWrap()
            yield part.textFormat().name * (part.textFormat() is not Qt.TextFormat.AutoText)
            if part.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse:
                yield "selectable"
        case QProgressBar():
            yield f"{part.minimum()}..{part.maximum()}" + " text" * part.isTextVisible()
        case QTabBar():
            yield f"{part.count()} tabs, {part.currentIndex()}"
        case QTabWidget():
            yield f"{part.count()} pages, {part.currentIndex()}"
        case QAbstractItemView():
            yield f"{part.selectionMode().name} {part.selectionBehavior().name} {part.editTriggers().value}"
            if isinstance(part, QTableView):
                yield f"{part.horizontalHeader().count()} columns"
        case QAbstractSpinBox() | _:
            pass


def action_words(action: QAction) -> Iterator[str]:
    """What can be told of an entry of a menu without what it says."""
    yield from (
        name
        for name, holds in (
            ("off", not action.isEnabled()), ("hidden", not action.isVisible()),
            ("checkable", action.isCheckable()), ("checked", action.isChecked()), ("tip", bool(action.toolTip())),
        )
        if holds
    )  # fmt: skip
    if not action.shortcut().isEmpty():
        yield action.shortcut().toString()


def pages(window: MainWindow) -> Iterator[tuple[str, QWidget]]:
    """The window with its tabs as they are at first, and its dialogs."""
    config = window.store.config
    window.enhanced_store.replace(trial_config(METHODS["grpo"]))
    yield "window", window
    for name in ("Enhanced Setup", "Compare", "Runs"):
        window.show_tab(name)
        page = window._pages.currentWidget()
        assert page is not None
        yield name, page
    runs_dir().mkdir(parents=True)
    run = run_with_checkpoints(runs_dir(), base_folder(runs_dir().parent / "base"), 2)
    window.user_actions.queue.queue.add([make_entry(TrainConfig(adapter_name=name)) for name in ("a", "b")])
    window.queue_actions.show_queue()
    yield "queue", window._runs_page
    chat, serve = ChatDialog(window.answerer, window), ServeDialog(window)
    dialogs: dict[str, QDialog] = {
        "sleep": SleepCountdown(print, window), "chat": chat, "serve": serve, "help": HelpDialog(window),
        "shortcuts": ShortcutDialog(window.menuBar(), window), "advice": AdviceDialog(METHODS["grpo"], window),
        "hosts": HostsDialog(config, window), "bundle": BundleDialog(config, window),
        "run on": RemoteDialog(config, window), "export": ExportDialog(run.adapters, window),
        "settings": SettingsDialog(window.appearance, window, form=config), "hub": HubDialog(window),
    }  # fmt: skip
    yield from dialogs.items()
    data = window.setup_tab.data_panel.look()
    yield "data", data
    for dialog in (*dialogs.values(), data):
        dialog.close()


def test_every_part_is_what_it_was(qtbot: QtBot) -> None:
    window = MainWindow(ConfigStore(), RunSession(), Appearance())
    qtbot.addWidget(window)
    found = "".join(f"{line}\n" for name, page in pages(window) for line in (name, *sheet_of(page)))
    if "LUTHIER_SHEET" in os.environ:
        SHEET.write_text(found, encoding="utf-8")
    seen = SHEET.read_text(encoding="utf-8")
    assert found == seen, "\n".join(
        unified_diff(seen.splitlines(), found.splitlines(), "seen", "now", lineterm="", n=1)
    )
