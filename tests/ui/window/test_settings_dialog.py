"""The settings dialog: each choice reaches what it steers, as soon as it is made."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from PySide6.QtCore import Qt, QUrl
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QCheckBox, QFileDialog, QLineEdit, QPushButton, QToolButton, QWidget
from pytestqt.qtbot import QtBot

from app.core.config.train_config import TrainConfig
from app.core.model.hub import models_place
from app.core.protocol.program import worker_environment
from app.core.run.folder import RunDir, find_runs, prepare_run, runs_dir
from app.core.setup.config_file import save_config
from app.core.system.network import own_network
from app.core.system.place import settings_path
from app.core.system.setting import Settings, load_settings, save_settings
from app.core.upkeep import moving
from app.ui.form.store import ConfigStore, form_store
from app.ui.message.bar import MessageBar
from app.ui.settings.folder_page import FolderCard
from app.ui.settings.release_check import ReleaseCheck
from app.ui.target.alpha import Alpha
from app.ui.widget import theme
from app.ui.window.appearance import Appearance
from app.ui.window.settings_dialog import SettingsDialog
from tests.loopback_server import serving
from tests.ui.child import child


@pytest.fixture
def dialog(qtbot: QtBot) -> Iterator[SettingsDialog]:
    form = TrainConfig(model="/m", data="/d", learning_rate=3e-5)
    found = SettingsDialog(Appearance(), form=form, check=ReleaseCheck(find=lambda: ""))
    qtbot.addWidget(found)
    found.show()
    yield found
    found.shutdown()
    own_network.follow(Settings())


def enter(dialog: QWidget, name: str, text: str) -> None:
    line = child(dialog, QLineEdit, name)
    line.setText(text)
    line.textEdited.emit(text)
    line.editingFinished.emit()


def press(dialog: QWidget, name: str) -> None:
    button = child(dialog, QPushButton, name)
    assert button.isEnabled()
    button.click()


def pick(box: QWidget, value: object) -> None:
    """Chooses a value of a `ChoiceBox` as a person does."""
    box.setCurrentIndex(box.findData(value))  # type: ignore[attr-defined]
    box.activated.emit(box.currentIndex())  # type: ignore[attr-defined]


# -- general -------------------------------------------------------------------------------------------------


def test_the_theme_changes_at_once(dialog: SettingsDialog) -> None:
    pick(dialog.general.theme, "dark")
    assert theme.colors().scheme == "dark"
    assert load_settings().theme == "dark"


def test_a_language_is_kept_for_the_next_start(dialog: SettingsDialog) -> None:
    page = dialog.general
    assert "command line" in page.language_text.text()
    pick(page.language, "de")
    assert load_settings().language == "de"
    assert "next start" in page.language_text.text()
    pick(page.language, "en")
    assert load_settings().language == "en"
    assert "next start" not in page.language_text.text()


def test_alpha_is_read_so_by_a_form_that_is_open(dialog: SettingsDialog, qtbot: QtBot) -> None:
    page = QWidget()
    qtbot.addWidget(page)
    alpha = Alpha(ConfigStore(), page)
    alpha.reading_part.setParent(page)
    with qtbot.waitActive(page):
        page.show()
    assert alpha.is_peft
    dialog.activateWindow()
    pick(dialog.general.alpha, "scale")
    page.activateWindow()
    qtbot.waitUntil(lambda: not alpha.is_peft)


def test_keeping_awake_is_a_switch(dialog: SettingsDialog) -> None:
    assert load_settings().keep_awake
    dialog.general.keep_awake.click()
    assert not load_settings().keep_awake


def test_a_macs_gpu_and_memory_are_switches(dialog: SettingsDialog) -> None:
    dialog.general.relax_gpu.click()
    dialog.general.wire.click()
    assert (load_settings().relax_gpu_limit, load_settings().wire_memory) == (True, False)


def test_notifications_are_a_switch(dialog: SettingsDialog) -> None:
    assert load_settings().notifications
    dialog.general.notifications.click()
    assert not load_settings().notifications


def test_a_spare_worker_is_a_switch_that_is_heard_at_once(
    dialog: SettingsDialog, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[bool] = []
    monkeypatch.setattr("app.ui.settings.general_page.disturb", lambda: heard.append(load_settings().spare_worker))
    before = load_settings().spare_worker
    child(dialog, QCheckBox, "settings.spare_worker").click()
    child(dialog, QCheckBox, "settings.spare_worker").click()
    assert heard == [not before, before], "it is told once the choice is kept"


class Releases(BaseHTTPRequestHandler):
    """A releases page that has a newer version."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        body = b'{"tag_name": "v99.0", "html_url": "https://example.org/99"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def test_updates_are_asked_for_only_when_that_is_on(qtbot: QtBot, monkeypatch: pytest.MonkeyPatch) -> None:
    Releases.asked = []
    opened: list[QUrl] = []
    monkeypatch.setattr(QDesktopServices, "openUrl", lambda url: opened.append(url))
    with serving(Releases) as address:
        check = ReleaseCheck(find=lambda: address)
        dialog = SettingsDialog(Appearance(), check=check)
        qtbot.addWidget(dialog)
        dialog.show()
        page = dialog.general
        check.ask_if_wanted()
        assert not page.ask_button.isEnabled()
        assert not page.updates.isChecked()
        page.updates.click()
        assert load_settings().check_updates
        assert Releases.asked == []
        press(dialog, "settings.updates.ask")
        qtbot.waitUntil(page.page_button.isVisible)
        assert "Luthier 99.0 is out" in page.update_text.text()
        page.page_button.click()
        assert [url.toString() for url in opened] == ["https://example.org/99"]
        messages = MessageBar()
        qtbot.addWidget(messages)
        check.tell_news(messages)
        check.ask_if_wanted()
        qtbot.waitUntil(lambda: messages.findChild(QPushButton, "message.action") is not None)
        check.ask_if_wanted()  # at most once a day
        save_settings(load_settings().model_copy(update={"updates_asked": "", "offline": True}))
        check.ask_if_wanted()  # nor offline
        check.shutdown()
        assert len(Releases.asked) == 2
        dialog.shutdown()


def test_a_copy_without_an_address_cannot_ask(dialog: SettingsDialog) -> None:
    assert not dialog.general.updates.isEnabled()
    assert "cloned from no address" in dialog.general.update_text.text()


def test_offline_nobody_is_asked_for_a_newer_version(qtbot: QtBot) -> None:
    asked: list[int] = []
    check = ReleaseCheck(find=lambda: "https://example.org/releases")
    check.ask = lambda: asked.append(1)  # type: ignore[method-assign]
    dialog = SettingsDialog(Appearance(), check=check)
    qtbot.addWidget(dialog)
    page = dialog.general
    assert page.update_text.text() == "Asks https://example.org/releases, and sends nothing but the request."
    assert (page.updates.isEnabled(), page.ask_button.isEnabled(), page.page_button.isHidden()) == (
        True,
        False,
        True,
    )
    page.updates.click()
    save_settings(load_settings().model_copy(update={"offline": True}))
    page.ask_button.click()
    said = "Luthier is strictly offline: the releases page is not asked."
    assert (page.update_text.text(), asked) == (said, [])
    save_settings(load_settings().model_copy(update={"offline": False}))
    page.ask_button.click()
    assert (page.update_text.text(), asked) == ("Asking the releases page …", [1])
    check.told.emit("Luthier 99 is out.", "https://example.org/99")
    assert (page.update_text.text(), page.page_button.isHidden()) == ("Luthier 99 is out.", False)
    check.told.emit("This is the newest version.", "")
    assert (page.update_text.text(), page.page_button.isHidden()) == ("This is the newest version.", True)
    page.updates.click()
    assert (load_settings().check_updates, page.ask_button.isEnabled()) == (False, False)
    dialog.shutdown()


# -- folders -------------------------------------------------------------------------------------------------


def test_runs_and_models_go_where_the_user_says(dialog: SettingsDialog, tmp_path: Path) -> None:
    enter(dialog, "settings.runs_dir", str(tmp_path / "my runs"))
    enter(dialog, "settings.models_dir", str(tmp_path / "my models"))
    assert runs_dir() == tmp_path / "my runs"
    assert models_place(load_settings()) == tmp_path / "my models"
    assert "are free" in dialog.folders.runs.standing.text()


def test_what_can_be_no_folder_is_refused(dialog: SettingsDialog, tmp_path: Path, home: Path) -> None:
    (tmp_path / "file").write_text("")
    for text in (str(tmp_path / "file"), "runs"):
        enter(dialog, "settings.runs_dir", text)
        assert dialog.folders.runs.standing.property("role") == "error"
        assert runs_dir() == home / "data" / "runs"
    enter(dialog, "settings.runs_dir", "")
    assert dialog.folders.runs.standing.property("role") == "small"


@pytest.mark.parametrize("name", ["settings.runs_dir", "settings.models_dir"])
def test_a_folder_that_is_typed_counts_once_its_line_is_left(
    qtbot: QtBot, dialog: SettingsDialog, tmp_path: Path, name: str
) -> None:
    def kept() -> str:
        return str(getattr(load_settings(), name.rpartition(".")[2]))

    (tmp_path / "file").write_text("")
    enter(dialog, name, str(tmp_path / "mine"))
    dialog.pages.setCurrentWidget(dialog.folders)
    line, heard = child(dialog, QLineEdit, name), list[str]()
    dialog.changed.connect(lambda: heard.append(kept()))
    line.selectAll()
    qtbot.keyClicks(line, str(tmp_path / "files"))  # one of its beginnings is no folder
    assert (kept(), heard) == (str(tmp_path / "mine"), [])
    qtbot.keyClick(line, Qt.Key.Key_Escape)
    assert (line.text(), kept(), dialog.isVisible()) == (str(tmp_path / "mine"), str(tmp_path / "mine"), True)
    line.selectAll()
    qtbot.keyClicks(line, str(tmp_path / "file"))
    qtbot.keyClick(line, Qt.Key.Key_Return)
    card = dialog.folders.runs if name == "settings.runs_dir" else dialog.folders.models
    assert (card.standing.property("role"), kept(), dialog.isVisible()) == ("error", str(tmp_path / "mine"), True)
    qtbot.keyClicks(line, "s")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert (kept(), heard) == (str(tmp_path / "files"), [str(tmp_path / "files")])
    qtbot.keyClicks(line, "2")
    dialog.close()  # as by its button, which takes no keyboard on a Mac
    assert kept() == str(tmp_path / "files2")


def test_a_folder_that_is_chosen_counts_at_once(
    dialog: SettingsDialog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path))
    child(dialog, QToolButton, "settings.runs_dir.browse").click()
    assert runs_dir() == tmp_path


def a_run(name: str = "one") -> RunDir:
    return prepare_run(TrainConfig(model="/m", data="/d", adapter_name=name), runs_dir() / name)


@pytest.mark.parametrize("is_same_disk", [True, False])
def test_runs_are_moved_with_all_that_names_them(
    dialog: SettingsDialog, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_same_disk: bool
) -> None:
    monkeypatch.setattr(moving, "is_same_disk", lambda *_: is_same_disk)
    run = a_run()
    run.log.write_bytes(b"x" * 1_000_000)
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: str(tmp_path / "there"))
    card = dialog.folders.runs
    dialog.pages.setCurrentWidget(dialog.folders)
    with qtbot.waitSignal(card.mover.ended):
        press(dialog, "settings.runs_dir.move")
        dialog.close()
        assert dialog.isVisible()  # what is being moved is moved first
    assert runs_dir() == tmp_path / "there"
    assert [found.name for found in find_runs()] == ["one"]
    assert run.config.is_file()  # by its old path, which configs and the queue have
    assert card.editor.value() == str(tmp_path / "there")
    assert "Moved to" in card.progress.text.text()
    qtbot.waitUntil(lambda: not dialog.folders.is_busy)
    dialog.close()
    assert not dialog.isVisible()


def test_only_a_folder_that_is_there_can_be_moved(dialog: SettingsDialog, home: Path) -> None:
    card: FolderCard = dialog.folders.models
    place = home / "data" / "models"
    for there in (False, True):
        if there:
            place.mkdir(parents=True)
        enter(dialog, "settings.models_dir", "")
        assert card.move_button.isEnabled() is there
        assert (card.move_button.toolTip() == f"There is nothing in {place} yet") is not there


def test_models_are_moved_likewise(dialog: SettingsDialog, qtbot: QtBot, tmp_path: Path) -> None:
    model = models_place(load_settings()) / "org" / "model"
    model.mkdir(parents=True)
    card: FolderCard = dialog.folders.models
    with qtbot.waitSignal(card.mover.ended):
        card.move_to(tmp_path / "models")
    assert (tmp_path / "models" / "org" / "model").is_dir()
    assert load_settings().models_dir == str(tmp_path / "models")


def test_nothing_is_moved_while_a_run_trains(dialog: SettingsDialog, tmp_path: Path, home: Path) -> None:
    with a_run().lock():
        dialog.folders.runs.move_to(tmp_path / "there")
    assert not dialog.folders.is_busy
    assert "1 run is training: one." in dialog.folders.runs.progress.text.text()
    assert runs_dir() == home / "data" / "runs"


def test_moving_is_stopped_and_all_stays(
    dialog: SettingsDialog, qtbot: QtBot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(moving, "is_same_disk", lambda *_: False)
    a_run()
    card = dialog.folders.runs
    monkeypatch.setattr(moving, "flush_to_disk", lambda _descriptor: card.mover.cancel())
    with qtbot.waitSignal(card.mover.ended):
        card.move_to(tmp_path / "there")
    assert "everything is where it was" in card.progress.text.text()
    assert runs_dir() == home / "data" / "runs"
    assert not (tmp_path / "there").exists()


# -- hub and network -----------------------------------------------------------------------------------------


def test_proxy_and_offline_reach_the_workers(dialog: SettingsDialog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_OFFLINE")
    enter(dialog, "settings.proxy", "http://proxy.example:3128")
    assert worker_environment()["HTTPS_PROXY"] == "http://proxy.example:3128"
    enter(dialog, "settings.proxy", "http://proxy.example:3128x")
    assert dialog.access.proxy_problem.text() != ""
    assert load_settings().proxy == "http://proxy.example:3128"
    dialog.access.offline.click()
    assert worker_environment()["HF_HUB_OFFLINE"] == "1"
    dialog.access.offline.click()
    enter(dialog, "settings.proxy", "")
    assert not {"HF_HUB_OFFLINE", "HTTPS_PROXY"} & worker_environment().keys()


# -- new setups ----------------------------------------------------------------------------------------------


def test_new_setups_begin_as_a_chosen_config(dialog: SettingsDialog, tmp_path: Path) -> None:
    store = form_store()
    dialog.setup_chosen.connect(store.set_defaults)
    press(dialog, "settings.default_setup.take")
    assert "Learning rate" in dialog.setups.text.text()
    assert store.config.learning_rate == TrainConfig().learning_rate  # what is there stays until Reset
    store.reset()
    assert store.config.learning_rate == 3e-5
    assert store.config.model == ""
    assert form_store().config.learning_rate == 3e-5
    save_config(TrainConfig(steps_per_eval=17), tmp_path / "mine.yaml")
    enter(dialog, "settings.default_setup", str(tmp_path / "mine.yaml"))
    store.reset()
    store.follow({"steps_per_eval": 50})
    assert store.config.steps_per_eval == 17  # configs that name it keep it
    enter(dialog, "settings.default_setup", str(tmp_path / "none.yaml"))
    assert "is no file" in dialog.setups.text.text()
    assert load_settings().default_setup == str(tmp_path / "mine.yaml")
    press(dialog, "settings.default_setup.own")
    store.reset()
    assert store.config.with_value("steps_per_eval", TrainConfig().steps_per_eval) == TrainConfig()
    (tmp_path / "mine.yaml").write_text("learning_rate: [\n")
    save_settings(Settings(default_setup=str(tmp_path / "mine.yaml")))
    assert form_store().config == TrainConfig()


def test_what_no_setup_can_begin_as_is_told_and_not_kept(
    dialog: SettingsDialog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page, chosen = dialog.setups, list[TrainConfig]()
    page.chosen.connect(lambda config, _following: chosen.append(config))

    def told() -> tuple[str, str, bool]:
        return page.text.text(), str(page.text.property("role")), page.own_button.isEnabled()

    assert told() == ("All values are Luthier's own.", "small", False)
    save_config(TrainConfig(), tmp_path / "same.yaml")
    enter(dialog, "settings.default_setup", str(tmp_path / "same.yaml"))
    assert (told(), len(chosen)) == (("All values are Luthier's own.", "small", True), 1)
    (tmp_path / "broken.yaml").write_text("batch_size: 1000\n")
    for name in ("broken.yaml", "none.yaml"):
        enter(dialog, "settings.default_setup", str(tmp_path / name))
        assert told()[1:] == ("error", True)
    assert told()[0] == f"{tmp_path / 'none.yaml'} is no file."
    assert (load_settings().default_setup, len(chosen)) == (str(tmp_path / "same.yaml"), 1)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("app.ui.settings.setup_page.save_config", refuse)
    press(dialog, "settings.default_setup.take")
    assert told()[:2] == (
        f"{settings_path().with_name('new_setup.yaml')} cannot be written: No space left on device.",
        "error",
    )
    press(dialog, "settings.default_setup.own")
    assert (told(), load_settings().default_setup) == (("All values are Luthier's own.", "small", False), "")
    assert chosen == [TrainConfig()] * 2


def test_the_keys_close_it(dialog: SettingsDialog, qtbot: QtBot) -> None:
    qtbot.keyClick(dialog, Qt.Key.Key_Escape)
    assert not dialog.isVisible()
