"""Every part of the pages and dialogs is there, can be used or not, and looks and acts as what it is.

`page_sheet.txt` lists them as they were looked at, with how they are arranged and what listens to them; what they
say is left out. Where a page has changed, ``LUTHIER_SHEET=1`` before this test writes the list anew: its difference
is looked at, and committed.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtGui import QShortcut
from PySide6.QtWidgets import QDialog, QWidget
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
from tests.sheet import compare
from tests.ui.comparing import base_folder, run_with_checkpoints
from tests.ui.fake_worker import FakeWorker
from tests.ui.window.sheet import sheet_of

SHEET = Path(__file__).with_name("page_sheet.txt")


@pytest.fixture(autouse=True)
def no_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeWorker.made = []
    monkeypatch.setattr("app.ui.run.session.WorkerProcess", FakeWorker)
    monkeypatch.setattr("app.ui.worker.job.WorkerProcess", FakeWorker)


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
    data.close()
    for name, dialog in dialogs.items():
        dialog.show()
        keys = [one for one in dialog.findChildren(QShortcut) if one.key().toString() == "Ctrl+W"]
        assert len(keys) == 1, f"{name} is closed as windows are"
        keys[0].activated.emit()
        assert not dialog.isVisible(), name


def test_every_part_is_what_it_was(qtbot: QtBot) -> None:
    window = MainWindow(ConfigStore(), RunSession(), Appearance())
    qtbot.addWidget(window)
    compare((line for name, page in pages(window) for line in (name, *sheet_of(page))), SHEET)
